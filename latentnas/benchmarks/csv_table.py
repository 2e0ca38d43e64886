"""CSV files with a column of cells in their published string form and columns of numbers."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DataFileError
from ..spaces import SearchSpace, get_space
from .collecting import TRIAL_ROWS, Collector, cell_column, check_duplicates, metric_columns, names_of, units_of
from .reader import ImportedTable, Progress

MAX_LINE = 2**20
"""Lines with more characters than this are refused: nothing larger is ever held."""

_PORTION = 4_096  # rows that are parsed at a time
_DELIMITERS = ",;\t"

_Row = tuple[int, list[str]]  # number of its (last) line, fields


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
    """Read a CSV file (.csv, .csv.gz), in portions.

    The first line names the columns. Fields may be quoted; comma, semicolon and tab separate, whichever
    occurs most in the first line; UTF-8 with or without byte order mark, any line ends. An empty field of a
    metric means that it was not measured, and so does ``nan``. Numbers have a decimal point.

    Args:
        path: the file.
        progress: called with (bytes read, bytes of the file).
        space: the space of the cells, or its name.
        column: the column of cells; None for the one with the most cells of the space in its first 200 rows.
        metrics: the columns that become metrics; None for all columns whose first 200 fields are numbers,
            but for one called "index", "id" or "Unnamed: 0", or not at all. Columns that are left out are
            named in the facts, as "ignored". ``NAME@12`` is taken as NAME measured after 12 epochs.
        default: the metric that is meant where none is named; None for the first column.
        minimize: metrics of which less is better.
        by_network: whether a row stands for all codes of its network.
        duplicates: "error" refuses a cell (``by_network``: a network) that occurs twice, "mean" takes
            the mean of its rows, at the place of the first.
        units: metric -> unit, or texts ``METRIC=UNIT``.

    Raises:
        DataFileError: the file is missing, truncated or no such table; a cell is none of the space; a
            value is no finite number; a cell occurs twice. Lines are named.
        UnknownNameError: the space is unknown, or a name in ``minimize`` or ``units`` is no metric.
        ConfigError: an option is wrong.
    """
    path, space = Path(path), get_space(space)
    minimize, units = names_of(minimize), units_of(units)
    check_duplicates(duplicates)
    if path.is_dir():
        raise DataFileError(f"{path}: a folder, expected a CSV file")
    try:
        with path.open("rb") as raw, _decompressed(raw) as stream:
            total = path.stat().st_size
            report = None if progress is None else lambda: progress(raw.tell(), total)
            rows = _rows(path, stream)
            head = next(rows, None)
            header = _header(path, head, space)
            trial = list(islice(rows, TRIAL_ROWS))
            _check_lengths(path, header, trial)
            if not trial:
                raise DataFileError(f"{path}: no rows below the names of the columns")
            cells = cell_column(path, space, header, [row for _, row in trial]) if column is None else column
            if cells not in header:
                raise DataFileError(f"{path}: no column is called {cells!r}; columns: {', '.join(header)}")
            numeric = _numeric(path, header, trial, skip=cells) if metrics is None else header
            chosen = metric_columns(path, numeric, header, metrics, default, *minimize, *units)
            collector = Collector(path, space, chosen, row_name="line")
            if report is not None:
                report()
            _collect(path, header, cells, chosen, trial, collector)
            while portion := list(islice(rows, _PORTION)):
                _check_lengths(path, header, portion)
                _collect(path, header, cells, chosen, portion, collector)
                if report is not None:
                    report()
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataFileError(f"{path}: truncated or corrupted gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise DataFileError(f"{path}: no UTF-8 text: {error}") from error
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    ignored = [name for name in header if name != cells and name not in chosen]
    facts: dict[str, Any] = {"column": cells, "ignored": ignored}
    return collector.finish(
        default=default, minimize=minimize, by_network=by_network, duplicates=duplicates, units=units, facts=facts
    )


def _decompressed(raw: BinaryIO) -> BinaryIO:
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[return-value]


def _rows(path: Path, stream: BinaryIO) -> Iterator[_Row]:
    """Number of the last line and fields of every row that is not blank."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    readline: Callable[[int], str] = text.readline

    def lines(first: str) -> Iterator[str]:
        line, number = first, 1
        while line:
            if len(line) >= MAX_LINE:
                raise DataFileError(f"{path}: line {number} has more than {MAX_LINE:,} characters: no table of cells")
            yield line
            line, number = readline(MAX_LINE), number + 1

    first = readline(MAX_LINE)
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(lines(first), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise DataFileError(f"{path}: line {reader.line_num}: {error}") from None
        if len(row) > 1 or any(field.strip() for field in row):  # not a blank line
            yield reader.line_num, row
    text.detach()  # the stream is closed by who opened it


def _header(path: Path, head: _Row | None, space: SearchSpace) -> list[str]:
    if head is None:
        raise DataFileError(f"{path}: empty")
    names = [name.strip() for name in head[1]]
    for name in names:
        if _is_number(name) or _is_cell(space, name):
            raise DataFileError(f"{path}: the first line must name the columns, but it holds the value {name[:200]!r}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataFileError(f"{path}: two columns are called {twice[0]!r}")
    return names


_NOT_MEASURED = ("", "nan")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+(e[-+]?[0-9]+)?", re.IGNORECASE)
_COMMA = ": a decimal comma? Numbers are written with a point, 94.1"
_LEAVE_OUT = "; to leave the column out, name the others with metrics= (--metric)"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_cell(space: SearchSpace, text: str) -> bool:
    try:
        space.parse(text)
    except ValueError:
        return False
    return True


def _check_lengths(path: Path, header: Sequence[str], rows: Sequence[_Row]) -> None:
    for number, row in rows:
        if len(row) != len(header):
            raise DataFileError(f"{path}: line {number} has {len(row)} fields, the first line names {len(header)}")


def _numeric(path: Path, header: Sequence[str], rows: Sequence[_Row], *, skip: str) -> list[str]:
    """The columns whose first fields are numbers; those whose first fields are texts are left out."""
    names = []
    for index, name in enumerate(header):
        fields = [(number, row[index]) for number, row in rows if row[index].strip().lower() not in _NOT_MEASURED]
        numbers = [_is_number(text) for _, text in fields]
        if name == skip or not fields:
            continue
        commas = [_DECIMAL_COMMA.fullmatch(text.strip()) is not None for _, text in fields]
        if any(commas) and all(comma or number for comma, number in zip(commas, numbers, strict=True)):
            number, text = fields[commas.index(True)]
            raise DataFileError(
                f"{path}: line {number}, column {name!r}: {text[:100]!r} is no number{_COMMA}{_LEAVE_OUT}"
            )
        if not any(numbers):
            continue
        if not all(numbers):
            number, text = fields[numbers.index(False)]
            raise DataFileError(
                f"{path}: line {number}, column {name!r}: {text[:100]!r} is no number, other rows hold numbers"
                f"{_LEAVE_OUT}"
            )
        names.append(name)
    return names


def _collect(
    path: Path, header: list[str], cells: str, chosen: list[str], rows: Sequence[_Row], collector: Collector
) -> None:
    numbers = [number for number, _ in rows]
    columns = list(zip(*(row for _, row in rows), strict=True))
    values = np.stack([_floats(path, name, numbers, columns[header.index(name)]) for name in chosen], 1)
    collector.add(numbers, columns[header.index(cells)], values)


def _floats(path: Path, name: str, numbers: list[int], texts: Sequence[str]) -> np.ndarray:
    """A column's numbers: [n] double, NaN where the field is empty or says nan."""
    empty = np.array([text.strip().lower() in _NOT_MEASURED for text in texts])
    try:
        values = np.array([0.0 if nothing else float(text) for nothing, text in zip(empty, texts, strict=True)])
        faulty = ~np.isfinite(values)
    except ValueError:
        faulty = np.array([not nothing and not _is_number(text) for nothing, text in zip(empty, texts, strict=True)])
    if faulty.any() or any("_" in text for text in texts):
        row = next(k for k, text in enumerate(texts) if faulty[k] or "_" in text)
        comma = _COMMA if _DECIMAL_COMMA.fullmatch(texts[row].strip()) else ""
        raise DataFileError(
            f"{path}: line {numbers[row]}, column {name!r}: {texts[row][:100]!r} is no finite number{comma} "
            "(an empty field or nan means: not measured)"
        )
    return np.where(empty, np.nan, values)
