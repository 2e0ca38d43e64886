"""Evaluators and helpers for the tests of campaigns."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from latentnas import get_space
from latentnas.campaign import Trial
from latentnas.evaluation.base import Evaluation, Evaluator

WEIGHTS = (0.1, 0.7, 0.03, 1.3, 0.011, 0.5)


def worth(code: tuple[int, ...]) -> float:
    """The value that :class:`WeightedSum` gives a cell."""
    return sum(weight * operation for weight, operation in zip(WEIGHTS, code, strict=True))


class WeightedSum(Evaluator):
    """A weighted sum of the operations of a NAS-Bench-201 cell; the best is 4 everywhere.

    Args:
        before: is called with every code before its evaluation; may raise, or return a failure's reason.
        log: file to which the key of every evaluation is appended.
        delay: seconds that an evaluation takes.
    """

    name = "weighted-sum"

    def __init__(
        self,
        before: Callable[[tuple[int, ...]], str | None] | None = None,
        log: Path | None = None,
        delay: float = 0.0,
    ) -> None:
        self.space = get_space("nasbench201")
        self.optimum = worth((4,) * 6)
        self.before, self.log, self.delay = before, log, delay
        self.evaluated: list[tuple[int, ...]] = []

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        for code, key in zip(map(tuple, codes.tolist()), self.space.keys(codes), strict=True):
            if self.log is not None:
                handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(handle, f"{os.getpid()} {key}\n".encode())
                os.close(handle)
            time.sleep(self.delay)
            failure = self.before(code) if self.before else None
            self.evaluated.append(code)
            if failure is not None:
                yield Evaluation(None, seconds=0.5, failure=failure)
            else:
                yield Evaluation(worth(code), {"first": float(code[0])}, seconds=0.25)


def essence(trials: list[Trial]) -> list[tuple[object, ...]]:
    """What must be equal in two runs of one campaign: everything but times, attempts and workers."""
    return [(t.number, t.state, t.code, t.key, t.value, t.metrics, t.source, t.batch, t.failure) for t in trials]
