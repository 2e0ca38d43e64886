"""Colours and axes that all pictures of a report share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spaces.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, FAINT = "#22272e", "#69727d", "#d9dde2"
SEARCH, RANDOM, OPTIMUM, FAILED = "#0072b2", "#8c8c8c", "#009e73", "#d55e00"
"""Okabe and Ito's colours, told apart by colour-blind readers."""


def plain_axes(ax: Axes, x_label: str, y_label: str) -> None:
    """Axes without a box, light grid, quiet ticks."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=10)
    ax.grid(True, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x_label, color=INK, fontsize=11)
    ax.set_ylabel(y_label, color=INK, fontsize=11)


__all__ = ["FAILED", "FAINT", "INK", "MUTED", "OPTIMUM", "RANDOM", "SEARCH", "new_figure", "plain_axes"]
