r"""Losses that teach a predictor to rank, as functions of B scores and B accuracies.

Pairwise losses (GATES paper, eq. 8) are means of :math:`\phi` over all pairs of the batch with :math:`y_i > y_j`; the
cells are embedded once, whatever the number of pairs. All are 0 for a batch without such a pair.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 0.1
"""The published margin of hinge losses."""


def mean_squared_error(scores: Tensor, values: Tensor) -> Tensor:
    r"""Regression, eq. 7 as a mean: :math:`(s_i - y_i)^2`. Scores and values [B] -> scalar."""
    return F.mse_loss(scores, values)


def pairwise_hinge(scores: Tensor, values: Tensor, margin: float = MARGIN) -> Tensor:
    r""":math:`\phi = \max(0, m - (s_i - s_j))` over all pairs with :math:`y_i > y_j`. Scores, values [B] -> scalar."""
    return _mean_over_pairs((margin - _differences(scores)).relu(), values)


def pairwise_bce(scores: Tensor, values: Tensor) -> Tensor:
    r""":math:`\phi = \log(1 + e^{s_j - s_i})` over all pairs with :math:`y_i > y_j`. Scores, values [B] -> scalar."""
    return _mean_over_pairs(F.softplus(-_differences(scores)), values)


def cellwise_hinge(scores: Tensor, values: Tensor, margin: float = MARGIN) -> Tensor:
    r"""HOP's eq. 11: the mean over cells i of the mean over :math:`T_i = \{j : y_i > y_j\}` of the hinge.

    A cell without a worse one adds 0 to the mean over all B cells. Scores and values [B] -> scalar.
    """
    better = _better(values).to(scores.dtype)
    losses = (margin - _differences(scores)).relu() * better
    return (losses.sum(1) / better.sum(1).clamp_min(1)).mean()


def list_mle(scores: Tensor, values: Tensor) -> Tensor:
    r"""ListMLE, eq. 10, a cell: the negative log-likelihood of the true order under Plackett and Luce.

    :math:`\frac1n \sum_i (-s_{(i)} + \log \sum_{j \ge i} e^{s_{(j)}})` with (i) the i-th best cell; of cells of equal
    value the earlier in the batch counts as the better. Scores and values [B] -> scalar.
    """
    ordered = scores[values.argsort(descending=True, stable=True)]
    rest = ordered.flip(0).logcumsumexp(0).flip(0)
    return (rest - ordered).mean()


def comparator_hinge(preferences: Tensor, values: Tensor, margin: float = MARGIN) -> Tensor:
    r"""The pairwise comparator's loss with its anti-symmetry term, eq. 9, as a mean over pairs.

    Args:
        preferences: [B, B] float, entry (i, j) positive where cell i is held for better than cell j.
        values: [B] float.
        margin: m.
    """
    return _mean_over_pairs((margin - preferences).relu() + (margin + preferences.T).relu(), values)


SCORE_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mean_squared_error,
    "bce": pairwise_bce,
    "hinge": pairwise_hinge,
    "hinge-cell": cellwise_hinge,
    "listmle": list_mle,
}
"""Losses of scores, by name."""

MARGIN_LOSSES = ("hinge", "hinge-cell", "comparator")
"""Names of the losses that have a margin."""

LOSSES = (*SCORE_LOSSES, "comparator", "nar")
"""Names of all losses; "nar" is that of :class:`.nar_ranker.NARRanker`."""


def quick_sort(
    prefer: Callable[[Tensor, Tensor], Tensor], count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Order ``count`` items by randomised quick-sort, all segments of one depth in one batch.

    Args:
        prefer: takes two [M] long tensors of items and returns [M] float, positive where the first is better. It need
            be neither transitive nor antisymmetric.
        count: n.
        generator: draws the pivots, on the CPU.

    Returns:
        [n] long, the place of every item, 0 for the worst.
    """
    items = torch.arange(count)
    begin = torch.zeros(count, dtype=torch.long)  # where the segment of the item at each place begins
    open_ = torch.ones(count, dtype=torch.bool)  # by place
    while bool(open_.any()):
        places = open_.nonzero()[:, 0]
        segments, number = torch.unique(begin[places], return_inverse=True)
        sizes = torch.bincount(number)
        draw = (torch.rand(len(segments), generator=generator) * sizes).long().clamp_max(sizes - 1)
        pivot_place = segments + draw
        is_pivot = torch.zeros(count, dtype=torch.bool)
        is_pivot[pivot_place] = True
        above = torch.zeros(len(places))
        others = ~is_pivot[places]
        above[others] = (prefer(items[places[others]], items[pivot_place[number[others]]]).cpu() > 0).float()
        side = torch.where(is_pivot[places], 1, 2 * above.long())  # 0 below the pivot, 1 the pivot, 2 above
        order = torch.argsort(number * 3 + side, stable=True)
        below = torch.bincount(number[side == 0], minlength=len(segments))
        items[places] = items[places][order]
        number, side = number[order], side[order]
        begin[places] = torch.where(side == 0, segments[number], (segments + below)[number] + side - 1)
        open_[places] = side != 1
    result = torch.empty(count, dtype=torch.long)
    result[items] = torch.arange(count)
    return result


def _differences(scores: Tensor) -> Tensor:
    """s_i - s_j: [B] -> [B, B]."""
    return scores[:, None] - scores[None, :]


def _better(values: Tensor) -> Tensor:
    """Whether y_i > y_j: [B] -> [B, B] bool."""
    return values[:, None] > values[None, :]


def _mean_over_pairs(losses: Tensor, values: Tensor) -> Tensor:
    better = _better(values).to(losses.dtype)
    return (losses * better).sum() / better.sum().clamp_min(1)
