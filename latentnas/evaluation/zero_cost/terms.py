"""Values of operations of a cell, taken from those of its canonical network."""

from __future__ import annotations

from torch import Tensor


def mixed(numbers: Tensor) -> Tensor:
    """64 bits that look random, a fixed function of each number (splitmix64): long -> long, same shape."""
    z = numbers + _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift to the right, zeros coming in."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def same_term_weights(terms: Tensor, canonical: Tensor) -> Tensor:
    """Weights that average over the canonical operations of the same term.

    Args:
        terms: [B, K] long, what each operation computes; 0 for none.
        canonical: [B, K] long, the same of the canonical codes.

    Returns:
        [B, K, K] double: row k of cell b has equal weights of sum 1 on the operations of the canonical
        network that compute what operation k of the code computes, and zeros if there are none.
    """
    same = ((terms[:, :, None] == canonical[:, None, :]) & (terms != 0)[:, :, None]).double()
    return same / same.sum(2, keepdim=True).clamp_min(1)
