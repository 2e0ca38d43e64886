"""Parquet files with a column of cells in their published string form and columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataFileError
from ..spaces import SearchSpace, get_space
from .collecting import (
    MAX_ROWS,
    TRIAL_ROWS,
    Collector,
    cell_column,
    check_duplicates,
    metric_columns,
    names_of,
    units_of,
)
from .reader import ImportedTable, Progress

MAX_BYTES = 2**32
"""Files whose columns hold more than this when unpacked are refused."""

_PORTION = 4_096


def read(
    path: str | Path,
    *,
    progress: Progress | None = None,
    space: str | SearchSpace,
    column: str | None = None,
    metrics: str | Sequence[str] | None = None,
    default: str | None = None,
    minimize: str | Sequence[str] = (),
    by_network: bool = False,
    duplicates: str = "error",
    units: Mapping[str, str] | Sequence[str] = (),
) -> ImportedTable:
    """Read a Parquet file, in portions; a null or NaN in a metric means that it was not measured.

    Args:
        path: the file.
        progress: called with (rows read, rows of the file).
        space, column, metrics, default, minimize, by_network, duplicates, units: as in
            :func:`latentnas.benchmarks.csv_table.read`.

    Raises:
        DataFileError: pyarrow is not installed; the file is missing, truncated or no such table; a
            cell is none of the space; a value is infinite; a cell occurs twice. Rows are
            named, counted from 0.
        UnknownNameError: the space is unknown, or a name in ``minimize`` or ``units`` is no metric.
        ConfigError: an option is wrong.
    """
    path, space = Path(path), get_space(space)
    minimize, units = names_of(minimize), units_of(units)
    check_duplicates(duplicates)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise DataFileError(f"{path}: Parquet files need pyarrow: pip install 'latentnas[parquet]'") from None
    if not path.is_file():
        raise DataFileError(f"{path}: no such file")
    try:
        with parquet.ParquetFile(path) as file:
            _check_size(path, file)
            header = list(file.schema_arrow.names)
            trial = next(file.iter_batches(batch_size=TRIAL_ROWS), None)
            if trial is None:
                raise DataFileError(f"{path}: no rows")
            fields = [_objects(trial.column(k)) for k in range(len(header))]
            rows = list(zip(*fields, strict=True))
            cells = cell_column(path, space, header, rows) if column is None else column
            if cells not in header:
                raise DataFileError(f"{path}: no column is called {cells!r}; columns: {', '.join(header)}")
            numeric = [field.name for field in file.schema_arrow if _holds_numbers(pa, field.type)]
            chosen = metric_columns(path, numeric, header, metrics, default, *minimize, *units)
            texts = [name for name in chosen if name not in numeric]
            if texts:
                raise DataFileError(f"{path}: the column {texts[0]!r} holds no numbers")
            collector = Collector(path, space, chosen, row_name="row")
            done, total = 0, file.metadata.num_rows
            for batch in file.iter_batches(batch_size=_PORTION, columns=[cells, *chosen]):
                numbers = range(done, done + batch.num_rows)
                columns = [_floats(pa, path, name, numbers, batch.column(name)) for name in chosen]
                collector.add(numbers, _objects(batch.column(cells)), np.stack(columns, 1))
                done += batch.num_rows
                if progress is not None:
                    progress(done, total)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path}: truncated or corrupted, no Parquet file: {error}") from error
    ignored = [name for name in header if name != cells and name not in chosen]
    facts: dict[str, Any] = {"column": cells, "ignored": ignored}
    return collector.finish(
        default=default, minimize=minimize, by_network=by_network, duplicates=duplicates, units=units, facts=facts
    )


def _check_size(path: Path, file: Any) -> None:
    """Refuse what is too large before it is unpacked."""
    metadata = file.metadata
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if metadata.num_rows > MAX_ROWS or size > MAX_BYTES:
        raise DataFileError(
            f"{path}: {metadata.num_rows:,} rows, {size:,} bytes unpacked; at most {MAX_ROWS:,} and {MAX_BYTES:,}"
        )


def _objects(column: Any) -> list[object]:
    return list(column.to_pylist())


def _holds_numbers(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _floats(pa: Any, path: Path, name: str, numbers: range, column: Any) -> NDArray[np.float64]:
    """A column's numbers: [n] double, NaN where it is null or NaN, as pandas writes what is missing."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    faulty = np.flatnonzero(valid & np.isinf(values))
    if len(faulty):
        raise DataFileError(
            f"{path}: row {numbers[faulty[0]]}, column {name!r}: {values[faulty[0]]} is no finite number "
            "(null or NaN means: not measured)"
        )
    return np.where(valid, values, np.nan)
