"""Labels at the door: what a predictor can learn from, and what it says of the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..device import gradients
from ..errors import InvalidCodeError, ObservationError
from ..spaces import SearchSpace
from .epochs import LONGEST, TrainedEpochs, as_epochs

Codes: TypeAlias = Tensor | Sequence[Sequence[int]]
"""Cells as users give them, [n, D] integers; NumPy arrays are taken, too."""

Values: TypeAlias = Tensor | Sequence[float]
"""What cells are worth, as users give it, [n] numbers; NumPy arrays are taken, too."""


@dataclass(frozen=True, eq=False)
class Labels:
    """n different cells and what they are worth; with ``epochs`` n different pairs of cell and number of epochs.

    Attributes:
        codes: [n, D] long, in the order of their first appearance.
        values: [n] double, finite, not all equal.
        epochs: [n] long, after how many epochs of training each value was measured; None where that is not known.
    """

    codes: Tensor
    values: Tensor
    epochs: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def max_epochs(self) -> int:
        """The largest number of epochs, 0 without them."""
        return 0 if self.epochs is None else max(self.epochs.tolist(), default=0)


def checked_labels(
    space: SearchSpace,
    codes: Codes,
    values: Values,
    *,
    canonical: bool,
    epochs: TrainedEpochs | None = None,
) -> Labels:
    """Labels that can be learned from.

    A cell that is given several times counts once, with the mean of its values: repeated trainings of one network
    differ by chance. With ``canonical`` all codes of a network are one cell. With ``epochs``, after how many epochs of
    training each value was measured, this holds of equal numbers of epochs; one cell after several is several labels.

    Raises:
        InvalidCodeError: the codes are no cells of the space.
        ObservationError: codes, values and epochs differ in number; a value is NaN or infinite; epochs are no positive
            integers; there are fewer than two different cells, or all are worth the same, so that there is no order to
            learn.
    """
    codes = as_codes(space, codes)
    found = as_values(values, len(codes))
    kept = space.canonical(codes) if canonical else codes
    known = None if epochs is None else as_epochs(epochs, len(codes))
    distinct, measured, number = distinct_measurements(space, kept, known)
    count = torch.bincount(number, minlength=len(distinct))
    mean = torch.zeros(len(distinct), dtype=torch.double).index_add(0, number, found) / count
    first = torch.full((len(distinct),), len(codes)).scatter_reduce(0, number, torch.arange(len(codes)), "amin")
    order = first.argsort()
    cells = len(distinct) if measured is None else len(distinct_rows(space, distinct)[0])
    if cells < 2:
        raise ObservationError(
            f"a predictor learns an order from at least two different cells, got {cells} (of {len(codes)} rows)"
        )
    if bool((mean == mean[0]).all()):
        raise ObservationError(f"all {cells} cells have the accuracy {float(mean[0])}: there is no order to learn")
    spread = float(mean.std(unbiased=False))
    if not 0 < spread < math.inf:
        raise ObservationError(
            f"accuracies from {float(mean.min()):g} to {float(mean.max()):g} cannot be scaled: their standard "
            f"deviation comes out as {spread:g}; leave failed evaluations out"
        )
    return Labels(distinct[order], mean[order], None if measured is None else measured[order])


def as_codes(space: SearchSpace, codes: Codes) -> Tensor:
    """Checked codes on the CPU; NumPy arrays are taken, too: [B, D] long."""
    if hasattr(codes, "__array__") and not isinstance(codes, Tensor):
        found = np.asarray(codes)
        if found.dtype.kind not in "iu":
            raise InvalidCodeError(f"{space.name}: codes must be integers, got an array of {found.dtype}")
        codes = torch.from_numpy(np.ascontiguousarray(found, dtype=np.int64))
    with gradients():
        checked = space.check_codes(codes).cpu()
        return checked.clone() if checked.is_inference() else checked


def as_values(values: Values, count: int) -> Tensor:
    """Checked values of ``count`` cells on the CPU: [count] double.

    Raises:
        ObservationError: there are more or fewer, they are no numbers, or not finite.
    """
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ObservationError(f"accuracies must be a list of numbers: {error}") from None
        if array.dtype.kind not in "iuf":
            raise ObservationError(f"accuracies must be numbers, got {array.dtype}")
        values = torch.from_numpy(array.astype(np.float64))
    if values.is_complex() or values.dtype == torch.bool:
        raise ObservationError(f"accuracies must be numbers, got {values.dtype}")
    with gradients():
        found = values.detach().double().cpu().clone()
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


def distinct_measurements(
    space: SearchSpace, codes: Tensor, epochs: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Different pairs of a cell and a number of epochs, or cells without epochs, in lexicographic order.

    Args:
        space: the space.
        codes: [B, D] long.
        epochs: [B] long in 0..LONGEST, or None.

    Returns:
        The pairs' codes [n, D] and epochs [n], and which of the pairs each row is, [B].
    """
    rows, number = distinct_rows(space, codes)
    if epochs is None:
        return rows, None, number
    pairs, place = torch.unique(number * (LONGEST + 1) + epochs, return_inverse=True)
    return rows[pairs // (LONGEST + 1)], pairs % (LONGEST + 1), place
