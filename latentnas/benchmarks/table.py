"""TabularBenchmark: cells of a space with measured values, queried by code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import (
    DataFileError,
    InvalidCodeError,
    MissingCellError,
    ObservationError,
    SpaceTooLargeError,
    UnknownNameError,
)
from ..spaces import SearchSpace, get_space
from .columns import Columns
from .index import CodeIndex, compact_dtype
from .reader import ImportedTable, parse_column

_CHUNK = 50_000  # rows that are checked or brought to canonical form at a time: bounds the memory of an import


@dataclass(frozen=True, eq=False)
class BestCell:
    """One of the best rows of a table.

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
    """Measured values of cells. Larger is better, except in the metrics of ``minimize``.

    In most tables every code is a row of its own: isomorphic codes compute the same function but were
    trained and measured on their own, so their values differ by training noise (see
    :meth:`values_by_key`). In a table ``by_network`` a row stands for all codes of its network.

    A metric may have been measured at several fidelities (numbers of epochs), each in several
    repeats. ``test_accuracy`` is its mean over the repeats at the largest fidelity,
    ``test_accuracy@12`` the mean after 12 epochs, ``test_accuracy@12#0`` the first repeat; these names
    can be given wherever a metric is asked for.

    What was not measured is NaN in :meth:`values` and :meth:`query`; :meth:`best` passes it over.
    Tensors that the table returns whole (``codes``, :meth:`values`, :meth:`ranks`) are new ones on the
    CPU; answers to codes are on the codes' device. Nothing that callers see changes after
    construction: thread-safe.

    Args:
        name: the benchmark's name.
        space: the space of the codes, or its name.
        codes: [n, D] integers, distinct, n at least 1.
        metrics: column name -> [n] floats; float32 is kept as such, everything else as double.
        default: the metric that is meant where none is named.
        minimize: metrics of which less is better.
        incomplete: metrics that may hold NaN (not measured); None for all.
        by_network: whether a row stands for all codes of its network.
        source: what the table was made from, in one line.
        units: metric -> unit.
        facts: further facts about the table.

    Raises:
        InvalidCodeError: a row is no cell of the space.
        DataFileError: a cell (``by_network``: a network) occurs twice, a metric has a wrong shape, is
            infinite, or is NaN without being incomplete, or has no value at all.
        UnknownNameError: ``default``, or a name in ``minimize``, ``incomplete`` or ``units``, is no metric.
    """

    def __init__(
        self,
        name: str,
        space: str | SearchSpace,
        codes: Tensor | Sequence[Sequence[int]],
        metrics: Mapping[str, Tensor | Sequence[float]],
        *,
        default: str,
        minimize: Iterable[str] = (),
        incomplete: Iterable[str] | None = (),
        by_network: bool = False,
        source: str = "",
        units: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.source, self.by_network = name, source, by_network
        self.space = get_space(space)
        self.minimize, self.units, self.facts = frozenset(minimize), dict(units or {}), dict(facts or {})
        self.default_metric = default
        self._codes = self._check_all_codes(codes)
        self._canonical = self._canonical_codes() if by_network else self._codes
        known = sorted({parse_column(column).metric for column in metrics})
        lacking = set(known if incomplete is None else incomplete)
        for metric in (default, *self.minimize, *self.units, *lacking):
            if metric not in known:
                raise UnknownNameError(f"metric of {name}", metric, known)
        checked = {
            column: self._check_values(column, values, parse_column(column).metric in lacking)
            for column, values in metrics.items()
        }
        self._columns = Columns(name, checked)
        self._refuse_duplicates()

    @classmethod
    def from_imported(cls, table: ImportedTable, *, name: str | None = None) -> TabularBenchmark:
        """The table that a reader made, checked; any of its metrics may lack values.

        Args:
            table: what the reader returned.
            name: another name than the reader's.

        Raises:
            InvalidCodeError, DataFileError, UnknownNameError: as the constructor.
        """
        return cls(
            table.name if name is None else name,
            table.space,
            table.codes,
            table.metrics,
            default=table.default,
            minimize=table.minimize,
            incomplete=None,
            by_network=table.by_network,
            source=table.source,
            units=table.units,
            facts=table.facts,
        )

    @classmethod
    def _from_cache(
        cls,
        *,
        name: str,
        space: SearchSpace,
        codes: Tensor,
        canonical: Tensor,
        columns: Mapping[str, Tensor],
        default: str,
        minimize: Iterable[str],
        by_network: bool,
        source: str,
        units: Mapping[str, str],
        facts: Mapping[str, Any],
    ) -> TabularBenchmark:
        """A table from parts that were checked when the cache was written; columns may be read when used."""
        table = cls.__new__(cls)
        table.name, table.source, table.by_network, table.space = name, source, by_network, space
        table.minimize, table.units, table.facts = frozenset(minimize), dict(units), dict(facts)
        table.default_metric = default
        table._codes, table._canonical = codes, canonical
        table._columns = Columns(name, columns)
        return table

    # --- checks -------------------------------------------------------------------------------

    def _check_all_codes(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """The codes in their compact type: [n, D]."""
        if not isinstance(codes, Tensor):
            codes = self.space.check_codes(codes)
        if codes.ndim != 2 or len(codes) <= _CHUNK:
            parts = [self.space.check_codes(codes)]
        else:
            parts = []
            for start in range(0, len(codes), _CHUNK):
                try:
                    self.space.check_codes(codes[start : start + _CHUNK])
                except InvalidCodeError as error:
                    raise InvalidCodeError(f"{error} (rows counted from row {start})") from None
                parts.append(codes[start : start + _CHUNK])
        if len(codes) == 0:
            raise DataFileError(f"{self.name}: the table has no cells")
        compact = compact_dtype(self.space.cardinalities)
        return torch.from_numpy(np.concatenate([part.detach().cpu().numpy().astype(compact) for part in parts]))

    def _canonical_codes(self) -> Tensor:
        parts = [self.space.canonical(part.long()).to(self._codes.dtype) for part in self._codes.split(_CHUNK)]
        canonical = torch.cat(parts)
        return self._codes if torch.equal(canonical, self._codes) else canonical

    def _check_values(self, column: str, values: Tensor | Sequence[float], may_lack: bool) -> Tensor:
        tensor = values.detach().cpu() if isinstance(values, Tensor) else torch.tensor(values, dtype=torch.double)
        tensor = tensor.clone() if tensor.dtype == torch.float32 else tensor.double()
        if tensor.shape != (len(self),):
            raise DataFileError(
                f"{self.name}: metric {column!r} must have shape [{len(self)}], got {list(tensor.shape)}"
            )
        wrong = tensor.isinf() if may_lack else ~tensor.isfinite()
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise DataFileError(
                f"{self.name}: metric {column!r} is {float(tensor[row])} for the cell {self._codes[row].tolist()}, "
                "must be finite"
            )
        if bool(tensor.isnan().all()):
            raise DataFileError(f"{self.name}: metric {column!r} has no value: it is NaN for all {len(self):,} cells")
        return tensor

    def _refuse_duplicates(self) -> None:
        twice = self._index.duplicate()
        if twice is None:
            return
        first, second = twice
        if self.by_network:
            raise DataFileError(
                f"{self.name}: rows {first} and {second} are the same network, "
                f"{self._codes[first].tolist()} and {self._codes[second].tolist()}: a network has one row in this table"
            )
        raise DataFileError(
            f"{self.name}: the cell {self._codes[second].tolist()} occurs more than once, in rows {first} and {second}"
        )

    @cached_property
    def _index(self) -> CodeIndex:
        return CodeIndex(self._canonical.numpy(), self.space.cardinalities)

    # --- what there is ------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._codes)

    def __repr__(self) -> str:
        return f"TabularBenchmark(name={self.name!r}, cells={len(self):,}, metrics={self.metrics})"

    @property
    def codes(self) -> Tensor:
        """All cells, in the order of the rows: [n, D] long, made anew each time (they are stored compactly)."""
        return self._codes.long()

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, sorted."""
        return self._columns.metrics

    @property
    def columns(self) -> list[str]:
        """Names of all columns, those of single fidelities and repeats included, sorted."""
        return self._columns.names

    @cached_property
    def keys(self) -> list[str]:
        """Canonical key of every row."""
        return [key for part in self._codes.split(_CHUNK) for key in self.space.keys(part.long())]

    def direction(self, metric: str | None = None) -> Literal["maximize", "minimize"]:
        """Whether more or less of a metric is better.

        Raises:
            UnknownNameError: no such metric.
        """
        return "minimize" if self._columns.resolve(self._named(metric)).metric in self.minimize else "maximize"

    def unit(self, metric: str | None = None) -> str:
        """The unit of a metric, such as "%", "s" or "millions"; empty where it is not known or there is none.

        Raises:
            UnknownNameError: no such metric.
        """
        return self.units.get(self._columns.resolve(self._named(metric)).metric, "")

    @cached_property
    def coverage(self) -> float | None:
        """The share of the space that the table holds, in 0..1.

        Of a table by network, that of the space's distinct networks, counted; None where they are too
        many to be counted. Otherwise that of the codes.
        """
        try:
            return len(self) / (self.space.num_networks if self.by_network else self.space.size)
        except SpaceTooLargeError:
            return None

    def fidelities(self, metric: str | None = None) -> list[int]:
        """The fidelities (epochs) at which a metric was measured, ascending; empty where it has a single one.

        Raises:
            UnknownNameError: no such metric.
        """
        return self._columns.fidelities(self._named(metric))

    def repeats(self, metric: str | None = None, fidelity: int | None = None) -> list[int]:
        """The repeats of a metric at a fidelity (None for the largest), ascending; empty where only means are known.

        Raises:
            UnknownNameError: no such metric or fidelity.
        """
        return self._columns.repeats(self._named(metric), fidelity)

    def _named(self, metric: str | None) -> str:
        return self.default_metric if metric is None else metric

    def values(self, metric: str | None = None, fidelity: int | None = None, repeat: int | None = None) -> Tensor:
        """The whole column of a metric: [n] double, NaN where not measured.

        Args:
            metric: one of :attr:`metrics` or :attr:`columns`; None for the default.
            fidelity: one of :meth:`fidelities`; None for the largest.
            repeat: one of :meth:`repeats`; None for the mean over them.

        Raises:
            UnknownNameError: no such metric, fidelity or repeat.
        """
        column = self._columns.get(self._named(metric), fidelity, repeat)
        return column.double() if column.dtype != torch.double else column.clone()

    def digest(self, metric: str | None = None) -> str:
        """16 hex digits that change with the cells or their values of a metric: what a campaign compares.

        Raises:
            UnknownNameError: no such metric.
        """
        found = hashlib.sha256(f"{self.space.name} {self.by_network}".encode())
        found.update(self._canonical.contiguous().numpy().tobytes())
        found.update(self.values(metric).numpy().tobytes())
        return found.hexdigest()[:16]

    # --- by code ------------------------------------------------------------------------------

    def holds(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """Which of the cells [B, D] are in the table: [B] bool, on the codes' device.

        Raises:
            InvalidCodeError: a code is no cell of the space.
        """
        return self._find(self.space.check_codes(codes)) >= 0

    def _find(self, codes: Tensor) -> Tensor:
        """The row of every checked code, -1 where the table lacks it: [B] long."""
        wanted = self.space.canonical(codes) if self.by_network else codes
        return torch.from_numpy(self._index.find(wanted.cpu().numpy())).to(codes.device)

    def rows(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """The table's row of every code [B, D]: [B] long, on the codes' device.

        Raises:
            InvalidCodeError: a code is no cell of the space.
            MissingCellError: a cell is not in the table; :meth:`holds` says which are.
        """
        codes = self.space.check_codes(codes)
        found = self._find(codes)
        missing = (found < 0).nonzero()
        if len(missing):
            row = int(missing[0, 0])
            text = self.space.format(codes[row : row + 1])[0]
            raise MissingCellError(
                f"{self.name}: codes[{row}] = {codes[row].tolist()} ({text}) is not among the table's "
                f"{len(self):,} cells ({len(missing)} of {len(codes)} codes are not; holds() says which are)"
            )
        return found

    def query(
        self,
        codes: Tensor | Sequence[Sequence[int]],
        metric: str | None = None,
        fidelity: int | None = None,
        repeat: int | None = None,
    ) -> Tensor:
        """Measured values of cells.

        Args:
            codes: [B, D] long.
            metric: one of :attr:`metrics` or :attr:`columns`; None for the default.
            fidelity: one of :meth:`fidelities`, such as the epochs trained; None for the largest.
            repeat: one of :meth:`repeats`; None for the mean over them.

        Returns:
            [B] double, on the codes' device; NaN where the cell is in the table but this was not measured.

        Raises:
            InvalidCodeError: a code is no cell of the space.
            MissingCellError: a cell is not in the table; :meth:`holds` says which are.
            UnknownNameError: no such metric, fidelity or repeat.
        """
        column = self._columns.get(self._named(metric), fidelity, repeat)
        rows = self.rows(codes)
        return column[rows.cpu()].double().to(rows.device)

    def regret(self, codes: Tensor | Sequence[Sequence[int]], metric: str | None = None) -> Tensor:
        """How much worse cells [B, D] are than the best of the table, in the metric's unit.

        Returns:
            [B] double, at least 0, NaN where not measured; on the codes' device.
        """
        return (self._best_value(metric) - self.query(codes, metric)) * self._sign(metric)

    def regret_of_values(self, values: Tensor | Sequence[float], metric: str | None = None) -> Tensor:
        """How much worse values of any shape are than the table's best value: doubles of the same shape.

        Raises:
            ObservationError: a value is NaN.
        """
        values = torch.as_tensor(values).double()
        if bool(values.isnan().any()):
            raise ObservationError(f"{self.name}: the regret of NaN is not defined; leave failed evaluations out")
        return (self._best_value(metric) - values) * self._sign(metric)

    # --- over the table -----------------------------------------------------------------------

    def _sign(self, metric: str | None) -> int:
        return -1 if self.direction(metric) == "minimize" else 1

    def _goodness(self, metric: str | None) -> Tensor:
        """The column so that larger is better, -inf where not measured: [n] double."""
        return (self.values(metric) * self._sign(metric)).nan_to_num_(nan=-torch.inf)

    def _best_value(self, metric: str | None) -> float:
        return float(self._goodness(metric).max()) * self._sign(metric)

    def best(self, metric: str | None = None) -> BestCell:
        """The row with the best value of those measured; among equals, the first in the table.

        Raises:
            UnknownNameError: no such metric.
        """
        return self._described([int(self._goodness(metric).argmax())], metric)[0]

    def top(self, k: int, metric: str | None = None) -> list[BestCell]:
        """The ``k`` best rows of those measured, the best first; equals in the order of the table.

        Args:
            k: how many, at least 0; fewer come back where fewer were measured.
            metric: one of :attr:`metrics` or :attr:`columns`; None for the default.

        Raises:
            UnknownNameError: no such metric.
        """
        goodness = self._goodness(metric)
        order = goodness.argsort(descending=True, stable=True)[: max(k, 0)]
        return self._described(order[goodness[order] > -torch.inf].tolist(), metric)

    def _described(self, rows: list[int], metric: str | None) -> list[BestCell]:
        if not rows:
            return []
        name, codes = self._named(metric), self._codes[rows].long()
        values = self._columns.get(name)[rows].tolist()
        parts = zip(rows, values, codes, self.space.keys(codes), self.space.format(codes), strict=True)
        return [BestCell(value, name, row, code, key, text) for row, value, code, key, text in parts]

    def ranks(self, metric: str | None = None) -> Tensor:
        """Rank of every row, 1 = best: [n] long.

        Equal values share the smallest of their ranks (1, 2, 2, 4); so do the rows that were not
        measured, which come last.
        """
        goodness = self._goodness(metric)
        ascending = goodness.sort().values
        return len(goodness) - torch.searchsorted(ascending, goodness, right=True) + 1

    def values_by_key(self, metric: str | None = None) -> dict[str, Tensor]:
        """All values measured for every network: key -> [m] double, one for each isomorphic code, in row order."""
        column = self.values(metric)
        rows: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            rows.setdefault(key, []).append(row)
        return {key: column[torch.tensor(indices)] for key, indices in rows.items()}
