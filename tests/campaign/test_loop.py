from __future__ import annotations

import gc
import math
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas import get_space
from latentnas.campaign import Campaign, CampaignConfig, SearchProgress, SearchResult, Store, Trial
from latentnas.errors import ConfigError, ExhaustedError, ObservationError, StoreError
from latentnas.evaluation.base import Evaluation
from latentnas.optimization import Proposals, RandomSearch, RegularizedEvolution

from .fakes import WeightedSum, essence, worth

DEAD = f"{socket.gethostname()}:999999999:1:0"
FOREST = {
    "latent": "nasbench201-dvae-emb",
    "initial": 6,
    "surrogate": "forest",
    "surrogate_options": {"trees": 5},
    "strategy_options": {"candidates": 16},
}
GATES = {
    **FOREST,
    "surrogate": "gates",
    "surrogate_options": {"epochs": 2, "ensemble": 2, "head": [8], "options": {"layers": 1, "hidden": 8}},
}
BY: dict[str, dict[str, Any]] = {"forest": FOREST, "gates": GATES}
"""Settings of a small campaign of latent-bo, by surrogate."""
SMALL_EVOLUTION = {"population_size": 8, "tournament_size": 3}


class Killed(BaseException):
    """Stands for SIGKILL: the campaign that it hits is dropped, without a word to its store."""


def campaign(
    store: Path | None = None,
    *,
    strategy: str = "evolution",
    budget: int = 18,
    evaluator: WeightedSum | None = None,
    on_event: Callable[[SearchProgress], None] | None = None,
    **settings: Any,
) -> Campaign:
    if strategy == "evolution":
        settings.setdefault("strategy_options", SMALL_EVOLUTION)
    elif strategy in BY:
        strategy, settings = "latent-bo", {**BY[strategy], **settings}
    config = CampaignConfig.of(
        {
            "space": "nasbench201",
            "strategy": strategy,
            "evaluator": "weighted-sum",
            "budget": budget,
            "store": None if store is None else str(store),
            "name": "test",
            **settings,
        },
        custom=["evaluator"],
    )
    return Campaign(config, evaluator=evaluator or WeightedSum(), on_event=on_event)


def test_a_whole_campaign() -> None:
    result = campaign(budget=23).run()
    assert (result.stopped, len(result.trials), result.store_url) == ("budget", 23, None)
    assert [t.number for t in result.trials] == list(range(23))
    assert [t.batch for t in result.trials] == [n // 5 for n in range(23)]
    assert len({t.key for t in result.trials}) == 23
    assert all(t.value == worth(t.code) and t.metrics == {"first": t.code[0]} for t in result.trials)
    assert {t.source for t in result.trials[:8]} == {"initial"}
    assert result.trials[-1].source == "mutation"


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_memory_and_file_give_the_same_campaign(tmp_path: Path, strategy: str) -> None:
    kept = campaign(tmp_path / "store.db", strategy=strategy).run()
    assert essence(kept.trials) == essence(campaign(strategy=strategy).run().trials)
    other = campaign(strategy=strategy, seed=1).run()
    assert [t.code for t in other.trials] != [t.code for t in kept.trials]


def test_a_finished_campaign_is_read_back_without_evaluating(tmp_path: Path) -> None:
    first = campaign(tmp_path / "store.db").run()
    evaluator = WeightedSum()
    again = campaign(tmp_path / "store.db", evaluator=evaluator).run()
    assert evaluator.evaluated == []
    assert again.trials == first.trials
    read = SearchResult.from_store(Store(tmp_path / "store.db", "test"))
    assert (read.trials, read.optimum, read.space) == (first.trials, worth((4,) * 6), get_space("nasbench201"))
    assert read.config.strategy_options == SMALL_EVOLUTION


@pytest.mark.parametrize(
    ("strategy", "place"),
    [
        ("evolution", "before propose"),
        ("evolution", "after propose"),
        ("evolution", "before start"),
        ("evolution", "after start"),
        ("evolution", "before finish"),
        ("evolution", "after finish"),
        ("random", "before finish"),
        ("forest", "after finish"),
        ("gates", "before propose"),
        ("gates", "before finish"),
    ],
)
def test_a_killed_campaign_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, place: str
) -> None:
    reference = campaign(strategy=strategy, budget=16).run()
    when, method = place.split()
    original, calls = getattr(Store, method), [0]
    deadly = {"propose": (1, 3), "start": (1, 7, 13), "finish": (4, 5, 15)}[method]

    def with_kill(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] in deadly and when == "before":
            raise Killed
        outcome = original(*args, **options)
        if calls[0] in deadly:
            raise Killed
        return outcome

    monkeypatch.setattr(Store, method, with_kill)
    kills = 0
    while True:
        running = campaign(tmp_path / "store.db", strategy=strategy, budget=16, max_attempts=99)
        try:
            while running.stopped is None:
                running.step()
            break
        except Killed:
            kills += 1
            running._closed.set()  # its heart stops; nothing is released
            del running
            gc.collect()
    assert kills == len(deadly)
    trials = Store(tmp_path / "store.db", "test").trials()
    assert essence(trials) == essence(reference.trials)
    assert sum(t.attempts for t in trials) == 16 + (kills if place in ("after start", "before finish") else 0)


def test_another_surrogate_is_another_campaign(tmp_path: Path) -> None:
    campaign(tmp_path / "store.db", strategy="forest", budget=7).close()
    with pytest.raises(StoreError, match="surrogate: stored 'forest', given not set") as error:
        campaign(tmp_path / "store.db", strategy="latent-bo", **{**FOREST, "surrogate": None, "surrogate_options": {}})
    assert "surrogate_options.trees: stored 5, given not set" in str(error.value)


def test_equal_values_and_failures_do_not_end_a_campaign_with_a_predictor() -> None:
    evaluator = WeightedSum(lambda code: "diverged" if code[0] == 1 else None)
    original = WeightedSum.evaluate

    def equal(codes: torch.Tensor) -> Any:
        for evaluation in original(evaluator, codes):
            yield evaluation if evaluation.value is None else Evaluation(1.0)

    evaluator.evaluate = equal  # type: ignore[method-assign]
    events: list[SearchProgress] = []
    result = campaign(strategy="gates", budget=16, evaluator=evaluator, on_event=events.append).run()
    assert (len(result.trials), result.stopped) == (16, "budget")
    assert {t.source for t in result.trials} == {"initial", "random"}
    notes = [note for event in events for note in event.notes]
    assert any("gates has no order to learn yet" in note for note in notes)


def test_failures_are_recorded_and_the_campaign_goes_on() -> None:
    def before(code: tuple[int, ...]) -> str | None:
        if code[0] == 0:
            raise ZeroDivisionError("no first edge")
        return "diverged" if code[0] == 1 else None

    events: list[SearchProgress] = []
    running = campaign(strategy="random", budget=60, evaluator=WeightedSum(before), on_event=events.append)
    result = running.run()
    assert len(result.trials) == 60, "failures count against the budget"
    reasons = {0: "ZeroDivisionError: no first edge", 1: "diverged"}
    for trial in result.trials:
        assert trial.failure == reasons.get(trial.code[0])
        assert trial.state == ("failed" if trial.code[0] in reasons else "complete")
        assert trial.value == (None if trial.code[0] in reasons else worth(trial.code))
    failed = sum(trial.code[0] < 2 for trial in result.trials)
    assert 0 < failed < 60
    assert events[-1].failures == failed
    assert len(result.codes) == len(result.values) == 60 - failed
    told = dict(zip(map(tuple, running.strategy.codes.tolist()), running.strategy.values.tolist(), strict=True))
    assert all(math.isnan(told[t.code]) == (t.failure is not None) for t in result.trials)
    assert len(told) == 60


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_value_that_is_no_number_is_a_failure(value: float | None) -> None:
    class Odd(WeightedSum):
        def evaluate(self, codes: torch.Tensor) -> Any:
            return (Evaluation(value) for _ in codes)

    result = campaign(strategy="random", budget=4, evaluator=Odd()).run()
    assert [t.failure for t in result.trials] == [f"the evaluator returned the value {value}"] * 4


def test_an_evaluator_that_ends_too_early() -> None:
    class Short(WeightedSum):
        def evaluate(self, codes: torch.Tensor) -> Any:
            return iter([Evaluation(1.0), Evaluation(2.0)][: len(codes)])

    result = campaign(strategy="random", budget=5, evaluator=Short()).run()
    assert [t.value for t in result.trials] == [1.0, 2.0, None, 1.0, 2.0]
    assert result.trials[2].failure == "the evaluator ended before this cell's result"


def test_a_broken_set_up_does_not_burn_the_budget(tmp_path: Path) -> None:
    def before(code: tuple[int, ...]) -> str | None:
        raise FileNotFoundError("images.npz")

    with pytest.raises(ConfigError, match=r"first 10 evaluations all raised.*FileNotFoundError: images\.npz") as caught:
        campaign(tmp_path / "store.db", budget=100, evaluator=WeightedSum(before)).run()
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    trials = Store(tmp_path / "store.db", "test").trials()
    assert [t.state for t in trials] == ["failed"] * 10


def test_ctrl_c_keeps_what_was_finished_and_the_next_run_goes_on(tmp_path: Path) -> None:
    count = [0]

    def before(code: tuple[int, ...]) -> None:
        count[0] += 1
        if count[0] == 13:
            raise KeyboardInterrupt

    events: list[SearchProgress] = []
    store = tmp_path / "store.db"
    result = campaign(store, evaluator=WeightedSum(before), on_event=events.append).run()
    assert (result.stopped, len(result.completed)) == ("interrupted", 12)
    assert events[-1].notes == ["interrupted after 12 of 18; run the same command again to go on"]
    assert result.notes == events[-1].notes
    assert [(t.state, t.worker, t.attempts) for t in result.trials[12:]] == [("waiting", None, 0)] * 3
    resumed = campaign(store).run()
    assert essence(resumed.trials) == essence(campaign().run().trials)
    assert [t.attempts for t in resumed.trials] == [1] * 18


def test_time_limit(tmp_path: Path) -> None:
    started = time.monotonic()
    result = campaign(tmp_path / "store.db", evaluator=WeightedSum(delay=0.05), max_seconds=0.4, budget=1000).run()
    assert result.stopped == "time limit"
    assert result.notes == [f"stopped at the time limit of 0.4 s after {len(result.completed)} evaluations"]
    assert 0 < len(result.completed) <= 8
    assert time.monotonic() - started < 5
    assert all(t.worker is None for t in result.trials if t.state == "waiting")


def test_the_budget_may_grow_and_shrink(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    campaign(store, budget=10).run()
    grown = campaign(store, budget=20).run()
    assert essence(grown.trials) == essence(campaign(budget=20).run().trials)
    config = Store(store, "test").config
    assert config is not None and config["budget"] == 20
    assert grown.notes == []
    evaluator = WeightedSum()
    shrunk = campaign(store, budget=5, evaluator=evaluator).run()
    assert (len(shrunk.trials), shrunk.stopped) == (20, "budget")
    assert shrunk.notes == ["the campaign has 20 evaluations already, more than the budget of 5"]
    assert evaluator.evaluated == []


def test_other_settings_are_refused(tmp_path: Path) -> None:
    campaign(tmp_path / "store.db", budget=5).run()
    with pytest.raises(StoreError, match=r"(?s)batch: stored 5, given 7.*seed: stored 0, given 2"):
        campaign(tmp_path / "store.db", budget=5, batch=7, seed=2)


def test_an_exhausted_space_ends_the_campaign() -> None:
    class Exhausted(RandomSearch):
        def ask(self, n: int = 1) -> Proposals:
            if len(self.codes) >= 10:
                raise ExhaustedError("all 10 are known")
            return super().ask(n)

    config = CampaignConfig.of(
        {"space": "nasbench201", "strategy": "random", "evaluator": "weighted-sum", "budget": 50}, custom=["evaluator"]
    )
    events: list[SearchProgress] = []
    running = Campaign(config, strategy=Exhausted("nasbench201"), evaluator=WeightedSum(), on_event=events.append)
    result = running.run()
    assert (result.stopped, len(result.completed)) == ("exhausted", 10)
    assert events[-1].notes == ["stopped after 10 evaluations: all 10 are known"]
    assert result.notes == events[-1].notes


def test_a_strategy_that_repeats_itself_is_stopped() -> None:
    class Stuck(RandomSearch):
        def ask(self, n: int = 1) -> Proposals:
            return Proposals(torch.tensor([[3] * 6]), ["again"])

    config = CampaignConfig.of(
        {"space": "nasbench201", "strategy": "random", "evaluator": "weighted-sum", "budget": 5}, custom=["evaluator"]
    )
    with pytest.raises(ObservationError, match="all evaluated before"):
        Campaign(config, strategy=Stuck("nasbench201"), evaluator=WeightedSum()).run()


def test_strategy_and_evaluator_must_fit_the_space() -> None:
    config = CampaignConfig.of(
        {"space": "nasbench201", "strategy": "random", "evaluator": "weighted-sum", "budget": 5}, custom=["evaluator"]
    )
    with pytest.raises(ConfigError, match="random is for the space 'enas_macro6', not for 'nasbench201'"):
        Campaign(config, strategy=RandomSearch("enas_macro6"), evaluator=WeightedSum())


def left_behind(store: Path, worker: str, starts: int) -> list[Trial]:
    """A campaign whose first batch was left behind by ``worker``, the first cell started ``starts`` times."""
    campaign(store, budget=5).close()
    kept = Store(store, "test")
    strategy = RegularizedEvolution("nasbench201", **SMALL_EVOLUTION)
    trials = kept.propose(strategy.space, strategy.ask(5), budget=5, seed=0, worker=worker)
    for _ in range(starts):
        kept.start(kept.trials()[0], worker)
    kept.close()
    return trials


def test_a_cell_whose_worker_died_too_often_is_given_up(tmp_path: Path) -> None:
    trials = left_behind(tmp_path / "store.db", DEAD, starts=3)
    evaluator = WeightedSum()
    result = campaign(tmp_path / "store.db", budget=5, evaluator=evaluator).run()
    assert result.trials[0].failure == "its worker died 3 times in this evaluation: out of memory?"
    assert (result.trials[0].state, result.trials[0].attempts) == ("failed", 3)
    assert evaluator.evaluated == [trial.code for trial in trials[1:]]


def test_a_cell_whose_worker_died_is_evaluated_again(tmp_path: Path) -> None:
    trials = left_behind(tmp_path / "store.db", DEAD, starts=2)
    result = campaign(tmp_path / "store.db", budget=5).run()
    assert [(t.code, t.state) for t in result.trials] == [(t.code, "complete") for t in trials]
    assert [t.attempts for t in result.trials] == [3, 1, 1, 1, 1]


def test_fewer_attempts(tmp_path: Path) -> None:
    left_behind(tmp_path / "store.db", DEAD, starts=1)
    result = campaign(tmp_path / "store.db", budget=5, max_attempts=1).run()
    assert result.trials[0].failure == "its worker died once in this evaluation: out of memory?"


def test_cells_in_the_hands_of_a_living_worker_are_left_to_it(tmp_path: Path) -> None:
    elsewhere = "elsewhere.example:1:1:0"
    left_behind(tmp_path / "store.db", elsewhere, starts=1)
    Store(tmp_path / "store.db", "test").beat(elsewhere, time.time())
    events: list[SearchProgress] = []
    evaluator = WeightedSum()
    result = campaign(
        tmp_path / "store.db", budget=5, evaluator=evaluator, on_event=events.append, max_seconds=0.5
    ).run()
    assert (result.stopped, evaluator.evaluated) == ("time limit", [])
    assert events[0].notes == ["waiting for 5 evaluations of other workers"]
    # Silent for ten minutes: it is dead.
    Store(tmp_path / "store.db", "test").beat(elsewhere, time.time() - 600)
    assert campaign(tmp_path / "store.db", budget=5).run().stopped == "budget"


def test_two_workers_in_turn_share_what_they_learn(tmp_path: Path) -> None:
    first, second = (campaign(tmp_path / "store.db", budget=24) for _ in range(2))
    for _ in range(2):
        first.step()
        second.step()
    assert len(second.strategy.codes) == 15 and len(first.strategy.codes) == 10
    first.step()
    assert {tuple(c) for c in second.strategy.codes.tolist()} < {tuple(c) for c in first.strategy.codes.tolist()}
    assert second.run().stopped == first.run().stopped == "budget"
    trials = Store(tmp_path / "store.db", "test").trials()
    assert len(trials) == len({t.key for t in trials}) == 24
    assert len({t.worker for t in trials}) == 2


def test_progress(tmp_path: Path) -> None:
    events: list[SearchProgress] = []
    result = campaign(tmp_path / "store.db", budget=6, on_event=events.append).run()
    assert [e.done for e in events] == [1, 2, 3, 4, 5, 6]
    assert [e.trial for e in events] == result.trials
    best = [max(worth(t.code) for t in result.trials[: n + 1]) for n in range(6)]
    assert [e.best.value if e.best else None for e in events] == best
    assert [e.regret for e in events] == [worth((4,) * 6) - b for b in best]
    assert all(e.budget == 6 and e.rate > 0 and e.eta is not None for e in events)
    assert events[-1].eta == 0
    more: list[SearchProgress] = []
    campaign(tmp_path / "store.db", budget=7, on_event=more.append).run()
    assert [e.done for e in more] == [7], "what earlier runs finished is counted, and not announced again"


def test_every_run_leaves_its_provenance(tmp_path: Path) -> None:
    for budget in (2, 4):
        campaign(tmp_path / "store.db", budget=budget).run()
    runs = Store(tmp_path / "store.db", "test").runs()
    assert len(runs) == 2
    assert runs[0]["torch"] == torch.__version__ and runs[0]["seed"] == "0"


def test_a_large_batch_is_asked_for_and_stored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = RandomSearch.ask

    def record(self: RandomSearch, n: int = 1) -> Proposals:
        asked.append(n)
        return ask(self, n)

    monkeypatch.setattr(RandomSearch, "ask", record)
    result = campaign(strategy="random", budget=230, batch=1000).run()
    assert asked == [100, 100, 30]
    assert (result.stopped, len(result.completed)) == ("budget", 230)
    asked.clear()
    campaign(strategy="random", budget=150, batch=99).run()
    assert asked == [99, 51], "smaller batches are asked for as they are"


def test_the_time_limit_holds_in_a_large_batch(tmp_path: Path) -> None:
    result = campaign(
        tmp_path / "store.db",
        strategy="random",
        evaluator=WeightedSum(delay=0.02),
        budget=9000,
        batch=9000,
        max_seconds=1,
    ).run()
    assert result.stopped == "time limit"
    assert len(result.trials) <= 100


@pytest.mark.parametrize("option", ["seed", "initial", "latent", "name", "space"])
def test_options_of_the_strategy_do_not_repeat_settings(option: str) -> None:
    with pytest.raises(ConfigError, match=f"strategy_options: '{option}' is a setting of the campaign"):
        campaign(strategy="random", strategy_options={option: 3})


def test_options_of_the_evaluator_do_not_repeat_settings() -> None:
    settings = {"space": "nasbench201", "strategy": "random", "evaluator": "train", "budget": 1}
    with pytest.raises(ConfigError, match="evaluator_options: 'name', 'space' are settings of the campaign"):
        Campaign(CampaignConfig.of({**settings, "evaluator_options": {"name": "x", "space": "y"}}))
    own_seed = Campaign(CampaignConfig.of({**settings, "evaluator_options": {"seed": 5}}))
    assert own_seed.evaluator.config()["seed"] == 5, "a training's seed is the evaluator's own"
    own_seed.close()
