"""latentnas/campaign/frozen.py: stores that were edited or damaged are refused with one sentence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with the campaign "c" of two trials, the first complete with value 1.5."""
    store = Store(tmp_path / "store.db", "c", create=True)
    store.register({"space": "nasbench201"}, {"evaluator": {"name": "fake"}}, 2.5)
    proposals = Proposals(torch.tensor([[0, 1, 2, 3, 4, 0], [3] * 6]), ["a", "b"])
    first, _ = store.propose(SPACE, proposals, budget=9, seed=1, worker="w")
    store.start(first, "w")
    store.finish(0, Evaluation(1.5, {"macs": 2.0}, 0.5), "w")
    store.close()
    return tmp_path / "store.db"


def damage(path: Path, sql: str) -> Store:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(sql).rowcount != 0
    return Store(path, "c")


@pytest.mark.parametrize("name", ["code", "key", "text", "source", "batch", "seed"])
def test_a_missing_attribute(path: Path, name: str) -> None:
    store = damage(path, f"DELETE FROM trial_user_attributes WHERE key = '{name}' AND trial_id = 2")
    with pytest.raises(StoreError, match=rf"^trial 1 of the campaign 'c' in .*store\.db is damaged: it has no {name};"):
        store.trials()


@pytest.mark.parametrize(
    ("name", "json", "words"),
    [
        ("code", '"x"', "its code must be a list of integers, got 'x'"),
        ("code", "[]", "its code must be a list of integers"),
        ("code", "[0.5, 1]", "its code must be a list of integers"),
        ("key", "3", "its key must be a text, got 3"),
        ("batch", "true", "its batch must be an integer, got True"),
        ("metrics", "[1]", "its metrics must be numbers by name"),
        ("metrics", '{"macs": "many"}', "its metrics must be numbers by name"),
        ("seconds", '"long"', "its seconds must be a number, got 'long'"),
        ("attempts", "1.5", "its attempts must be an integer"),
        ("worker", "7", "its worker must be a text"),
        ("text", "{oops", "Expecting property name"),
    ],
)
def test_an_attribute_of_a_wrong_type(path: Path, name: str, json: str, words: str) -> None:
    store = damage(
        path, f"UPDATE trial_user_attributes SET value_json = '{json}' WHERE key = '{name}' AND trial_id = 1"
    )
    with pytest.raises(StoreError, match=r"^trial 0 of the campaign 'c' in .*store\.db is damaged: ") as caught:
        store.trials()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TABLE trial_values", "it is complete but has no value"),
        ("DELETE FROM trial_values", "it is complete but has no value"),
        ("UPDATE trials SET datetime_complete = NULL", "it is complete but has no time of its end"),
        ("UPDATE trials SET state = 'ODD'", "'ODD' is not among the defined enum values"),
        ("UPDATE trials SET datetime_start = 'x'", "Invalid isoformat string: 'x'"),
        ("UPDATE trial_params SET param_value = 99", "out of range"),
    ],
)
def test_damaged_rows_of_optuna(path: Path, sql: str, words: str) -> None:
    store = damage(path, sql)
    with pytest.raises(StoreError, match=r"^trial 0 of the campaign 'c' in .*store\.db is damaged: ") as caught:
        store.trials()
    assert words in str(caught.value)


@pytest.mark.parametrize("json", ["[1]", "3", "null", "{}", '{"space": 5}'])
def test_settings_that_are_none(path: Path, json: str) -> None:
    store = damage(path, f"UPDATE study_user_attributes SET value_json = '{json}' WHERE key = 'config'")
    words = (
        r"^the record of the campaign 'c' in .* is damaged: its config must be names and values with a text for 'space'"
    )
    with pytest.raises(StoreError, match=words):
        _ = store.config
    with pytest.raises(StoreError, match=words):
        store.register({"space": "nasbench201"}, {}, None)


@pytest.mark.parametrize(
    ("name", "json"), [("optimum", '"best"'), ("evaluator", "[]"), ("note:1", "3"), ("run:w", "{}"), ("seen:w", "[]")]
)
def test_other_records_of_the_campaign(path: Path, name: str, json: str) -> None:
    store = damage(
        path, f"INSERT OR REPLACE INTO study_user_attributes (study_id, key, value_json) VALUES (1, '{name}', '{json}')"
    )
    for read in (lambda: store.optimum, store.notes, store.runs, store.seen):
        with pytest.raises(StoreError, match=f"is damaged: its {name} must be "):
            read()


def test_settings_that_are_no_json(path: Path) -> None:
    for read in (lambda: damage(path, "UPDATE study_user_attributes SET value_json = '{oops'"), Store.campaigns):
        with pytest.raises(StoreError, match=r"store\.db is damaged: Expecting property name"):
            read(path) if read is Store.campaigns else read()  # type: ignore[call-arg]


def test_what_is_whole_is_read(path: Path) -> None:
    study = optuna.load_study(study_name="c", storage=f"sqlite:///{path}")
    study.add_trial(optuna.trial.create_trial(value=9.0))  # somebody else's: no proposal
    first, second = Store(path, "c").trials()
    assert (first.value, first.metrics, first.seconds, first.code) == (1.5, {"macs": 2.0}, 0.5, (0, 1, 2, 3, 4, 0))
    assert (second.state, second.value, second.metrics, second.finished) == ("waiting", None, {}, None)
