"""Scores of many pairs by a two-layer network whose first layer is a sum of shares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..device import matmul_precision

BLOCK = 65_536
"""Numbers of the hidden layer that are computed at once: they stay in a processor's cache."""

GPU_BLOCK = 1 << 26


def pair_scores(weight: Tensor, shares: list[tuple[Tensor, Tensor]]) -> Tensor:
    r"""w . ReLU(sum of the shares' rows): [P].

    .. math:: y_p = \sum_e w_e \, \mathrm{ReLU}\Big(\sum_k S^{(k)}_{i_k(p), e}\Big)

    A share that does not depend on all of a pair is a table with few rows; neither the P rows of a hidden layer nor
    their gradients are ever in memory.

    Args:
        weight: [E], w.
        shares: tables S [R_k, E], each with the row that every pair reads, [P] long.
    """
    tables, rows = zip(*shares, strict=True)
    if torch.is_grad_enabled():
        found: Tensor = _PairScores.apply(weight, len(tables), *tables, *rows)
        return found
    scores = weight.new_empty(len(rows[0]))
    for block in _blocks(weight, rows[0]):
        torch.mv(_hidden(tables, rows, block), weight, out=scores[block])
    return scores


def two_shares(weight: Tensor, bias: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """A linear map of [left, right], taken apart: ``left @ W_left.T`` [L, E] and ``right @ W_right.T + b`` [R, E].

    The gradient of W is written half by half, never padded with zeros.

    Args:
        weight: [E, 2H], W_left beside W_right.
        bias: [E].
        left, right: [L, H] and [R, H].
    """
    shares: tuple[Tensor, Tensor] = _TwoShares.apply(weight, bias, left, right)
    return shares


class _TwoShares(torch.autograd.Function):
    """:func:`two_shares` with a gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(weight, left, right)
        size = left.shape[1]
        return left @ weight[:, :size].t(), torch.addmm(bias, right, weight[:, size:].t())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_left: Tensor, d_right: Tensor) -> tuple[Tensor | None, ...]:
        weight, left, right = ctx.saved_tensors
        size = left.shape[1]
        d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            d_weight = torch.empty_like(weight)
            torch.mm(d_left.t(), left, out=d_weight[:, :size])
            torch.mm(d_right.t(), right, out=d_weight[:, size:])
        if ctx.needs_input_grad[1]:
            d_bias = d_right.sum(0)
        return d_weight, d_bias, d_left @ weight[:, :size], d_right @ weight[:, size:]


def _blocks(weight: Tensor, rows: Tensor) -> list[slice]:
    step = max(1, (GPU_BLOCK if weight.is_cuda else BLOCK) // len(weight))
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _hidden(tables: tuple[Tensor, ...], rows: tuple[Tensor, ...], block: slice) -> Tensor:
    hidden = tables[0].index_select(0, rows[0][block])
    for table, row in zip(tables[1:], rows[1:], strict=True):
        hidden += table.index_select(0, row[block])
    return hidden.relu_()


class _PairScores(torch.autograd.Function):
    """:func:`pair_scores` with a gradient, for which the hidden layer is computed again.

    Products with a vector read each number once: to round it first would cost time.
    """

    @staticmethod
    @matmul_precision("highest")
    def forward(ctx: Any, weight: Tensor, count: int, *tensors: Tensor) -> Tensor:
        ctx.count = count
        ctx.save_for_backward(weight, *tensors)
        tables, rows = tensors[:count], tensors[count:]
        scores = weight.new_empty(len(rows[0]))
        for block in _blocks(weight, rows[0]):
            torch.mv(_hidden(tables, rows, block), weight, out=scores[block])
        return scores

    @staticmethod
    @once_differentiable
    @matmul_precision("highest")
    def backward(ctx: Any, d_scores: Tensor) -> tuple[Tensor | None, ...]:
        weight, *tensors = ctx.saved_tensors
        tables, rows = tuple(tensors[: ctx.count]), tuple(tensors[ctx.count :])
        d_weight = torch.zeros_like(weight)
        wanted = ctx.needs_input_grad[2 : 2 + ctx.count]
        d_tables = [torch.zeros_like(table) if want else None for table, want in zip(tables, wanted, strict=True)]
        for block in _blocks(weight, rows[0]):
            hidden = _hidden(tables, rows, block)
            d_weight.addmv_(hidden.t(), d_scores[block])
            d_hidden = hidden.sign_().mul_(weight).mul_(d_scores[block][:, None])
            for d_table, row in zip(d_tables, rows, strict=True):
                if d_table is not None:
                    d_table.index_add_(0, row[block], d_hidden)
        return d_weight, None, *d_tables, *([None] * ctx.count)
