"""Pictures of cells with one input and operations on edges (NAS-Bench-201): vertices in a row, curved edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..base import SearchSpace
from ..graphs import NO_EDGE
from .parts import (
    ABSENT,
    DEAD,
    INK,
    Weights,
    fit,
    line_color,
    link_number,
    link_width,
    op_color,
    op_label,
    text_on,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_edges(
    space: SearchSpace, rows: Tensor, ax: Axes, size: tuple[float, float], weights: Weights | None = None
) -> None:
    """Vertices as circles from left to right, operations as labelled edges, 'none' edges thin and dotted.

    Operations on no path from the input to the output are grey. Links with weights are as broad as these are high.
    """
    from matplotlib.patches import Circle

    view = space.edge_graphs(rows)
    ops, count = view.ops[0], int(view.mask[0].sum())
    gap, radius = 2.0, 0.23
    bend = 0.85
    above = max((j - i for i in range(0, count, 2) for j in range(i + 2, count)), default=0)
    below = max((j - i for i in range(1, count, 2) for j in range(i + 2, count)), default=0)
    low, high = -bend * (below - 0.9) - 0.3, bend * (above - 0.9) + 0.3
    points = fit(ax, (-0.45, gap * (count - 1) + 0.45), (min(low, -0.5), max(high, 0.5)))
    font = min(max(points * 0.25, 4.0), 13.0)
    present = ops[:count, :count] != NO_EDGE
    reach = present | torch.eye(count, dtype=torch.bool)  # by the powers of this: which vertex leads to which
    for _ in range(count):
        reach = (reach.long() @ reach.long()) > 0
    for i in range(count):
        for j in range(i + 1, count):
            used = bool(reach[0, i] & reach[j, -1])
            rise = 0.0 if j == i + 1 else bend * (j - i - 0.9) * (1 if i % 2 == 0 else -1)
            weight = None if weights is None else weights.get((i, j))
            _edge(ax, space, int(ops[i, j]), (gap * i, 0.0), (gap * j, 0.0), rise, radius, font, used, weight)
    for i in range(count):
        name = "in" if i == 0 else "out" if i == count - 1 else str(i)
        ends = i in (0, count - 1)
        face = INK if ends else "white"
        ax.add_patch(Circle((gap * i, 0), radius, facecolor=face, edgecolor=INK, linewidth=1.2, zorder=4))
        color = "white" if ends else INK
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
    used: bool,
    weight: float | None,
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
    color = ABSENT if absent else op_color(space, name) if used else DEAD
    ax.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-" if absent else "-|>",
            mutation_scale=font * 1.1,
            color=line_color(color) if used else ABSENT,
            linewidth=0.9 if absent else font * 0.2 if weight is None else link_width(weight, font),
            linestyle=(0, (1, 2.5)) if absent else "-",
            capstyle="butt",
            shrinkA=0,
            gid="none" if absent else "edge",
            shrinkB=0.5,
            zorder=1 if absent else 2,
        )
    )
    middle = (x0 + x1) / 2, y0 + rise
    if not absent:
        _pill(ax, *middle, _short(space, name) + ("" if weight is None else f"\n{weight:.2f}"), color, font)
    elif weight is not None:
        link_number(ax, middle, weight, font)


def _short(space: SearchSpace, name: str) -> str:
    """Labels must fit between two vertices: where there is one kind of pooling, it is just "pool"."""
    label = op_label(name)
    return label if any("max" in other for other in space.edge_types) else label.replace("avg pool", "pool")


def _pill(ax: Axes, x: float, y: float, text: str, color: str, font: float) -> None:
    box = {"boxstyle": "round,pad=0.28,rounding_size=0.6", "facecolor": color, "edgecolor": "white", "linewidth": 1.0}
    ax.text(x, y, text, ha="center", va="center", fontsize=font * 0.88, color=text_on(color), bbox=box, zorder=3)
