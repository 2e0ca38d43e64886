"""The columns of a table: metrics, each at several fidelities, each of these in several repeats."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import DataFileError, UnknownNameError
from .reader import Column, parse_column


class Columns:
    """Finds the column that a caller means; means over repeats that are not stored are computed once.

    Args:
        owner: the table's name, for messages.
        stored: column name -> [n] floats; see :func:`latentnas.benchmarks.reader.parse_column`.
    """

    def __init__(self, owner: str, stored: Mapping[str, Tensor]) -> None:
        self._owner, self.stored = owner, stored
        self._parts = {name: parse_column(name) for name in stored}
        self._means: dict[str, Tensor] = {}

    @property
    def names(self) -> list[str]:
        """Names of the stored columns, sorted."""
        return sorted(self._parts)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, sorted."""
        return sorted({part.metric for part in self._parts.values()})

    def _of(self, metric: str) -> list[Column]:
        return [part for part in self._parts.values() if part.metric == metric]

    def _levels(self, metric: str) -> list[int]:
        return sorted({part.fidelity for part in self._of(metric) if part.fidelity is not None})

    def _runs(self, metric: str, fidelity: int | None) -> list[int]:
        return sorted(p.repeat for p in self._of(metric) if p.fidelity == fidelity and p.repeat is not None)

    def fidelities(self, name: str) -> list[int]:
        """The fidelities of a metric, ascending.

        Raises:
            UnknownNameError: no such metric.
        """
        return self._levels(self.resolve(name).metric)

    def repeats(self, name: str, fidelity: int | None = None) -> list[int]:
        """The repeats of a metric at a fidelity (None for the largest), ascending.

        Raises:
            UnknownNameError: no such metric or fidelity.
        """
        part = self.resolve(name, fidelity)
        return self._runs(part.metric, self._largest(part.metric) if part.fidelity is None else part.fidelity)

    def _largest(self, metric: str) -> int | None:
        return max(self._levels(metric), default=None)

    def resolve(self, name: str, fidelity: int | None = None, repeat: int | None = None) -> Column:
        """What is meant by a name (of a metric, or of a column), a fidelity and a repeat.

        Raises:
            UnknownNameError: there is no such metric, fidelity or repeat, or the name contradicts them.
        """
        try:
            part = parse_column(name)
        except DataFileError:
            part = Column(name)
        metric, owner = part.metric, self._owner
        if not self._of(metric):
            raise UnknownNameError(f"metric of {owner}", name, self.metrics)
        for given, own, what in ((fidelity, part.fidelity, "fidelity"), (repeat, part.repeat, "repeat")):
            if given is not None and own is not None and given != own:
                raise UnknownNameError(f"{what} of {name} in {owner}", given, [str(own)])
        fidelity = part.fidelity if fidelity is None else fidelity
        repeat = part.repeat if repeat is None else repeat
        if fidelity is None and repeat is not None:
            fidelity = self._largest(metric)
        if fidelity is not None and not self._levels(metric):
            raise _one_value(f"{owner}: {metric} is held without a fidelity; leave fidelity {fidelity} out")
        if fidelity is not None and fidelity not in self._levels(metric):
            raise UnknownNameError(f"fidelity of {metric} in {owner}", fidelity, map(str, self._levels(metric)))
        if repeat is not None and not self._runs(metric, fidelity):
            raise _one_value(f"{owner}: of {metric} there is one value a cell, no repeats; leave repeat {repeat} out")
        if repeat is not None and repeat not in self._runs(metric, fidelity):
            raise UnknownNameError(f"repeat of {metric} in {owner}", repeat, map(str, self._runs(metric, fidelity)))
        return Column(metric, fidelity, repeat)

    def get(self, name: str, fidelity: int | None = None, repeat: int | None = None) -> Tensor:
        """The column that is meant, stored or the mean over repeats: [n] float32 or double, not to be changed.

        Raises:
            UnknownNameError: no such metric, fidelity or repeat.
        """
        part = self.resolve(name, fidelity, repeat)
        if part.fidelity is None and str(part) not in self._parts:
            part = Column(part.metric, self._largest(part.metric))
        full = str(part)
        if full in self._parts:
            return self.stored[full]
        if full not in self._means:
            runs = [self.stored[str(part._replace(repeat=run))] for run in self._runs(part.metric, part.fidelity)]
            self._means[full] = torch.stack(runs, 1).double().nanmean(1)
        return self._means[full]


def _one_value(message: str) -> UnknownNameError:
    """The error where a name is asked for that has no alternatives to list."""
    error = UnknownNameError("name", None, ())
    error.args = (message,)
    return error
