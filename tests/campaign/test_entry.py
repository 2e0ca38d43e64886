from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas import get_space
from latentnas.benchmarks import TabularBenchmark
from latentnas.campaign import search
from latentnas.errors import ConfigError, StoreError
from latentnas.evaluation import TabularEvaluator
from latentnas.optimization import RandomSearch

from .fakes import WeightedSum, essence


def test_names_and_objects_give_the_same_campaign(tmp_path: Path) -> None:
    by_name = search(space="nasbench201", strategy="random", evaluator=WeightedSum(), budget=12, seed=3)
    space = get_space("nasbench201")
    by_object = search(
        space=space,
        strategy=RandomSearch(space, seed=3),
        evaluator=WeightedSum(),
        budget=12,
        store=tmp_path / "store.db",
    )
    assert essence(by_name.trials) == essence(by_object.trials)
    assert by_object.config.seed == 3, "the strategy's own"
    assert by_object.name == "nasbench201-random-weighted-sum-s3"
    assert by_object.store_url == f"sqlite:///{tmp_path}/store.db"


def test_the_table_by_name() -> None:
    result = search(space="nasbench201", strategy="random", evaluator="tabular", budget=5, batch=2)
    assert result.optimum is not None and result.best_value <= result.optimum
    assert [t.batch for t in result.trials] == [0, 0, 1, 1, 2]


def test_options_reach_the_strategy() -> None:
    result = search(
        space="nasbench201",
        strategy="evolution",
        evaluator=WeightedSum(),
        budget=8,
        batch=1,
        strategy_options={"population_size": 3, "tournament_size": 2},
    )
    assert [t.source for t in result.trials] == ["initial"] * 3 + ["mutation"] * 5
    with pytest.raises(ConfigError, match="populatoin_size"):
        search(
            space="nasbench201",
            strategy="evolution",
            evaluator=WeightedSum(),
            budget=8,
            strategy_options={"populatoin_size": 3},
        )


def test_a_surrogate_judges() -> None:
    settings: dict[str, Any] = {
        "space": "nasbench201",
        "evaluator": WeightedSum(),
        "budget": 8,
        "initial": 5,
        "latent": "nasbench201-dvae-emb",
        "strategy_options": {"candidates": 16},
        "surrogate_options": {"trees": 5},
    }
    result = search(**settings, surrogate="forest")
    assert result.name == "nasbench201-latent-bo-forest-weighted-sum-s0"
    assert [t.mean is None for t in result.trials] == [True] * 5 + [False] * 3
    with pytest.raises(ConfigError, match="surrogate_options are for predictors"):
        search(**settings)
    with pytest.raises(ConfigError, match="latent-ei: takes no surrogate, got 'forest'"):
        search(space="nasbench201", strategy="latent-ei", budget=8, surrogate="forest")
    with pytest.raises(ConfigError, match="'surrogate' is a setting of the campaign"):
        search(space="nasbench201", budget=8, strategy_options={"surrogate": "forest"})


def test_faults_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        search(space="nowhere", strategy="nohow", evaluator="nothing", budget=0)
    assert str(caught.value).startswith("4 wrong settings")


def test_an_unusable_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        search(
            space="nasbench201",
            strategy="random",
            evaluator=WeightedSum(),
            budget=1,
            store=tmp_path / "file" / "store.db",
        )


def test_another_table_under_the_same_name_is_refused(tmp_path: Path) -> None:
    space = get_space("nasbench201")

    def run(values: list[float], budget: int) -> object:
        table = TabularBenchmark("swap", space, space.enumerate()[: len(values)], {"a": values}, default="a")
        evaluator = TabularEvaluator(table)
        return search(space=space, strategy="random", evaluator=evaluator, budget=budget, store=tmp_path / "s.db")

    run([float(k) for k in range(15_000)], 10)
    with pytest.raises(StoreError, match=r"evaluator: data: stored '\w{16}', given '\w{16}'"):
        run([float(-k) for k in range(15_000)], 20)


def test_a_partial_table_is_said_at_the_start() -> None:
    space = get_space("nasbench201")
    table = TabularBenchmark("part", space, space.enumerate()[:8000], {"a": range(8000)}, default="a")
    result = search(space=space, strategy="random", evaluator=TabularEvaluator(table), budget=10)
    assert any("the table part holds 8,000 cells" in note for note in result.notes)


def test_settings_that_an_object_has_of_its_own_are_refused() -> None:
    space = get_space("nasbench201")
    strategy, evaluator = RandomSearch(space, seed=5), TabularEvaluator("nasbench201")
    for settings, words in (
        ({"strategy": strategy, "strategy_options": {"a": 1}, "latent": "nasbench201"}, "strategy_options, latent"),
        ({"strategy": strategy, "seed": 7}, "seed"),
        ({"strategy": strategy, "surrogate": "gates", "initial": 3}, "surrogate, initial"),
        ({"strategy": "random", "evaluator": evaluator, "evaluator_options": {"metric": "foo"}}, "evaluator_options"),
    ):
        with pytest.raises(ConfigError, match=f"search: {words} would not be used"):
            search(space=space, budget=3, **settings)  # type: ignore[arg-type]
    assert search(space=space, strategy=strategy, evaluator=evaluator, seed=5, budget=3).config.seed == 5


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode: Any) -> None:
    settings: dict[str, Any] = {"space": "nasbench201", "evaluator": WeightedSum(), "budget": 14}
    settings["strategy_options"] = {"judges": ["structure"]}
    expected = search(**settings)
    with mode():
        assert essence(search(**settings).trials) == essence(expected.trials)
