from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.errors import ObservationError
from latentnas.predictor.labels import Labels, as_values, checked_labels, distinct_measurements, distinct_rows


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


def test_a_cell_after_several_numbers_of_epochs_is_several_labels() -> None:
    space = get_space("nasbench201")
    one, other = [3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]
    codes = torch.tensor([one, other, one, one, other])
    found = checked_labels(space, codes, [1.0, 5.0, 2.0, 4.0, 6.0], canonical=False, epochs=[200, 12, 12, 200, 12])
    assert found.codes.tolist() == [one, other, one]
    assert found.values.tolist() == [2.5, 5.5, 2.0]
    assert found.epochs is not None and found.epochs.tolist() == [200, 12, 12]
    assert found.max_epochs == 200
    assert Labels(codes, torch.arange(5.0)).max_epochs == 0
    with pytest.raises(ObservationError, match=r"at least two different cells, got 1 \(of 2 rows\)"):
        checked_labels(space, codes[2:4], [1.0, 2.0], canonical=False, epochs=[12, 200])


def test_isomorphic_cells_after_equal_epochs_are_one_label() -> None:
    space = get_space("nasbench201")
    every = space.enumerate()
    row = int((every != space.canonical(every)).any(1).nonzero()[0])
    codes = torch.stack([every[row], space.canonical(every)[row], every[-1]])
    found = checked_labels(space, codes, [1.0, 2.0, 3.0], canonical=True, epochs=12)
    assert found.values.tolist() == [1.5, 3.0]
    assert len(checked_labels(space, codes, [1.0, 2.0, 3.0], canonical=True, epochs=[12, 13, 12])) == 3


@pytest.mark.parametrize("name", ["nasbench201", "darts"])
def test_distinct_measurements_are_those_of_unique(name: str) -> None:
    space = get_space(name)
    generator = torch.Generator().manual_seed(1)
    codes = space.sample(10, seed=0)[torch.randint(10, (90,), generator=generator)]
    epochs = torch.tensor([4, 12, 100_000])[torch.randint(3, (90,), generator=generator)]
    rows, measured, number = distinct_measurements(space, codes, epochs)
    expected, places = torch.unique(torch.cat([codes, epochs[:, None]], 1), dim=0, return_inverse=True)
    assert measured is not None
    assert torch.equal(torch.cat([rows, measured[:, None]], 1), expected)
    assert torch.equal(number, places)
    assert distinct_measurements(space, codes, None)[1] is None
    empty = distinct_measurements(space, codes[:0], epochs[:0])
    assert [len(part) for part in empty if part is not None] == [0, 0, 0]
