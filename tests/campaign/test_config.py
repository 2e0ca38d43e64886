from __future__ import annotations

from pathlib import Path

import pytest

from latentnas.campaign import CampaignConfig
from latentnas.campaign.config import differences
from latentnas.errors import ConfigError


def test_yaml_with_defaults(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text("space: nasbench201\nstrategy: evolution\nbudget: 30\nstrategy_options: {tournament_size: 4}\n")
    config = CampaignConfig.from_yaml(file)
    assert (config.space, config.strategy, config.evaluator) == ("nasbench201", "evolution", "tabular")
    assert (config.budget, config.batch, config.initial, config.seed) == (30, 5, 10, 0)
    assert config.strategy_options == {"tournament_size": 4}
    assert config.title == "nasbench201-evolution-tabular-s0"
    assert CampaignConfig.of(config.to_dict()) == config


def test_every_fault_is_reported_at_once() -> None:
    settings = {
        "space": "nasbench210",
        "strategy": "evolutoin",
        "budgte": 10,
        "batch": 0,
        "seed": "one",
        "max_seconds": -1.0,
        "evaluator_options": {"table": {1, 2}},
    }
    with pytest.raises(ConfigError) as caught:
        CampaignConfig.of(settings)
    message = str(caught.value)
    assert message.startswith("8 wrong settings:")
    for words in (
        "unknown space 'nasbench210'. Did you mean 'nasbench201'?",
        "unknown strategy 'evolutoin'. Did you mean 'evolution'?",
        "budgte: unknown setting, did you mean 'budget'?",
        "budget: missing",
        "batch: should be greater than or equal to 1, got 0",
        "seed: should be a valid integer, got 'one'",
        "max_seconds: should be greater than 0, got -1.0",
        "evaluator_options: must be plain values",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [1", "cannot read"), ("- 1\n- 2\n", "expected a mapping"), ("", "expected a mapping"), ("1: 2", "mapping")],
)
def test_a_file_that_holds_no_settings(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        CampaignConfig.from_yaml(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        CampaignConfig.from_yaml(tmp_path / "none.yaml")


def test_faults_of_a_file_name_it(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text("space: nasbench201\nstrategy: random\nbudget: 0\n")
    with pytest.raises(ConfigError, match=r"1 wrong setting in .*campaign\.yaml"):
        CampaignConfig.from_yaml(file)


def test_names_of_own_objects_need_not_be_registered() -> None:
    settings = {"space": "nasbench201", "strategy": "random", "evaluator": "mine", "budget": 1}
    assert CampaignConfig.of(settings, custom=["evaluator"]).evaluator == "mine"
    with pytest.raises(ConfigError, match="unknown evaluator 'mine'"):
        CampaignConfig.of(settings)


def test_differences_name_both_values_and_leave_out_what_may_change() -> None:
    old = {"seed": 0, "budget": 10, "strategy_options": {"population_size": 50}, "latent": None}
    new = {"seed": 1, "budget": 99, "strategy_options": {"tournament_size": 2}, "latent": None}
    assert differences(old, new, free=["budget"]) == [
        "seed: stored 0, given 1",
        "strategy_options.population_size: stored 50, given not set",
        "strategy_options.tournament_size: stored not set, given 2",
    ]


def test_seeds_have_a_largest() -> None:
    settings = {"space": "nasbench201", "budget": 1}
    assert CampaignConfig.of({**settings, "seed": 2**63 - 1}).seed == 2**63 - 1
    for seed in (2**63, -1, True):
        with pytest.raises(ConfigError, match=f"seed: .*got {seed}"):
            CampaignConfig.of({**settings, "seed": seed})


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({}, "nasbench201-random-tabular-s0"),
        (
            {"evaluator_options": {"benchmark": "nasbench201", "metric": "cifar10_test"}},
            "nasbench201-random-tabular-s0",
        ),
        ({"evaluator_options": {"metric": "cifar10_test_qat"}}, "nasbench201-random-tabular-cifar10_test_qat-s0"),
        ({"evaluator_options": {"benchmark": "mine"}}, "nasbench201-mine-random-tabular-s0"),
        ({"evaluator_options": {"benchmark": "nasbench201-b", "metric": "m"}}, "nasbench201-b-random-tabular-m-s0"),
        ({"evaluator": "train", "evaluator_options": {"epochs": 2}}, "nasbench201-random-train-s0"),
        ({"name": "own", "evaluator_options": {"benchmark": "mine"}}, "own"),
    ],
)
def test_the_default_name_says_which_table_and_metric(settings: dict[str, object], title: str) -> None:
    config = CampaignConfig.of({"space": "nasbench201", "strategy": "random", "budget": 1, **settings})
    assert config.title == title


def test_a_surrogate_is_in_settings_and_name_only_where_it_is_a_predictor() -> None:
    settings = {"space": "nasbench201", "budget": 1}
    plain = CampaignConfig.of(settings)
    assert not {"surrogate", "surrogate_options"} & {*plain.to_dict()}
    processes = CampaignConfig.of({**settings, "surrogate": "gp"})
    assert (processes.to_dict(), processes.title) == (plain.to_dict(), "nasbench201-latent-bo-tabular-s0")
    gates = CampaignConfig.of({**settings, "surrogate": "gates", "surrogate_options": {"epochs": 3}})
    assert gates.to_dict() == {**plain.to_dict(), "surrogate": "gates", "surrogate_options": {"epochs": 3}}
    assert gates.title == "nasbench201-latent-bo-gates-tabular-s0"
    assert CampaignConfig.of(gates.to_dict()) == gates
    metric = {"evaluator_options": {"metric": "cifar10_test_qat"}, "surrogate": "auto"}
    assert CampaignConfig.of({**settings, **metric}).title == "nasbench201-latent-bo-auto-tabular-cifar10_test_qat-s0"


def test_an_unknown_surrogate_is_one_of_the_faults() -> None:
    with pytest.raises(ConfigError, match=r"(?s)2 wrong settings.*surrogate: unknown surrogate 'gatez'.*Known: auto, "):
        CampaignConfig.of({"space": "nasbench201", "budget": 0, "surrogate": "gatez"})


def test_an_unknown_space_may_be_one_of_the_users_own() -> None:
    with pytest.raises(ConfigError, match=r"unknown space 'mine'.*register it first .*latentnas --import FILE"):
        CampaignConfig.of({"space": "mine", "budget": 1})
