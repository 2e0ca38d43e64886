"""latentnas/evaluation/tabular.py"""

from __future__ import annotations

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.errors import InvalidCodeError
from latentnas.evaluation import TabularEvaluator

CODES = [[0] * 6, [3] * 6, [1] * 6]
TABLE = TabularBenchmark(
    "tiny", "nasbench201", CODES, {"accuracy": [10.0, 90.0, 70.0], "speed": [3.0, 1.0, 2.0]}, default="accuracy"
)


def test_values_metrics_and_optimum() -> None:
    evaluator = TabularEvaluator(TABLE)
    results = list(evaluator.evaluate(torch.tensor([CODES[2], CODES[1]])))
    assert [result.value for result in results] == [70.0, 90.0]
    assert [result.metrics for result in results] == [
        {"accuracy": 70.0, "speed": 2.0},
        {"accuracy": 90.0, "speed": 1.0},
    ]
    assert evaluator.optimum == 90.0
    assert evaluator.config() == {"name": "tabular", "benchmark": "tiny", "metric": "accuracy"}


def test_another_metric_as_objective() -> None:
    evaluator = TabularEvaluator(TABLE, metric="speed")
    assert [result.value for result in evaluator.evaluate(torch.tensor(CODES))] == [3.0, 1.0, 2.0]
    assert evaluator.optimum == 3.0
    assert evaluator.config()["metric"] == "speed"


def test_cells_that_are_not_in_the_table() -> None:
    with pytest.raises(InvalidCodeError, match=r"codes\[1\].*not among the table's 3 cells"):
        TabularEvaluator(TABLE).evaluate(torch.tensor([CODES[0], [4] * 6]))
