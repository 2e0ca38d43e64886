"""Sentences and numbers."""

from __future__ import annotations

import pytest

from latentnas.report.texts import facts, headline, plural, prediction, show
from tests.report.campaigns import campaign, small_table, trial


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (94.0666, "%", "94.067 %"),
        (93.87, "%", "93.870 %"),
        (0.75, "", "0.75000"),
        (12345.0, "", "12345"),
        (None, "%", "-"),
    ],
)
def test_values_have_five_digits(value: float | None, unit: str, text: str) -> None:
    assert show(value, unit) == text


def test_predictions_and_counts() -> None:
    assert prediction(trial(0, 90.0, mean=93.25, std=0.123), "%") == "93.250 \N{PLUS-MINUS SIGN} 0.12 %"
    assert prediction(trial(0, 90.0, mean=93.25)) == "93.250"
    assert prediction(trial(0, 90.0)) == "-"
    assert plural(1, "cell") == "1 cell"
    assert plural(1234, "cell") == "1,234 cells"


def test_headline_of_a_finished_campaign() -> None:
    text = headline(campaign([50.0, None, 53.5], optimum=56.0, table=small_table()))
    assert text.startswith("Searched nasbench201 (15,625 codes, 4,930 networks) with latent-bo: 3 evaluations, 1 of")
    assert "The best cell reaches 53.500 % accuracy, 2.5 points below the best of the whole space." in text
    assert "Random search reaches" in text


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ([], "No cell has been evaluated yet."),
        ([None, None], "No cell has a value: see the reasons below."),
        ([56.0], "the best of the whole space."),
    ],
)
def test_headline_of_odd_campaigns(values: list[float | None], part: str) -> None:
    assert part in headline(campaign(values, optimum=56.0))


def test_facts_count_every_state() -> None:
    trials = [
        trial(0, 90.0),
        trial(1, None),
        trial(2, None, state="waiting", finished=None, started=None, seconds=None),
    ]
    found = dict(facts(campaign([], trials=trials, optimum=91.0)))
    assert found["Evaluations"] == "1 complete, 1 failed, 1 waiting; budget 20"
    assert found["Best accuracy"] == "90.000 % (evaluation 1)"
    assert found["Regret (percentage points)"] == "1"
    assert found["Time in evaluations"] == "1.0 s"  # two evaluations of half a second
    assert found["From first start to last end"] == "1.5 s"  # from 1000.0 to 1001.5
    assert found["Seed"] == "3"
