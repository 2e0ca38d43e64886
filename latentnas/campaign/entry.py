"""search(): a campaign in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..device import gradients
from ..errors import ConfigError
from ..evaluation.base import Evaluator
from ..optimization.base import Strategy
from ..spaces import SearchSpace
from .config import CampaignConfig
from .loop import Campaign
from .result import SearchProgress, SearchResult

INITIAL = 10
"""Random cells first, for the strategies that have such a phase."""


def search(
    *,
    space: str | SearchSpace,
    strategy: str | Strategy = "latent-bo",
    evaluator: str | Evaluator = "tabular",
    budget: int,
    seed: int = 0,
    store: str | Path | None = None,
    name: str | None = None,
    batch: int = 5,
    initial: int = INITIAL,
    latent: Any = None,
    surrogate: str | None = None,
    surrogate_options: Mapping[str, Any] | None = None,
    strategy_options: Mapping[str, Any] | None = None,
    evaluator_options: Mapping[str, Any] | None = None,
    max_seconds: float | None = None,
    max_attempts: int = 3,
    on_event: Callable[[SearchProgress], None] | None = None,
) -> SearchResult:
    """Search a space: run a campaign until its budget is spent, and return what it found.

    With a ``store``, running the same command again goes on where the last run stopped or was killed,
    and several processes may run it at once.

    Args:
        space: the search space or its name.
        strategy: a strategy, or its name (with ``seed``, ``initial``, ``latent``, ``surrogate``,
            ``strategy_options``).
        evaluator: an evaluator, or its name (with ``evaluator_options``).
        budget: number of evaluations in all, failed ones included.
        seed: seed of every random choice, in 0..2**63-1.
        store: URL as Optuna takes it (``sqlite:///runs/demo.db``) or path of an SQLite file; None keeps
            the campaign in memory.
        name: the campaign's name in its store; by default made of space, table and metric where these are
            not the usual ones, strategy, surrogate where it is a predictor, evaluator and seed.
        batch: cells asked for at a time; of a larger batch 100 at a time.
        initial: random cells first, for the strategies that have such a phase.
        latent: a latent space, its folder or its shipped name, for the strategies that search in one.
        surrogate: what judges cells, for the strategies that take one: None or "gp" for Gaussian processes, "auto",
            "forest", or an encoder of a predictor (:func:`latentnas.optimization.list_surrogates`).
        surrogate_options: settings of that predictor.
        strategy_options: further arguments of the strategy.
        evaluator_options: further arguments of the evaluator.
        max_seconds: stop this run after so many seconds, between two evaluations.
        max_attempts: evaluations of a cell whose process died, after which the cell counts as failed.
        on_event: is called with a :class:`SearchProgress` after every evaluation and with every note.

    Returns:
        SearchResult: trials, best cells, and why the search ended: the budget, the time, Ctrl-C, or a space
        that is exhausted.

    Raises:
        ConfigError: settings are wrong (all are listed), or the set-up is broken.
        StoreError: the store cannot be used, or has this campaign with other settings.
    """
    own_space = space if isinstance(space, SearchSpace) else None
    own_strategy = strategy if isinstance(strategy, Strategy) else None
    own_evaluator = evaluator if isinstance(evaluator, Evaluator) else None
    own_latent = None if latent is None or isinstance(latent, str | Path) else latent
    if own_strategy is not None:
        by_name: dict[str, Any] = {
            "surrogate": surrogate,
            "surrogate_options": surrogate_options,
            "strategy_options": strategy_options,
        }
        by_name |= {"latent": latent, "initial": None if initial == INITIAL else initial}
        by_name |= {"seed": None if seed in (0, own_strategy.seed) else seed}
        _refuse_beside("strategy", by_name)
    if own_evaluator is not None:
        _refuse_beside("evaluator", {"evaluator_options": evaluator_options})
    objects = {"space": own_space, "strategy": own_strategy, "evaluator": own_evaluator}
    config = CampaignConfig.of(
        {
            "space": own_space.name if own_space else space,
            "strategy": own_strategy.name if own_strategy else strategy,
            "evaluator": own_evaluator.name if own_evaluator else evaluator,
            "budget": budget,
            "seed": own_strategy.seed if own_strategy else seed,
            "store": None if store is None else str(store),
            "name": name,
            "batch": batch,
            "initial": initial,
            # Of an object its name is kept, where it has one: what it was loaded from.
            "latent": str(latent) if isinstance(latent, str | Path) else getattr(latent, "name", None),
            "surrogate": surrogate,
            "surrogate_options": dict(surrogate_options or {}),
            "strategy_options": dict(strategy_options or {}),
            "evaluator_options": dict(evaluator_options or {}),
            "max_seconds": max_seconds,
            "max_attempts": max_attempts,
        },
        custom=[setting for setting, value in objects.items() if value is not None],
    )
    with gradients():
        campaign = Campaign(
            config,
            space=own_space,
            strategy=own_strategy,
            evaluator=own_evaluator,
            latent=own_latent,
            on_event=on_event,
        )
        return campaign.run()


def _refuse_beside(kind: str, settings: dict[str, Any]) -> None:
    """Refuse settings that go with a name, where an object is given that has its own."""
    given = [name for name, value in settings.items() if value is not None and value != {}]
    if given:
        raise ConfigError(
            f"search: {', '.join(given)} would not be used: a {kind} object was given, which has its own; such "
            f"settings go with the name of a {kind}"
        )
