"""The best cells of a campaign, drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..campaign.records import Trial
from ..spaces.drawing import cell_size, draw_cell, grid_columns, new_figure
from .data import ReportData
from .style import INK, MUTED
from .texts import prediction, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST = 6
"""How many of the best cells a report draws."""


NARROWEST = 2.4
"""Inches of the narrowest picture of a cell: what is written above it needs them."""


def shared_size(data: ReportData, trials: Sequence[Trial]) -> tuple[float, float]:
    """Inches that hold the picture of each of the cells of ``trials``."""
    width, height = cell_size(data.space, data.codes(trials))
    return max(width, NARROWEST), height


def draw_best_cells(data: ReportData, count: int = BEST) -> Figure | None:
    """The ``count`` best cells with their values and predictions; None without a value.

    Every cell is drawn in axes of its own, best first, in rows of up to three, as many as a page holds.
    """
    trials = data.ranked[:count]
    if not trials:
        return None
    size = shared_size(data, trials)
    width, height = size
    columns = grid_columns(len(trials), width)
    rows = -(-len(trials) // columns)
    # Two lines above a wide cell, three above a narrow one; inches.
    wide = width > 3.6
    joint = ", " if wide else "\n"
    head = 0.5 if wide else 0.68
    figure = new_figure(columns * width, rows * (height + head))
    for k, trial in enumerate(trials):
        row, column = divmod(k, columns)
        top = 1 - row / rows
        ax = figure.add_axes(
            (
                column / columns + 0.008,
                top - 1 / rows + 0.005,
                1 / columns - 0.016,
                height / (height + head) / rows - 0.01,
            )
        )
        draw_cell(data.space, trial.code, ax, size=size)
        middle = (column + 0.5) / columns
        line = 0.19 / (rows * (height + head))
        figure.text(middle, top - line, f"{k + 1}.  {show(trial.value, data.unit)}", ha="center", va="center",
                    fontsize=12, fontweight="bold", color=INK)  # fmt: skip
        seen = f"evaluation {data.evaluation_of(trial)}"
        if trial.mean is not None:
            seen += f"{joint}predicted {prediction(trial, data.unit)}"
        figure.text(middle, top - 1.75 * line, seen, ha="center", va="top", fontsize=9, color=MUTED)
    return figure
