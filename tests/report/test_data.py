"""What a report reads from trials in any order and any state."""

from __future__ import annotations

import pytest

from tests.report.campaigns import campaign, trial


def test_order_states_and_incumbents() -> None:
    trials = [
        trial(4, None, state="running", finished=None, failure=None),
        trial(3, 92.0),
        trial(2, None),
        trial(0, 90.0),
        trial(5, 95.0),
        trial(1, 90.0),
        trial(6, 95.0),
    ]
    data = campaign([], trials=trials, optimum=96.0)
    assert [t.number for t in data.finished] == [0, 1, 2, 3, 5, 6]
    assert [t.number for t in data.complete] == [0, 1, 3, 5, 6]
    assert [t.number for t in data.failed] == [2]
    assert [t.number for t in data.ranked] == [5, 6, 3, 0, 1]
    assert [t.number for t in data.incumbents] == [0, 3, 5]
    assert data.evaluation_of(trials[4]) == 5  # trial 4 is still running
    assert data.regret == pytest.approx(1.0)


def test_nothing_known() -> None:
    data = campaign([])
    assert data.best is None
    assert data.regret is None
    assert data.predicted == []
    assert data.codes([]).shape == (0, 6)


def test_a_value_above_the_recorded_optimum_has_regret_zero() -> None:
    assert campaign([94.1], optimum=94.0).regret == 0.0


def test_labels_have_units() -> None:
    assert campaign([]).value_label == "accuracy (%)"
    assert campaign([], unit="").value_label == "accuracy"
