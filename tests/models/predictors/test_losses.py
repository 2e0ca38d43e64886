"""latentnas/models/predictors/losses.py, against hand computation and plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentnas.models.predictors import losses

SCORES = torch.tensor([0.3, -0.2, 0.25, 1.0], dtype=torch.double)
VALUES = torch.tensor([3.0, 1.0, 3.0, 2.0], dtype=torch.double)
PAIRS = [(0, 1), (2, 1), (3, 1), (0, 3), (2, 3)]  # (better, worse); cells 0 and 2 are tied


def test_hinge() -> None:
    # differences 0.5, 0.45, 1.2 are beyond the margin; -0.7 and -0.75 cost 0.8 and 0.85
    assert float(losses.pairwise_hinge(SCORES, VALUES, 0.1)) == pytest.approx((0.8 + 0.85) / 5)
    # HOP's mean: cell 0 has two worse cells (0 + 0.8) / 2, cell 2 (0 + 0.85) / 2, cell 3 one, cell 1 none
    assert float(losses.cellwise_hinge(SCORES, VALUES, 0.1)) == pytest.approx((0.4 + 0.425) / 4)


def test_bce() -> None:
    expected = sum(math.log(1 + math.exp(float(SCORES[j] - SCORES[i]))) for i, j in PAIRS) / 5
    assert float(losses.pairwise_bce(SCORES, VALUES)) == pytest.approx(expected)


def test_mse() -> None:
    assert float(losses.mean_squared_error(SCORES, VALUES)) == pytest.approx((2.7**2 + 1.2**2 + 2.75**2 + 1) / 4)


def test_list_mle() -> None:
    order = [0, 2, 3, 1]
    expected = 0.0
    for i in range(4):
        rest = sum(math.exp(float(SCORES[j])) for j in order[i:])
        expected += math.log(rest) - float(SCORES[order[i]])
    assert float(losses.list_mle(SCORES, VALUES)) == pytest.approx(expected / 4)


def test_comparator() -> None:
    preferences = torch.arange(16.0).reshape(4, 4) / 100 - 0.05
    expected = 0.0
    for i, j in PAIRS:
        expected += max(0.0, 0.1 - float(preferences[i, j])) + max(0.0, 0.1 + float(preferences[j, i]))
    assert float(losses.comparator_hinge(preferences, VALUES, 0.1)) == pytest.approx(expected / 5)


@pytest.mark.parametrize("name", ["hinge", "hinge-cell", "bce"])
def test_no_pair_costs_nothing(name: str) -> None:
    scores = torch.randn(3, requires_grad=True)
    loss = losses.SCORE_LOSSES[name](scores, torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 777])
def test_quick_sort_of_an_order(count: int) -> None:
    values = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    calls: list[int] = []

    def prefer(a: Tensor, b: Tensor) -> Tensor:
        calls.append(len(a))
        return (values[a] - values[b]).double()

    places = losses.quick_sort(prefer, count, torch.Generator().manual_seed(0))
    assert places.tolist() == values.tolist()
    assert len(calls) <= 60  # rounds, not comparisons, grow with the logarithm


def test_quick_sort_of_no_order_ends() -> None:
    """A preference that is neither transitive nor antisymmetric: every item gets a place of its own."""

    def prefer(a: Tensor, b: Tensor) -> Tensor:
        return torch.sin(a * 12.9898 + b * 78.233)

    places = losses.quick_sort(prefer, 200, torch.Generator().manual_seed(0))
    assert sorted(places.tolist()) == list(range(200))
