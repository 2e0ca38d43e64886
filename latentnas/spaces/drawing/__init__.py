"""Pictures of cells: operations on curved edges, or on boxes with skip connections as arcs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InvalidCodeError
from ..spaces import NO_EDGE, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c")
"""Okabe and Ito's colours, for operations that the space gives none."""

_LABELS = {
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1x1",
    "nor_conv_3x3": "conv 3x3",
    "avg_pool_3x3": "pool 3x3",
    "sepconv3x3": "sep conv 3x3",
    "sepconv5x5": "sep conv 5x5",
    "conv3x3": "conv 3x3",
    "conv5x5": "conv 5x5",
    "avgpool3x3": "avg pool 3x3",
    "maxpool3x3": "max pool 3x3",
    "input": "in",
    "output": "out",
}
_INK, _ABSENT, _SKIP = "#33383f", "#b9bec5", "#7a838f"


def op_label(name: str) -> str:
    """A short label for the operation ``name``, for pictures."""
    return _LABELS.get(name, name.replace("_", " "))


def op_color(space: SearchSpace, name: str) -> str:
    """The colour of the operation ``name``: the space's own, else one of a colour-blind safe cycle."""
    if name in space.op_colors:
        return space.op_colors[name]
    names = space.edge_types or space.node_types
    return _CYCLE[names.index(name) % len(_CYCLE)] if name in names else _INK


def cell_size(space: SearchSpace) -> tuple[float, float]:
    """Width and height in inches at which a cell of ``space`` is comfortably read."""
    return (3.8, 2.0) if space.edge_types else (2.6, 0.42 * space.max_nodes + 0.3)


def draw_cell(space: SearchSpace, code: Tensor | Sequence[int], ax: Axes | None = None) -> Axes:
    """Draw one cell.

    Spaces with an edge view show vertices as circles and operations as labelled edges ('none' edges
    thin and dotted); the others show operations as boxes, from the input at the top to the output,
    with connections between neighbours straight and all others as arcs at the sides.

    Args:
        space: the space of the cell.
        code: [D] or [1, D] integers.
        ax: matplotlib axes to draw on; by default those of a new figure (``ax.figure``), which
            belongs to no window.

    Raises:
        InvalidCodeError: ``code`` is not one cell of the space.
    """
    rows = torch.as_tensor(code)
    rows = space.check_codes(rows[None] if rows.ndim == 1 else rows).cpu()
    if len(rows) != 1:
        raise InvalidCodeError(f"draw_cell: expected one cell, got {len(rows)}; draw them one by one")
    if ax is None:
        ax = new_figure(*cell_size(space)).add_axes((0.02, 0.02, 0.96, 0.96))
    ax.set_axis_off()
    if space.edge_types:
        _draw_edges(space, rows, ax)
    else:
        _draw_nodes(space, rows, ax)
    return ax


def new_figure(width: float, height: float) -> Figure:
    """A figure of ``width`` x ``height`` inches with its own Agg canvas: pyplot's backend is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


# --- operations on edges --------------------------------------------------------------------------


def _draw_edges(space: SearchSpace, rows: Tensor, ax: Axes) -> None:
    from matplotlib.patches import Circle

    view = space.edge_graphs(rows)
    ops, count = view.ops[0], int(view.mask[0].sum())
    gap, radius = 2.0, 0.23
    bend = 0.85
    above = max((j - i for i in range(0, count, 2) for j in range(i + 2, count)), default=0)
    below = max((j - i for i in range(1, count, 2) for j in range(i + 2, count)), default=0)
    low, high = -bend * (below - 0.9) - 0.3, bend * (above - 0.9) + 0.3
    points = _fit(ax, (-0.45, gap * (count - 1) + 0.45), (min(low, -0.5), max(high, 0.5)))
    font = min(max(points * 0.25, 4.0), 13.0)
    for i in range(count):
        for j in range(i + 1, count):
            rise = 0.0 if j == i + 1 else bend * (j - i - 0.9) * (1 if i % 2 == 0 else -1)
            _edge(ax, space, int(ops[i, j]), (gap * i, 0.0), (gap * j, 0.0), rise, radius, font)
    for i in range(count):
        name = "in" if i == 0 else "out" if i == count - 1 else str(i)
        ends = i in (0, count - 1)
        face = _INK if ends else "white"
        ax.add_patch(Circle((gap * i, 0), radius, facecolor=face, edgecolor=_INK, linewidth=1.2, zorder=4))
        color = "white" if ends else _INK
        ax.text(gap * i, 0, name, ha="center", va="center", fontsize=font * 0.84, color=color, zorder=5)


def _edge(
    ax: Axes,
    space: SearchSpace,
    op: int,
    start: tuple[float, float],
    end: tuple[float, float],
    rise: float,
    radius: float,
    font: float,
) -> None:
    """One edge as a cubic curve whose middle lies ``rise`` above the line of vertices."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    span = x1 - x0
    if rise:
        # The middle of a cubic curve lies at 3/4 of its control points' height.
        lean = 0.1 * span
        lift = radius * (0.8 if rise > 0 else -0.8)
        first, last = (x0 + radius * 0.6, y0 + lift), (x1 - radius * 0.6, y1 + lift)
        height = (rise - 0.25 * lift) / 0.75
        control = [(x0 + lean, y0 + height), (x1 - lean, y1 + height)]
    else:
        first, last = (x0 + radius, y0), (x1 - radius, y1)
        control = [(x0 + span / 3, y0), (x1 - span / 3, y1)]
    path = Path([first, *control, last], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    absent = op == NO_EDGE
    name = space.edge_types[op]
    color = _ABSENT if absent else op_color(space, name)
    ax.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-" if absent else "-|>",
            mutation_scale=font * 1.1,
            color=color,
            linewidth=0.9 if absent else font * 0.2,
            linestyle=(0, (1, 2.5)) if absent else "-",
            capstyle="butt",
            shrinkA=0,
            shrinkB=0.5,
            zorder=1 if absent else 2,
        )
    )
    if not absent:
        _pill(ax, (x0 + x1) / 2, y0 + rise, op_label(name), color, font)


def _pill(ax: Axes, x: float, y: float, text: str, color: str, font: float) -> None:
    box = {"boxstyle": "round,pad=0.28,rounding_size=0.6", "facecolor": color, "edgecolor": "white", "linewidth": 1.0}
    ax.text(x, y, text, ha="center", va="center", fontsize=font * 0.88, color=_text_on(color), bbox=box, zorder=3)


# --- operations on vertices -----------------------------------------------------------------------


def _draw_nodes(space: SearchSpace, rows: Tensor, ax: Axes) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    view = space.node_graphs(rows)
    count = int(view.mask[0].sum())
    names = [space.node_types[int(op)] for op in view.ops[0, :count]]
    adj = view.adj[0, :count, :count]
    wide, tall, step = 1.25, 0.3, 1.0
    arcs = [(i, j) for i in range(count) for j in range(i + 2, count) if bool(adj[i, j])]
    reach = 0.45 + 0.2 * max(count - 2, 2)  # as for the longest arc: cells of a space share one scale
    points = _fit(ax, (-wide - reach, wide + reach), (-step * (count - 1) - 0.5, 0.5))
    font = min(max(points * 0.32, 3.5), 11.0)
    for i, j in arcs:
        side = -1 if i % 2 else 1
        bulge = 0.3 + 0.2 * (j - i)
        color = _SKIP if names[i] == "input" else op_color(space, names[i])
        _arc(ax, (side * wide, -step * i - 0.1), (side * wide, -step * j + 0.1), side * bulge, font, color)
    for i, j in pairwise(range(count)):
        if bool(adj[i, j]):
            ends = ((0, -step * i - tall), (0, -step * j + tall))
            ax.add_patch(
                FancyArrowPatch(
                    *ends, arrowstyle="-|>", mutation_scale=font, color=_INK, linewidth=1.1, shrinkA=0, shrinkB=0
                )
            )
    for i, name in enumerate(names):
        ends_here = name in ("input", "output")
        color = _INK if ends_here else op_color(space, name)
        style = f"round,pad=0,rounding_size={tall * 0.6}"
        corner = (-wide, -step * i - tall)
        ax.add_patch(
            FancyBboxPatch(
                corner, 2 * wide, 2 * tall, boxstyle=style, facecolor=color, edgecolor="white", linewidth=1, zorder=3
            )
        )
        ax.text(
            0, -step * i, op_label(name), ha="center", va="center_baseline", fontsize=font * 0.92,
            color=_text_on(color), zorder=4,
        )  # fmt: skip


def _arc(ax: Axes, start: tuple[float, float], end: tuple[float, float], bulge: float, font: float, color: str) -> None:
    """A skip connection: a curve beside the boxes, from the source's side to the target's."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    control = [(x0 + bulge * 4 / 3, y0 - 0.15), (x1 + bulge * 4 / 3, y1 + 0.15)]
    path = Path([start, *control, end], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    ax.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=font * 0.9, color=color, linewidth=1.1, shrinkA=0, shrinkB=0
        )
    )


# --- shared ---------------------------------------------------------------------------------------


def _fit(ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> float:
    """Set limits and an equal aspect; returns how many points one data unit takes, to scale fonts by."""
    ax.set_xlim(*x)
    ax.set_ylim(*y)
    ax.set_aspect("equal")
    box = ax.get_window_extent()
    points = 72.0 / ax.figure.dpi
    return min(box.width / (x[1] - x[0]), box.height / (y[1] - y[0])) * points


def _text_on(color: str) -> str:
    """Black or white, whichever is easier to read on ``color`` (WCAG relative luminance)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"
