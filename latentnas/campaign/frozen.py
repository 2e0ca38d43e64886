"""Reading a campaign's records back from Optuna's, checked: a store may have been edited or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .records import Trial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_STATES = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "complete", "FAIL": "failed", "PRUNED": "failed"}

_OWN = ("code", "key", "text", "source", "batch")


class _Attributes:
    """User attributes of one record, with a StoreError for what is missing or has a wrong type."""

    def __init__(self, attributes: Mapping[str, Any], where: str) -> None:
        self._attributes, self._where = attributes, where

    def _wrong(self, name: str, expected: str) -> StoreError:
        return _damaged(self._where, f"its {name} must be {expected}, got {self._attributes[name]!r}")

    def given(self, name: str) -> bool:
        """Whether an attribute that need not be there is there."""
        return self._attributes.get(name) is not None

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def integer(self, name: str) -> int:
        value = self._required(name)
        if type(value) is not int:
            raise self._wrong(name, "an integer")
        return value

    def number(self, name: str) -> float:
        value = self._required(name)
        if type(value) not in (int, float):
            raise self._wrong(name, "a number")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        value = self._required(name)
        if not isinstance(value, list) or not value or any(type(item) is not int for item in value):
            raise self._wrong(name, "a list of integers")
        return tuple(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        value = self._required(name)
        if not isinstance(value, list) or any(type(item) not in (int, float) for item in value):
            raise self._wrong(name, "a list of numbers")
        return tuple(value)

    def measurements(self, name: str) -> dict[str, float]:
        value = self._required(name)
        if not isinstance(value, dict) or any(type(item) not in (int, float) for item in value.values()):
            raise self._wrong(name, "numbers by name")
        return value

    def mapping(self, name: str, key: str | None = None) -> None:
        """Check that an attribute holds names and values, ``key`` among them."""
        value = self._required(name)
        if not isinstance(value, dict) or (key is not None and not isinstance(value.get(key), str)):
            raise self._wrong(name, "names and values" + (f" with a text for {key!r}" if key else ""))

    def _required(self, name: str) -> Any:
        if name not in self._attributes:
            raise _damaged(self._where, f"it has no {name}")
        return self._attributes[name]


def _damaged(where: str, why: object) -> StoreError:
    return StoreError(f"{where} is damaged: {why}; restore the store from a copy, or start afresh")


@contextmanager
def readable(where: str) -> Iterator[None]:
    """For single calls that read from Optuna: rows that it cannot decode are a StoreError."""
    try:
        yield
    except (ValueError, LookupError) as error:  # no JSON, no date, no known state, an index out of range
        raise _damaged(where, error) from error


def frozen_trials(storage: BaseStorage, study_id: int, store: str) -> list[FrozenTrial]:
    """Every trial of a study, the storage's own objects.

    Raises:
        StoreError: a row cannot be decoded; names the trial.
    """
    try:
        with readable(store):
            return storage.get_all_trials(study_id, deepcopy=False)
    except StoreError:
        for number in count():  # which one is it?
            with readable(f"trial {number} of {store}"):
                try:
                    identifier = storage.get_trial_id_from_study_id_trial_number(study_id, number)
                except KeyError:
                    break  # there is no trial of this number
                storage.get_trial(identifier)
        raise


def is_proposal(frozen: FrozenTrial) -> bool:
    """Whether a trial is a campaign's; others were added to the study with Optuna alone."""
    return any(name in frozen.user_attrs for name in _OWN)


def read_trial(frozen: FrozenTrial, store: str) -> Trial:
    """The record of a proposal.

    Args:
        frozen: Optuna's trial.
        store: the store's name, for the message.

    Raises:
        StoreError: an attribute is missing or has a wrong type; names the trial.
    """
    where = f"trial {frozen.number} of {store}"
    own = _Attributes(frozen.user_attrs, where)
    state = _STATES[frozen.state.name]
    failure = own.text("failure") if own.given("failure") else None
    if state == "failed" and failure is None:
        failure = "ended outside the campaign"
    values = frozen.values if state == "complete" else None
    if state == "complete" and not values:
        raise _damaged(where, "it is complete but has no value")
    if state in ("complete", "failed") and frozen.datetime_complete is None:
        raise _damaged(where, f"it is {state} but has no time of its end")
    return Trial(
        number=frozen.number,
        state=state,
        code=own.integers("code"),
        key=own.text("key"),
        text=own.text("text"),
        value=values[0] if values else None,
        metrics=own.measurements("metrics") if own.given("metrics") else {},
        source=own.text("source"),
        batch=own.integer("batch"),
        seed=own.integer("seed"),
        latent=own.numbers("latent") if own.given("latent") else None,
        acquisition=own.number("acquisition") if own.given("acquisition") else None,
        mean=own.number("mean") if own.given("mean") else None,
        std=own.number("std") if own.given("std") else None,
        worker=own.text("worker") if own.given("worker") else None,
        attempts=own.integer("attempts") if own.given("attempts") else 0,
        started=None if state == "waiting" else _posix(frozen.datetime_start),
        finished=_posix(frozen.datetime_complete),
        seconds=own.number("seconds") if own.given("seconds") else None,
        failure=failure,
    )


def check_campaign(attributes: Mapping[str, Any], store: str) -> None:
    """Check what a store has of the whole campaign.

    Raises:
        StoreError: something is missing or has a wrong type.
    """
    own = _Attributes(attributes, f"the record of {store}")
    if "config" in attributes:
        own.mapping("config", "space")
    for name in ("strategy", "evaluator"):
        if name in attributes:
            own.mapping(name)
    if own.given("optimum"):
        own.number("optimum")
    for name in attributes:
        if name.startswith("note:"):
            own.text(name)
        elif name.startswith("run:"):
            own.mapping(name, "time")
        elif name.startswith("seen:"):
            own.number(name)


def _posix(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
