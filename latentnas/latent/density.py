"""How dense the training latents are around a point: pure functions, exact given the latents themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import ConfigError, InvalidCodeError
from .tools import _points, _scale

_CHUNK = 2_000_000
"""Distances held at a time."""


def gaussian_log_density(z: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """Log density of N(center, diag(scale^2)) at points [B, d]: [B], in nats.

    With the center and the scale of a latent space, the Gaussian that fits its training latents: cheap, but
    blind to their correlations and to the gaps between them. :func:`kernel_log_density` and
    :func:`nearest_distances` see these, given the latents themselves.

    Raises:
        InvalidCodeError: wrong shapes, a value that is not finite, or a scale that is not positive.
    """
    _points("gaussian_log_density", z)
    scale = _scale("gaussian_log_density", scale, z)
    standard = (z - center.to(z)) / scale
    return -0.5 * (standard.square() + math.log(2 * math.pi)).sum(1) - scale.log().sum(-1)


def kernel_log_density(z: Tensor, reference: Tensor, std: Tensor) -> Tensor:
    """Log of the mean of the Gaussians N(reference[i], diag(std[i]^2)) at points: [B], in nats.

    With means and standard deviations of q(z | cell) of all training cells this is the aggregate posterior,
    exactly the distribution of latents that the decoder was trained on.

    Args:
        z: [B, d].
        reference: [R, d], R at least 1.
        std: [R, d], positive; or [d], one for all (a bandwidth).

    Raises:
        InvalidCodeError: wrong shapes, a value that is not finite, or a std that is not positive.
    """
    _checked_reference("kernel_log_density", z, reference)
    std = _scale("kernel_log_density", std, reference).expand_as(reference).to(z.device, torch.float64)
    weight = std.square().reciprocal()
    # sum((z - m)^2 / s^2) as matrix products: z^2 . w - 2 z . (m w) + m^2 . w
    means = reference.to(z.device, torch.float64)
    constant = (means.square() * weight).sum(1) + 2 * std.log().sum(1) + z.shape[1] * math.log(2 * math.pi)
    parts = [torch.empty(0, dtype=torch.float64, device=z.device)]
    for chunk in z.double().split(max(1, _CHUNK // len(reference))):
        squares = chunk.square() @ weight.T - 2 * chunk @ (means * weight).T + constant
        parts.append((-0.5 * squares).logsumexp(1) - math.log(len(reference)))
    return torch.cat(parts).to(z)


def nearest_distances(z: Tensor, reference: Tensor, k: int = 1, *, scale: Tensor | None = None) -> Tensor:
    """Distances to the ``k`` nearest reference points, ascending: [B, k]. Large where no cell was encoded.

    Args:
        z: [B, d].
        reference: [R, d], such as the latents of all training cells.
        k: 1..R.
        scale: [d]; distances are ``|(x - y) / scale|``, Euclidean by default.

    Raises:
        InvalidCodeError: wrong shapes, a value that is not finite, or a scale that is not positive.
        ConfigError: ``k`` out of range.
    """
    _checked_reference("nearest_distances", z, reference)
    if not 1 <= k <= len(reference):
        raise ConfigError(f"nearest_distances: k must be in 1..{len(reference)}, got {k}")
    if scale is not None and scale.ndim != 1:
        raise InvalidCodeError(f"nearest_distances: scale must be [{z.shape[1]}], got {list(scale.shape)}")
    scale = _scale("nearest_distances", scale, z)
    there = reference.to(z) / scale
    parts = [z.new_empty(0, k)]
    for chunk in (z / scale).split(max(1, _CHUNK // len(reference))):
        distances = torch.cdist(chunk, there, compute_mode="donot_use_mm_for_euclid_dist")
        parts.append(distances.topk(k, largest=False).values)
    return torch.cat(parts)


def _checked_reference(name: str, z: Tensor, reference: Tensor) -> None:
    _points(name, z)
    _points(name, reference)
    if len(reference) == 0 or reference.shape[1] != z.shape[1]:
        raise InvalidCodeError(
            f"{name}: the reference must be [R, {z.shape[1]}] with R at least 1, got {list(reference.shape)}"
        )


__all__ = ["gaussian_log_density", "kernel_log_density", "nearest_distances"]
