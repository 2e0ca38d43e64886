"""Pictures of cells, by the structure of their space.

=====================================  ==========================================================
structure                              picture
=====================================  ==========================================================
operations on edges, one input         vertices in a row, operations as labelled curves
operations on edges, two inputs        cell by cell, operations as pills in layers
a chain with skip connections          boxes below each other, skip connections as arcs beside them
other graphs                           boxes in layers by longest path
graphs of more than 16 vertices        dots in layers by longest path
=====================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ...errors import InvalidCodeError
from ..base import SearchSpace
from .blocks import blocks_extent, draw_blocks, inputs_of
from .chains import chain_size, draw_chain
from .dags import boxes_extent, dots_extent, draw_boxes, draw_dots
from .edges import draw_edges
from .parts import new_figure, op_color, op_label, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BOXES = 16
"""Cells of more vertices that are no chains are drawn as dots."""

_PAGE = 12.0
"""Inches that a row of cells may take: their labels of 9 to 11 points are read on a page of 11 inches."""

_TRIED = 40
"""Cells that are laid out to find the size of a picture."""


class _Style(NamedTuple):
    draw: Callable[[SearchSpace, Tensor, Axes, tuple[float, float]], None]
    size: tuple[float, float]


def cell_size(space: SearchSpace) -> tuple[float, float]:
    """Width and height in inches at which a cell of ``space`` is comfortably read.

    The same for all cells of a space; the rare cell that needs more room is drawn smaller.
    """
    return _style(space).size


def grid_columns(count: int, width: float) -> int:
    """How many of ``count`` cells to draw side by side so that texts stay readable on a page.

    Args:
        count: at least 1.
        width: of a cell, in inches, see :func:`cell_size`.
    """
    most = min(max(int(_PAGE / width), 1), 3)
    return -(-count // -(-count // most))  # rows of equal length


def draw_cell(space: SearchSpace, code: Tensor | Sequence[int], ax: Axes | None = None) -> Axes:
    """Draw one cell: labelled and coloured operations, from the input to the output.

    How depends on the structure of the space, see :mod:`latentnas.spaces.drawing`. In every picture
    the arrows that stand for edges of the cell have the gid "edge"; 'none' edges are thin and dotted.

    Args:
        space: the space of the cell.
        code: [D] or [1, D] integers.
        ax: matplotlib axes to draw on; by default those of a new figure (``ax.figure``), which
            belongs to no window. Give axes their place first: fonts are scaled to it.

    Raises:
        InvalidCodeError: ``code`` is not one cell of the space.
    """
    rows = torch.as_tensor(code)
    rows = space.check_codes(rows[None] if rows.ndim == 1 else rows).cpu()
    if len(rows) != 1:
        raise InvalidCodeError(f"draw_cell: expected one cell, got {len(rows)}; draw them one by one")
    style = _style(space)
    if ax is None:
        ax = new_figure(*style.size).add_axes((0.02, 0.02, 0.96, 0.96))
    ax.set_axis_off()
    style.draw(space, rows, ax, style.size)
    return ax


@lru_cache(maxsize=32)
def _style(space: SearchSpace) -> _Style:
    if space.edge_types:
        if inputs_of(space) == [1]:
            return _Style(draw_edges, (3.8, 2.0))
        return _Style(draw_blocks, _largest(space, blocks_extent))
    view = space.node_graphs(space.sample(64, seed=0))
    chain = torch.arange(space.max_nodes - 1)
    if bool((view.adj[:, chain, chain + 1] | ~view.mask[:, 1:]).all()):
        return _Style(draw_chain, chain_size(space))
    if space.max_nodes <= MAX_BOXES:
        return _Style(draw_boxes, _largest(space, boxes_extent))
    return _Style(draw_dots, _largest(space, dots_extent, _TRIED // 10))


def _largest(
    space: SearchSpace, extent: Callable[[SearchSpace, Tensor], tuple[float, float]], tried: int = _TRIED
) -> tuple[float, float]:
    """Inches that hold each of a few cells."""
    sizes = [extent(space, code[None]) for code in space.sample(tried, seed=0)]
    width, height = (max(side) / 72 / 0.96 for side in zip(*sizes, strict=True))
    return round(width, 1) + 0.1, round(height, 1) + 0.1


__all__ = ["cell_size", "draw_cell", "grid_columns", "new_figure", "op_color", "op_label", "text_width"]
