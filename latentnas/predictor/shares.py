"""How much each member of a mean of rankers counts, by what the members said of labels that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import pad

STEPS = 10
"""Shares are weighed up in steps of a tenth."""

MOST = 2000
"""Labels of a part that are compared in pairs, at most; spread over the part."""

CHUNK = 1 << 22
"""Numbers that are looked at at once."""


def shares(held: Tensor, scores: Tensor, parts: Sequence[Tensor]) -> Tensor:
    r"""Shares by Kendall's tau of the members' mean within the parts that were held out together.

    The mean of the shares w of a grid over the simplex,

    .. math:: \sum_w p_w\, w, \quad p_w \propto \exp\big(n\, \bar\tau(w)\big),

    where n is how many labels were held out and compared, and :math:`\bar\tau(w)` the mean over the parts of Kendall's
    tau between the labels and w's mean of the predictions. After few labels all shares are about as
    good, and their mean is near to equal ones; many labels single out the best.
    Tau is what a ranker is for: shares that predict the labels best by
    least squares give too much to a calibrated process.

    Args:
        held: [n, M] double, predictions of each label by members that did not see it.
        scores: [n] double, the labels.
        parts: rows of them that were held out together, and are predicted by the same members.

    Returns:
        [M] double, at least 0, sum 1.
    """
    parts = [part[:: -(-len(part) // MOST)] for part in parts]
    grid = simplex(held.shape[1], STEPS).to(held)
    taus = torch.stack([kendall_taus(held[part] @ grid.T, scores[part]) for part in parts]).mean(0)
    weight = (taus * sum(len(part) for part in parts)).softmax(0)
    return weight @ grid


def simplex(size: int, steps: int) -> Tensor:
    """All points of the simplex in ``size`` dimensions whose coordinates are multiples of 1 / ``steps``.

    Returns:
        [P, size] double, non-negative rows of sum 1.
    """
    points = list(combinations(range(steps + size - 1), size - 1))  # where the walls between coordinates stand
    bars = torch.tensor(points, dtype=torch.long).view(len(points), size - 1)
    walls = pad(pad(bars, (1, 0), value=-1), (0, 1), value=steps + size - 1)
    return (walls.diff(dim=1) - 1).double() / steps


def kendall_taus(predicted: Tensor, actual: Tensor) -> Tensor:
    """Concordant minus discordant pairs of each column, over all pairs of different labels: [n, P], [n] -> [P] double.

    A pair of equal predictions is neither; 0 where all labels are equal.

    Args:
        predicted: [n, P] double.
        actual: [n].
    """
    first, second = torch.triu_indices(len(actual), len(actual), 1)
    sign = (actual[first] - actual[second]).sign().double()
    total = torch.zeros(predicted.shape[1], dtype=torch.double)
    for rows in torch.arange(len(sign)).split(max(1, CHUNK // predicted.shape[1])):
        total += sign[rows] @ (predicted[first[rows]] - predicted[second[rows]]).sign()
    return total / sign.abs().sum().clamp_min(1)
