"""The conformance suite on every registered strategy."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import pytest

from latentnas.latent import LatentSpace
from latentnas.optimization import _STRATEGIES as REGISTERED
from latentnas.optimization import get_strategy, list_strategies
from latentnas.spaces import ENASMacro

from .conformance import Build, StrategyConformance

QUICK: dict[str, dict[str, Any]] = {
    "evolution": {"population_size": 8, "tournament_size": 3},
    "latent-bo": {"initial": 6, "candidates": 64},
    "latent-bo by forest": {"initial": 6, "candidates": 64, "surrogate": "forest", "surrogate_options": {"trees": 5}},
    "latent-bo by gates": {
        "initial": 6,
        "candidates": 64,
        "surrogate": "gates",
        "surrogate_options": {"epochs": 2, "ensemble": 2, "head": [16], "options": {"layers": 1, "hidden": 16}},
    },
    "latent-ei": {"initial": 6},
    "nar": {"initial": 6, "sample_size": 24, "epochs": 2},
    "random": {},
}
"""Options that make a strategy quick, and its first phase short; "by" stands before a surrogate."""


def test_every_strategy_is_here() -> None:
    assert {name.partition(" by ")[0] for name in QUICK} == set(list_strategies())


def strategy_of(name: str) -> str:
    return name.partition(" by ")[0]


def options(name: str, latent: LatentSpace) -> dict[str, Any]:
    takes_latent = "latent" in inspect.signature(REGISTERED[strategy_of(name)]).parameters
    return {**QUICK[name], **({"latent": latent} if takes_latent else {})}


@pytest.fixture(params=sorted(QUICK))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build(name: str, shipped_latent: LatentSpace) -> Build:
    return partial(get_strategy, strategy_of(name), "nasbench201", **options(name, shipped_latent))


@pytest.fixture
def build_tiny(name: str, tiny_latent: LatentSpace) -> Build:
    settings = options(name, tiny_latent)
    if "initial" in settings:  # most of the 72 cells at random, so that few batches are optimised
        settings["initial"] = 63
    return partial(get_strategy, strategy_of(name), ENASMacro(layers=2), **settings)


class TestEveryStrategy(StrategyConformance):
    pass
