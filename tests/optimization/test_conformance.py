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
    "latent-ei": {"initial": 6},
    "nar": {"initial": 6, "sample_size": 24, "epochs": 2},
    "random": {},
}
"""Options that make a strategy quick, and its first phase short."""


def options(name: str, latent: LatentSpace) -> dict[str, Any]:
    takes_latent = "latent" in inspect.signature(REGISTERED[name]).parameters
    return {**QUICK[name], **({"latent": latent} if takes_latent else {})}


@pytest.fixture(params=list_strategies())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build(name: str, shipped_latent: LatentSpace) -> Build:
    return partial(get_strategy, name, "nasbench201", **options(name, shipped_latent))


@pytest.fixture
def build_tiny(name: str, tiny_latent: LatentSpace) -> Build:
    settings = options(name, tiny_latent)
    if "initial" in settings:  # most of the 72 cells at random, so that few batches are optimised
        settings["initial"] = 63
    return partial(get_strategy, name, ENASMacro(layers=2), **settings)


class TestEveryStrategy(StrategyConformance):
    pass
