"""NAS-Bench-201 on CIFAR-10, as measured for AnalogNAS-Bench and shipped in the wheel ``analog-nasbench``.

The wheel's data file is read where pip put it; its package is never imported. Accuracies are test
accuracies on CIFAR-10, in %: of the network as trained (``cifar10_test``), after post-training
quantisation (``_ptq``), after quantisation-aware training (``_qat``), under noise on the weights
(``_noisy``), and after training for analog hardware (``_analog``).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from ..errors import DataFileError
from ..spaces import get_space
from ..spaces.nasbench201 import EDGES, OPERATIONS
from ._unpickle import load_plain_pickle
from .table import TabularBenchmark

WHEEL = "analog-nasbench"
DATA_FILE = "analognasbench/data.anb"
DEFAULT_METRIC = "cifar10_test"
FIELDS = {
    "cifar10_test": "baseline_accuracy",
    "cifar10_test_ptq": "ptq_accuracy",
    "cifar10_test_qat": "qat_accuracy",
    "cifar10_test_noisy": "noisy_accuracy",
    "cifar10_test_analog": "analog_accuracy",
}
"""Attribute of the file's records that each metric is read from."""

_ADMITTED = (("analognasbench.data", "Architecture"), ("analognasbench.data", "DriftMeasurement"))
_FILE_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_FILE_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")


def find_data_file() -> Path:
    """Path of the data file in the installed wheel, found without importing it.

    Raises:
        DataFileError: the wheel is not installed, or has no such file.
    """
    try:
        path = Path(str(distribution(WHEEL).locate_file(DATA_FILE)))
    except PackageNotFoundError:
        raise DataFileError(
            f"the benchmark nasbench201 needs the package {WHEEL}: pip install {WHEEL} "
            "(--no-deps is enough: it is read, not imported)"
        ) from None
    if not path.is_file():
        raise DataFileError(
            f"{path}: missing from the installed package {WHEEL}; pip install --force-reinstall {WHEEL}"
        )
    return path


def load(path: str | Path | None = None) -> TabularBenchmark:
    """Read the table: 15,625 cells, accuracies in %, rows in lexicographic order of the codes.

    Args:
        path: the data file; None finds it in the installed wheel.

    Raises:
        DataFileError: the file is missing, truncated, corrupted or hostile, or its cells or values
            are not those of the benchmark.
    """
    path = find_data_file() if path is None else Path(path)
    data = load_plain_pickle(path, _ADMITTED)
    space = get_space("nasbench201")
    if not isinstance(data, dict) or len(data) != space.size:
        found = f"{len(data):,} entries" if isinstance(data, dict) else type(data).__name__
        raise DataFileError(f"{path}: expected a dictionary of {space.size:,} cells, got {found}")
    cells, records = list(data), list(data.values())
    for cell in cells:
        if not (
            isinstance(cell, tuple)
            and len(cell) == len(EDGES)
            and all(type(op) is int and 0 <= op < len(OPERATIONS) for op in cell)
        ):
            raise DataFileError(f"{path}: expected cells of {len(EDGES)} operations 0..4, got {cell!r:.100}")
    operation = torch.tensor([OPERATIONS.index(name) for name in _FILE_OPERATIONS])
    column = [_FILE_EDGES.index(edge) for edge in EDGES]
    codes = operation[torch.tensor(cells)][:, column]
    metrics = {metric: _read_field(path, records, field) for metric, field in FIELDS.items()}
    strides = torch.tensor([len(OPERATIONS) ** p for p in range(len(EDGES) - 1, -1, -1)])
    order = (codes * strides).sum(1).argsort()
    values = {metric: column_values[order] for metric, column_values in metrics.items()}
    return TabularBenchmark(
        "nasbench201", space, codes[order], values, default=DEFAULT_METRIC, units=dict.fromkeys(values, "%")
    )


def _read_field(path: Path, records: list[object], field: str) -> torch.Tensor:
    """One attribute of every record, an accuracy in %: [n] double."""
    values = [getattr(record, field, None) for record in records]
    for value in values:
        if not isinstance(value, (float, int)) or not 0 <= value <= 100:  # NaN fails the comparison too
            raise DataFileError(f"{path}: {field} must be a number in 0..100, got {value!r:.100}")
    return torch.tensor(values, dtype=torch.double)
