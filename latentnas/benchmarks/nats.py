"""NAS-Bench-201 (Dong and Yang, ICLR 2020) and the topology part of NATS-Bench (Dong et al., TPAMI 2021).

Reads what their authors published, as it is:

- ``NAS-Bench-201-v1_0-e61699.pth`` and ``v1_1-096897.pth``, written by ``torch.save``;
- ``NATS-tss-v1_0-3ffb9.pickle.pbz2``, a pickle compressed by bzip2;
- the folder ``NATS-tss-v1_0-3ffb9-simple``: ``meta.pickle.pbz2`` and one file a cell, ``000000.pickle.pbz2``...

Nothing of a file is executed, and the training curves, of which such a file holds gigabytes, are
dropped as they come: of every training run the last epoch stays.

Metrics, each ``@epochs`` of training (12 and 200) and ``#seed`` (777, 888, 999), for the data sets
``cifar10-valid``, ``cifar10``, ``cifar100`` and ``ImageNet16-120`` (with the names that the files use):

- ``cifar10_train``, ``cifar10_valid``, ``cifar10_test``, ``cifar10_valtest``...: accuracy in %. As in
  the authors' ``get_more_info``, valid is "x-valid", test is "x-test" (on CIFAR-10 "ori-test"), and
  valtest is "ori-test" of CIFAR-100 and ImageNet16-120, both halves together.
- ``..._train_time``: seconds of training an epoch.
- without epochs, per data set: ``..._flops`` in millions, ``..._params`` in millions, ``..._latency`` in
  seconds, the mean over the runs that have one.
"""

from __future__ import annotations

import bz2
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

import torch

from ..errors import DataFileError, ParseError
from ..spaces import get_space
from ._unpickle import CONTAINERS, NUMPY_SCALARS, TENSORS, load_plain_stream, shown
from .reader import ImportedTable, Progress

DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
DEFAULT_METRIC = "cifar10_test"
MAX_BYTES = 2**35
"""Most data that a whole benchmark file may hold after decompression."""
MAX_CELL_BYTES = 2**26
"""Most data that the file of a single cell may hold after decompression."""

_MAKERS = {**CONTAINERS, **NUMPY_SCALARS, **TENSORS}
_LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that older versions of torch.save begin with
_EPOCHS = {"less": 12, "full": 200}  # names of the two trainings in NAS-Bench-201's own files
_RUN_FIELDS = ("train_acc1es", "eval_acc1es", "eval_names", "epochs", "flop", "params")
_CURVE_KEY = re.compile(r"[\w-]{1,20}@[0-9]{1,4}")
_MOST_EPOCHS = 10_000


def read(path: str | Path, *, progress: Progress | None = None, allow_missing: bool = False) -> ImportedTable:
    """Read NAS-Bench-201 or NATS-Bench (topology); rows in the authors' index order.

    Args:
        path: a ``.pth`` or ``.pickle.pbz2`` file, or the ``-simple`` folder.
        progress: called with (done, total): megabytes of a file, cells of a folder.
        allow_missing: admit a folder from which files of cells are missing.

    Raises:
        DataFileError: missing, truncated, corrupted or hostile, or not of one of these layouts.
    """
    path = Path(path)
    if path.is_dir():
        cells, results = _read_folder(path, progress, allow_missing)
    else:
        cells, results = _read_whole(path, progress)
    space = get_space("nasbench201")
    try:
        codes = space.parse(cells)
    except ParseError as error:
        raise DataFileError(f"{path}: {error}; only the topology space of NATS-Bench can be read") from None
    if len(codes.unique(dim=0)) != len(codes):
        raise DataFileError(f"{path}: a cell occurs more than once")
    metrics, units = _columns(path, results)
    if DEFAULT_METRIC not in metrics:
        raise DataFileError(f"{path}: no run has a test accuracy on cifar10; metrics found: {', '.join(sorted(units))}")
    runs = sum(len(cell) for cell in results)
    return ImportedTable(
        name="nats-tss",
        space="nasbench201",
        codes=codes.to(torch.int8),
        metrics=metrics,
        default=DEFAULT_METRIC,
        minimize=frozenset(m for m in units if m.endswith(("_train_time", "_flops", "_params", "_latency"))),
        by_network=False,
        source=f"{path.name}: {len(cells):,} cells, {runs:,} training runs",
        units=units,
    )


# --- containers -----------------------------------------------------------------------------------


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what decompressors and the file system raise into one error."""
    try:
        yield
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except DataFileError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        zipfile.BadZipFile,
        struct.error,
        zlib.error,
        LZMAError,
    ) as error:
        raise DataFileError(f"{path}: truncated or corrupted ({type(error).__name__}: {error})") from error


def _load(path: Path, max_bytes: int, progress: Progress | None = None, *, streaming: bool = False) -> Any:
    """The object in a ``.pth`` or ``.pbz2`` file, plain data only."""

    def on_progress(count: int) -> None:
        if progress is not None:
            progress(count >> 20, None)

    def load(file: IO[bytes], pickles: int = 1) -> Any:
        return load_plain_stream(
            file,
            path,
            makers=_MAKERS,
            max_bytes=max_bytes,
            pickles=pickles,
            sweep=_Sweep(path) if streaming else None,
            on_progress=on_progress,
        )[-1]

    with _reading(path), path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        if head.startswith(b"BZh"):
            with bz2.BZ2File(file) as data:
                return load(data)
        if head.startswith(b"PK"):
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
                if len(names) != 1:
                    raise DataFileError(f"{path}: a zip file without data.pkl, not written by torch.save")
                with archive.open(names[0]) as member:
                    return load(member)
        if head[2:].startswith(_LEGACY_MAGIC):
            return load(file, pickles=4)  # magic number, version, sizes, data; weights follow and are not read
        raise DataFileError(f"{path}: neither bzip2 nor written by torch.save (it begins with {head[:8]!r})")


def _read_whole(path: Path, progress: Progress | None) -> tuple[list[str], list[dict[tuple[str, int, int], Run]]]:
    data = _load(path, MAX_BYTES, progress, streaming=True)
    names = _meta(path, data)
    infos = data.get("arch2infos")
    if not isinstance(infos, dict) or not infos:
        raise DataFileError(f"{path}: arch2infos must be a dictionary with a cell at least, got {_what(infos)}")
    cells, results = [], []
    for index in infos:
        if type(index) is not int or not 0 <= index < len(names):
            raise DataFileError(f"{path}: arch2infos has the index {shown(index)}, expected 0..{len(names) - 1}")
    for index in sorted(infos):
        cells.append(names[index])
        results.append(_cell(path, index, names[index], infos[index]))
    return cells, results


def _read_folder(
    path: Path, progress: Progress | None, allow_missing: bool
) -> tuple[list[str], list[dict[tuple[str, int, int], Run]]]:
    names = _meta(path / "meta.pickle.pbz2", _load(path / "meta.pickle.pbz2", MAX_CELL_BYTES))
    files = [_cell_file(path, index) for index in range(len(names))]
    missing = [index for index, file in enumerate(files) if file is None]
    if missing and (not allow_missing or len(missing) == len(files)):
        raise DataFileError(
            f"{path}: {len(missing):,} of {len(files):,} cells have no file, the first is "
            f"{missing[0]:06d}.pickle.pbz2; allow_missing=True reads the others"
        )
    cells, results = [], []
    for index, file in enumerate(files):
        if file is not None:
            cells.append(names[index])
            results.append(_cell(file, index, names[index], _load(file, MAX_CELL_BYTES)))
        if progress is not None and (index % 50 == 0 or index + 1 == len(files)):
            progress(index + 1, len(files))
    return cells, results


def _cell_file(folder: Path, index: int) -> Path | None:
    """The file of a cell; its number has leading zeros or not."""
    for name in (f"{index:06d}.pickle.pbz2", f"{index}.pickle.pbz2"):
        if (folder / name).is_file():
            return folder / name
    return None


def _meta(path: Path, data: Any) -> list[str]:
    """The cells' texts in index order."""
    names = data.get("meta_archs") if isinstance(data, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataFileError(f"{path}: expected a dictionary with a list of cells, meta_archs, got {_what(data)}")
    return names


# --- training runs --------------------------------------------------------------------------------


class Run:
    """What is kept of a training run: final accuracies in %, by evaluation set, and costs."""

    __slots__ = ("accuracies", "epochs", "flops", "latency", "params", "train_time")

    def __init__(self, path: Path, state: dict[Any, Any]) -> None:
        missing = [field for field in _RUN_FIELDS if field not in state]
        if missing:
            raise DataFileError(f"{path}: a training run has no {', '.join(missing)}")
        epochs = state["epochs"]
        if type(epochs) is not int or not 1 <= epochs <= _MOST_EPOCHS:
            raise DataFileError(f"{path}: a training run of {shown(epochs)} epochs")
        self.epochs: int = epochs
        train, evaluations = state["train_acc1es"], state["eval_acc1es"]
        if (
            not isinstance(train, dict)
            or not isinstance(evaluations, dict)
            or not isinstance(state["eval_names"], list)
        ):
            raise DataFileError(f"{path}: the accuracies of a training run must be dictionaries")
        last = epochs - 1
        self.accuracies: dict[str, float] = {"train": _number(path, "train accuracy", train.get(last), 0, 100.001)}
        for name in state["eval_names"]:
            if not isinstance(name, str):
                raise DataFileError(f"{path}: {shown(name)} is no name of an evaluation set")
            value = evaluations.get(f"{name}@{last}")
            self.accuracies[name] = _number(path, f"accuracy {name}@{last}", value, 0, 100.001)
        self.flops = _number(path, "flop", state["flop"], 0)
        self.params = _number(path, "params", state["params"], 0)
        self.train_time = _mean(path, "train_times", state.get("train_times"))
        latency = state.get("latency")
        self.latency = math.nan if latency is None else _mean(path, "latency", latency)
        if self.latency <= 0:  # the authors' mark for "not measured"
            self.latency = math.nan


def _number(path: Path, what: str, value: Any, low: float, high: float = 1e15) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise DataFileError(f"{path}: {what} is {shown(value)}, expected a number from {low} to {high:g}")
    return float(value)


def _mean(path: Path, what: str, values: Any) -> float:
    """Mean of a list's or dictionary's numbers; NaN where there are none."""
    if values is None:
        return math.nan
    numbers = list(values.values()) if isinstance(values, dict) else values
    if not isinstance(numbers, list):
        raise DataFileError(f"{path}: {what} must be a list of numbers, got {_what(values)}")
    for value in numbers:
        _number(path, what, value, -1)
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


class _Sweep:
    """Shrinks finished training runs while a whole file is being read, so that its curves are never all in memory.

    The curves and lists of a run belong to it alone, and so do the texts that name a curve's values
    ("x-valid@17"): those that were known at the last sweep, tens of megabytes ago, cannot occur again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[int] = set()

    def __call__(self, named: dict[int, Any]) -> dict[int, Any]:
        gone: set[int] = set()
        for value in named.values():
            if type(value) is dict and "eval_acc1es" in value and "train_acc1es" in value:
                run = Run(self._path, value)
                gone.add(id(value))
                gone.update(id(part) for part in value.values() if type(part) in (dict, list))
                value.clear()
                value["run"] = run
        kept = {
            number: value
            for number, value in named.items()
            if id(value) not in gone
            and not (number in self._seen and type(value) is str and _CURVE_KEY.fullmatch(value))
        }
        self._seen = {number for number, value in kept.items() if type(value) is str}
        return kept


def _cell(path: Path, index: int, name: str, trainings: Any) -> dict[tuple[str, int, int], Run]:
    """The runs of a cell: (data set, epochs, seed) -> run."""
    where = f"cell {index} ({name})"
    if not isinstance(trainings, dict) or not trainings:
        raise DataFileError(f"{path}: {where} has no trainings, got {_what(trainings)}")
    runs: dict[tuple[str, int, int], Run] = {}
    for length, state in trainings.items():
        results = state.get("all_results") if isinstance(state, dict) else None
        if not isinstance(results, dict):
            raise DataFileError(f"{path}: {where}: training {shown(length)} has no all_results, got {_what(state)}")
        if state.get("arch_str") != name:
            raise DataFileError(f"{path}: {where} holds the results of {shown(state.get('arch_str'))}")
        for key, value in results.items():
            if not (isinstance(key, tuple) and len(key) == 2 and key[0] in DATASETS and type(key[1]) is int):
                raise DataFileError(f"{path}: {where}: {shown(key)} is no (data set, seed)")
            if not 0 <= key[1] < 10**9:
                raise DataFileError(f"{path}: {where}: {shown(key[1])} is no seed")
            if not isinstance(value, dict):
                raise DataFileError(f"{path}: {where}: the result of {key} is no dictionary")
            run = value["run"] if isinstance(value.get("run"), Run) else Run(path, value)
            expected = _EPOCHS.get(length, length)
            if shown(run.epochs) != shown(expected).strip("'").lstrip("0"):
                raise DataFileError(f"{path}: {where}: training {shown(length)} has a run of {run.epochs} epochs")
            runs[key[0], run.epochs, key[1]] = run
    return runs


# --- columns --------------------------------------------------------------------------------------


def _metric(dataset: str, evaluation: str) -> str | None:
    """Our name of an evaluation set; None for one that is not kept."""
    if evaluation == "train":
        return f"{dataset}_train"
    if evaluation == "x-valid":
        return f"{dataset}_valid"
    if evaluation == "x-test":
        return f"{dataset}_test"
    if evaluation == "ori-test":
        return f"{dataset}_test" if dataset in ("cifar10", "cifar10-valid") else f"{dataset}_valtest"
    return None


def _columns(
    path: Path, results: list[dict[tuple[str, int, int], Run]]
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Columns as :mod:`.reader` names them, and the unit of every metric."""
    measured: dict[tuple[str, int, int], torch.Tensor] = {}
    costs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    units: dict[str, str] = {}

    def put(row: int, metric: str, epochs: int, seed: int, value: float) -> None:
        column = measured.get((metric, epochs, seed))
        if column is None:
            if len(measured) >= 4000:
                raise DataFileError(f"{path}: more than 4,000 different metrics, epochs and seeds; not this benchmark")
            column = measured[metric, epochs, seed] = torch.full((len(results),), math.nan)
        column[row] = value

    def add(row: int, metric: str, value: float) -> None:
        total, count = costs.setdefault(metric, (torch.zeros(len(results)), torch.zeros(len(results))))
        if not math.isnan(value):
            total[row] += value
            count[row] += 1

    for row, runs in enumerate(results):
        for (dataset, epochs, seed), run in runs.items():
            for evaluation, accuracy in run.accuracies.items():
                metric = _metric(dataset, evaluation)
                if metric is not None:
                    put(row, metric, epochs, seed, accuracy)
                    units[metric] = "%"
            if not math.isnan(run.train_time):
                put(row, f"{dataset}_train_time", epochs, seed, run.train_time)
                units[f"{dataset}_train_time"] = "s an epoch"
            for cost, value in (("flops", run.flops), ("params", run.params), ("latency", run.latency)):
                add(row, f"{dataset}_{cost}", value)
                units[f"{dataset}_{cost}"] = "s" if cost == "latency" else "millions"
    columns = {metric: total / count for metric, (total, count) in costs.items()}  # 0 / 0 is NaN: not measured
    by_epochs: dict[tuple[str, int], list[torch.Tensor]] = {}
    for (metric, epochs, seed), column in sorted(measured.items()):
        columns[f"{metric}@{epochs}#{seed}"] = column
        by_epochs.setdefault((metric, epochs), []).append(column)
    for (metric, epochs), repeats in by_epochs.items():  # ascending epochs: the last stays
        columns[f"{metric}@{epochs}"] = columns[metric] = torch.stack(repeats).double().nanmean(0).float()
    return columns, units


def _what(value: Any) -> str:
    return f"{type(value).__name__} of {len(value):,}" if isinstance(value, (dict, list)) else type(value).__name__
