"""Small measures of rankings and searches: rank correlation, incumbents, regret."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ObservationError


def kendall_tau(predicted: Tensor | Sequence[float], actual: Tensor | Sequence[float]) -> float:
    """Kendall's tau-b between two lists of n values, -1..1; NaN where either list is constant.

    Raises:
        ObservationError: different lengths, fewer than two values, or a value is NaN.
    """
    left, right = torch.as_tensor(predicted).double().cpu(), torch.as_tensor(actual).double().cpu()
    if left.ndim != 1 or left.shape != right.shape or len(left) < 2:
        raise ObservationError(
            f"kendall_tau: expected two lists of n >= 2 values, got shapes {list(left.shape)} and {list(right.shape)}"
        )
    if bool((left.isnan() | right.isnan()).any()):
        raise ObservationError("kendall_tau: NaN has no rank; leave failed evaluations out")
    from scipy.stats import kendalltau

    return float(kendalltau(left.numpy(), right.numpy()).statistic)


def n_at_k(predicted: Tensor | Sequence[float], actual: Tensor | Sequence[float], k: int) -> int:
    """N@K of the GATES paper: the best true rank, 1 for the best cell, among the K cells with the highest predictions.

    The rank of a cell is 1 plus the number of cells that are truly better; of equal predictions the earlier cell comes
    first.

    Raises:
        ObservationError: the lists are not two of the same length n, ``k`` is not in 1..n, or a value is NaN.
    """
    predicted, actual = _two_lists("n_at_k", predicted, actual, k)
    chosen = predicted.argsort(descending=True, stable=True)[:k]
    return 1 + int((actual > actual[chosen].max()).sum())


def precision_at_k(predicted: Tensor | Sequence[float], actual: Tensor | Sequence[float], k: int) -> float:
    """Precision@K of the GATES paper: how many of the K cells with the highest predictions are truly among the best K.

    The result is their share of the K. A cell is among the best K where fewer than K cells are truly better; of equal
    predictions the earlier cell comes first.

    Raises:
        ObservationError: the lists are not two of the same length n, ``k`` is not in 1..n, or a value is NaN.
    """
    predicted, actual = _two_lists("precision_at_k", predicted, actual, k)
    chosen = predicted.argsort(descending=True, stable=True)[:k]
    threshold = actual.sort(descending=True).values[k - 1]
    return float((actual[chosen] >= threshold).double().mean())


def _two_lists(
    name: str, predicted: Tensor | Sequence[float], actual: Tensor | Sequence[float], k: int
) -> tuple[Tensor, Tensor]:
    left, right = torch.as_tensor(predicted).double().cpu(), torch.as_tensor(actual).double().cpu()
    if left.ndim != 1 or left.shape != right.shape:
        raise ObservationError(
            f"{name}: expected two lists of n values, got shapes {list(left.shape)} and {list(right.shape)}"
        )
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(left):
        raise ObservationError(f"{name}: K must be an integer in 1..{len(left)}, got {k!r}")
    if bool((left.isnan() | right.isnan()).any()):
        raise ObservationError(f"{name}: NaN has no rank; leave failed evaluations out")
    return left, right


def incumbents(values: Tensor | Sequence[float]) -> Tensor:
    """The best value found so far after every evaluation: [n] double.

    Args:
        values: [n] in order of evaluation, larger is better; NaN marks a failed evaluation.

    Returns:
        [n]; NaN until the first evaluation that succeeded.
    """
    values = torch.as_tensor(values).double()
    best = values.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf).cummax(0).values
    started = (~values.isnan()).cummax(0).values
    return torch.where(started, best, torch.full_like(best, math.nan))


def simple_regret(values: Tensor | Sequence[float], optimum: float) -> Tensor:
    """How far the best value found so far is from the optimum, after every evaluation: [n] double.

    Args:
        values: [n] in order of evaluation; NaN marks a failed evaluation.
        optimum: the best value of the space.
    """
    return optimum - incumbents(values)
