"""Small measures: rank correlation, regret, and how good a generative model of cells is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ObservationError

# --- rankings and searches ----------------------------------------------------------------------


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


# --- generative models --------------------------------------------------------------------------


def reconstruction_accuracy(codes: Tensor, decoded: Tensor) -> float:
    """Share of cells that come back exactly: rows of ``decoded`` [n, D] equal to those of ``codes`` [n, D].

    Raises:
        ObservationError: different shapes, or no rows.
    """
    if codes.shape != decoded.shape or codes.ndim != 2 or len(codes) == 0:
        raise ObservationError(
            f"reconstruction_accuracy: expected two tensors [n, D], n >= 1, got {list(codes.shape)} and "
            f"{list(decoded.shape)}"
        )
    return float((codes == decoded.to(codes.device)).all(1).double().mean())


def validity(valid: Tensor) -> float:
    """Share of decoded graphs that are cells: ``valid`` [n] bool, as ``from_node_graphs`` returns it."""
    if valid.ndim != 1 or len(valid) == 0:
        raise ObservationError(f"validity: expected [n] booleans, n >= 1, got shape {list(valid.shape)}")
    return float(valid.bool().double().mean())


def uniqueness(codes: Tensor) -> float:
    """Share of distinct rows among ``codes`` [n, D] of valid cells; NaN without a row."""
    return len(codes.unique(dim=0)) / len(codes) if len(codes) else math.nan


def novelty(codes: Tensor, known: Tensor) -> float:
    """Share of rows of ``codes`` [n, D] that are not among the rows of ``known`` [m, D]; NaN without a row."""
    if len(codes) == 0:
        return math.nan
    _, inverse = torch.cat([known.to(codes.device), codes]).unique(dim=0, return_inverse=True)
    old, new = inverse[: len(known)], inverse[len(known) :]
    return float((~torch.isin(new, old)).double().mean())
