"""Strategies: what to evaluate next."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import ConfigError, UnknownNameError
from ..spaces import SearchSpace
from .base import Proposals, Strategy
from .evolution import RegularizedEvolution
from .judges import list_surrogates
from .latent_bo import LatentBO
from .latent_ei import LatentEI
from .nar_search import NARSearch
from .random import RandomSearch

_STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "evolution": RegularizedEvolution,
    "latent-bo": LatentBO,
    "latent-ei": LatentEI,
    "nar": NARSearch,
    "random": RandomSearch,
}


def list_strategies() -> list[str]:
    """Names that :func:`get_strategy` knows, sorted."""
    return sorted(_STRATEGIES)


def get_strategy(
    name: str,
    space: str | SearchSpace,
    *,
    seed: int = 0,
    initial: int | None = None,
    latent: Any = None,
    surrogate: str | None = None,
    **options: Any,
) -> Strategy:
    """Build the strategy called ``name``.

    Args:
        name: one of :func:`list_strategies`.
        space: the search space or its name.
        seed: seed of every random choice.
        initial: random cells first, for the strategies that take it; the others ignore it.
        latent: the latent space, its folder or shipped name, for the strategies that take one.
        surrogate: what judges cells, of :func:`list_surrogates`, for the strategies that take one.
        options: further arguments of the strategy.

    Raises:
        UnknownNameError: no strategy, or no surrogate, has this name.
        ConfigError: the strategy has no such option, takes no latent space or surrogate, or refuses a value.
    """
    if name not in _STRATEGIES:
        raise UnknownNameError("strategy", name, _STRATEGIES)
    build = _STRATEGIES[name]
    if surrogate is not None or "surrogate_options" in options:
        takers = [other for other in list_strategies() if "surrogate" in _parameters(other)]
        if name not in takers:
            got = options.get("surrogate_options") if surrogate is None else surrogate
            raise ConfigError(
                f"{name}: takes no surrogate, got {got!r}; cells are judged by one in {', '.join(takers)}"
            )
    takes = [p for p in _parameters(name) if p not in ("space", "seed")]
    unknown = [option for option in options if option not in takes]
    if unknown:
        known = ", ".join(p for p in takes if p not in GIVEN_APART) or "none"
        raise ConfigError(f"{name}: unknown option {', '.join(map(repr, unknown))}; known: {known}")
    if latent is not None and "latent" not in takes:
        raise ConfigError(f"{name}: takes no latent space, got {latent!r}")
    given = {"initial": initial, "latent": latent, "surrogate": surrogate}
    options |= {key: value for key, value in given.items() if key in takes and value is not None}
    return build(space, seed=seed, **options)


GIVEN_APART = ("initial", "latent", "surrogate", "surrogate_options")
"""Arguments of strategies that a campaign has settings of its own for."""


def _parameters(name: str) -> list[str]:
    """Names of the arguments of a registered strategy."""
    return list(inspect.signature(_STRATEGIES[name]).parameters)


__all__ = [
    "LatentBO",
    "LatentEI",
    "NARSearch",
    "Proposals",
    "RandomSearch",
    "RegularizedEvolution",
    "Strategy",
    "get_strategy",
    "list_strategies",
    "list_surrogates",
]
