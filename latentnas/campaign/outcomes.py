"""Outcomes of evaluations as a campaign keeps them, and when failures say that going on is useless."""

from __future__ import annotations

import math

from ..evaluation.base import Evaluation, Evaluator
from ..evaluation.tabular import TabularEvaluator

BROKEN_SETUP = 10
"""A run whose first so many evaluations all raise exceptions is stopped: the set-up is broken."""

ALL_FAILED = 50
"""A run whose first so many evaluations all failed, in a campaign without a value, is stopped."""


def why_hopeless(evaluator: Evaluator, *, raised: int, returned: int, valued: bool, last: str | None) -> str | None:
    """Why a run should not go on; None where it should.

    Args:
        evaluator: the evaluator.
        raised: how many evaluations of this run raised.
        returned: how many returned, well or badly.
        valued: whether any evaluation of the campaign gave a value.
        last: the reason of the last failure.
    """
    if returned == 0 and raised >= BROKEN_SETUP:
        return (
            f"the first {raised} evaluations all raised exceptions, so the set-up of the evaluator "
            f"{evaluator.name!r} seems broken; the last: {last}"
        )
    if valued or raised + returned < ALL_FAILED:
        return None
    why = f"the first {raised + returned} evaluations of this run all failed; the last: {last}"
    if isinstance(evaluator, TabularEvaluator):
        table = evaluator.benchmark
        why += (
            f"; the table {table.name} holds {len(table):,} {'networks' if table.by_network else 'cells'}, only a part "
            f"of the space {table.space.name}; a search needs a table that holds most of what it proposes"
        )
    return why


def checked(evaluation: Evaluation) -> Evaluation:
    """The evaluation with plain numbers; one without a usable value becomes a failure."""
    value, failure = evaluation.value, evaluation.failure
    if failure is None and (value is None or not math.isfinite(value)):
        failure = f"the evaluator returned the value {value}"
    metrics = {str(name): float(measured) for name, measured in evaluation.metrics.items()}
    return Evaluation(
        value=None if failure is not None or value is None else float(value),
        metrics=metrics,
        seconds=float(evaluation.seconds),
        failure=None if failure is None else str(failure),
    )


def in_words(error: Exception) -> str:
    """The reason of a failure, for an evaluator that raised."""
    if isinstance(error, StopIteration):
        return "the evaluator ended before this cell's result"
    return f"{type(error).__name__}: {error}"
