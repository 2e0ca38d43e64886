"""Curves of a campaign: best value so far and regret against random search, predictions against outcomes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .data import ReportData
from .random_search import RandomCurve
from .style import FAILED, INK, MUTED, OPTIMUM, RANDOM, SEARCH, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BELOW = "below the axis"
"""Marks at the lower edge, of values that lie below what is shown."""
LEGEND = (
    "best so far", "random search, 80% band", "optimum", "best of the table", "initial cells", "proposals", BELOW,
    "failed",
)  # fmt: skip
MANY_INITIAL = 20
"""After more initial cells than this, the values of the proposals alone decide what the axis shows."""
MAX_BATCHES = 60
"""With more batches than this they are not marked: the marks would be all one saw."""


def incumbent_values(data: ReportData) -> tuple[list[int], list[float]]:
    """Best value so far after every finished evaluation, from the first that gave a value.

    Returns:
        evaluations: numbers from 1, failed evaluations counted.
        values: as many, never decreasing.
    """
    evaluations, values = [], []
    best = -math.inf
    for k, trial in enumerate(data.finished, start=1):
        if trial.state == "complete" and trial.value is not None:
            best = max(best, trial.value)
        if best > -math.inf:
            evaluations.append(k)
            values.append(best)
    return evaluations, values


def draw_convergence(data: ReportData) -> Figure:
    """Best value so far against evaluations and, where the optimum is known, the regret on a log axis.

    Dots are the single evaluations, the band is the middle 80% of random search, shading marks every
    other batch. Values below the axis are shown as triangles at its lower edge.
    """
    with_regret = data.optimum is not None and bool(data.complete)
    figure = new_figure(11.0 if with_regret else 7.5, 4.4)
    axes = figure.subplots(1, 2 if with_regret else 1, squeeze=False, gridspec_kw={"wspace": 0.24})[0]
    figure.subplots_adjust(left=0.075 if with_regret else 0.11, right=0.98, bottom=0.13)
    expected = data.random_search
    _draw_values(data, expected, axes[0])
    if with_regret:
        _draw_regret(data, expected, axes[1])
    named = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    labels = [label for label in LEGEND if label in named]
    columns = 7 if with_regret else 4
    figure.subplots_adjust(top=0.89 if len(labels) <= columns else 0.82)
    if labels:
        figure.legend(
            [named[label] for label in labels], labels, loc="upper center", ncols=columns, frameon=False, fontsize=10,
            labelcolor=INK, handlelength=1.6, columnspacing=1.5, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def _draw_values(data: ReportData, expected: RandomCurve | None, ax: Axes) -> None:
    plain_axes(ax, "evaluations", data.value_label)
    evaluations, best = incumbent_values(data)
    _x_axis(ax, len(data.finished))
    if not evaluations:
        ax.text(0.5, 0.5, "no evaluation has given a value", ha="center", transform=ax.transAxes, color=MUTED)
        return
    low, high = _value_range(data, best, expected)
    ax.set_ylim(low, high)
    _shade_batches(data, ax)
    steps = range(1, len(data.finished) + 1)
    if expected is not None:
        ax.fill_between(steps, expected.low, expected.high, color=RANDOM, alpha=0.22, linewidth=0)
        dashes = (0, (5, 2))
        ax.plot(steps, expected.mean, color=RANDOM, linewidth=1.6, linestyle=dashes, label="random search, 80% band")
    for first, label, face in ((True, "initial cells", "white"), (False, "proposals", SEARCH)):
        trials = [t for t in data.complete if (t.source == "initial") == first]
        shown = [(data.evaluation_of(t), t.value) for t in trials if t.value is not None and t.value >= low]
        if shown:
            x, y = zip(*shown, strict=True)
            ax.scatter(x, y, s=20, facecolor=face, edgecolor=SEARCH, linewidth=0.9, alpha=0.8, label=label, zorder=3)
    below = [data.evaluation_of(t) for t in data.complete if t.value is not None and t.value < low]
    edge = ax.get_xaxis_transform()
    if below:
        ax.scatter(below, [0.018] * len(below), marker="v", s=22, color=SEARCH, alpha=0.55, transform=edge,
                   label=BELOW, zorder=3, linewidth=0)  # fmt: skip
    if data.failed:
        failed = [data.evaluation_of(t) for t in data.failed]
        low_row = [0.05] * len(failed)
        ax.scatter(failed, low_row, marker="x", s=26, color=FAILED, transform=edge, label="failed", zorder=3)
    ax.step(evaluations, best, where="post", color=SEARCH, linewidth=2.2, label="best so far", zorder=4)
    if data.optimum is not None:
        ax.axhline(data.optimum, color=OPTIMUM, linewidth=1.4, linestyle=(0, (1, 1.5)), label=data.optimum_name,
                   zorder=2)  # fmt: skip


def _draw_regret(data: ReportData, expected: RandomCurve | None, ax: Axes) -> None:
    assert data.optimum is not None
    plain_axes(ax, "evaluations", data.regret_label)
    ax.set_yscale("log")
    evaluations, best = incumbent_values(data)
    _x_axis(ax, len(data.finished))
    regrets = [data.optimum - value for value in best]
    positive = [r for r in regrets if r > 0]
    curves: list[float] = list(positive)
    if expected is not None:
        curves += [r for r in (data.optimum - expected.mean).tolist() if r > 0]
    top = max(curves, default=1.0) * 1.5
    # Zero has no place on a log axis: it stands at the lower edge, with a tick that says so.
    zero = min(positive, default=top / 10) / 3
    bottom = zero / 1.3 if len(positive) < len(regrets) else min(curves, default=zero) / 1.5
    ax.set_ylim(bottom, top)
    _shade_batches(data, ax)
    if expected is not None:
        steps = range(1, len(data.finished) + 1)
        floor = torch.tensor(bottom / 10, dtype=torch.double)
        mean, worse, better = (
            torch.maximum(data.optimum - c, floor) for c in (expected.mean, expected.low, expected.high)
        )
        ax.fill_between(steps, better, worse, color=RANDOM, alpha=0.22, linewidth=0)
        ax.plot(steps, mean, color=RANDOM, linewidth=1.6, linestyle=(0, (5, 2)))
    ax.step(evaluations, [max(r, zero) for r in regrets], where="post", color=SEARCH, linewidth=2.2, zorder=4)
    found = len(positive) < len(regrets)
    _plain_log_ticks(ax, bottom, top, zero if found else None)
    if found:
        k = evaluations[regrets.index(next(r for r in regrets if r <= 0))]
        ax.axhline(zero, color=OPTIMUM, linewidth=1.4, linestyle=(0, (1, 1.5)), zorder=2)
        late = k > 0.6 * len(data.finished)
        ax.annotate(
            f"{data.optimum_name} found,\nevaluation {k}", (k, zero), xytext=(-8 if late else 8, 10),
            textcoords="offset points", ha="right" if late else "left", va="bottom", fontsize=10, color=OPTIMUM,
        )  # fmt: skip


def _plain_log_ticks(ax: Axes, bottom: float, top: float, zero: float | None) -> None:
    """Plain numbers as ticks: powers of ten, over few decades also 2 and 5 times them, and 0 at ``zero``."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    decades = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    factors = (1, 2, 5) if len(decades) <= 4 else (1,)
    ticks = [f * 10.0**d for d in decades for f in factors if bottom <= f * 10.0**d <= top]
    if zero is not None:
        ticks = [tick for tick in ticks if tick > 1.4 * zero] + [zero]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == zero else f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _x_axis(ax: Axes, evaluations: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(0.5 if evaluations > 1 else 0, evaluations + max(0.5, 0.015 * evaluations))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))


def _value_range(data: ReportData, best: list[float], expected: RandomCurve | None) -> tuple[float, float]:
    """Where the curves are read best: values are heavy-tailed downwards, so not all of them fit."""
    initial = sum(t.source == "initial" for t in data.finished)
    # The first few random cells say little about the search; of a long initial phase its first half.
    settled = min(len(best) - 1, max(4, initial // 2))
    floor = best[settled]
    top = max(best[-1], data.optimum if data.optimum is not None else best[-1])
    if expected is not None:
        start = float(expected.low[min(settled, len(expected.low) - 1)])
        floor = min(floor, floor if math.isnan(start) else start)
    proposed = [t for t in data.complete if t.source != "initial"] if initial > MANY_INITIAL else []
    ordered = sorted(t.value for t in proposed or data.complete if t.value is not None)
    span = max(top - floor, top - ordered[len(ordered) // 4], 1e-9 * max(abs(top), 1.0))
    low = top - 1.25 * span if ordered[0] < top - 2 * span else ordered[0] - 0.06 * span
    if expected is not None:
        low = min(low, top - 1.1 * (top - floor))
    if low >= top:
        low = top - max(0.01 * abs(top), 1e-6)
    return low, top + 0.07 * (top - low)


def values_below(data: ReportData) -> int:
    """How many values the convergence plot shows as triangles at the lower edge of its axis."""
    best = incumbent_values(data)[1]
    if not best:
        return 0
    low, _ = _value_range(data, best, data.random_search)
    return sum(t.value < low for t in data.complete if t.value is not None)


def _shade_batches(data: ReportData, ax: Axes) -> None:
    batches = sorted({t.batch for t in data.finished})
    if not 1 < len(batches) <= MAX_BATCHES:
        return
    for batch in batches[1::2]:
        order = [data.evaluation_of(t) for t in data.finished if t.batch == batch]
        ax.axvspan(min(order) - 0.5, max(order) + 0.5, color="#f1f3f5", linewidth=0, zorder=0)


# --- predictions ----------------------------------------------------------------------------------


def coverage(data: ReportData) -> float | None:
    """Share of predicted cells whose value lay within two standard deviations; None without any."""
    trials = data.predicted
    if not trials:
        return None
    inside = [abs(t.value - t.mean) <= 2 * t.std for t in trials if None not in (t.value, t.mean, t.std)]  # type: ignore[operator]
    return sum(inside) / len(inside)


def draw_predictions(data: ReportData) -> Figure | None:
    """What the model predicted (with one standard deviation) against what came out; None without a model."""
    trials = data.predicted
    if not trials:
        return None
    value = torch.tensor([t.value for t in trials], dtype=torch.double)
    mean = torch.tensor([t.mean for t in trials], dtype=torch.double)
    std = torch.tensor([t.std for t in trials], dtype=torch.double)
    figure = new_figure(5.6, 4.6)
    ax = figure.add_axes((0.15, 0.13, 0.69, 0.69 * 5.6 / 4.6))  # square
    plain_axes(ax, f"{data.value_label}: predicted", f"{data.value_label}: measured")
    both = torch.cat([value, mean])
    # Bulk of the points, not the worst outliers, decides the scale.
    low, high = float(both.quantile(0.03)), float(both.max())
    pad = max(0.08 * (high - low), 1e-6 * max(abs(high), 1.0))
    low, high = low - pad, high + pad
    inside = (value >= low) & (mean >= low)
    ax.plot([low, high], [low, high], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    ax.errorbar(mean[inside], value[inside], xerr=std[inside], fmt="none", ecolor="#b4bdc7", elinewidth=1.0, zorder=2)
    order = torch.tensor([data.evaluation_of(t) for t in trials])
    points = ax.scatter(mean[inside], value[inside], c=order[inside], cmap="viridis", s=30, edgecolor="white",
                        linewidth=0.6, zorder=3, vmin=1, vmax=int(order.max()))  # fmt: skip
    if not bool(inside.all()):
        outside = ~inside
        ax.scatter(mean[outside].clamp_min(low), torch.full_like(mean[outside], low + 0.3 * pad), c=order[outside],
                   marker="v", cmap="viridis", s=34, vmin=1, vmax=int(order.max()), zorder=3, linewidth=0)  # fmt: skip
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    bar = figure.colorbar(points, ax=ax, cax=figure.add_axes((0.87, 0.13, 0.025, 0.69 * 5.6 / 4.6)))
    bar.set_label("evaluation", color=INK, fontsize=10)
    bar.ax.tick_params(labelsize=9, colors=MUTED, labelcolor=INK)
    bar.outline.set_visible(False)
    return figure
