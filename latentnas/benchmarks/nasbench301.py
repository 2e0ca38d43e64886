"""NAS-Bench-301 (Zela et al., ICLR 2022): the trainings on CIFAR-10 that its surrogates were fitted to.

The published data are folders by optimiser (``bananas``, ``darts``, ``de``, ``rs``...) of files
``results_*.json``, one a training, also read from the zip file as downloaded. A file holds the
configuration (``optimized_hyperparamater_config``: cell and training settings), ``budget`` in epochs,
``info[0]`` (train and validation accuracy, parameters), ``test_accuracy``, ``runtime`` and
``learning_curves``.

Metrics: ``test_accuracy``, ``validation_accuracy``, ``train_accuracy`` in %, ``params``, and
``training_time`` in s. Several trainings of one code are repeats: their mean, and every run as
``metric@epochs#run`` in the order of the files' names. ``runs`` counts them.
"""

from __future__ import annotations

import json
import lzma
import math
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from ..errors import DataFileError, ParseError
from ..spaces.darts import DARTS
from ._unpickle import shown
from .reader import ImportedTable, Progress

SETTINGS: Mapping[str, float] = MappingProxyType(
    {
        "NetworkSelectorDatasetInfo:darts:layers": 8,
        "NetworkSelectorDatasetInfo:darts:init_channels": 32,
        "OptimizerSelector:sgd:learning_rate": 0.025,
        "OptimizerSelector:sgd:weight_decay": 0.0003,
    }
)
"""Settings of the published trainings; the same cell trained otherwise is another experiment."""

_CONFIG = "optimized_hyperparamater_config"  # the files' own spelling
_ACCURACIES = ("test_accuracy", "validation_accuracy", "train_accuracy")
_METRICS = (*_ACCURACIES, "params", "training_time")
_FILE = re.compile(r"results?_[^/]*\.json|final_output\.json")
_MAX_FILE = 2**22
_MAX_FILES = 2_000_000
_MOST_RUNS = 64


def read(
    path: str | Path,
    *,
    progress: Progress | None = None,
    epochs: int = 100,
    settings: Mapping[str, float] | None = None,
) -> ImportedTable:
    """Read a folder or zip file of results, with everything below it.

    Args:
        path: the folder or the zip file; nothing is unpacked to the disk.
        progress: called with (files read, files).
        epochs: length of the trainings to take; others are left out, and counted in ``source``.
        settings: training settings that a result must have, None for :data:`SETTINGS`; results with
            others are left out, and counted in ``source``.

    Raises:
        DataFileError: missing, truncated or corrupted, a result that is no result of NAS-Bench-301,
            or none that can be taken.
    """
    path = Path(path)
    settings = SETTINGS if settings is None else settings
    space = DARTS()
    skipped: Counter[str] = Counter()
    codes: list[torch.Tensor] = []
    trainings: list[tuple[float, ...]] = []
    for name, data in _files(path, progress):
        result = _parse(name, data)
        config = result[_CONFIG]
        reason = _other_training(result, config, epochs, settings)
        if reason is None:
            try:
                code = space.parse_config(config)
            except ParseError as error:
                reason = "no cell of the DARTS space"
                skipped.setdefault(f"(the first: {name}: {error})", 0)
        if reason is not None:
            skipped[reason] += 1
            continue
        codes.append(code)
        trainings.append(_values(name, result))
    left_out = "; ".join(f"{count:,} left out: {reason}" if count else reason for reason, count in skipped.items())
    if not codes:
        raise DataFileError(f"{path}: no result can be taken; {left_out or 'there are no files results_*.json'}")
    # isomorphic cells are one network: their trainings are repeats
    rows: dict[tuple[int, ...], list[tuple[float, ...]]] = {}
    for code, values in zip(space.canonical(torch.cat(codes)).tolist(), trainings, strict=True):
        runs = rows.setdefault(tuple(code), [])
        runs.append(values)
        if len(runs) > _MOST_RUNS:
            raise DataFileError(f"{path}: more than {_MOST_RUNS} trainings of one network; is a folder there twice?")
    metrics = _columns(list(rows.values()), epochs)
    units = dict.fromkeys(_ACCURACIES, "%") | {"params": "parameters", "training_time": "s", "runs": "trainings"}
    return ImportedTable(
        name="nasbench301",
        space="darts",
        codes=torch.tensor(list(rows), dtype=torch.int8),
        metrics=metrics,
        default="test_accuracy",
        minimize=frozenset({"params", "training_time"} & metrics.keys()),
        by_network=True,
        source=f"{path.name}: {len(codes):,} trainings of {len(rows):,} networks"
        + (f"; {left_out}" if left_out else ""),
        units={metric: unit for metric, unit in units.items() if metric in metrics},
    )


def _files(path: Path, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
    """Name and contents of every result below a folder or in a zip file, in the order of the names."""
    try:
        if path.is_dir():
            found = sorted(
                Path(folder) / name for folder, _, names in os.walk(path) for name in names if _FILE.fullmatch(name)
            )
            for done, file in enumerate(found, start=1):
                with file.open("rb") as stream:
                    data = stream.read(_MAX_FILE + 1)
                yield str(file), _limited(str(file), data)
                _tell(progress, done, len(found))
            return
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if _FILE.fullmatch(m.filename.rsplit("/", 1)[-1])]
            if len(members) > _MAX_FILES:
                raise DataFileError(f"{path}: {len(members):,} results, expected at most {_MAX_FILES:,}")
            for done, member in enumerate(sorted(members, key=lambda m: m.filename), start=1):
                name = f"{path}/{member.filename}"
                with archive.open(member) as stream:
                    data = stream.read(_MAX_FILE + 1)  # what comes out is limited, whatever the header claims
                yield name, _limited(name, data)
                _tell(progress, done, len(members))
    except FileNotFoundError as error:
        raise DataFileError(f"{error.filename or path}: no such file") from None
    except DataFileError:
        raise
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        struct.error,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise DataFileError(f"{path}: truncated or corrupted, or neither folder nor zip file ({error})") from error


def _limited(name: str, data: bytes) -> bytes:
    if len(data) > _MAX_FILE:
        raise DataFileError(f"{name}: more than {_MAX_FILE:,} bytes, too large for a result")
    return data


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and (done % 100 == 0 or done == total):
        progress(done, total)


def _parse(name: str, data: bytes) -> dict[str, Any]:
    try:
        result = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"{name}: truncated or corrupted, no JSON ({error})") from None
    if not isinstance(result, dict) or not isinstance(result.get(_CONFIG), dict):
        raise DataFileError(f"{name}: no result of NAS-Bench-301: it has no dictionary {_CONFIG!r}")
    return result


def _other_training(
    result: dict[str, Any], config: dict[str, Any], epochs: int, settings: Mapping[str, float]
) -> str | None:
    """Why a result is another experiment; None if it is not."""
    network = config.get("NetworkSelectorDatasetInfo:network", "darts")
    if network != "darts":
        return f"network {shown(network)}"
    if result.get("budget") != epochs:
        return f"budget {shown(result.get('budget'))} epochs"
    for key, expected in settings.items():
        value = config.get(key, expected)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
        if not number or not math.isclose(value, expected):
            return f"{key.rsplit(':', 1)[-1]} other than {expected:g}"
    return None


def _values(name: str, result: dict[str, Any]) -> tuple[float, ...]:
    """The metrics of a training, in the order of ``_METRICS``; NaN for parameters or time that are not there."""
    info = result.get("info")
    first = info[0] if isinstance(info, list) and info else None
    if not isinstance(first, dict):
        raise DataFileError(f"{name}: info must be a list with a dictionary")
    found = (
        ("test_accuracy", result.get("test_accuracy"), 100.0),
        ("info[0]['val_accuracy']", first.get("val_accuracy"), 100.0),
        ("info[0]['train_accuracy']", first.get("train_accuracy"), 100.0),
        ("info[0]['model_parameters']", first.get("model_parameters", math.nan), 1e12),
        ("runtime", result.get("runtime", math.nan), 1e12),
    )
    values = []
    for what, value, high in found:
        absent = isinstance(value, float) and math.isnan(value) and high > 100
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (absent or 0 <= value <= high):
            raise DataFileError(f"{name}: {what} is {shown(value)}, expected a number from 0 to {high:g}")
        values.append(float(value))
    return tuple(values)


def _columns(rows: list[list[tuple[float, ...]]], epochs: int) -> dict[str, torch.Tensor]:
    counts = [len(runs) for runs in rows]
    most = max(counts)
    missing = (math.nan,) * len(_METRICS)
    table = torch.tensor(
        [runs + [missing] * (most - len(runs)) for runs in rows], dtype=torch.float64
    )  # [n, runs, metrics]
    columns = {"runs": torch.tensor(counts, dtype=torch.float32)}
    for m, metric in enumerate(_METRICS):
        values = table[:, :, m]
        if bool(values.isnan().all()):
            continue  # no result says it
        for r in range(most):
            if not bool(values[:, r].isnan().all()):
                columns[f"{metric}@{epochs}#{r}"] = values[:, r].float()
        columns[metric] = columns[f"{metric}@{epochs}"] = values.nanmean(1).float()
    return columns
