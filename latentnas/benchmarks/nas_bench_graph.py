"""NAS-Bench-Graph (Qin et al., NeurIPS 2022): graph neural networks trained on nine data sets.

The wheel ``nas-bench-graph`` ships the tables; they are read where pip put them, and the package is
never imported. The files with whole training curves that its authors offer for download
(``cora0.bench``, one a seed) are read too, by path.

Metrics: ``test_performance`` and ``validation_performance`` (accuracy as a share in 0..1; on
"proteins" the area under the ROC curve), mean of the three published seeds; ``latency`` in s;
``params`` in millions. From a file with curves also ``train_curve@e``, ``validation_curve@e`` and
``test_curve@e``, the performance at epoch e, where ``info["dur"][e]`` is that of the benchmark's
documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError, DataFileError, InvalidCodeError, UnknownNameError
from ..spaces.nas_bench_graph import NASBenchGraph
from ._unpickle import CONTAINERS, NUMPY_SCALARS, load_plain_stream, shown
from .reader import ImportedTable, Progress

WHEEL = "nas-bench-graph"
DATASETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "proteins", "pubmed")
FIELDS = {
    "test_performance": "perf",
    "validation_performance": "valid_perf",
    "latency": "latency",
    "params": "para",
}
"""Entry of the file's records that each metric is read from."""
CURVES = ("train_curve", "validation_curve", "test_curve")
"""What the first three columns of ``dur`` hold."""
EPOCHS = (1, 2, 5, 10, 20, 50, 100, 200)

_MAX_CELLS = 88_889
_MAX_BYTES = 2**33


def find_data_file(dataset: str) -> Path:
    """Path of a data set's table in the installed wheel, found without importing it.

    Raises:
        UnknownNameError: no such data set.
        DataFileError: the wheel is not installed, or has no such file.
    """
    _check_dataset(dataset)
    try:
        path = Path(str(distribution(WHEEL).locate_file(f"nas_bench_graph/light/{dataset}.bench")))
    except PackageNotFoundError:
        raise DataFileError(
            f"NAS-Bench-Graph needs the package {WHEEL}: pip install {WHEEL} "
            "(--no-deps is enough: it is read, not imported)"
        ) from None
    if not path.is_file():
        raise DataFileError(f"{path}: missing from the installed package; pip install --force-reinstall {WHEEL}")
    return path


def _check_dataset(dataset: str) -> None:
    if dataset not in DATASETS:
        raise UnknownNameError("data set of NAS-Bench-Graph", dataset, DATASETS)


def read(
    path: str | Path | None = None,
    *,
    progress: Progress | None = None,
    dataset: str = "cora",
    epochs: Sequence[int] = EPOCHS,
) -> ImportedTable:
    """Read a table; rows in ascending order of the benchmark's hash.

    Args:
        path: a ``.bench`` file; None finds that of ``dataset`` in the installed wheel.
        progress: called with (bytes read, bytes of the file).
        dataset: one of :data:`DATASETS`; the table is named after it, with ``-curves`` where the file has them.
        epochs: which epochs of training curves to keep, as far as the curves go.

    Raises:
        UnknownNameError: no such data set.
        ConfigError: the file bears the name of another data set.
        DataFileError: the file is missing, truncated, corrupted or hostile, or not of this layout.
    """
    _check_dataset(dataset)
    path = find_data_file(dataset) if path is None else Path(path)
    named = next((name for name in DATASETS if re.fullmatch(rf"{name}[0-9]*\.bench", path.name)), dataset)
    if named != dataset:
        raise ConfigError(
            f"{path}: by its name this file is of {named}, not of {dataset}; "
            f"give dataset={named!r} (--set dataset={named})"
        )
    records = _load(path, progress, epochs)
    hashes = sorted(records)
    try:
        codes = NASBenchGraph().from_bench_hash(hashes)
    except InvalidCodeError as error:
        raise DataFileError(f"{path}: {error}") from None
    rows = [records[number] for number in hashes]
    metrics = {metric: _column(path, hashes, rows, field) for metric, field in FIELDS.items()}
    units = {
        "test_performance": "share in 0..1",
        "validation_performance": "share in 0..1",
        "latency": "s",
        "params": "millions",
    }
    curves = any("dur" in row for row in rows)
    if curves:
        metrics |= _curves(path, hashes, rows)
        units |= dict.fromkeys(CURVES, "share in 0..1")
    return ImportedTable(
        name=f"nas_bench_graph-{dataset}" + ("-curves" if curves else ""),
        space="nas_bench_graph",
        codes=codes.to(torch.int8),
        metrics=metrics,
        default="test_performance",
        minimize=frozenset({"latency", "params"}),
        by_network=True,
        source=f"{path.name}: {len(rows):,} cells on {dataset}",
        units=units,
        facts={"dataset": dataset},
    )


def _load(path: Path, progress: Progress | None, epochs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The file's records by hash; of training curves only the chosen epochs."""
    wanted = sorted(set(epochs))
    if not all(type(epoch) is int and 0 <= epoch < 10**6 for epoch in wanted):
        raise DataFileError(f"epochs must be integers from 0, got {shown(list(epochs))}")

    def sweep(named: dict[int, Any]) -> dict[int, Any]:
        """Shorten the curves of the records that are complete, so that they are never all in memory."""
        gone: set[int] = set()
        for value in named.values():
            if type(value) is dict and type(value.get("dur")) is list:
                gone.add(id(value))
                gone.add(id(value["dur"]))
                gone.update(map(id, value["dur"]))
                value["dur"] = _thin(path, value["dur"], wanted)
        return {number: value for number, value in named.items() if id(value) not in gone}

    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            records = load_plain_stream(
                file,
                path,
                makers={**NUMPY_SCALARS, **CONTAINERS},
                max_bytes=_MAX_BYTES,
                sweep=sweep,
                on_progress=None if progress is None else lambda count: progress(count, size),
            )[0]
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    if not isinstance(records, dict) or not 1 <= len(records) <= _MAX_CELLS:
        found = f"{len(records):,} entries" if isinstance(records, dict) else type(records).__name__
        raise DataFileError(f"{path}: expected a dictionary of 1..{_MAX_CELLS:,} cells, got {found}")
    for number, record in records.items():
        if type(number) is not int or not 0 <= number < _MAX_CELLS or type(record) is not dict:
            raise DataFileError(f"{path}: expected a hash and a record, got {shown(number)}: {type(record).__name__}")
        if type(record.get("dur")) is list:
            record["dur"] = _thin(path, record["dur"], wanted)
    return records


class _Curve(dict[int, tuple[float, ...]]):
    """Train, validation and test performance by epoch; a type of its own, which no file can hold."""


def _thin(path: Path, curve: list[Any], epochs: Sequence[int]) -> _Curve:
    """A curve at the wanted epochs that it has."""
    kept = _Curve()
    for epoch in epochs:
        if epoch < len(curve):
            row = curve[epoch]
            if not isinstance(row, (list, tuple)) or len(row) < len(CURVES):
                raise DataFileError(f"{path}: dur[{epoch}] must be a list of performances and losses, got {shown(row)}")
            kept[epoch] = tuple(_share(path, f"dur[{epoch}]", value) for value in row[: len(CURVES)])
    return kept


def _share(path: Path, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:  # NaN fails too
        raise DataFileError(f"{path}: {what} is {shown(value)}, expected a number in 0..1")
    return float(value)


def _column(path: Path, hashes: list[int], rows: list[dict[str, Any]], field: str) -> torch.Tensor:
    """One entry of every record: [n] float32."""
    high = 1.0 if field.endswith("perf") else 1e9
    values = [row.get(field) for row in rows]
    for number, value in zip(hashes, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= high:
            raise DataFileError(
                f"{path}: {field} of the cell {number} is {shown(value)}, expected a number from 0 to {high:g}"
            )
    return torch.tensor(values, dtype=torch.float64).float()


def _curves(path: Path, hashes: list[int], rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Columns of the curves; NaN where a curve is shorter than others."""
    curves: list[_Curve] = []
    for number, row in zip(hashes, rows, strict=True):
        if not isinstance(row.get("dur"), _Curve):
            raise DataFileError(
                f"{path}: the cell {number} has no training curve, others have: {shown(row.get('dur'))}"
            )
        curves.append(row["dur"])
    missing = (math.nan,) * len(CURVES)
    columns = {}
    for epoch in sorted({epoch for curve in curves for epoch in curve}):  # ascending: the last stays as the plain name
        values = torch.tensor([curve.get(epoch, missing) for curve in curves], dtype=torch.float64)
        for c, name in enumerate(CURVES):
            columns[name] = columns[f"{name}@{epoch}"] = values[:, c].float()
    if not columns:
        raise DataFileError(f"{path}: no training curve reaches one of the epochs asked for")
    return columns
