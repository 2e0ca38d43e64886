"""What a reader of published files is, and what it returns.

A reader is a module function ``read(path, *, progress=None, **options) -> ImportedTable``. It turns a
published file into codes and columns, executes nothing of it, allocates no more than the file
justifies, and raises :class:`~latentnas.errors.DataFileError` for every fault of the file.

Columns are named ``metric``, ``metric@fidelity`` or ``metric@fidelity#repeat``, for example
``test_accuracy@108#0``: test accuracy after 108 epochs of the first training run. ``metric@fidelity``
is the mean over the repeats, ``metric`` alone the mean at the largest fidelity.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataFileError

Progress = Callable[[int, int | None], None]
"""Called now and then with (done, total) in the units of the reader; total is None where not known."""


@dataclass(frozen=True)
class ImportedTable:
    """What a reader makes of a published file.

    Attributes:
        name: the benchmark's name, such as "nasbench101".
        space: the name of the search space.
        codes: [n, D] integers (long or a compact type), valid cells of the space, distinct.
        metrics: column name -> [n] float32 (or double, see :func:`compact_values`), NaN where not measured.
        default: the metric that is meant where none is named.
        minimize: metrics of which less is better (training time, parameters, latency...).
        by_network: True where a row stands for all codes of its network, False where every code has
            a row of its own.
        source: what was read, in one line.
        units: metric -> unit, such as "share in 0..1", "%", "s"; may lack metrics.
        facts: further facts that the table keeps: plain JSON values.
    """

    name: str
    space: str
    codes: Tensor
    metrics: dict[str, Tensor]
    default: str
    minimize: frozenset[str] = frozenset()
    by_network: bool = False
    source: str = ""
    units: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Reader(Protocol):
    """What the function ``read`` of a reader's module accepts and returns."""

    def __call__(self, path: str | Path, *, progress: Progress | None = None, **options: Any) -> ImportedTable:
        """Read a published file.

        Args:
            path: the file, or the folder.
            progress: called with (done, total).
            options: those of the format.

        Raises:
            DataFileError: the file is missing, truncated, corrupted or hostile, or not of this format.
        """
        ...


class Column(NamedTuple):
    """A column's name taken apart; ``fidelity`` and ``repeat`` are None where the name has none."""

    metric: str
    fidelity: int | None = None
    repeat: int | None = None

    def __str__(self) -> str:
        fidelity = "" if self.fidelity is None else f"@{self.fidelity}"
        repeat = "" if self.repeat is None else f"#{self.repeat}"
        return f"{self.metric}{fidelity}{repeat}"


_COLUMN = re.compile(r"([^@#]+)(?:@([0-9]{1,9})(?:#([0-9]{1,9}))?)?")


def parse_column(name: str) -> Column:
    """Take ``metric[@fidelity[#repeat]]`` apart.

    Raises:
        DataFileError: the name has another form.
    """
    match = _COLUMN.fullmatch(name)
    if match is None:
        raise DataFileError(
            f"{name!r} is no name of a column; expected metric, metric@fidelity or metric@fidelity#repeat"
        )
    metric, fidelity, repeat = match.groups()
    return Column(metric, None if fidelity is None else int(fidelity), None if repeat is None else int(repeat))


def compact_values(values: NDArray | Tensor) -> Tensor:
    """A column as float32, or as double where it holds whole numbers that float32 would round.

    Measured values carry no more than the seven digits of float32; counts (parameters,
    multiply-adds) are exact, and stay so.

    Args:
        values: [n] numbers, NaN where not measured.

    Returns:
        [n] float32 or float64.
    """
    column = values.double() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
    small = column.float()
    rounded = (small.double() != column) & (column == column.round())
    return column if bool(rounded.any()) else small
