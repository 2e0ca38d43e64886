"""ReportData: everything that a report shows, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..campaign.records import Trial
from ..spaces import SearchSpace
from .extent import Extent
from .random_search import RandomCurve, random_search_curve

if TYPE_CHECKING:
    from ..latent import LatentSpace


@dataclass(frozen=True, eq=False)
class Table:
    """The known values of a space, of all or of some of its cells.

    Attributes:
        codes: [N, D] long.
        values: [N] double, finite.
        name: of the benchmark.
        metric: which of its metrics the values are, with its unit where it has one.
        source: what the table was made from, one line.
        extent: how much of the space it holds, and what random search would meet; None says that the
            rows are every code of the space.
    """

    codes: Tensor
    values: Tensor
    name: str = ""
    metric: str = ""
    source: str = ""
    extent: Extent | None = None

    @property
    def whole(self) -> bool:
        """Whether it has a value for every code of the space."""
        return self.extent is None or self.extent.whole

    @property
    def share(self) -> str:
        """How much it holds: ``2,021 of 26,207 networks``."""
        return f"{len(self.codes):,} codes" if self.extent is None else self.extent.share


@dataclass(frozen=True, eq=False)
class ReportData:
    """What a report is made from.

    Attributes:
        name: the campaign's name.
        space: the space it searches.
        trials: its proposals, in any order and any state.
        config: its settings, plain YAML types.
        value_name: what the objective is called, without its unit.
        unit: the unit of the objective, written after its values; empty where it has none.
        scale: what axes say of an objective without a unit, such as "share".
        optimum: the best value of the space, or of the table where that holds a part only; where it is known.
        table: the known values of the space.
        latent_space: maps codes to latents; None where the campaign had none.
        store: where the campaign is kept.
        notes: sentences that the campaign left for the reader.
    """

    name: str
    space: SearchSpace
    trials: Sequence[Trial]
    config: Mapping[str, object] = field(default_factory=dict)
    value_name: str = "value"
    unit: str = ""
    scale: str = ""
    optimum: float | None = None
    table: Table | None = None
    latent_space: LatentSpace | None = None
    store: str | None = None
    notes: Sequence[str] = ()

    @property
    def value_label(self) -> str:
        """Name and unit of the objective, for an axis."""
        scale = self.unit or self.scale
        return f"{self.value_name} ({scale})" if scale else self.value_name

    @property
    def regret_label(self) -> str:
        """Regret and its unit, for an axis."""
        scale = "percentage points" if self.unit == "%" else self.unit or self.scale
        return f"regret ({scale})" if scale else "regret"

    @property
    def best_known(self) -> str:
        """What :attr:`optimum` is the best value of."""
        if self.table is None or self.table.whole:
            return "best of the whole space"
        return f"best of the table ({self.table.share})"

    @property
    def optimum_name(self) -> str:
        """What a picture calls :attr:`optimum`."""
        return "optimum" if self.table is None or self.table.whole else "best of the table"

    @cached_property
    def random_search(self) -> RandomCurve | None:
        """Random search over the space with as many evaluations.

        None where it is not known: without a table, or with one that lacks cells of a space that is
        too large to go through.
        """
        if self.table is None or not self.finished:
            return None
        extent = self.table.extent
        if extent is None:
            return random_search_curve(self.table.values, self.space.keys(self.table.codes), len(self.finished))
        if extent.draws is None:
            return None
        return random_search_curve(extent.draws.values, extent.draws.groups, len(self.finished))

    @property
    def draws_fail(self) -> bool:
        """Whether the table lacks more than 1% of what random search draws."""
        draws = None if self.table is None or self.table.extent is None else self.table.extent.draws
        return draws is not None and float(draws.values.isnan().double().mean()) > 0.01

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials that were evaluated, well or badly, in order of proposal."""
        return sorted((t for t in self.trials if t.state in ("complete", "failed")), key=lambda t: t.number)

    @cached_property
    def complete(self) -> list[Trial]:
        """Trials with a value, in order of proposal."""
        return [t for t in self.finished if t.state == "complete" and t.value is not None]

    @cached_property
    def failed(self) -> list[Trial]:
        """Trials whose evaluation failed, in order of proposal."""
        return [t for t in self.finished if t.state == "failed"]

    @property
    def ranked(self) -> list[Trial]:
        """Complete trials, best first; among equals, the earlier first."""
        return sorted(self.complete, key=lambda t: (-_value(t), t.number))

    @property
    def best(self) -> Trial | None:
        """The best complete trial."""
        return self.ranked[0] if self.complete else None

    @cached_property
    def incumbents(self) -> list[Trial]:
        """Complete trials that were better than all before them, in order."""
        found: list[Trial] = []
        for trial in self.complete:
            if not found or _value(trial) > _value(found[-1]):
                found.append(trial)
        return found

    def evaluation_of(self, trial: Trial) -> int:
        """Which evaluation ``trial`` was, from 1, counting failed ones."""
        return self._order[trial.number]

    @cached_property
    def _order(self) -> dict[int, int]:
        return {t.number: k for k, t in enumerate(self.finished, start=1)}

    @property
    def regret(self) -> float | None:
        """How far the best value is from the optimum, at least 0; None where either is unknown."""
        if self.best is None or self.optimum is None:
            return None
        return max(self.optimum - _value(self.best), 0.0)

    @property
    def predicted(self) -> list[Trial]:
        """Complete trials whose value a model had predicted, with its standard deviation."""
        return [t for t in self.complete if t.mean is not None and t.std is not None and math.isfinite(t.mean)]

    def codes(self, trials: Sequence[Trial]) -> Tensor:
        """Codes of ``trials``: LongTensor [m, D]."""
        return torch.tensor([t.code for t in trials], dtype=torch.long).reshape(len(trials), self.space.dim)


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value
