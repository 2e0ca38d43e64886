"""Evaluation by looking up a benchmark table."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from ..benchmarks import TabularBenchmark, get_benchmark
from ..errors import ConfigError
from .base import Evaluation, Evaluator

_PROBES = 1_000
"""Random cells that are looked up to see whether a table holds all of its space."""

_NOTED_BELOW = 0.99


class TabularEvaluator(Evaluator):
    """The value of a cell is what the table holds for its code; where it holds none, the evaluation failed.

    A table of a part of its space leaves a note in ``notes``; :meth:`candidates` are the cells that have a value.

    Args:
        benchmark: the table, or its name.
        metric: the metric that is the objective, larger being better; None for the table's default.

    Raises:
        UnknownNameError: no such benchmark or metric.
        ConfigError: less of this metric is better.
        DataFileError: the table cannot be read.
    """

    name = "tabular"

    def __init__(self, benchmark: str | TabularBenchmark = "nasbench201", *, metric: str | None = None) -> None:
        self.benchmark = get_benchmark(benchmark)
        self.space = self.benchmark.space
        if self.benchmark.direction(metric) == "minimize":
            name = metric or self.benchmark.default_metric
            raise ConfigError(
                f"{self.name}: the objective is maximised, but of {name} in {self.benchmark.name} less is better; "
                f"metrics: {', '.join(m for m in self.benchmark.metrics if m not in self.benchmark.minimize)}. "
                f"To search for little {name}, make a table with its negative: a column of -{name} in a CSV file"
            )
        best = self.benchmark.best(metric)
        self.metric, self.optimum = best.metric, best.value
        self.notes = self._notes()
        self._digest = self.benchmark.digest(self.metric)

    def _notes(self) -> tuple[str, ...]:
        """What a table that holds a part of its space means for a search."""
        table = self.benchmark
        found = table.holds(self.space.sample(_PROBES, seed=0))
        share = float(found.double().mean())
        measured = int((~table.values(self.metric).isnan()).sum())
        lacking = "" if measured == len(table) else f", {self.metric} of {measured:,} of them"
        if share >= _NOTED_BELOW:
            return () if not lacking else (f"the table {table.name} holds {len(table):,} cells{lacking}",)
        return (
            f"the table {table.name} holds {len(table):,} {'networks' if table.by_network else 'cells'}{lacking}: "
            f"{'none' if not bool(found.any()) else f'{share:.0%}'} of {_PROBES:,} random cells of {self.space.name}. "
            "A proposed cell that it lacks is a failed evaluation",
        )

    def candidates(self) -> Tensor:
        """The cells that have a value, in the order of the table's rows: [n, D] long."""
        return self.benchmark.codes[~self.benchmark.values(self.metric).isnan()]

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        """Look up ``codes`` [B, D]; every metric of the table comes along, those that were not measured left out.

        Raises:
            InvalidCodeError: a row is no cell of the space.
        """
        started = time.perf_counter()
        held = self.benchmark.holds(codes)  # many tables hold a part of their space
        names = dict.fromkeys([*self.benchmark.metrics, self.metric])
        values = torch.full((len(held), len(names)), math.nan, dtype=torch.double)
        for column, name in enumerate(names):
            values[held.cpu(), column] = self.benchmark.query(codes[held], name).cpu()
        columns = dict(zip(names, values.T.tolist(), strict=True))
        seconds = (time.perf_counter() - started) / max(len(held), 1)
        return (self._evaluation(columns, row, seconds) for row in range(len(held)))

    def _evaluation(self, columns: dict[str, list[float]], row: int, seconds: float) -> Evaluation:
        metrics = {name: column[row] for name, column in columns.items() if not math.isnan(column[row])}
        if self.metric not in metrics:
            failure = f"{self.benchmark.name} holds no {self.metric} of this cell"
            return Evaluation(None, metrics, seconds, failure)
        return Evaluation(metrics[self.metric], metrics, seconds)

    def config(self) -> dict[str, object]:
        # the digest: a campaign must not go on with another table that was imported under the same name
        return {"name": self.name, "benchmark": self.benchmark.name, "metric": self.metric, "data": self._digest}
