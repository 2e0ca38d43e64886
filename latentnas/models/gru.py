"""The gates of a GRU whose linear maps are computed elsewhere, and their gradient.

    r, z = sigmoid(x_r + W_r s + b_r), sigmoid(x_z + W_z s + b_z)         (1)
    n = tanh(x_n + r * (W_n s + b_n))                                     (2)
    h = (1 - z) * n + z * s                                               (3)

W s is linear in s: of a sum of vectors it is the sum of their products. So s and W s come side by side, as one tensor
[C, 4H]; and so do their gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..device import matmul_precision


def update(fed: Tensor, x: Tensor, bias: Tensor, candidate: Tensor, out: Tensor) -> None:
    """Eq. 1-3 of C rows; what :func:`update_back` needs is written over ``fed`` and to ``candidate``.

    Args:
        fed: [C, 4H], s and W s; afterwards s, r, z and W_n s + b_n.
        x: [C, 3H], the linear map of the input, to whose first two thirds b_r and b_z have been added.
        bias: [H], b_n.
        candidate: [C, H], for n.
        out: [C, H], for h.
    """
    size = out.shape[1]
    state, opened, inner = fed[:, :size], fed[:, size : 3 * size], fed[:, 3 * size :]
    opened.add_(x[:, : 2 * size]).sigmoid_()
    inner.add_(bias)
    torch.addcmul(x[:, 2 * size :], opened[:, :size], inner, out=candidate).tanh_()
    torch.lerp(candidate, state, opened[:, size:], out=out)


def update_back(d_out: Tensor, fed: Tensor, candidate: Tensor, gradient: Tensor) -> None:
    """The gradient of :func:`update`.

    Args:
        d_out: [C, H], that of h.
        fed, candidate: what :func:`update` left there.
        gradient: [C, 5H], for those of s by eq. 3 alone, of W s + b, and of x_n. Those of x_r and x_z are those of
            their summands W_r s and W_z s.
    """
    size = d_out.shape[1]
    state, reset, keep, inner = fed.chunk(4, 1)
    d_state, d_reset, d_keep, d_inner, d_candidate = gradient.chunk(5, 1)
    torch.mul(d_out, keep, out=d_state)
    torch.ops.aten.tanh_backward.grad_input(d_out - d_state, candidate, grad_input=d_candidate)
    torch.mul(d_candidate, inner, out=d_reset)
    torch.sub(state, candidate, out=d_keep).mul_(d_out)
    through_sigmoid(gradient[:, size : 3 * size], fed[:, size : 3 * size])
    torch.mul(d_candidate, reset, out=d_inner)


def through_sigmoid(gradient: Tensor, output: Tensor) -> None:
    """The gradient of a sigmoid's argument from that of its output, in its place."""
    torch.ops.aten.sigmoid_backward.grad_input(gradient, output, grad_input=gradient)


def with_bias(inputs: Tensor, bias: Tensor) -> Tensor:
    """What :func:`update` takes rows of as ``x``: the inputs' linear map [T, 3H], and b [3H] but for b_n."""
    size = len(bias) // 3
    found = inputs.clone()
    found[:, : 2 * size] += bias[: 2 * size]
    return found


@matmul_precision("highest")
def input_gradient(gradient: Tensor, types: Tensor, count: int) -> Tensor:
    """The gradient of the linear map of T = ``count`` inputs [T, 3H], of which row c was of ``types[c]``.

    Args:
        gradient: [C, 5H], as of :func:`update_back`.
        types: [C] long.
    """
    size = gradient.shape[1] // 5
    chosen = torch.eye(count, dtype=gradient.dtype, device=gradient.device)[types]  # [C, T]
    found = chosen.t() @ gradient[:, size:]
    return torch.cat([found[:, : 2 * size], found[:, 3 * size :]], 1)
