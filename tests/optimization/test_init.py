from __future__ import annotations

import pytest

from latentnas import optimization
from latentnas.errors import ConfigError, UnknownNameError
from latentnas.latent import LatentSpace
from latentnas.optimization import LatentBO, LatentEI, RegularizedEvolution, get_strategy, list_strategies
from latentnas.spaces import get_space


def test_names_are_sorted_and_are_the_classes_own() -> None:
    names = list_strategies()
    assert names == sorted(names)
    assert {"random", "evolution", "latent-bo"} <= set(names)
    for name in names:
        assert get_strategy(name, "nasbench201").name == name


def test_options_reach_the_strategy(shipped_latent: LatentSpace) -> None:
    strategy = get_strategy("latent-bo", "nasbench201", seed=7, initial=4, latent=shipped_latent, candidates=33)
    assert isinstance(strategy, LatentBO)
    assert (strategy.seed, strategy.initial, strategy.candidates) == (7, 4, 33)
    assert strategy.latent is shipped_latent
    assert strategy.space is get_space("nasbench201")
    evolution = get_strategy("evolution", "enas_macro6", population_size=9, tournament_size=4)
    assert isinstance(evolution, RegularizedEvolution)
    assert (evolution.population_size, evolution.tournament_size) == (9, 4)


def test_default_latent_space_is_the_shipped_one() -> None:
    strategy = get_strategy("latent-ei", "nasbench201", latent=None, initial=None)
    assert isinstance(strategy, LatentEI)
    assert strategy.latent.space.name == "nasbench201"
    assert strategy.initial == 10


def test_initial_is_ignored_where_there_is_no_such_phase() -> None:
    assert get_strategy("random", "nasbench201", initial=3).name == "random"


def test_unknown_strategy() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'evolution'"):
        get_strategy("evolutoin", "nasbench201")


def test_unknown_space() -> None:
    with pytest.raises(UnknownNameError, match="unknown space"):
        get_strategy("random", "nasbench202")


def test_unknown_options_are_named_with_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'pop', 'size'; known: population_size, tournament_size"):
        get_strategy("evolution", "nasbench201", pop=1, size=2)
    with pytest.raises(ConfigError, match="known: none"):
        get_strategy("random", "nasbench201", anything=1)


@pytest.mark.parametrize("name", ["evolution", "latent-ei", "nar", "random"])
def test_surrogate_where_none_is_taken(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: takes no surrogate, got 'gates'; .* in latent-bo$"):
        get_strategy(name, "nasbench201", surrogate="gates")


def test_surrogate_by_name(shipped_latent: LatentSpace) -> None:
    strategy = get_strategy("latent-bo", "nasbench201", latent=shipped_latent, surrogate="forest")
    assert isinstance(strategy, LatentBO)
    assert (strategy.surrogate, strategy.judges) == ("forest", ("forest",))
    with pytest.raises(UnknownNameError, match=r"unknown surrogate 'gatse'. Did you mean 'gates'"):
        get_strategy("latent-bo", "nasbench201", latent=shipped_latent, surrogate="gatse")


def test_latent_space_where_none_is_taken(shipped_latent: LatentSpace) -> None:
    with pytest.raises(ConfigError, match="takes no latent space"):
        get_strategy("random", "nasbench201", latent=shipped_latent)


@pytest.mark.parametrize("name", ["latent-bo", "latent-ei"])
@pytest.mark.parametrize("options", [{"initial": 1}, {"initial": "many"}, {"target": "log"}, {"exact_limit": 0}])
def test_values_that_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=name):
        get_strategy(name, "nasbench201", **options)  # type: ignore[arg-type]


def test_a_strategys_own_bug_is_not_taken_for_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    class Buggy(RegularizedEvolution):
        def __init__(self, space: str, *, seed: int = 0) -> None:
            raise TypeError("a bug")

    monkeypatch.setitem(optimization._STRATEGIES, "buggy", Buggy)
    with pytest.raises(TypeError, match="a bug"):
        get_strategy("buggy", "nasbench201")
