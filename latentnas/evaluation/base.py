"""What a cell is worth: the protocol of evaluators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from ..spaces import SearchSpace


@dataclass(frozen=True)
class Evaluation:
    """The outcome of evaluating one cell.

    Attributes:
        value: the objective, larger is better; None where the evaluation failed.
        metrics: further measurements by name (accuracies in %, parameters, MACs...).
        seconds: wall-clock time that the evaluation took.
        failure: why it failed, one sentence; None where it succeeded.
    """

    value: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None


class Evaluator(ABC):
    """Evaluates cells of one space.

    Contract: :meth:`evaluate` yields one :class:`Evaluation` per row, in order, each as soon as it
    is known, so that a caller can store it at once. An evaluation that goes wrong (divergence, out
    of memory, time limit) yields a failure; exceptions are for wrong arguments and broken set-ups.

    Attributes:
        name: the name under which :func:`latentnas.search` finds the evaluator.
        space: the space whose codes it evaluates.
        optimum: the best value of the space where it is known, else None.
        notes: sentences for the user before a campaign starts, such as that most cells will fail.
    """

    name: str
    space: SearchSpace
    optimum: float | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        """Evaluate ``codes`` [B, D], one :class:`Evaluation` a row, in order."""

    def config(self) -> dict[str, object]:
        """Plain settings (JSON types) that tell this evaluator from others; stored with a campaign."""
        return {"name": self.name}
