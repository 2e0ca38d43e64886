"""latentnas/evaluation/metrics.py, against hand computation."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from latentnas.errors import ObservationError
from latentnas.evaluation import metrics

NAN = math.nan


def test_kendall_tau() -> None:
    # 6 pairs; (2, 3) is discordant: (5 - 1) / 6
    assert metrics.kendall_tau([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]) == pytest.approx(4 / 6)
    assert metrics.kendall_tau(torch.tensor([1, 2, 3]), torch.tensor([3, 2, 1])) == pytest.approx(-1)
    # tau-b: 5 pairs concordant, 1 tied on the left: 5 / sqrt(5 * 6)
    assert metrics.kendall_tau([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / math.sqrt(30))
    assert math.isnan(metrics.kendall_tau([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(
    ("left", "right"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([[1.0, 2.0]], [[1.0, 2.0]]), ([1.0, NAN], [1.0, 2.0])]
)
def test_kendall_tau_refuses(left: list[float], right: list[float]) -> None:
    with pytest.raises(ObservationError, match="kendall_tau"):
        metrics.kendall_tau(left, right)


def test_incumbents_and_regret() -> None:
    values = [NAN, 3.0, 1.0, NAN, 5.0, 4.0]
    assert metrics.incumbents(values).tolist()[1:] == [3.0, 3.0, 3.0, 5.0, 5.0]
    assert metrics.incumbents(values)[0].isnan()
    assert metrics.simple_regret(values, 6.0).tolist()[1:] == [3.0, 3.0, 3.0, 1.0, 1.0]
    assert metrics.incumbents([-2.0, -3.0, -1.0]).tolist() == [-2.0, -2.0, -1.0]
    assert metrics.incumbents([]).tolist() == []


def test_n_at_k() -> None:
    actual = [90.0, 94.0, 93.0, 92.0, 93.0]
    predicted = [5.0, 1.0, 2.0, 4.0, 3.0]
    # the order predicted is 0, 3, 4, 2, 1; true ranks are 5, 4, 2, 2, 1
    assert [metrics.n_at_k(predicted, actual, k) for k in (1, 2, 3, 4, 5)] == [5, 4, 2, 2, 1]
    assert metrics.n_at_k([1.0, 1.0], [1.0, 2.0], 1) == 2  # the earlier of equals comes first


def test_precision_at_k() -> None:
    actual = [90.0, 94.0, 93.0, 92.0, 93.0]
    predicted = [5.0, 1.0, 2.0, 4.0, 3.0]
    found = [metrics.precision_at_k(predicted, actual, k) for k in (1, 2, 3, 4, 5)]
    # cells 2 and 4 are tied: both are among the best two
    assert found == pytest.approx([0, 0, 1 / 3, 3 / 4, 1])


@pytest.mark.parametrize("metric", [metrics.n_at_k, metrics.precision_at_k])
@pytest.mark.parametrize(
    ("left", "right", "k", "message"),
    [
        ([1.0], [1.0, 2.0], 1, "two lists"),
        ([1.0, 2.0], [1.0, 2.0], 3, "K must be"),
        ([1.0, 2.0], [1.0, 2.0], 0, "K must be"),
        ([1.0, 2.0], [NAN, 2.0], 1, "NaN"),
    ],
)
def test_ranking_metrics_refuse(
    metric: Callable[..., float], left: list[float], right: list[float], k: int, message: str
) -> None:
    with pytest.raises(ObservationError, match=message):
        metric(left, right, k)
