"""Pictures of cells that are chains with skip connections (ENAS macro): boxes, and arcs beside them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor

from ..base import SearchSpace
from .parts import INK, fit, line_color, op_color, op_label, text_on, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FONT = 11.0
_UNIT = 0.42
"""Inches from box to box."""


def _half_width(space: SearchSpace) -> float:
    """Half the width of a box that holds the widest label; the distance of neighbours is 1."""
    widest = max(text_width(op_label(name), 1.0) for name in space.node_types)
    return max(1.25, 0.5 * (0.32 * 0.92 * widest + 0.5))


def _reach(count: int) -> float:
    """Room for arcs at either side."""
    return 0.45 + 0.2 * max(count - 2, 2)


def chain_size(space: SearchSpace) -> tuple[float, float]:
    """Inches for a cell of ``space``."""
    return _UNIT * 2 * (_half_width(space) + _reach(space.max_nodes)), _UNIT * space.max_nodes + 0.1


def draw_chain(space: SearchSpace, rows: Tensor, ax: Axes, size: tuple[float, float]) -> None:
    """The input at the top, the output at the bottom; connections of neighbours straight, others as arcs."""
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    view = space.node_graphs(rows)
    count = int(view.mask[0].sum())
    names = [space.node_types[int(op)] for op in view.ops[0, :count]]
    adj = view.adj[0, :count, :count]
    wide, tall, step = _half_width(space), 0.3, 1.0
    arcs = [(i, j) for i in range(count) for j in range(i + 2, count) if bool(adj[i, j])]
    reach = _reach(count)  # as for the longest arc: cells of a space share one scale
    points = fit(ax, (-wide - reach, wide + reach), (-step * (count - 1) - 0.5, 0.5))
    font = min(max(points * 0.32, 3.5), FONT)
    for i, j in arcs:
        side = -1 if i % 2 else 1
        bulge = 0.3 + 0.2 * (j - i)
        color = INK if names[i] == "input" else line_color(op_color(space, names[i]))
        _arc(ax, (side * wide, -step * i - 0.1), (side * wide, -step * j + 0.1), side * bulge, font, color)
    for i, j in pairwise(range(count)):
        if bool(adj[i, j]):
            ends = ((0, -step * i - tall), (0, -step * j + tall))
            ax.add_patch(
                FancyArrowPatch(
                    *ends,
                    arrowstyle="-|>",
                    mutation_scale=font,
                    color=INK,
                    linewidth=1.1,
                    shrinkA=0,
                    shrinkB=0,
                    gid="edge",
                )
            )
    for i, name in enumerate(names):
        ends_here = name in ("input", "output")
        color = INK if ends_here else op_color(space, name)
        style = f"round,pad=0,rounding_size={tall * 0.6}"
        corner = (-wide, -step * i - tall)
        ax.add_patch(
            FancyBboxPatch(
                corner, 2 * wide, 2 * tall, boxstyle=style, facecolor=color, edgecolor="white", linewidth=1, zorder=3
            )
        )
        ax.text(
            0, -step * i, op_label(name), ha="center", va="center_baseline", fontsize=font * 0.92,
            color=text_on(color), zorder=4,
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
            path=path,
            arrowstyle="-|>",
            mutation_scale=font * 0.9,
            color=color,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
            gid="edge",
        )
    )
