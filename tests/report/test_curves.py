"""Curves: what is drawn is what was measured."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from latentnas.report import Table, draw_convergence, draw_predictions
from latentnas.report.curves import coverage, incumbent_values, values_below
from latentnas.report.extent import Extent
from tests.report.campaigns import campaign, small_table, trial

VALUES = [91.0, 90.0, None, 93.0, 92.0, 93.0, 93.5]


def line(ax, label):  # type: ignore[no-untyped-def]
    return next(line for line in ax.lines if line.get_label() == label)


def test_incumbents_count_failed_evaluations() -> None:
    assert incumbent_values(campaign(VALUES)) == ([1, 2, 3, 4, 5, 6, 7], [91.0, 91.0, 91.0, 93.0, 93.0, 93.0, 93.5])
    assert incumbent_values(campaign([None, None, 5.0])) == ([3], [5.0])
    assert incumbent_values(campaign([])) == ([], [])


def test_best_so_far_and_optimum_are_drawn() -> None:
    figure = draw_convergence(campaign(VALUES, optimum=94.0))
    left, right = figure.axes
    drawn = line(left, "best so far")
    assert_allclose(drawn.get_xdata(), [1, 2, 3, 4, 5, 6, 7])
    assert_allclose(drawn.get_ydata(), [91, 91, 91, 93, 93, 93, 93.5])
    assert_allclose(line(left, "optimum").get_ydata(), [94, 94])
    assert right.get_yscale() == "log"
    assert_allclose(right.lines[0].get_ydata(), [3, 3, 3, 1, 1, 1, 0.5])
    assert left.get_ylabel() == "accuracy (%)"


def test_a_found_optimum_has_a_place_on_the_log_axis() -> None:
    figure = draw_convergence(campaign([90.0, 93.0, 94.0, 91.0], optimum=94.0))
    right = figure.axes[1]
    regrets = right.lines[0].get_ydata()
    assert_allclose(regrets[:2], [4, 1])
    assert 0 < regrets[2] < 1
    assert any("evaluation 3" in text.get_text() for text in right.texts)
    figure.canvas.draw()
    assert "0" in [label.get_text() for label in right.get_yticklabels()]
    low, high = right.get_ylim()
    assert low < regrets[3] < high


def test_without_optimum_there_is_one_panel_and_no_random_curve() -> None:
    data = campaign(VALUES)
    assert data.random_search is None
    assert len(draw_convergence(data).axes) == 1


def test_random_curve_has_one_point_an_evaluation() -> None:
    table = small_table()
    data = campaign(VALUES, table=table, optimum=56.0)
    curve = data.random_search
    assert curve is not None
    assert len(curve.mean) == len(VALUES)
    assert float(curve.mean[0]) == pytest.approx(float(table.values.mean()))
    assert_allclose(line(draw_convergence(data).axes[0], "random search, 80% band").get_ydata(), curve.mean)


@pytest.mark.parametrize("values", [[], [None], [None] * 5, [50.0], [50.0, 50.0, 50.0], [1e-9, 5e8]])
@pytest.mark.parametrize("known", [False, True])
def test_odd_campaigns_are_drawn(values: list[float | None], known: bool) -> None:
    changes = {"table": small_table(), "optimum": 56.0} if known else {}
    figure = draw_convergence(campaign(values, **changes))
    figure.canvas.draw()
    assert figure.axes


def test_one_bad_value_does_not_flatten_the_curve() -> None:
    figure = draw_convergence(campaign([10.0, 92.0, 93.0, 93.2, 93.4, 93.5, 93.6, 93.7], optimum=94.0))
    low, high = figure.axes[0].get_ylim()
    assert low > 85
    assert high > 94


def test_predictions_are_drawn_where_there_are_any() -> None:
    assert draw_predictions(campaign(VALUES)) is None
    assert coverage(campaign(VALUES)) is None
    trials = [
        trial(0, 90.0),
        trial(1, 91.0, mean=91.5, std=0.5),
        trial(2, 92.0, mean=95.0, std=1.0),
        trial(3, None, mean=95.0, std=1.0),
        trial(4, 93.0, mean=92.9, std=0.2),
    ]
    data = campaign([], trials=trials)
    # within two standard deviations: 91.5 +- 1 yes, 95 +- 2 no, 92.9 +- 0.4 yes
    assert coverage(data) == pytest.approx(2 / 3)
    figure = draw_predictions(data)
    assert figure is not None
    points = sum(
        len(c.get_offsets()) for c in figure.axes[0].collections if hasattr(c, "get_sizes") and len(c.get_sizes())
    )
    assert points == 3


def test_a_single_prediction_is_drawn() -> None:
    figure = draw_predictions(campaign([], trials=[trial(0, 90.0, mean=90.0, std=0.0)]))
    assert figure is not None
    figure.canvas.draw()


def test_after_many_initial_cells_the_axis_shows_the_proposals() -> None:
    # 200 random cells from 10 to 90 and, from 90.5 on, 20 proposals.
    trials = [trial(k, 10 + 80 * ((k * 37) % 200) / 200, source="initial") for k in range(200)]
    trials += [trial(200 + k, 90.5 + 0.1 * k, source="latent") for k in range(20)]
    data = campaign([], trials=trials, optimum=94.0)
    low, high = draw_convergence(data).axes[0].get_ylim()
    assert 80 < low < 90.5 and high > 94
    assert values_below(data) == sum(t.value is not None and t.value < low for t in trials)
    assert values_below(campaign([90.0, 90.5])) == 0


def test_the_best_of_a_part_of_a_space_is_no_optimum() -> None:
    table = small_table()
    part = Table(table.codes, table.values, extent=Extent(False, "9 of 10 codes", None))
    figure = draw_convergence(campaign(VALUES, table=part, optimum=94.0))
    assert "best of the table" in [line.get_label() for line in figure.axes[0].lines]
    assert figure.axes[1].get_ylabel() == "regret (percentage points)"
    assert (
        draw_convergence(campaign([0.5], unit="", scale="share", optimum=0.9)).axes[1].get_ylabel() == "regret (share)"
    )
