"""latentnas/evaluation/tabular.py"""

from __future__ import annotations

import re

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.errors import ConfigError, InvalidCodeError
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
    config = evaluator.config()
    assert config == {"name": "tabular", "benchmark": "tiny", "metric": "accuracy", "data": TABLE.digest("accuracy")}


def test_another_metric_as_objective() -> None:
    evaluator = TabularEvaluator(TABLE, metric="speed")
    assert [result.value for result in evaluator.evaluate(torch.tensor(CODES))] == [3.0, 1.0, 2.0]
    assert evaluator.optimum == 3.0
    assert evaluator.config()["metric"] == "speed"


def test_cells_that_are_not_in_the_table_are_failed_evaluations() -> None:
    found, missing = TabularEvaluator(TABLE).evaluate(torch.tensor([CODES[0], [4] * 6]))
    assert (found.value, found.failure) == (10.0, None)
    assert (missing.value, missing.metrics) == (None, {})
    assert missing.failure == "tiny holds no accuracy of this cell"


def test_the_digest_tells_tables_apart() -> None:
    def digest(codes: list[list[int]], values: list[float]) -> object:
        return TabularEvaluator(TabularBenchmark("tiny", "nasbench201", codes, {"a": values}, default="a")).config()[
            "data"
        ]

    first = digest(CODES, [1.0, 2.0, 3.0])
    assert digest(CODES, [1.0, 2.0, 3.0]) == first
    assert digest(CODES, [1.0, 2.0, 4.0]) != first
    assert digest([CODES[0], CODES[1], [2] * 6], [1.0, 2.0, 3.0]) != first
    assert TabularEvaluator(TABLE, metric="speed").config()["data"] != TabularEvaluator(TABLE).config()["data"]


def test_what_is_no_cell_is_refused() -> None:
    with pytest.raises(InvalidCodeError, match=r"codes\[1, 0\]"):
        TabularEvaluator(TABLE).evaluate(torch.tensor([CODES[0], [5] * 6]))


PARTIAL = TabularBenchmark(
    "partial",
    "nasbench201",
    CODES,
    {"accuracy@12": [1.0, 2.0, 3.0], "accuracy@200": [10.0, float("nan"), 70.0], "latency": [3.0, 1.0, float("nan")]},
    default="accuracy",
    minimize=["latency"],
    incomplete=["accuracy", "latency"],
)


def test_what_was_not_measured_is_a_failed_evaluation() -> None:
    evaluator = TabularEvaluator(PARTIAL)
    assert evaluator.optimum == 70.0
    results = list(evaluator.evaluate(torch.tensor(CODES)))
    assert [result.value for result in results] == [10.0, None, 70.0]
    assert [result.failure for result in results] == [None, "partial holds no accuracy of this cell", None]
    assert [result.metrics for result in results] == [
        {"accuracy": 10.0, "latency": 3.0},
        {"latency": 1.0},
        {"accuracy": 70.0},
    ]


def test_a_fidelity_as_objective() -> None:
    evaluator = TabularEvaluator(PARTIAL, metric="accuracy@12")
    results = list(evaluator.evaluate(torch.tensor(CODES[1:2])))
    assert (evaluator.optimum, results[0].value) == (3.0, 2.0)
    assert results[0].metrics == {"accuracy@12": 2.0, "latency": 1.0}


def test_a_metric_of_which_less_is_better_is_no_objective() -> None:
    with pytest.raises(
        ConfigError, match=r"of latency in partial less is better; metrics: accuracy\. .*a column of -latency"
    ):
        TabularEvaluator(PARTIAL, metric="latency")


def test_a_table_of_a_part_of_its_space_leaves_a_note() -> None:
    (note,) = TabularEvaluator(PARTIAL).notes
    assert note == (
        "the table partial holds 3 cells, accuracy of 2 of them: none of 1,000 random cells of nasbench201. "
        "A proposed cell that it lacks is a failed evaluation"
    )
    assert TabularEvaluator("nasbench201").notes == ()
    codes = TABLE.space.enumerate()
    half = TabularBenchmark("half", "nasbench201", codes[::2], {"a": codes[::2, 0]}, default="a")
    (note,) = TabularEvaluator(half).notes
    share = int(re.search(r"(\d+)% of 1,000 random cells", note)[1])  # type: ignore[index]
    assert 40 < share < 60


def test_candidates_are_the_cells_with_a_value() -> None:
    assert TabularEvaluator(PARTIAL).candidates().tolist() == [CODES[0], CODES[2]]
    assert len(TabularEvaluator(PARTIAL, metric="accuracy@12").candidates()) == 3
