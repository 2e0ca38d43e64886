"""Tables of texts and numbers, row after row, into codes and columns: what CSV and Parquet have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConfigError, DataFileError, ParseError, UnknownNameError
from ..spaces import SearchSpace
from .index import CodeIndex, compact_dtype
from .reader import ImportedTable, compact_values, parse_column

MAX_ROWS = 20_000_000
"""Tables with more rows than this are refused."""

TRIAL_ROWS = 200
"""Rows that the columns' roles are found from."""

INDEX_NAMES = ("", "index", "id", "unnamed: 0")
"""Columns of these names number the rows: they become metrics only where they are asked for."""

_CHUNK = 50_000


def check_duplicates(duplicates: str) -> None:
    """Raise ConfigError where the option ``duplicates`` is wrong."""
    if duplicates not in ("error", "mean"):
        raise ConfigError(f"duplicates must be 'error' or 'mean', got {duplicates!r}")


def names_of(names: str | Iterable[str]) -> list[str]:
    """Names of columns, each once; a text is one name."""
    return [names] if isinstance(names, str) else list(dict.fromkeys(names))


def units_of(units: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Units by metric, from a mapping or from texts ``METRIC=UNIT``.

    Raises:
        ConfigError: another form.
    """
    if not isinstance(units, Mapping):
        pairs = [str(text).partition("=") for text in ([units] if isinstance(units, str) else units)]
        if not all(name.strip() and equals for name, equals, _ in pairs):
            raise ConfigError(f"units must be METRIC=UNIT, such as acc=%; got {units!r}")
        units = {name.strip(): unit.strip() for name, _, unit in pairs}
    if not all(isinstance(unit, str) for unit in units.values()):
        raise ConfigError(f"units must be texts by metric, got {dict(units)!r}")
    return dict(units)


def metric_columns(
    path: Path,
    numeric: Sequence[str],
    header: Sequence[str],
    metrics: str | Sequence[str] | None,
    default: str | None,
    *others: str,
) -> list[str]:
    """The columns that become metrics: those asked for, or all numeric ones.

    Args:
        path: the file, for messages.
        numeric: names of the columns that hold numbers, in the order of the file.
        header: names of all columns.
        metrics: what was asked for.
        default: the metric that is meant where none is named; None for the first.
        others: further names (of ``minimize`` and ``units``) that must be those of metrics or their columns.

    Raises:
        DataFileError: a metric is no column, or there is none.
        ConfigError: the default is not among them.
        UnknownNameError: one of the other names is no metric.
    """
    if metrics is None:
        chosen = [name for name in numeric if name.lower() not in INDEX_NAMES]
    else:
        chosen = names_of(metrics)
        lacking = [name for name in chosen if name not in header]
        if lacking:
            raise DataFileError(f"{path}: no column is called {lacking[0]!r}; columns: {', '.join(header)}")
    if not chosen:
        raise DataFileError(f"{path}: no column of numbers; columns: {', '.join(header)}")
    if default is not None and default not in chosen:
        raise ConfigError(f"{path}: default {default!r} is none of the metrics {', '.join(chosen)}")
    known = {parse_column(name).metric for name in chosen}
    for name in others:
        if name not in chosen and name not in known:
            raise UnknownNameError(f"metric of {path.name}", name, known)
    return chosen


def cell_column(path: Path, space: SearchSpace, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The column of cells: the one with the most texts among the first rows that are cells of the space.

    Raises:
        DataFileError: there is none, or several hold equally many.
    """
    counts, nearest = {}, ""
    for index, name in enumerate(header):
        texts = [text for row in rows if isinstance(text := row[index], str)]
        counts[name] = 0
        for text in texts:
            try:
                space.parse([text])
                counts[name] += 1
            except ParseError as error:
                nearest = nearest or (f" ({error!s:.300})" if name.lower() not in INDEX_NAMES else "")
            except ValueError:
                continue
    most = max(counts.values(), default=0)
    found = [name for name, count in counts.items() if count == most]
    if not most:
        columns = ", ".join(name or repr(name) for name in header)
        raise DataFileError(f"{path}: no column holds cells of {space.name}; columns: {columns}{nearest}")
    if len(found) > 1:
        raise DataFileError(f"{path}: the columns {', '.join(found)} all hold cells; name one with column= (--column)")
    return found[0]


class Collector:
    """Takes rows in portions, and makes a table of them.

    Args:
        path: the file.
        space: the space of the cells.
        columns: names of the metrics.
        row_name: what a row's number is called in messages ("line", "row").
    """

    def __init__(self, path: Path, space: SearchSpace, columns: Sequence[str], *, row_name: str) -> None:
        self._path, self._space, self._columns, self._row_name = path, space, list(columns), row_name
        self._codes: list[NDArray] = []
        self._values: list[NDArray[np.float64]] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._rows = 0

    def add(self, numbers: Sequence[int], texts: Sequence[object], values: NDArray[np.float64]) -> None:
        """Take some rows.

        Args:
            numbers: of the rows in the file, for messages.
            texts: the cells.
            values: [rows, metrics], NaN where empty.

        Raises:
            DataFileError: a text is no cell, or there are too many rows.
        """
        self._rows += len(texts)
        if self._rows > MAX_ROWS:
            raise DataFileError(f"{self._path}: more than {MAX_ROWS:,} rows")
        try:
            codes = self._space.parse(texts)
        except ValueError:
            self._name_faulty(numbers, texts)
            raise
        self._codes.append(codes.numpy().astype(compact_dtype(self._space.cardinalities)))
        self._values.append(values)
        self._numbers.append(np.asarray(numbers, np.int64))

    def _name_faulty(self, numbers: Sequence[int], texts: Sequence[object]) -> None:
        for number, text in zip(numbers, texts, strict=True):
            try:
                self._space.parse([text])
            except ValueError as error:
                raise DataFileError(f"{self._path}: {self._row_name} {number}: {error}") from None

    def finish(
        self,
        *,
        default: str | None,
        minimize: Iterable[str],
        by_network: bool,
        duplicates: str,
        units: Mapping[str, str],
        facts: dict[str, Any],
    ) -> ImportedTable:
        """The table of all rows; see :func:`latentnas.benchmarks.csv_table.read`.

        Raises:
            DataFileError: there is no row, or a cell occurs twice.
        """
        path, space = self._path, self._space
        if not self._rows:
            raise DataFileError(f"{path}: no rows")
        codes, values, numbers = (np.concatenate(parts) for parts in (self._codes, self._values, self._numbers))
        same = codes
        if by_network:
            parts = torch.from_numpy(codes).split(_CHUNK)
            same = np.concatenate([space.canonical(part.long()).numpy().astype(codes.dtype) for part in parts])
        index = CodeIndex(same, space.cardinalities)
        twice = index.duplicate()
        if twice is not None:
            if duplicates == "error":
                first, second = (int(numbers[row]) for row in twice)
                what = "the same network" if by_network else "the same cell"
                raise DataFileError(
                    f"{path}: {self._row_name}s {first} and {second} are {what}, "
                    f"{space.format(torch.from_numpy(codes[[twice[1]]]).long())[0]}; "
                    "to take the mean of such rows, give duplicates='mean' (--set duplicates=mean)"
                )
            codes, values = _merged(codes, values, index.find(same))
        return ImportedTable(
            name=slug(path),
            space=space.name,
            codes=torch.from_numpy(codes),
            metrics={name: compact_values(values[:, k]) for k, name in enumerate(self._columns)},
            default=parse_column(self._columns[0] if default is None else default).metric,
            minimize=frozenset(parse_column(name).metric for name in minimize),
            by_network=by_network,
            source=f"{path.name}, {self._rows:,} row{'s' * (self._rows != 1)}",
            units={parse_column(name).metric: unit for name, unit in units.items()},
            facts=facts,
        )


def _merged(
    codes: NDArray, values: NDArray[np.float64], first: NDArray[np.int64]
) -> tuple[NDArray, NDArray[np.float64]]:
    """Means over rows of one cell, at the place of its first row; ``first`` [n] names that row for every row."""
    kept, group = np.unique(first, return_inverse=True)
    measured = ~np.isnan(values)
    sums, counts = np.zeros((len(kept), values.shape[1])), np.zeros((len(kept), values.shape[1]))
    np.add.at(sums, group, np.where(measured, values, 0.0))
    np.add.at(counts, group, measured)
    return codes[kept], np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def slug(path: Path) -> str:
    """A table's name from a file's: lower case, without endings."""
    stem = path.name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9._+-]+", "-", stem).strip("-._+")[:100] or "table"
