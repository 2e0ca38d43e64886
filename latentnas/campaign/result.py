"""What a campaign found, and how far one has come."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import ObservationError, UnknownNameError
from ..evaluation.metrics import incumbents
from ..spaces import SearchSpace, get_space
from .config import REGISTER_FIRST, CampaignConfig
from .records import Trial
from .store import Store


def stored_space(name: str, campaign: str) -> SearchSpace:
    """The space that a stored campaign searches.

    Raises:
        UnknownNameError: it is not registered; says how to register a space of one's own.
    """
    try:
        return get_space(name)
    except UnknownNameError as error:
        error.args = (f"{error}. It is the space of the campaign {campaign!r}: {REGISTER_FIRST}",)
        raise


@dataclass(frozen=True)
class SearchProgress:
    """How far a campaign has come; handed to ``on_event`` after every evaluation and with every note.

    Attributes:
        done: finished evaluations, failed ones included, of all workers and runs.
        budget: evaluations in all.
        failures: how many of ``done`` failed.
        best: the best trial so far; None before the first that completed.
        regret: the space's best value minus the best so far; None where it is not known.
        rate: evaluations per second in this run, of all workers; 0 before the first.
        eta: seconds left at this rate; None where it cannot be said.
        trial: the trial that has just finished; None where the event is another.
        notes: new sentences for the user.
    """

    done: int
    budget: int
    failures: int
    best: Trial | None
    regret: float | None
    rate: float
    eta: float | None
    trial: Trial | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SearchResult:
    """The outcome of a campaign, or of its part so far.

    Attributes:
        space: the search space.
        trials: every proposal, by number; unfinished and failed ones, too.
        config: the settings.
        optimum: the best value of the space where it is known; of a table that holds a part of the space, the
            table's best.
        store_url: where the campaign is kept; None in memory.
        name: its name there.
        stopped: why the run ended: "budget" (all done), "time limit", "interrupted" (Ctrl-C) or
            "exhausted" (nothing new in the space); "store" where it was read from a store.
        notes: what the strategy had to say, and why this run ended before or beyond its budget.
    """

    space: SearchSpace
    trials: list[Trial]
    config: CampaignConfig
    optimum: float | None
    store_url: str | None
    name: str
    stopped: str = "store"
    notes: list[str] = field(default_factory=list)

    @classmethod
    def from_store(cls, store: Store) -> SearchResult:
        """Read a campaign back, finished or not.

        Raises:
            ObservationError: no campaign was ever started under the store's name.
        UnknownNameError: its space is not registered.
        """
        settings = store.config
        if settings is None:
            raise ObservationError(f"the campaign {store.name!r} was never started: it has no settings")
        # Objects of the caller's own were recorded by their names only.
        config = CampaignConfig.of(
            settings, custom=("space", "strategy", "evaluator"), origin=f"the campaign {store.name!r}"
        )
        space = stored_space(config.space, store.name)
        return cls(space, store.trials(), config, store.optimum, store.url, store.name, notes=store.notes())

    @property
    def completed(self) -> list[Trial]:
        """Trials with a value, by number."""
        return [trial for trial in self.trials if trial.state == "complete"]

    @property
    def best(self) -> Trial | None:
        """The trial with the largest value, the earliest of equals; None before the first value."""
        return max(self.completed, key=lambda trial: (trial.value, -trial.number), default=None)

    @property
    def codes(self) -> Tensor:
        """Codes of the completed trials: LongTensor [m, D]."""
        return torch.tensor([trial.code for trial in self.completed], dtype=torch.long).reshape(-1, self.space.dim)

    @property
    def values(self) -> Tensor:
        """Values of the completed trials: DoubleTensor [m]."""
        return torch.tensor([trial.value for trial in self.completed], dtype=torch.double)

    def incumbents(self) -> Tensor:
        """The best value after each completed trial: DoubleTensor [m]."""
        return incumbents(self.values)

    @property
    def best_code(self) -> Tensor:
        """The best code: LongTensor [D].

        Raises:
            ObservationError: no trial completed.
        """
        return torch.tensor(self._best().code, dtype=torch.long)

    def best_codes(self, k: int = 1) -> Tensor:
        """The ``k`` best codes, best first: LongTensor [min(k, m), D]."""
        ranked = sorted(self.completed, key=lambda trial: (-(trial.value or 0.0), trial.number))[:k]
        return torch.tensor([trial.code for trial in ranked], dtype=torch.long).reshape(-1, self.space.dim)

    @property
    def best_value(self) -> float:
        """The best value.

        Raises:
            ObservationError: no trial completed.
        """
        value = self._best().value
        assert value is not None
        return value

    def _best(self) -> Trial:
        best = self.best
        if best is None:
            raise ObservationError(f"the campaign {self.name!r} has no completed evaluation yet")
        return best
