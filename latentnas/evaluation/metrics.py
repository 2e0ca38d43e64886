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
