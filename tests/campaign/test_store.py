from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch

from latentnas import get_space
from latentnas.campaign import Store
from latentnas.errors import StoreError
from latentnas.evaluation.base import Evaluation
from latentnas.optimization import Proposals

SPACE = get_space("nasbench201")
CONFIG = {"space": "nasbench201", "strategy": "random", "seed": 3, "budget": 10, "store": "x", "name": "c"}
CODES = torch.tensor([[0, 1, 2, 3, 4, 0], [3, 3, 3, 3, 3, 3], [1, 2, 1, 2, 1, 2]])


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.db" if request.param == "sqlite" else None, "c", create=True)
    store.register(CONFIG, {"evaluator": {"name": "fake"}}, 99.5)
    yield store
    store.close()


def propose(store: Store, codes: torch.Tensor = CODES, budget: int = 10, worker: str = "w") -> list[int]:
    proposals = Proposals(codes, [f"source {i}" for i in range(len(codes))])
    return [t.number for t in store.propose(SPACE, proposals, budget=budget, seed=3, worker=worker)]


def test_a_proposals_life(store: Store) -> None:
    latents = torch.tensor([[0.1, -0.2]], dtype=torch.double)
    number = torch.tensor([1 / 3], dtype=torch.double)
    proposals = Proposals(CODES[:1], ["mutation"], latents, number, number + 1, number + 2, ["widened"])
    (waiting,) = store.propose(SPACE, proposals, budget=10, seed=3, worker="w")
    assert (waiting.state, waiting.attempts, waiting.started, waiting.value) == ("waiting", 0, None, None)
    assert waiting.code == (0, 1, 2, 3, 4, 0)
    assert waiting.key == SPACE.keys(CODES[:1])[0]
    assert waiting.text == "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    assert (waiting.source, waiting.batch, waiting.seed) == ("mutation", 0, 3)
    assert waiting.latent == (0.1, -0.2)
    assert (waiting.acquisition, waiting.mean, waiting.std) == (1 / 3, 4 / 3, 7 / 3)
    assert store.notes() == ["widened"]

    before = time.time()
    assert store.start(waiting, "w")
    running = store.trials()[0]
    assert (running.state, running.attempts, running.worker) == ("running", 1, "w")
    assert running.started is not None and before - 1 <= running.started <= time.time()

    value = 0.1 + 0.2  # 0.30000000000000004: every bit is kept
    finished = store.finish(0, Evaluation(value, {"macs": 1e6}, seconds=2.5), "w")
    assert finished == store.trials()[0]
    assert finished is not None and finished.value == value
    assert (finished.state, finished.metrics, finished.seconds) == ("complete", {"macs": 1e6}, 2.5)
    assert finished.finished is not None and finished.finished >= running.started
    assert finished.failure is None


def test_a_failed_evaluation(store: Store) -> None:
    propose(store)
    assert store.start(store.trials()[1], "w")
    store.finish(1, Evaluation(None, {"epochs": 2.0}, 1.0, "diverged"), "w")
    trial = store.trials()[1]
    assert (trial.state, trial.value, trial.failure, trial.metrics) == ("failed", None, "diverged", {"epochs": 2.0})
    assert trial.finished is not None


def test_known_networks_and_what_exceeds_the_budget_are_left_out(store: Store) -> None:
    assert propose(store, CODES[:2]) == [0, 1]
    # The last edge leads from a vertex that only zeros reach: two codes of one network.
    twins = torch.tensor([[0, 0, 0, 4, 0, 1], [0, 0, 0, 4, 0, 2], [3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]])
    assert propose(store, twins) == [2, 3]
    assert [trial.code for trial in store.trials()[2:]] == [(0, 0, 0, 4, 0, 1), (1, 1, 1, 1, 1, 1)]
    assert propose(store, torch.tensor([[4, 4, 4, 4, 4, 4], [2, 2, 2, 2, 2, 2]]), budget=5) == [4]
    assert propose(store, torch.tensor([[2, 2, 2, 2, 2, 2]]), budget=5) == []
    assert [trial.batch for trial in store.trials()] == [0, 0, 1, 1, 2]


def test_a_proposal_is_taken_once(store: Store) -> None:
    propose(store)
    seen = store.trials()[0]
    assert store.start(seen, "a")
    assert not store.start(seen, "b"), "it is no longer as b saw it"
    assert store.finish(0, Evaluation(1.0), "b") is None
    assert store.trials()[0].worker == "a"
    assert store.start(store.trials()[0], "b"), "b knows of a and takes over"
    assert store.finish(0, Evaluation(1.0), "a") is None, "a was taken for dead"
    assert store.finish(0, Evaluation(2.0), "b") is not None
    assert store.finish(0, Evaluation(3.0), "b") is None
    assert (store.trials()[0].value, store.trials()[0].attempts) == (2.0, 2)
    assert not store.start(store.trials()[0], "c")


def test_give_up(store: Store) -> None:
    propose(store)
    seen = store.trials()[0]
    assert store.start(seen, "a")
    assert store.give_up(seen, "too late") is None
    failed = store.give_up(store.trials()[0], "its worker died")
    assert failed is not None and (failed.state, failed.failure, failed.attempts) == ("failed", "its worker died", 1)


def test_release_leaves_others_and_finished_ones_alone(store: Store) -> None:
    propose(store, CODES[:2], worker="a")
    propose(store, CODES[2:], worker="b")
    assert store.start(store.trials()[0], "a")
    store.release("a")
    assert [(t.state, t.worker, t.attempts) for t in store.trials()] == [
        ("waiting", None, 0),
        ("waiting", None, 0),
        ("waiting", "b", 0),
    ]


def test_settings_are_checked(store: Store) -> None:
    store.register({**CONFIG, "budget": 20, "store": "elsewhere"}, {"evaluator": {"name": "fake"}}, 99.5)
    config = store.config
    assert config is not None and config["budget"] == 20 and "store" not in config
    assert store.optimum == 99.5
    with pytest.raises(StoreError) as caught:
        store.register({**CONFIG, "seed": 4, "strategy": "evolution"}, {"evaluator": {"name": "other"}}, 99.5)
    for line in (
        "seed: stored 3, given 4",
        "strategy: stored 'random', given 'evolution'",
        "evaluator: name: stored 'fake', given 'other'",
    ):
        assert line in str(caught.value)
    assert store.config == config


def test_runs_and_signs_of_life(store: Store) -> None:
    store.add_run("w:1:1:0", {"time": "2020-01-02", "torch": "2"})
    store.add_run("w:2:1:0", {"time": "2020-01-01", "torch": "2"})
    store.beat("w:1:1:0", 12.5)
    store.beat("w:1:1:0", 13.5)
    assert [run["time"] for run in store.runs()] == ["2020-01-01", "2020-01-02"]
    assert store.seen() == {"w:1:1:0": 13.5}


def test_optuna_reads_a_campaign_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", "c", create=True)
    store.register(CONFIG, {}, None)
    propose(store)
    for trial, value in zip(store.trials(), (1.5, 7.25, math.pi), strict=True):
        store.start(trial, "w")
        store.finish(trial.number, Evaluation(value), "w")
    study = optuna.load_study(study_name="c", storage=store.url)
    assert (study.best_value, study.best_trial.number) == (7.25, 1)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.trials[0].params == {
        "edge_0_1": "none",
        "edge_0_2": "skip_connect",
        "edge_1_2": "nor_conv_1x1",
        "edge_0_3": "nor_conv_3x3",
        "edge_1_3": "avg_pool_3x3",
        "edge_2_3": "none",
    }
    assert study.trials[2].value == math.pi


def test_parameters_of_a_space_with_many_connections(tmp_path: Path) -> None:
    space = get_space("enas_macro12")
    store = Store(tmp_path / "store.db", "c", create=True)
    codes = space.sample(1, seed=0)
    store.propose(space, Proposals(codes, ["random"]), budget=1, seed=0, worker="w")
    (trial,) = optuna.load_study(study_name="c", storage=store.url).trials
    assert list(trial.params) == [f"op_{k}" for k in range(1, 13)], "operations only, not the 66 skip bits"
    assert trial.params["op_1"] == space.node_types[2 + int(codes[0, 0])]
    assert store.trials()[0].code == tuple(codes[0].tolist())


def test_names(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    for name in ("first", "second"):
        Store(url, name, create=True).register(CONFIG, {}, None)
    optuna.create_study(study_name="foreign", storage=url).add_trial(optuna.trial.create_trial(value=1.0))
    assert Store.campaigns(url) == ["first", "second"]
    with pytest.raises(StoreError, match="no campaign 'third'; it has: first, second"):
        Store(url, "third")
    for create in (True, False):
        with pytest.raises(StoreError, match=r"'foreign' .* is an Optuna study, but no campaign"):
            Store(url, "foreign", create=create)


def test_unfinished_and_new_trials_of_others_are_seen(tmp_path: Path) -> None:
    mine = Store(tmp_path / "store.db", "c", create=True)
    mine.register(CONFIG, {}, None)
    theirs = Store(tmp_path / "store.db", "c")
    propose(mine, CODES[:2])
    assert [t.state for t in theirs.trials()] == ["waiting", "waiting"]
    mine.start(mine.trials()[1], "w")
    mine.finish(1, Evaluation(1.0), "w")
    assert [t.state for t in theirs.trials()] == ["waiting", "complete"]
    propose(theirs, CODES[2:])
    assert [t.state for t in mine.trials()] == ["waiting", "complete", "waiting"]
    assert theirs.trials() == mine.trials()


def test_a_refusal_says_everything_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db", "demo", create=True)
    old = {"space": "nasbench201", "seed": 0, "evaluator": "tabular", "evaluator_options": {"benchmark": "a"}}
    parts = {"strategy": {"name": "random", "seed": 0}, "evaluator": {"name": "tabular", "benchmark": "a", "rows": 4}}
    store.register(old, parts, None)
    new = {**old, "seed": 1, "evaluator_options": {"benchmark": "b"}}
    changed = {"strategy": {"name": "random", "seed": 1}, "evaluator": {"name": "tabular", "benchmark": "b", "rows": 5}}
    with pytest.raises(StoreError) as caught:
        store.register(new, changed, None)
    lines = str(caught.value).splitlines()
    assert lines[1:-1] == [
        "  evaluator_options.benchmark: stored 'a', given 'b'",
        "  seed: stored 0, given 1",
        "  evaluator: rows: stored 4, given 5.",
    ]
    assert lines[-1].startswith("Use the stored settings")
    with pytest.raises(StoreError) as caught:
        store.register({**old, "evaluator": "train"}, {**parts, "evaluator": {"name": "train", "epochs": 1}}, None)
    assert str(caught.value).splitlines()[1:-1] == ["  evaluator: stored 'tabular', given 'train'."]
