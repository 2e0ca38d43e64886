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
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ...errors import InvalidCodeError
from ..base import SearchSpace
from .blocks import blocks_extent, draw_blocks, inputs_of
from .chains import chain_size, draw_chain
from .dags import boxes_extent, dots_extent, draw_boxes, draw_dots
from .edges import draw_edges
from .parts import INK, Weights, new_figure, op_color, op_label, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BOXES = 16
"""Cells of more vertices that are no chains are drawn as dots."""

_PAGE = 13.6
"""Inches that a row of cells may take: their labels of 9 to 11 points are read on a page of 11 inches."""

_TITLE = 0.3
"""Inches that a title takes."""

_TRIED = 40
"""Cells that are laid out to find the size of a picture."""


class _Style(NamedTuple):
    draw: Callable[[SearchSpace, Tensor, Axes, tuple[float, float]], None]
    size: tuple[float, float]
    extent: Callable[[SearchSpace, Tensor], tuple[float, float]] | None = None
    """Points that one cell takes; None where all cells of a space take the same."""


_WEIGHTED: dict[Any, Callable[[SearchSpace, Tensor, Axes, tuple[float, float], Weights], None]] = {
    draw_edges: draw_edges,
    draw_boxes: draw_boxes,
}
"""The kinds of pictures that can show weights of links."""


def cell_size(space: SearchSpace, codes: Tensor | None = None) -> tuple[float, float]:
    """Width and height in inches at which a cell of ``space`` is comfortably read.

    Args:
        space: the space of the cells.
        codes: [B, D] long, B at least 1; the size that holds each of these. By default one for all cells of
            the space; the rare cell that needs more room is drawn smaller.
    """
    style = _style(space)
    return style.size if codes is None or style.extent is None else _holding(space, codes, style.extent)


def grid_columns(count: int, width: float) -> int:
    """How many of ``count`` cells to draw side by side so that texts stay readable on a page.

    Args:
        count: at least 1.
        width: of a cell, in inches, see :func:`cell_size`.
    """
    most = min(max(int(_PAGE / width), 1), 3)
    return -(-count // -(-count // most))  # rows of equal length


def draw_cell(
    space: SearchSpace,
    code: Tensor | Sequence[int] | str,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    size: tuple[float, float] | None = None,
    weights: Weights | None = None,
) -> Axes:
    """Draw one cell: labelled and coloured operations, from the input to the output.

    How depends on the structure of the space, see :mod:`latentnas.spaces.drawing`. In every picture
    the arrows that stand for edges of the cell have the gid "edge"; 'none' edges are thin and dotted,
    operations on no path from the input to the output are grey.

    Args:
        space: the space of the cell.
        code: [D] or [1, D] integers, or the text of a cell.
        ax: matplotlib axes to draw on; by default those of a new figure (``ax.figure``), which
            belongs to no window. Give axes their place first: fonts are scaled to it.
        title: a line above the picture; none by default.
        size: inches at which labels have their full size, see :func:`cell_size`; in smaller axes they
            are smaller. By default those of the cell on a new figure, those of its space on given axes.
        weights: how strong links are, 0 to 1, by (from, to) in the edge view where the space has one, else in the node
            view; for the spaces of :func:`draws_weights`.

    Raises:
        InvalidCodeError: ``code`` is not one cell of the space, or weights cannot be drawn in it.
        ParseError: the text is no cell of the space.
    """
    rows = _one_cell(space, code)
    style = _style(space)
    if ax is None:
        size = cell_size(space, rows) if size is None else size
        head = _TITLE if title else 0.0
        height = size[1] + head
        ax = new_figure(size[0], height).add_axes((0.02, 0.02, 0.96, 0.96 - head / height))
    ax.set_axis_off()
    size = style.size if size is None else size
    if weights is None:
        style.draw(space, rows, ax, size)
    elif style.draw in _WEIGHTED:
        _WEIGHTED[style.draw](space, rows, ax, size, weights)
    else:
        raise InvalidCodeError(f"{space.name}: its pictures of cells have no room for the weights of links")
    if title:
        ax.set_title(title, fontsize=9, color=INK, parse_math=False)
    return ax


def draws_weights(space: SearchSpace) -> bool:
    """Whether pictures of the space's cells can show weights of links."""
    return _style(space).draw in _WEIGHTED


def _one_cell(space: SearchSpace, code: Tensor | Sequence[int] | str) -> Tensor:
    """The code as [1, D] on the CPU."""
    if isinstance(code, str):
        return space.parse(code)
    if not isinstance(code, Tensor):
        try:
            code = torch.as_tensor(code)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise InvalidCodeError(
                f"{space.name}: draw_cell needs {space.dim} integers or the text of a cell, got {code!r:.200}"
            ) from None
    rows = space.check_codes(code[None] if code.ndim == 1 else code).cpu()
    if len(rows) != 1:
        raise InvalidCodeError(f"draw_cell: expected one cell, got {len(rows)}; draw them one by one")
    return rows


@lru_cache(maxsize=32)
def _style(space: SearchSpace) -> _Style:
    if space.edge_types:
        if inputs_of(space) == [1]:
            return _Style(draw_edges, (3.8, 2.0))
        return _Style(draw_blocks, _largest(space, blocks_extent), blocks_extent)
    view = space.node_graphs(space.sample(64, seed=0))
    chain = torch.arange(space.max_nodes - 1)
    if bool((view.adj[:, chain, chain + 1] | ~view.mask[:, 1:]).all()):
        return _Style(draw_chain, chain_size(space))
    if space.max_nodes <= MAX_BOXES:
        return _Style(draw_boxes, _largest(space, boxes_extent), boxes_extent)
    return _Style(draw_dots, _largest(space, dots_extent, _TRIED // 10), dots_extent)


def _largest(
    space: SearchSpace, extent: Callable[[SearchSpace, Tensor], tuple[float, float]], tried: int = _TRIED
) -> tuple[float, float]:
    """Inches that hold each of a few random cells."""
    return _holding(space, space.sample(tried, seed=0), extent)


def _holding(
    space: SearchSpace, codes: Tensor, extent: Callable[[SearchSpace, Tensor], tuple[float, float]]
) -> tuple[float, float]:
    """Inches that hold each of some cells."""
    sizes = [extent(space, code[None]) for code in codes.cpu()]
    width, height = (max(side) / 72 / 0.96 for side in zip(*sizes, strict=True))
    return round(width, 1) + 0.1, round(height, 1) + 0.1


__all__ = [
    "cell_size",
    "draw_cell",
    "draws_weights",
    "grid_columns",
    "new_figure",
    "op_color",
    "op_label",
    "text_width",
]
