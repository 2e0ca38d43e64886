from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.errors import ObservationError
from latentnas.predictor.labels import as_values, distinct_rows


@pytest.mark.parametrize("name", ["nasbench201", "darts", "random_wired32"])
def test_distinct_rows_are_those_of_unique(name: str) -> None:
    space = get_space(name)
    codes = space.sample(40, seed=0)[torch.randint(40, (90,), generator=torch.Generator().manual_seed(1))]
    rows, number = distinct_rows(space, codes)
    expected, places = torch.unique(codes, dim=0, return_inverse=True)
    assert torch.equal(rows, expected)
    assert torch.equal(number, places)
    empty, none = distinct_rows(space, codes[:0])
    assert (empty.shape, none.shape) == ((0, space.dim), (0,))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], r"expected one accuracy a cell, shape \[2\], got \[1\]"),
        ([1.0, float("inf")], r"accuracies\[1\] is inf, 1 of 2 are not finite"),
        (torch.tensor([True, False]), "must be numbers, got torch.bool"),
    ],
)
def test_values_that_are_refused(values: object, message: str) -> None:
    with pytest.raises(ObservationError, match=message):
        as_values(values, 2)  # type: ignore[arg-type]


def test_values_are_doubles() -> None:
    found = as_values([1, 2], 2)
    assert found.dtype == torch.double
    assert found.tolist() == [1.0, 2.0]
