"""NAS-Bench-101 (Ying et al., ICML 2019) from ``nasbench_only108.tfrecord`` or ``nasbench_full.tfrecord``.

A record is a JSON list of module hash, epochs, adjacency (a text of 0 and 1, row by row), operations
(separated by commas) and base64 of a ``ModelMetrics`` message (see :mod:`._protobuf`), one record a
training run. TensorFlow is not needed, every checksum of the file is verified, and memory grows with
the table, not with the file.

Metrics, each ``@epochs`` (4, 12, 36, 108) and ``#run`` (0, 1, 2, in the order of the file):
``train_accuracy``, ``validation_accuracy``, ``test_accuracy`` (share in 0..1) and ``training_time`` (s);
without epochs ``params``, the number of trainable parameters.
"""

from __future__ import annotations

import json
import math
from array import array
from binascii import a2b_base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataFileError
from ..spaces.nasbench101 import OPERATIONS, NASBench101
from ._protobuf import FIELDS, MessageError, decode
from ._tfrecord import read_batches
from ._unpickle import shown
from .reader import ImportedTable, Progress, compact_values

VALUES = FIELDS[1:]
"""Metrics of an evaluation: time and accuracies."""

_MAX_VERTICES = 7
_MOST_EPOCHS, _MOST_BUDGETS, _MOST_RUNS = 100_000, 8, 8
_SAMPLE = 2000
_CHUNK = 50_000


def read(path: str | Path, *, progress: Progress | None = None, halfway: bool = False) -> ImportedTable:
    """Read a file of NAS-Bench-101; rows in ascending order of the module hash.

    Args:
        path: the ``.tfrecord`` file.
        progress: called with (bytes read, bytes of the file).
        halfway: also keep the values halfway through each training, as ``halfway_test_accuracy@108``
            (after 54 epochs of the training of 108) and so on; this doubles the table.

    Raises:
        DataFileError: the file is missing, truncated, corrupted or hostile; the message names the
            record and its byte offset.
    """
    path = Path(path)
    modules, runs = _Modules(path), _Runs(halfway)
    for number, offset, records in read_batches(path, progress):
        _read_batch(path, number, offset, records, modules, runs)
    order = np.array(sorted(range(len(modules.hashes)), key=modules.hashes.__getitem__), dtype=np.int64)
    codes = modules.codes(order)
    metrics, remark = runs.columns(path, order)
    metrics["params"] = compact_values(np.frombuffer(modules.parameters, dtype=np.int64)[order])
    units = {"params": "parameters"}
    for prefix in ("", "halfway_") if halfway else ("",):
        units |= {prefix + name: "s" if name == "training_time" else "share in 0..1" for name in VALUES}
    return ImportedTable(
        name="nasbench101",
        space="nasbench101",
        codes=codes,
        metrics=metrics,
        default="test_accuracy",
        minimize=frozenset(name for name in units if name.endswith("training_time") or name == "params"),
        by_network=True,
        source=f"{path.name}: {len(order):,} cells, {runs.count:,} training runs{remark}",
        units=units,
    )


class _Modules:
    """The cells met so far, compactly: texts are kept once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.numbers: dict[bytes, int] = {}
        self.hashes: list[bytes] = []
        self.adjacency_texts: dict[str, int] = {}
        self.operation_texts: dict[str, int] = {}
        self.adjacency, self.operations, self.parameters = array("q"), array("q"), array("q")

    def number(self, name: str, adjacency: str, operations: str) -> int:
        """Number of a cell, new or known.

        Raises:
            ValueError: the hash is none, or the cell is not the one that this hash had before.
        """
        if len(name) != 32:
            raise ValueError(f"module hash {name[:40]!r} has not 32 digits")
        digest = bytes.fromhex(name)
        a = self.adjacency_texts.setdefault(adjacency, len(self.adjacency_texts))
        o = self.operation_texts.setdefault(operations, len(self.operation_texts))
        known = self.numbers.setdefault(digest, len(self.hashes))
        if known == len(self.hashes):
            self.hashes.append(digest)
            self.adjacency.append(a)
            self.operations.append(o)
            self.parameters.append(-1)
        elif self.adjacency[known] != a or self.operations[known] != o:
            raise ValueError(f"module {name} is another cell than in an earlier record")
        return known

    def codes(self, order: npt.NDArray[np.int64]) -> torch.Tensor:
        """Codes of the cells in the given order: [n, 27] int8."""
        sizes, matrices = self._matrices()
        operations, counts = self._operations()
        a, o = (
            np.frombuffer(self.adjacency, dtype=np.int64)[order],
            np.frombuffer(self.operations, dtype=np.int64)[order],
        )
        wrong = np.flatnonzero(sizes[a] != counts[o])
        if len(wrong):
            row = int(wrong[0])
            self._fail(order[row], f"{sizes[a[row]]} vertices, but {counts[o[row]]} operations")
        space = NASBench101()
        parts = []
        for first in range(0, len(order), _CHUNK):
            part = slice(first, first + _CHUNK)
            n = torch.from_numpy(sizes[a[part]])
            codes, valid = space.from_matrices(
                torch.from_numpy(matrices[a[part]]), torch.from_numpy(operations[o[part]]), n
            )
            valid &= codes[:, 0] + 2 == n  # the benchmark's cells have no vertices to prune
            if not bool(valid.all()):
                self._fail(order[first + int((~valid).nonzero()[0])], "no cell of NAS-Bench-101")
            parts.append(codes.to(torch.int8))
        codes = torch.cat(parts)
        sample = np.unique(np.linspace(0, len(order) - 1, min(_SAMPLE, len(order))).astype(np.int64))
        for row, name in zip(sample, space.module_hash(codes[torch.from_numpy(sample)].long()), strict=True):
            if self.hashes[order[row]].hex() != name:
                self._fail(order[row], f"its cell has the hash {name}")
        return codes

    def _fail(self, module: np.int64, reason: str) -> NoReturn:
        adjacency = list(self.adjacency_texts)[self.adjacency[module]]
        operations = list(self.operation_texts)[self.operations[module]]
        raise DataFileError(
            f"{self._path}: module {self.hashes[module].hex()} ({adjacency[:60]}; {operations[:150]}): {reason}"
        )

    def _matrices(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Every adjacency text as vertices [t] and matrix [t, 7, 7]."""
        sizes = np.zeros(len(self.adjacency_texts), dtype=np.int64)
        matrices = np.zeros((len(sizes), _MAX_VERTICES, _MAX_VERTICES), dtype=bool)
        for row, text in enumerate(self.adjacency_texts):
            n = math.isqrt(len(text))
            if n * n != len(text) or not 2 <= n <= _MAX_VERTICES or text.strip("01"):
                raise DataFileError(
                    f"{self._path}: adjacency {text[:60]!r} is not n x n digits 0 and 1 with n in 2..{_MAX_VERTICES}"
                )
            bits = np.frombuffer(text.encode("ascii"), dtype=np.uint8) == ord("1")
            sizes[row], matrices[row, :n, :n] = n, bits.reshape(n, n)
        return sizes, matrices

    def _operations(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every operations text as indices [t, 7] (0 at the input and output) and their number [t]."""
        counts = np.zeros(len(self.operation_texts), dtype=np.int64)
        operations = np.zeros((len(counts), _MAX_VERTICES), dtype=np.int64)
        for row, text in enumerate(self.operation_texts):
            first, *inner, last = names = text.split(",") if "," in text else ["", ""]
            if first != "input" or last != "output" or len(names) > _MAX_VERTICES or not set(inner) <= set(OPERATIONS):
                raise DataFileError(
                    f"{self._path}: operations {text[:150]!r} are not input, up to {_MAX_VERTICES - 2} of "
                    f"{', '.join(OPERATIONS)}, output"
                )
            counts[row] = len(names)
            operations[row, 1 : 1 + len(inner)] = [OPERATIONS.index(name) for name in inner]
        return operations, counts


class _Runs:
    """The values of all training runs, in the order of the file."""

    def __init__(self, halfway: bool) -> None:
        self._halfway = halfway
        self._modules: list[npt.NDArray[np.int32]] = []
        self._epochs: list[npt.NDArray[np.int32]] = []
        self._values: list[npt.NDArray[np.float32]] = []
        self.count = 0

    def add(
        self, modules: npt.NDArray[np.int32], epochs: npt.NDArray[np.int32], evaluations: npt.NDArray[np.float64]
    ) -> None:
        """Take a batch: [r] module numbers, [r] epochs, [r, 3, 5] evaluations."""
        self._modules.append(modules)
        self._epochs.append(epochs)
        first = 1 if self._halfway else 2
        self._values.append(evaluations[:, first:, 1:].reshape(len(modules), -1).astype(np.float32))
        self.count += len(modules)

    def columns(self, path: Path, order: npt.NDArray[np.int64]) -> tuple[dict[str, torch.Tensor], str]:
        """Columns as :mod:`.reader` names them, and a remark on what is missing."""
        epochs, values = np.concatenate(self._epochs), np.concatenate(self._values)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order))
        rows = rank[np.concatenate(self._modules)]
        budgets, budget = np.unique(epochs, return_inverse=True)
        if len(budgets) > _MOST_BUDGETS:
            raise DataFileError(f"{path}: {len(budgets)} different numbers of epochs, expected 4, 12, 36 and 108")
        group = rows.astype(np.int64) * len(budgets) + budget
        by_group = np.argsort(group, kind="stable")
        in_order = group[by_group]
        run = np.empty(len(group), dtype=np.int64)
        run[by_group] = np.arange(len(group)) - np.searchsorted(in_order, in_order)
        counts = np.bincount(group, minlength=len(order) * len(budgets))
        most = int(counts.max())
        if most > _MOST_RUNS:
            row, b = divmod(int(counts.argmax()), len(budgets))
            raise DataFileError(
                f"{path}: a module has {most} runs of {budgets[b]} epochs (row {row}), expected 3, at most {_MOST_RUNS}"
            )
        names = [f"halfway_{name}" for name in VALUES] * self._halfway + list(VALUES)
        columns: dict[str, torch.Tensor] = {}
        for column, name in enumerate(names):
            for b, epoch in enumerate(budgets):  # ascending: the last stays as the plain name
                table = np.full((len(order), most), np.nan, dtype=np.float32)
                chosen = budget == b
                table[rows[chosen], run[chosen]] = values[chosen, column]
                repeats = torch.from_numpy(table)
                for r in range(most):
                    columns[f"{name}@{epoch}#{r}"] = repeats[:, r].contiguous()
                columns[f"{name}@{epoch}"] = columns[name] = repeats.double().nanmean(1).float()
        short = int((counts < most).sum())
        absent = int((counts == 0).sum())
        remark = (
            f"; {short:,} of {len(counts):,} trainings have fewer than {most} runs, {absent:,} none" if short else ""
        )
        return columns, remark


def _read_batch(path: Path, number: int, offset: int, records: list[bytes], modules: _Modules, runs: _Runs) -> None:
    """Take the records of a batch into ``modules`` and ``runs``."""

    def fail(row: int, reason: str) -> NoReturn:
        at = offset + sum(16 + len(record) for record in records[:row])
        raise DataFileError(f"{path}: record {number + row:,} at byte {at:,}: {reason}")

    names = np.empty(len(records), dtype=np.int32)
    epochs = np.empty(len(records), dtype=np.int32)
    messages = []
    number_of = modules.number
    items = _parse(records, fail)
    row = 0
    try:
        for row, item in enumerate(items):
            name, epoch, adjacency, operations, metrics = item
            if type(epoch) is not int or not 1 <= epoch <= _MOST_EPOCHS:
                raise ValueError(f"epochs is {shown(epoch)}")
            if type(name) is not str or type(adjacency) is not str or type(operations) is not str:
                raise ValueError("hash, adjacency and operations must be texts")
            names[row] = number_of(name, adjacency, operations)
            epochs[row] = epoch
            messages.append(a2b_base64(metrics))
    except (ValueError, TypeError, AttributeError) as error:
        fail(row, f"not [hash, epochs, adjacency, operations, metrics] ({error})")
    try:
        decoded = decode(messages)
    except MessageError as error:
        fail(error.row, f"no ModelMetrics ({error})")
    times, shares = decoded.evaluations[:, 1:, 1], decoded.evaluations[:, 1:, 2:]
    # NaN fails every comparison.
    good = ((times >= 0) & (times < 1e9)).all(1) & ((shares >= 0) & (shares <= 1)).all((1, 2))
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        fail(row, f"values out of range: {dict(zip(VALUES, decoded.evaluations[row, -1, 1:].tolist(), strict=True))}")
    known = np.frombuffer(modules.parameters, dtype=np.int64)
    new = np.flatnonzero(known[names] < 0)[::-1]  # backwards, so that the first record of a module stays
    known[names[new]] = decoded.parameters[new]
    differ = np.flatnonzero(known[names] != decoded.parameters)
    if len(differ):
        row = int(differ[0])
        fail(row, f"{decoded.parameters[row]:,} parameters, {known[names[row]]:,} in another record of this module")
    del known  # a view would forbid the array to grow
    runs.add(names, epochs, decoded.evaluations)


def _parse(records: list[bytes], fail: Callable[[int, str], NoReturn]) -> list[Any]:
    """The JSON lists of a batch, parsed as one text; one by one where that fails, to name the faulty record."""
    try:
        items: list[Any] = json.loads(b"[" + b",".join(records) + b"]")
        if len(items) == len(records):
            return items
    except (ValueError, RecursionError):
        pass
    items = []
    for row, record in enumerate(records):
        try:
            items.append(json.loads(record))
        except (ValueError, RecursionError) as error:
            fail(row, f"no JSON ({error})")
    return items
