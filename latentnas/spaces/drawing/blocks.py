"""Pictures of cells with two inputs and operations on edges (DARTS, ENAS micro): labelled pills in layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..base import SearchSpace
from .layered import Layout, courses, layered
from .parts import INK, SKIP, box, curve, fit_points, line_color, op_color, op_label, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Size = tuple[float, float]
FONT = 9.0
TITLES = ("normal", "reduction")
_RADIUS = 0.95 * FONT
_TITLE, _BETWEEN = 2.2 * FONT, 2.5 * FONT


@dataclass(frozen=True)
class _Block:
    """One cell laid out in points. Vertices: its own, then the output, then a pill for every operation."""

    inputs: int
    vertices: int
    ops: list[str]
    edges: list[tuple[int, int]]
    layer: list[int]
    sizes: list[tuple[float, float]]
    layout: Layout


@lru_cache(maxsize=32)
def blocks_of(space: SearchSpace) -> list[list[int]]:
    """Vertices of the edge view that some cell connects, block by block: DARTS has two blocks of 6."""
    ops = space.edge_graphs(space.sample(64, seed=0)).ops
    linked = (ops != 0).any(0)
    linked = linked | linked.T | torch.eye(len(linked), dtype=torch.bool)
    for _ in range(len(linked)):
        linked = (linked.long() @ linked.long()) > 0
    blocks: list[list[int]] = []
    for vertex in range(len(linked)):
        members = linked[vertex].nonzero()[:, 0].tolist()
        if members[0] == vertex:
            blocks.append(members)
    return blocks


@lru_cache(maxsize=32)
def inputs_of(space: SearchSpace) -> list[int]:
    """How many vertices of each block nothing ever feeds."""
    ops = space.edge_graphs(space.sample(64, seed=0)).ops
    fed = (ops != 0).any(0).any(0).tolist()
    return [sum(1 for vertex in block if not fed[vertex]) for block in blocks_of(space)]


@lru_cache(maxsize=32)
def _concatenates_all(space: SearchSpace) -> bool:
    """Whether the output reads every node; otherwise it reads those that no other node reads."""
    view = space.node_graphs(space.sample(64, seed=0))
    last = view.mask.sum(1) - 1
    degree = view.adj[torch.arange(len(last)), :, last].sum(1)
    return bool((degree == degree[0]).all())


def _input(vertex: int, inputs: int) -> str:
    """The output of the cell before the last is c_{k-2}, that of the last one c_{k-1}."""
    return f"$c_{{k-{inputs - vertex}}}$" if inputs > 1 else "in"


def _block(space: SearchSpace, ops: Tensor, inputs: int, everything: bool) -> _Block:
    count = len(ops)
    used = (ops != 0).any(1)
    output = count
    names: list[str] = []
    edges: list[tuple[int, int]] = []
    layer = [0] * (count + 1)
    for j in range(count):
        sources = ops[:, j].nonzero()[:, 0].tolist()
        layer[j] = max((layer[i] + 2 for i in sources), default=0)
        for i in sources:
            # parallel operations are one edge type, "a+b"
            for name in space.edge_types[int(ops[i, j])].split("+"):
                pill = count + 1 + len(names)
                names.append(name)
                edges += [(i, pill), (pill, j)]
    for _, (pill, j) in zip(names, edges[1::2], strict=True):
        assert pill == len(layer)
        layer.append(layer[j] - 1)
    edges += [(j, output) for j in range(inputs, count) if everything or not bool(used[j])]
    layer[output] = max(layer) + 1
    widest = max(text_width(op_label(name), FONT) for name in space.edge_types if "+" not in name) + 1.3 * FONT
    circle = (2 * _RADIUS, 2 * _RADIUS)
    end = (text_width("out", FONT) + 1.4 * FONT, 2 * _RADIUS)
    first = (text_width(_input(0, inputs), FONT) + 0.7 * FONT, 2 * _RADIUS)
    pills = [(widest, 1.75 * FONT)] * len(names)
    sizes = [*([first] * inputs), *([circle] * (count - inputs)), end, *pills]
    gaps = [(1.6 if k % 2 else 1.9) * FONT for k in range(max(layer))]
    weights = [4 if k % 2 else 1 for k in range(max(layer))]  # the pills of a node belong together
    layout = layered(sizes, edges, layer, gaps=gaps, apart=0.55 * FONT, lane=0.35 * FONT, weights=weights)
    if inputs > 1 and layout.centers[0][1] > layout.centers[1][1]:
        layout = layout.mirrored()  # the first input above the second
    return _Block(inputs, count, names, edges, layer, sizes, layout)


def _blocks(space: SearchSpace, rows: Tensor) -> list[_Block]:
    ops, everything = space.edge_graphs(rows).ops[0], _concatenates_all(space)
    return [
        _block(space, ops[members][:, members], inputs, everything)
        for members, inputs in zip(blocks_of(space), inputs_of(space), strict=True)
    ]


def blocks_extent(space: SearchSpace, rows: Tensor) -> tuple[float, float]:
    """Width and height in points of :func:`draw_blocks`."""
    blocks = _blocks(space, rows)
    height = sum(b.layout.breadth[1] - b.layout.breadth[0] + _TITLE for b in blocks) + _BETWEEN * (len(blocks) - 1)
    return max(b.layout.length for b in blocks) + 8, height + 8


def draw_blocks(space: SearchSpace, rows: Tensor, ax: Axes, size: Size) -> None:
    """One cell below the other, each from its inputs at the left to its output at the right.

    Nodes have the numbers of the published texts, in which the inputs are 0 and 1.
    """
    blocks = _blocks(space, rows)
    width, height = blocks_extent(space, rows)
    scale = fit_points(ax, (-4, width - 4), (4 - height, 4), size)
    top = 0.0
    for k, block in enumerate(blocks):
        if len(blocks) > 1:
            title = TITLES[k] if len(blocks) == len(TITLES) else f"block {k + 1}"
            ax.text(0, top, title, ha="left", va="top", fontsize=1.05 * FONT * scale, fontweight="bold", color=INK)
        low, high = block.layout.breadth
        _draw_block(space, block, ax, top - _TITLE + low, FONT * scale)
        top -= _TITLE + high - low + _BETWEEN


def _draw_block(space: SearchSpace, block: _Block, ax: Axes, shift: float, font: float) -> None:
    from matplotlib.patches import Circle

    first_pill = block.vertices + 1
    for (i, j), (points, codes) in zip(
        block.edges, courses(block.layout, block.sizes, block.edges, block.layer, spread=0.45), strict=True
    ):
        path = [(along, shift - across) for along, across in points]
        if j == block.vertices:  # concatenation
            curve(ax, path, codes, color=SKIP, linewidth=0.12 * font, mutation_scale=0.7 * font, zorder=1,
                  gid="output")  # fmt: skip
        elif j >= first_pill:
            color = line_color(op_color(space, block.ops[j - first_pill]))
            curve(ax, path, codes, arrowstyle="-", color=color, linewidth=0.16 * font, zorder=2, gid="lead")
        else:
            color = line_color(op_color(space, block.ops[i - first_pill]))
            curve(ax, path, codes, color=color, linewidth=0.16 * font, mutation_scale=0.85 * font, zorder=2)
    for vertex, (size, (along, across)) in enumerate(zip(block.sizes, block.layout.centers, strict=True)):
        center = (along, shift - across)
        if vertex >= first_pill:
            name = block.ops[vertex - first_pill]
            box(ax, center, size, op_label(name), op_color(space, name), 0.95 * font)
        elif vertex < block.inputs or vertex == block.vertices:
            label = "out" if vertex == block.vertices else _input(vertex, block.inputs)
            box(ax, center, size, label, INK, font)
        else:
            ax.add_patch(Circle(center, _RADIUS, facecolor="white", edgecolor=INK, linewidth=0.12 * font, zorder=3,
                                gid="vertex"))  # fmt: skip
            ax.text(*center, str(vertex), ha="center", va="center", fontsize=font, color=INK, zorder=4)
