"""TabularBenchmark: cells of a space with measured values, queried by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import DataFileError, InvalidCodeError, ObservationError, UnknownNameError
from ..spaces import SearchSpace, get_space


@dataclass(frozen=True, eq=False)
class BestCell:
    """The best row of a table.

    Attributes:
        value: its value.
        metric: the metric that it is best in.
        row: its row in the table.
        code: [D] long.
        key: canonical key of its network.
        text: its published string.
    """

    value: float
    metric: str
    row: int
    code: Tensor
    key: str
    text: str


class TabularBenchmark:
    """Measured values of cells; larger is better in every metric.

    Every code is a row of its own. Isomorphic codes compute the same function but were trained and
    measured on their own, so their values differ by training noise: see :meth:`values_by_key`.
    Tensors that the table returns whole (``codes``, :meth:`values`, :meth:`ranks`) are on the CPU;
    answers to codes are on the codes' device. Nothing changes after construction: thread-safe.

    Args:
        name: the benchmark's name.
        space: the space of the codes, or its name; at most 2^63 codes large.
        codes: [n, D] long, distinct, n at least 1.
        metrics: name -> [n] finite floats.
        default: the metric that is meant where none is named.

    Raises:
        InvalidCodeError: a row is no cell of the space.
        DataFileError: a cell occurs twice, or a metric has a wrong shape or a value that is not finite.
        UnknownNameError: ``default`` is no metric.
    """

    def __init__(
        self,
        name: str,
        space: str | SearchSpace,
        codes: Tensor | Sequence[Sequence[int]],
        metrics: Mapping[str, Tensor | Sequence[float]],
        *,
        default: str,
    ) -> None:
        self.name = name
        self.space = get_space(space)
        if self.space.size > 2**63:
            raise DataFileError(f"{name}: {self.space.name} has {self.space.size:,} codes, a table takes at most 2^63")
        self.codes = self.space.check_codes(codes).cpu().clone()
        if len(self.codes) == 0:
            raise DataFileError(f"{name}: the table has no cells")
        # A code as one integer: the position in the lexicographic order of all codes.
        strides = [1]
        for cardinality in reversed(self.space.cardinalities[1:]):
            strides.append(strides[-1] * cardinality)
        self._strides = torch.tensor(strides[::-1])
        self._sorted, self._order = self._positions(self.codes).sort()
        twice = (self._sorted[1:] == self._sorted[:-1]).nonzero()
        if len(twice):
            row = int(self._order[twice[0, 0] + 1])
            raise DataFileError(f"{name}: the cell {self.codes[row].tolist()} occurs more than once")
        self._values = {metric: self._check_values(metric, values) for metric, values in metrics.items()}
        if default not in self._values:
            raise UnknownNameError(f"metric of {name}", default, self._values)
        self.default_metric = default

    def _check_values(self, metric: str, values: Tensor | Sequence[float]) -> Tensor:
        tensor = torch.as_tensor(values).detach().cpu().double().clone()
        if tensor.shape != (len(self.codes),):
            raise DataFileError(
                f"{self.name}: metric {metric!r} must have shape [{len(self.codes)}], got {list(tensor.shape)}"
            )
        if not bool(tensor.isfinite().all()):
            row = int((~tensor.isfinite()).nonzero()[0])
            raise DataFileError(
                f"{self.name}: metric {metric!r} is {float(tensor[row])} for the cell {self.codes[row].tolist()}, "
                "must be finite"
            )
        return tensor

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"TabularBenchmark(name={self.name!r}, cells={len(self):,}, metrics={self.metrics})"

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, sorted."""
        return sorted(self._values)

    @cached_property
    def keys(self) -> list[str]:
        """Canonical key of every row."""
        return self.space.keys(self.codes)

    def values(self, metric: str | None = None) -> Tensor:
        """The whole column of a metric: [n] double.

        Raises:
            UnknownNameError: no such metric.
        """
        return self._column(metric).clone()

    def _column(self, metric: str | None) -> Tensor:
        name = self.default_metric if metric is None else metric
        if name not in self._values:
            raise UnknownNameError(f"metric of {self.name}", name, self._values)
        return self._values[name]

    def _positions(self, codes: Tensor) -> Tensor:
        return (codes * self._strides).sum(1)

    # --- by code ------------------------------------------------------------------------------

    def rows(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """The table's row of every code [B, D]: [B] long, on the codes' device.

        Raises:
            InvalidCodeError: a code is no cell of the space, or a cell is not in the table.
        """
        codes = self.space.check_codes(codes)
        wanted = self._positions(codes.cpu())
        place = torch.searchsorted(self._sorted, wanted).clamp_max(len(self) - 1)
        missing = (self._sorted[place] != wanted).nonzero()
        if len(missing):
            row = int(missing[0, 0])
            text = self.space.format(codes[row : row + 1])[0]
            raise InvalidCodeError(
                f"{self.name}: codes[{row}] = {codes[row].tolist()} ({text}) is not among the table's "
                f"{len(self):,} cells ({len(missing)} of {len(codes)} codes are not)"
            )
        return self._order[place].to(codes.device)

    def query(self, codes: Tensor | Sequence[Sequence[int]], metric: str | None = None) -> Tensor:
        """Measured values of cells.

        Args:
            codes: [B, D] long.
            metric: one of :attr:`metrics`; None for the default.

        Returns:
            [B] double, on the codes' device.

        Raises:
            InvalidCodeError: a code is no cell of the space, or a cell is not in the table.
            UnknownNameError: no such metric.
        """
        column = self._column(metric)
        rows = self.rows(codes)
        return column[rows.cpu()].to(rows.device)

    def regret(self, codes: Tensor | Sequence[Sequence[int]], metric: str | None = None) -> Tensor:
        """How far cells [B, D] are from the best of the table: [B] double, at least 0, in the metric's unit."""
        return self._column(metric).max().item() - self.query(codes, metric)

    def regret_of_values(self, values: Tensor | Sequence[float], metric: str | None = None) -> Tensor:
        """How far values of any shape are from the table's best value: doubles of the same shape.

        Raises:
            ObservationError: a value is NaN.
        """
        values = torch.as_tensor(values).double()
        if bool(values.isnan().any()):
            raise ObservationError(f"{self.name}: the regret of NaN is not defined; leave failed evaluations out")
        return self._column(metric).max().item() - values

    # --- over the table -----------------------------------------------------------------------

    def best(self, metric: str | None = None) -> BestCell:
        """The row with the largest value; among equals, the first in the table."""
        column = self._column(metric)
        row = int(column.argmax())
        code = self.codes[row].clone()
        return BestCell(
            value=float(column[row]),
            metric=self.default_metric if metric is None else metric,
            row=row,
            code=code,
            key=self.space.keys(code[None])[0],
            text=self.space.format(code[None])[0],
        )

    def ranks(self, metric: str | None = None) -> Tensor:
        """Rank of every row, 1 = best: [n] long. Equal values share the smallest of their ranks (1, 2, 2, 4)."""
        column = self._column(metric)
        ascending = column.sort().values
        return len(column) - torch.searchsorted(ascending, column, right=True) + 1

    def values_by_key(self, metric: str | None = None) -> dict[str, Tensor]:
        """All values measured for every network: key -> [m] double, one for each isomorphic code, in row order."""
        column = self._column(metric)
        rows: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            rows.setdefault(key, []).append(row)
        return {key: column[torch.tensor(indices)] for key, indices in rows.items()}
