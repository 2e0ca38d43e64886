"""Evaluation by looking up a benchmark table."""

from __future__ import annotations

import time
from collections.abc import Iterator

from torch import Tensor

from ..benchmarks import TabularBenchmark, get_benchmark
from .base import Evaluation, Evaluator


class TabularEvaluator(Evaluator):
    """The value of a cell is what the table holds for its code.

    Args:
        benchmark: the table, or its name.
        metric: the metric that is the objective; None for the table's default.

    Raises:
        UnknownNameError: no such benchmark or metric.
        DataFileError: the table cannot be read.
    """

    name = "tabular"

    def __init__(self, benchmark: str | TabularBenchmark = "nasbench201", *, metric: str | None = None) -> None:
        self.benchmark = get_benchmark(benchmark)
        self.space = self.benchmark.space
        best = self.benchmark.best(metric)
        self.metric, self.optimum = best.metric, best.value

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        """Look up ``codes`` [B, D]; every metric of the table comes along.

        Raises:
            InvalidCodeError: a row is no cell of the space, or not in the table.
        """
        started = time.perf_counter()
        columns = {name: self.benchmark.query(codes, name).tolist() for name in self.benchmark.metrics}
        seconds = (time.perf_counter() - started) / max(len(codes), 1)
        return (
            Evaluation(columns[self.metric][row], {name: column[row] for name, column in columns.items()}, seconds)
            for row in range(len(codes))
        )

    def config(self) -> dict[str, object]:
        return {"name": self.name, "benchmark": self.benchmark.name, "metric": self.metric}
