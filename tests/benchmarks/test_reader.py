"""latentnas/benchmarks/reader.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentnas.benchmarks.reader import Column, compact_values, parse_column
from latentnas.errors import DataFileError


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("test_accuracy", Column("test_accuracy")),
        ("test accuracy (%)@12", Column("test accuracy (%)", 12)),
        ("a@108#0", Column("a", 108, 0)),
    ],
)
def test_names_of_columns(name: str, column: Column) -> None:
    assert parse_column(name) == column
    assert str(column) == name


@pytest.mark.parametrize("name", ["", "@12", "a@", "a@x", "a#1", "a@1#", "a@1@2", "a@-1", "a@1#2#3", "a@9999999999"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DataFileError, match="no name of a column"):
        parse_column(name)


def test_measurements_become_float32_and_large_counts_stay_exact() -> None:
    assert compact_values(np.array([0.1, np.nan])).dtype == torch.float32
    assert compact_values(torch.tensor([1.0, 2.0**24])).dtype == torch.float32
    exact = compact_values(np.array([7_335_187_457, 1], np.int64))
    assert exact.dtype == torch.float64
    assert exact.tolist() == [7_335_187_457, 1]
