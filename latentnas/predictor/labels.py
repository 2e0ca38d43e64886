"""Labels at the door: what a predictor can learn from, and what it says of the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ObservationError
from ..spaces import SearchSpace


@dataclass(frozen=True, eq=False)
class Labels:
    """n different cells and what they are worth.

    Attributes:
        codes: [n, D] long, in the order of their first appearance.
        values: [n] double, finite, not all equal.
    """

    codes: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.values)


def checked_labels(
    space: SearchSpace, codes: Tensor | Sequence[Sequence[int]], values: Tensor | Sequence[float], *, canonical: bool
) -> Labels:
    """Labels that can be learned from.

    A cell that is given several times counts once, with the mean of its values: repeated trainings of one network
    differ by chance. With ``canonical`` all codes of a network are one cell.

    Raises:
        InvalidCodeError: the codes are no cells of the space.
        ObservationError: codes and values differ in number; a value is NaN or infinite; there are fewer than two
            different cells, or all are worth the same, so that there is no order to learn.
    """
    codes = as_codes(space, codes)
    found = as_values(values, len(codes))
    kept = space.canonical(codes) if canonical else codes
    distinct, number = distinct_rows(space, kept)
    count = torch.bincount(number, minlength=len(distinct))
    mean = torch.zeros(len(distinct), dtype=torch.double).index_add(0, number, found) / count
    first = torch.full((len(distinct),), len(codes)).scatter_reduce(0, number, torch.arange(len(codes)), "amin")
    order = first.argsort()
    if len(distinct) < 2:
        raise ObservationError(
            f"a predictor learns an order from at least two different cells, got {len(distinct)} (of {len(codes)} rows)"
        )
    if bool((mean == mean[0]).all()):
        raise ObservationError(
            f"all {len(distinct)} cells have the accuracy {float(mean[0])}: there is no order to learn"
        )
    return Labels(distinct[order], mean[order])


def as_codes(space: SearchSpace, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
    """Checked codes on the CPU; NumPy arrays are taken, too: [B, D] long."""
    if isinstance(codes, np.ndarray):
        codes = torch.from_numpy(np.ascontiguousarray(codes))
    return space.check_codes(codes).cpu()


def as_values(values: Tensor | Sequence[float], count: int) -> Tensor:
    """Checked values of ``count`` cells on the CPU: [count] double.

    Raises:
        ObservationError: there are more or fewer, they are no numbers, or not finite.
    """
    found = torch.as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values)
    if found.is_complex() or found.dtype == torch.bool:
        raise ObservationError(f"accuracies must be numbers, got {found.dtype}")
    found = found.detach().double().cpu()
    if found.shape != (count,):
        raise ObservationError(f"expected one accuracy a cell, shape [{count}], got {list(found.shape)}")
    wrong = (~found.isfinite()).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise ObservationError(
            f"accuracies[{row}] is {float(found[row])}, {len(wrong)} of {len(found)} are not finite; "
            "leave failed evaluations out"
        )
    return found


def distinct_rows(space: SearchSpace, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Different codes in lexicographic order, and which of them each is: [B, D] -> [n, D], [B]."""
    if math.prod(space.cardinalities) > 2**63:
        return torch.unique(codes, dim=0, return_inverse=True) if len(codes) else (codes, torch.zeros(0).long())
    found, number = torch.unique(space.positions(codes), return_inverse=True)
    first = torch.full((len(found),), len(codes)).scatter_reduce(0, number, torch.arange(len(codes)), "amin")
    return codes[first], number
