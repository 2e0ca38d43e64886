"""States of vertices of which a part of the edges is written, with their gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..device import matmul_precision
from .gru import input_gradient, update, update_back, with_bias


def partial_states(
    inputs: Tensor, bias: Tensor, messages: Tensor, senders: Tensor, rows: Tensor, types: Tensor
) -> Tensor:
    """GRU(O(x), s): [T + R, H], first for all types with s = 0, then for sums s of messages of a graph.

    The GRU's matrix W multiplies no s: W s is the sum of the messages' products.

    Args:
        inputs: [T, 3H], the GRU's linear map of every type's encoding, bias included.
        bias: [3H], of W s.
        messages: [N, B, 4H], m and W m, as of :func:`~latentnas.models.propagation.propagate`.
        senders: [B, K, N] of the messages' dtype: K sums of a graph, 1 where the vertex' message is in it and else 0.
        rows: [R] long, which of the B K sums are wanted, each at most once.
        types: [R] long, x of each.
    """
    found: Tensor = _PartialStates.apply(inputs, bias, messages, senders, rows, types)
    return found


class _PartialStates(torch.autograd.Function):
    """:func:`partial_states` with a gradient; its products are sums, which never round."""

    @staticmethod
    @matmul_precision("highest")
    def forward(
        ctx: Any, inputs: Tensor, bias: Tensor, messages: Tensor, senders: Tensor, rows: Tensor, types: Tensor
    ) -> Tensor:
        count, size = len(inputs), len(bias) // 3
        types = torch.cat([torch.arange(count, device=types.device), types])
        fed = messages.new_zeros(len(types), 4 * size)
        sums = senders @ messages.transpose(0, 1)  # [B, K, 4H]
        torch.index_select(sums.flatten(0, 1), 0, rows, out=fed[count:])
        found, candidate = fed.new_empty(len(fed), size), fed.new_empty(len(fed), size)
        update(fed, with_bias(inputs, bias).index_select(0, types), bias[2 * size :], candidate, found)
        ctx.count = count
        ctx.save_for_backward(fed, candidate, senders, rows, types)
        return found

    @staticmethod
    @once_differentiable
    @matmul_precision("highest")
    def backward(ctx: Any, d_found: Tensor) -> tuple[Tensor | None, ...]:
        fed, candidate, senders, rows, types = ctx.saved_tensors
        size, count = candidate.shape[1], ctx.count
        gradient = fed.new_empty(len(fed), 5 * size)
        update_back(d_found, fed, candidate, gradient)
        d_sums = fed.new_zeros(senders.shape[0] * senders.shape[1], 4 * size)
        d_sums.index_copy_(0, rows, gradient[count:, : 4 * size])
        d_messages = (senders.transpose(1, 2) @ d_sums.unflatten(0, senders.shape[:2])).transpose(0, 1)
        d_bias = gradient[:, size : 4 * size].sum(0)
        return input_gradient(gradient, types, count), d_bias, d_messages, None, None, None
