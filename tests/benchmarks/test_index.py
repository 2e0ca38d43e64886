"""latentnas/benchmarks/index.py, against a dictionary of tuples."""

from __future__ import annotations

import numpy as np
import pytest

from latentnas.benchmarks.index import CodeIndex, compact_dtype

SPACES = {
    "numeric": (5,) * 6,
    "numeric, up to the sign bit": (2,) * 63,
    "bytes": (2,) * 64,
    "bytes and pairs of bytes": (254, 255, 256, 300, 64_516, 64_517, 70_000, 2) + (3,) * 10,
}


def draw(cardinalities: tuple[int, ...], n: int, seed: int) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, cardinalities, (n, len(cardinalities)))
    # The extremes are where an encoding goes wrong.
    codes[0], codes[1] = 0, np.array(cardinalities) - 1
    return np.unique(codes, axis=0)[::-1].astype(compact_dtype(cardinalities))


@pytest.mark.parametrize("name", SPACES)
def test_rows_are_found_and_others_are_not(name: str) -> None:
    cardinalities = SPACES[name]
    codes = draw(cardinalities, 2000, seed=0)
    index = CodeIndex(codes, cardinalities)
    rows = {tuple(code): row for row, code in enumerate(codes.tolist())}
    assert index.find(codes).tolist() == list(range(len(codes)))
    others = draw(cardinalities, 2000, seed=1)
    others[:, -1] = codes[0, -1]
    expected = [rows.get(tuple(code), -1) for code in others.tolist()]
    assert index.find(others).tolist() == expected
    assert -1 in expected
    assert index.find(codes[:0]).shape == (0,)
    assert index.duplicate() is None


@pytest.mark.parametrize("name", SPACES)
def test_neighbours_differ(name: str) -> None:
    """Every value of every column, with all others 0: no two of them are taken for the same."""
    cardinalities = SPACES[name]
    codes = np.zeros((1 + sum(c - 1 for c in cardinalities), len(cardinalities)), compact_dtype(cardinalities))
    row = 1
    for column, cardinality in enumerate(cardinalities):
        codes[row : row + cardinality - 1, column] = np.arange(1, cardinality)
        row += cardinality - 1
    assert CodeIndex(codes, cardinalities).duplicate() is None


@pytest.mark.parametrize("name", SPACES)
def test_duplicates_are_named_in_the_order_of_the_rows(name: str) -> None:
    cardinalities = SPACES[name]
    codes = draw(cardinalities, 50, seed=2)
    twice = np.concatenate([codes, codes[7:8]])
    index = CodeIndex(twice, cardinalities)
    assert index.duplicate() == (7, len(codes))
    assert index.find(twice)[-1] == 7


@pytest.mark.parametrize(
    ("largest", "expected"), [(2, "u1"), (256, "u1"), (257, "i2"), (32_769, "i4"), (2**31 + 1, "i8")]
)
def test_compact_dtype(largest: int, expected: str) -> None:
    assert compact_dtype((2, largest, 3)) == np.dtype(expected)
