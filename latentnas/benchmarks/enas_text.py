"""The ENAS macro cells of D-VAE (Zhang et al., NeurIPS 2019) with their weight-sharing accuracies.

``final_structures6.txt`` has one cell a line, ``[[op], [op, bit], [op, bit, bit], ...], accuracy``, in
the order in which ENAS trained them. D-VAE leaves out the first 1,000 (the shared weights were still
warming up), shuffles the rest and takes 90% for training; :func:`dvae_rows` and :func:`dvae_split` give
exactly these rows. A few cells occur twice in the file: the table has their mean, D-VAE has both.
"""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataFileError, ParseError
from ..spaces import SearchSpace, get_space
from .index import CodeIndex
from .reader import ImportedTable, Progress
from .table import TabularBenchmark

METRIC = "weight_sharing_accuracy"
BURN_IN = 1_000
"""Rows at the beginning of the file that D-VAE leaves out."""

MAX_ROWS = 1_000_000
_MAX_LINE = 4_096
_MAX_LAYERS = 30
_PORTION = 2_000


def read(path: str | Path, *, progress: Progress | None = None, burn_in: int = BURN_IN) -> ImportedTable:
    """Read ``final_structures6.txt`` or a file of its form, plain or gzip; rows stay in the order of the file.

    The space is ``enas_macroL``, L being the number of layers of the first cell.

    Args:
        path: the file.
        progress: called with (rows, None).
        burn_in: rows at the beginning that are left out.

    Raises:
        DataFileError: the file is missing, truncated or not of this form; lines are named.
        ConfigError: ``burn_in`` is negative.
    """
    path = Path(path)
    if burn_in < 0:
        raise ConfigError(f"burn_in must be at least 0, got {burn_in}")
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[assignment]
            space, codes, values = _read_rows(path, stream, burn_in, progress)
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataFileError(f"{path}: truncated or corrupted gzip file: {error}") from error
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    return _table(path, space, codes, values, burn_in)


def _read_rows(
    path: Path, stream: IO[bytes], burn_in: int, progress: Progress | None
) -> tuple[SearchSpace, Tensor, Tensor]:
    """The space, the codes [n, D] and the accuracies [n] of all rows after the burn-in."""
    space: SearchSpace | None = None
    codes: list[Tensor] = []
    values: list[float] = []
    texts: list[str] = []
    number, first = 0, 1
    while line := stream.readline(_MAX_LINE):
        number += 1
        try:
            text, _, value = line.decode("ascii").rpartition(",")
            accuracy = float(value)
        except ValueError:
            text, accuracy = "", -1.0
        if not 0 <= accuracy <= 1:  # NaN fails the comparison too
            raise DataFileError(
                f"{path}: line {number}: expected '[[op], [op, bits...], ...], accuracy' with an accuracy in 0..1, "
                f"got {line[:200]!r}"
            )
        if number > MAX_ROWS:
            raise DataFileError(f"{path}: more than {MAX_ROWS:,} rows")
        if space is None:
            layers = text.count("[") - 1
            if not 1 <= layers <= _MAX_LAYERS:
                raise DataFileError(f"{path}: line {number}: expected 1..{_MAX_LAYERS} layers, got {text[:200]!r}")
            space = get_space(f"enas_macro{layers}")
        if number <= burn_in:
            continue
        values.append(accuracy)
        if not texts:
            first = number
        texts.append(text)
        if len(texts) == _PORTION:
            codes.append(_parse(path, space, texts, first))
            texts = []
            if progress is not None:
                progress(number, None)
    if space is None or not values:
        raise DataFileError(f"{path}: {number:,} rows, expected more than the {burn_in:,} of the burn-in")
    codes.append(_parse(path, space, texts, first))
    return space, torch.cat(codes), torch.tensor(values, dtype=torch.double)


def _parse(path: Path, space: SearchSpace, texts: list[str], first: int) -> Tensor:
    try:
        return space.parse(texts)
    except ParseError:
        for number, text in enumerate(texts, first):
            try:
                space.parse(text)
            except ParseError as error:
                raise DataFileError(f"{path}: line {number}: {error}") from None
        raise


def _table(path: Path, space: SearchSpace, codes: Tensor, values: Tensor, burn_in: int) -> ImportedTable:
    """One row a cell, at the place of its first row; the rows of cells that occur again are kept as facts."""
    first = CodeIndex(codes.numpy(), space.cardinalities).find(codes.numpy())
    kept, cell, counts = np.unique(first, return_inverse=True, return_counts=True)
    means = torch.zeros(len(kept), dtype=torch.double).index_add_(0, torch.from_numpy(cell), values)
    again = np.flatnonzero(counts[cell] > 1)
    repeated = {"row": again.tolist(), "cell": cell[again].tolist(), "value": values[again].tolist()}
    return ImportedTable(
        name=space.name,
        space=space.name,
        codes=codes[kept],
        metrics={METRIC: (means / torch.from_numpy(counts)).float()},
        default=METRIC,
        source=f"{path.name}, {len(values):,} rows after a burn-in of {burn_in:,}",
        units={METRIC: "share in 0..1"},
        facts={"burn_in": burn_in, "file_rows": len(values), "repeated": repeated},
    )


def dvae_rows(table: TabularBenchmark) -> tuple[Tensor, Tensor]:
    """D-VAE's data set: every row of the file after the burn-in, cells that occur again included.

    Args:
        table: a table that :func:`read` made.

    Returns:
        codes: LongTensor [m, D], in the order of the file.
        accuracies: [m] double.

    Raises:
        DataFileError: the table was made from something else.
    """
    facts = _facts(table)
    repeated, rows = facts["repeated"], facts["file_rows"]
    again, cell = np.array(repeated["row"], np.int64), np.array(repeated["cell"], np.int64)
    later = again[[k for k in range(len(again)) if cell[k] in cell[:k]]]
    place = np.zeros(rows, np.int64)
    place[np.setdiff1d(np.arange(rows), later)] = np.arange(len(table))
    place[again] = cell
    values = table.values(METRIC)[place]
    values[again] = torch.tensor(repeated["value"], dtype=torch.double)
    return table.codes[place], values


def dvae_split(table: TabularBenchmark, seed: int = 0) -> tuple[Tensor, Tensor]:
    """D-VAE's train and test part, as indices into :func:`dvae_rows`: 17,118 and 1,902 of the 6-layer cells.

    Args:
        table: a table that :func:`read` made.
        seed: of ``random.Random``; D-VAE's is 0.

    Returns:
        train, test: long, 90% and 10% of the rows, shuffled.

    Raises:
        DataFileError: the table was made from something else.
    """
    order = list(range(_facts(table)["file_rows"]))
    random.Random(seed).shuffle(order)
    cut = int(len(order) * 0.9)
    return torch.tensor(order[:cut]), torch.tensor(order[cut:])


def _facts(table: TabularBenchmark) -> dict[str, Any]:
    if "file_rows" not in table.facts or "repeated" not in table.facts:
        raise DataFileError(f"{table.name}: not made from a file of D-VAE's form (format enas-text)")
    return table.facts
