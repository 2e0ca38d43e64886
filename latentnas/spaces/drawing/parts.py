"""What all pictures of cells share: labels, colours, figures, boxes, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..base import SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]
Weights = Mapping[tuple[int, int], float]
"""How strong links are, 0 to 1, by their vertices (from, to) in the view that is drawn."""

INK, ABSENT, SKIP, EDGE, DEAD = "#33383f", "#b9bec5", "#7a838f", "#59616b", "#e1e4e8"
"""Ends and labels; edges that are absent or lead nowhere; edges to outputs; other edges; operations without effect."""
_CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c")
"""Okabe and Ito's colours, for operations that the space gives none."""

_LABELS = {
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1x1",
    "nor_conv_3x3": "conv 3x3",
    "avg_pool_3x3": "avg pool 3x3",
    "conv1x1-bn-relu": "conv 1x1",
    "conv3x3-bn-relu": "conv 3x3",
    "maxpool5x5": "max pool 5x5",
    "maxpool7x7": "max pool 7x7",
    "conv1x1": "conv 1x1",
    "sepconv7x7": "sep conv 7x7",
    "dilconv3x3": "dil conv 3x3",
    "conv1x3-3x1": "conv 1x3, 3x1",
    "conv1x7-7x1": "conv 1x7, 7x1",
    "sepconv3x3": "sep conv 3x3",
    "sepconv5x5": "sep conv 5x5",
    "conv3x3": "conv 3x3",
    "conv5x5": "conv 5x5",
    "avgpool3x3": "avg pool 3x3",
    "maxpool3x3": "max pool 3x3",
    "input": "in",
    "output": "out",
}


def op_label(name: str) -> str:
    """A short label for the operation ``name``, for pictures; attributes joined by "/" are set apart."""
    return "  \N{MIDDLE DOT}  ".join(_LABELS.get(part, part.replace("_", " ")) for part in name.split("/"))


def op_color(space: SearchSpace, name: str) -> str:
    """The colour of the operation ``name``: the space's own, else one of a colour-blind safe cycle."""
    if name in space.op_colors:
        return space.op_colors[name]
    names = space.edge_types or space.node_types
    return _CYCLE[names.index(name) % len(_CYCLE)] if name in names else INK


def new_figure(width: float, height: float) -> Figure:
    """A figure of ``width`` x ``height`` inches with its own Agg canvas: pyplot's backend is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def fit(ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> float:
    """Set limits and an equal aspect; returns how many points one data unit takes, to scale fonts by."""
    ax.set_xlim(*x)
    ax.set_ylim(*y)
    ax.set_aspect("equal")
    box = ax.get_window_extent()
    points = 72.0 / ax.figure.dpi
    return min(box.width / (x[1] - x[0]), box.height / (y[1] - y[0])) * points


def fit_points(ax: Axes, x: tuple[float, float], y: tuple[float, float], size: tuple[float, float]) -> float:
    """Limits for a picture laid out in points, at the top of the axes; returns its scale.

    A small cell is not blown up to the size of a large one: cells of a space are drawn alike.

    Args:
        ax: the axes.
        x, y: what the picture takes.
        size: inches for which cells of the space are laid out.
    """
    box = ax.get_window_extent()
    points = 72.0 / ax.figure.dpi
    wide, tall = box.width * points, box.height * points
    scale = min(wide / (x[1] - x[0]), tall / (y[1] - y[0]), wide / (72 * size[0]), tall / (72 * size[1]))
    middle = (x[0] + x[1]) / 2
    ax.set_xlim(middle - wide / scale / 2, middle + wide / scale / 2)
    ax.set_ylim(y[1] - tall / scale, y[1])
    ax.set_aspect("equal")
    return scale


def _luminance(color: str) -> float:
    """WCAG relative luminance, 0 to 1."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def line_color(color: str) -> str:
    """``color`` for lines on white: darker where it is as light as yellow."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(color)
    return to_hex((0.75 * red, 0.75 * green, 0.75 * blue)) if _luminance(color) > 0.6 else color


def text_on(color: str) -> str:
    """Black or white, whichever is easier to read on ``color``."""
    luminance = _luminance(color)
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


@lru_cache(maxsize=4096)
def text_width(text: str, font: float) -> float:
    """Width of a line of text in points, in matplotlib's default font."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=font), ismath="$" in text)
    return float(width)


def box(ax: Axes, center: Point, size: Point, text: str, color: str, font: float, *, edge: str = "white") -> None:
    """A rounded box with a text in its middle."""
    from matplotlib.patches import FancyBboxPatch

    (x, y), (width, height) = center, size
    style = f"round,pad=0,rounding_size={min(width, height) * 0.32}"
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle=style, facecolor=color, edgecolor=edge,
            linewidth=font * 0.1, zorder=3, gid="vertex",
        )
    )  # fmt: skip
    ax.text(
        x, y, text, ha="center", va="center_baseline", fontsize=font, color=text_on(color), zorder=4, linespacing=1.1
    )


def curve(ax: Axes, points: Sequence[Point], codes: Sequence[Any], **style: Any) -> None:
    """A curve with an arrow's head, from a path in matplotlib's form."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    settings = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "capstyle": "butt", "gid": "edge"}
    ax.add_patch(FancyArrowPatch(path=Path(list(points), list(codes)), **{**settings, **style}))


def link_width(weight: float, font: float) -> float:
    """Points of the line that stands for a link of this weight."""
    return font * (0.06 + 0.34 * weight)


def link_number(ax: Axes, center: Point, weight: float, font: float) -> None:
    """The weight of a link, on a white ground in the middle of its line."""
    ground = {"boxstyle": "round,pad=0.12,rounding_size=0.3", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    ax.text(*center, f"{weight:.2f}", ha="center", va="center", fontsize=0.8 * font, color=INK, bbox=ground, zorder=5,
            gid="weight")  # fmt: skip
