"""Pictures of cells with operations on vertices: boxes in layers, or dots where there are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ..base import SearchSpace
from .layered import Course, Layout, courses, layered, longest_path_layers
from .parts import (
    ABSENT,
    DEAD,
    EDGE,
    INK,
    Point,
    Weights,
    box,
    curve,
    fit_points,
    link_number,
    link_width,
    op_color,
    op_label,
    text_on,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Size = tuple[float, float]
FONT, DOT_FONT = 10.0, 8.0
_DOT = "#0072b2"


@dataclass(frozen=True)
class _Picture:
    """A cell laid out in points, flow downward or to the right."""

    names: list[str]
    sizes: list[tuple[float, float]]
    edges: list[tuple[int, int]]
    layer: list[int]
    layout: Layout

    def courses(self, spread: float) -> list[Course]:
        return courses(self.layout, self.sizes, self.edges, self.layer, spread=spread)


def _cell(space: SearchSpace, rows: Tensor) -> tuple[list[str], list[tuple[int, int]]]:
    """Names of the vertices, and edges."""
    view = space.node_graphs(rows)
    count = int(view.mask[0].sum())
    pairs = [(int(i), int(j)) for i, j in view.adj[0, :count, :count].nonzero().tolist()]
    return [space.node_types[op] for op in view.ops[0, :count].tolist()], pairs


# --- boxes ----------------------------------------------------------------------------------------


def _boxes(space: SearchSpace, rows: Tensor, *, weighted: bool = False) -> _Picture:
    names, edges = _cell(space, rows)
    layer = longest_path_layers(len(names), edges)
    widest = max(text_width(op_label(name), FONT) for name in space.node_types[2:])
    ends = max(text_width(op_label(name), FONT) for name in space.node_types[:2])
    pad, gap, apart = (4.2, 3.4, 2.0) if weighted else (1.6, 2.0, 1.0)  # room for numbers of vertices and of links
    sizes = [(2.0 * FONT, (ends if name in space.node_types[:2] else max(widest, ends)) + pad * FONT) for name in names]
    gaps = [gap * FONT] * max(layer)
    layout = layered(sizes, edges, layer, gaps=gaps, apart=apart * FONT, lane=0.6 * FONT)
    return _Picture(names, sizes, edges, layer, layout)


def boxes_extent(space: SearchSpace, rows: Tensor) -> tuple[float, float]:
    """Width and height in points of :func:`draw_boxes`."""
    layout = _boxes(space, rows).layout
    return layout.breadth[1] - layout.breadth[0] + 8, layout.length + 8


def draw_boxes(space: SearchSpace, rows: Tensor, ax: Axes, size: Size, weights: Weights | None = None) -> None:
    """Operations as boxes in layers by longest path, the input at the top, the output at the bottom.

    Operations on no path from the input to the output are grey. Links with weights are as broad as these are high, and
    then vertices are numbered.
    """
    picture = _boxes(space, rows, weighted=weights is not None)
    low, high = picture.layout.breadth
    scale = fit_points(ax, (low - 4, high + 4), (-picture.layout.length - 4, 4), size)
    font = FONT * scale
    used = _used(len(picture.names), picture.edges)
    for (points, codes), (i, j) in zip(picture.courses(0.7), picture.edges, strict=True):
        path = [(across, -along) for along, across in points]
        color = EDGE if i in used and j in used else ABSENT
        weight = None if weights is None else weights.get((i, j))
        width = 0.12 * font if weight is None else link_width(weight, font)
        curve(ax, path, codes, mutation_scale=0.9 * font, color=color, linewidth=width, zorder=1)
        if weight is not None:
            link_number(ax, _near_target(path), weight, font)
    boxes = zip(picture.names, picture.layout.centers, picture.sizes, strict=True)
    for vertex, (name, (along, across), (thick, broad)) in enumerate(boxes):
        color = INK if name in space.node_types[:2] else op_color(space, name) if vertex in used else DEAD
        inner = weights is not None and name not in space.node_types[:2]
        box(
            ax,
            (across, -along),
            (broad, thick),
            f"{vertex}  {op_label(name)}" if inner else op_label(name),
            color,
            font,
        )


def _near_target(points: Sequence[Point]) -> Point:
    """The middle of the last bend of a curve, where it comes to its target apart from the others."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[-4:]
    return (x0 + 3 * (x1 + x2) + x3) / 8, (y0 + 3 * (y1 + y2) + y3) / 8


def _used(count: int, edges: list[tuple[int, int]]) -> set[int]:
    """Vertices on a path from the first vertex to the last."""
    forward, backward = {0}, {count - 1}
    for i, j in sorted(edges):  # topological order: sources of i are settled
        if i in forward:
            forward.add(j)
    for i, j in sorted(edges, key=lambda edge: -edge[1]):
        if j in backward:
            backward.add(i)
    return forward & backward


# --- dots -----------------------------------------------------------------------------------------


def _dots(space: SearchSpace, rows: Tensor) -> _Picture:
    names, edges = _cell(space, rows)
    layer = longest_path_layers(len(names), edges)
    sizes = [(2.6 * DOT_FONT,) * 2 if name in space.node_types[:2] else (1.0 * DOT_FONT,) * 2 for name in names]
    gaps = [1.9 * DOT_FONT] * max(layer)
    dense = min(max(240 / max(len(edges), 1), 0.8), 4.0)  # points from lane to lane
    layout = layered(sizes, edges, layer, gaps=gaps, apart=0.55 * DOT_FONT, lane=0.0, lanes_apart=dense)
    return _Picture(names, sizes, edges, layer, layout)


def dots_extent(space: SearchSpace, rows: Tensor) -> tuple[float, float]:
    """Width and height in points of :func:`draw_dots`."""
    layout = _dots(space, rows).layout
    return layout.length + 8, layout.breadth[1] - layout.breadth[0] + 8


def draw_dots(space: SearchSpace, rows: Tensor, ax: Axes, size: Size) -> None:
    """A large cell: its vertices as dots in layers by longest path, from the input at the left to the output."""
    from matplotlib.patches import Circle

    picture = _dots(space, rows)
    low, high = picture.layout.breadth
    scale = fit_points(ax, (-4, picture.layout.length + 4), (-high - 4, -low + 4), size)
    font = DOT_FONT * scale
    kinds = sorted({name for name in picture.names} - set(space.node_types[:2]))
    dense = min(1.0, 60 / max(len(picture.edges), 1))  # many edges are thin and let each other shine through
    style = {"linewidth": (0.045 + 0.035 * dense) * font, "alpha": 0.3 + 0.5 * dense}
    for points, codes in picture.courses(0.0):
        path = [(along, -across) for along, across in points]
        curve(ax, path, codes, mutation_scale=0.6 * font, color=EDGE, zorder=1, **style)
    for name, (along, across), (thick, _) in zip(picture.names, picture.layout.centers, picture.sizes, strict=True):
        ends = name in space.node_types[:2]
        color = INK if ends else _DOT if len(kinds) == 1 else op_color(space, name)
        ax.add_patch(
            Circle((along, -across), thick / 2, facecolor=color, edgecolor="white", linewidth=0.08 * font, zorder=3,
                   gid="vertex")
        )  # fmt: skip
        if ends:
            ax.text(along, -across, op_label(name), ha="center", va="center", fontsize=font, color=text_on(color),
                    zorder=4)  # fmt: skip
