"""Colours and axes that all pictures of a report share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spaces.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT = "#22272e", "#69727d", "#d9dde2"
SEARCH, RANDOM, OPTIMUM, FAILED = "#0072b2", "#8c8c8c", "#009e73", "#d55e00"
"""Okabe and Ito's colours, told apart by colour-blind readers."""

MARGIN, HEAD = 0.3, 0.85
"""Inches beside a picture, and above it for two lines of text."""


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


def frame(figure: Figure, left: float, top: float, wide: float, tall: float) -> Axes:
    """Axes at inches from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, 1 - (top + tall) / height, wide / width, tall / height))


def titles(figure: Figure, title: str, note: str) -> None:
    """Two lines in the figure's head."""
    heading(figure, MARGIN, 0.28, title, size=13.0)
    heading(figure, MARGIN, 0.56, note, size=10.0, strong=False)


def heading(figure: Figure, left: float, top: float, text: str, *, size: float = 9.5, strong: bool = True) -> None:
    """A line of text from ``left``, its middle at ``top``, in inches."""
    width, height = figure.get_size_inches()
    figure.text(
        left / width, 1 - top / height, text, ha="left", va="center", fontsize=size, parse_math=False,
        fontweight="bold" if strong else "normal", color=INK if strong else MUTED,
    )  # fmt: skip


__all__ = [
    "FAILED",
    "FAINT",
    "HEAD",
    "INK",
    "MARGIN",
    "MUTED",
    "OPTIMUM",
    "RANDOM",
    "SEARCH",
    "frame",
    "heading",
    "new_figure",
    "plain_axes",
    "titles",
]
