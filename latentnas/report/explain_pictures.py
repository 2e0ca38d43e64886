"""The pictures of :mod:`latentnas.report.explain`: attention on the links of cells, gates of layers, quality tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..spaces.drawing import cell_size, draw_cell, draws_weights
from ..spaces.drawing.blocks import inputs_of
from ..spaces.drawing.parts import text_on
from .explain import Explanation
from .style import HEAD, INK, MARGIN, MUTED, frame, heading, new_figure, titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGER = (1.25, 1.35)
"""Width and height that boxes with numbers on their links need, relative to those without."""

CELLS = "NR"
"""The normal and the reduction cell, where a code holds both."""

_CAPTION, _SQUARE, _ROW = 0.36, 0.46, 0.235
_LABEL, _TIERS = 1.25, 3.8
"""Inches of the names of links beside a heat map, and of the bars of tiers."""


def draw_explanation(found: Explanation, *, title: str = "", note: str = "") -> Figure:
    """A row a cell: the cell, its links as broad as their mean attention; beside it all layers, or the tiers.

    Args:
        found: the cells.
        title: the first line above the picture.
        note: the second.
    """
    weighted = found.attention is not None and draws_weights(found.space)
    size = cell_size(found.space, found.codes)
    larger = LARGER if weighted and not found.space.edge_types else (1.0, 1.0)
    wide, tall = size[0] * larger[0], size[1] * larger[1]
    sides = [_side_size(found, k) for k in range(len(found.codes))]
    rows = [max(tall, side[1]) + _CAPTION + 0.25 for side in sides]
    width = max(2 * MARGIN + wide + 0.35 + max(side[0] for side in sides), 6.0)
    height = HEAD + sum(rows)
    figure = new_figure(width, height)
    titles(figure, title, note)
    top = HEAD
    for k, (code, row, side) in enumerate(zip(found.codes, rows, sides, strict=True)):
        key = found.space.keys(code[None])[0]
        caption = f"{k + 1}   score {float(found.scores[k]):.4g}"
        heading(figure, MARGIN, top + 0.1, caption, size=10.0)
        if len(key) <= 40:
            heading(figure, MARGIN + 1.9, top + 0.1, key, size=9.0, strong=False)
        ax = frame(figure, MARGIN, top + _CAPTION, wide, row - _CAPTION - 0.25)
        draw_cell(found.space, code, ax, size=size, weights=_mean_weights(found, k) if weighted else None)
        left = MARGIN + wide + 0.35
        if found.attention is not None:
            _draw_layers(found, k, figure, left, top + _CAPTION)
        if found.tiers is not None:
            _draw_tiers(found.tiers[k], frame(figure, left + 0.55, top + _CAPTION, side[0] - 0.95, side[1]))
        top += row
    return figure


def _mean_weights(found: Explanation, k: int) -> dict[tuple[int, int], float]:
    """Attention of the links of a cell, the mean over the layers."""
    assert found.attention is not None
    mean = found.attention[k].mean(0)
    return {(i, j): float(mean[i, j]) for i, j in found.links(k) if i != j}


def _side_size(found: Explanation, k: int) -> tuple[float, float]:
    """Inches of what stands beside a cell."""
    if found.attention is None:
        assert found.tiers is not None
        return _TIERS, 0.28 * found.tiers.shape[1]
    columns = found.attention.shape[1] + 1
    rows = len(found.links(k)) + (0 if found.gates is None else len(_gates(found, k)) + 0.5)
    return _LABEL + columns * _SQUARE + 0.1, rows * _ROW + 0.3


def _gates(found: Explanation, k: int) -> Tensor:
    """Gates of a cell: [cells of the view, K]."""
    assert found.gates is not None and found.attention is not None
    return found.gates[k].reshape(-1, found.attention.shape[1])


def _draw_layers(found: Explanation, k: int, figure: Figure, left: float, top: float) -> None:
    """Heat maps: a row a link, a column a layer, the last the mean; below them the gates of the layers."""
    assert found.attention is not None
    links = found.links(k)
    values = torch.stack([found.attention[k, :, i, j] for i, j in links])  # [links, K]
    values = torch.cat([values, values.mean(1, keepdim=True)], 1)
    layers = values.shape[1] - 1
    heads = [*(f"layer {t + 1}" if t == 0 else str(t + 1) for t in range(layers)), "mean"]
    names = [_link_name(found, k, link) for link in links]
    place = (left + _LABEL, top + 0.22, values.shape[1] * _SQUARE)
    _heat_map(frame(figure, *place, len(links) * _ROW), values, names, heads, "Blues")
    if found.gates is not None:
        gates = _gates(found, k)
        names = ["gate"] if len(gates) == 1 else [f"gate {name}" for name in CELLS]
        below = top + 0.22 + (len(links) + 0.5) * _ROW
        _heat_map(frame(figure, place[0], below, layers * _SQUARE, len(gates) * _ROW), gates, names, [], "Oranges")


def _link_name(found: Explanation, k: int, link: tuple[int, int]) -> str:
    """Such as "in to 2", "2 to itself", in spaces of two cells "N: k-1 to 2"."""
    space = found.space
    if space.edge_types and inputs_of(space) != [1]:
        width = space.edge_graphs(found.codes[k : k + 1]).mask.shape[1] // len(CELLS)
        names = [{0: "k-2", 1: "k-1"}.get(v % width, str(v % width)) for v in link]
        return f"{CELLS[link[0] // width]}: {names[0]} to {names[1]}"
    graphs = space.edge_graphs if space.edge_types else space.node_graphs
    last = int(graphs(found.codes[k : k + 1]).mask.sum()) - 1
    names = ["in" if v == 0 else "out" if v == last else str(v) for v in link]
    return f"{names[0]} to {'itself' if link[0] == link[1] else names[1]}"


def _heat_map(ax: Axes, values: Tensor, names: list[str], heads: list[str], colors: str) -> None:
    """Squares with their numbers, 0 white and 1 dark."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    shade = colormaps[colors]
    rows, columns = values.shape
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            color = to_hex(shade(0.85 * value))
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor=color, edgecolor="white", linewidth=1.2, gid="square"))
            ax.text(j + 0.5, i + 0.52, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=text_on(color))
    ax.set_yticks([i + 0.5 for i in range(rows)], names)
    ax.set_xticks([j + 0.5 for j in range(len(heads))], heads)
    ax.tick_params(length=0, labelsize=8.5, labelcolor=INK, labelbottom=False, labeltop=True, pad=2)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _draw_tiers(shares: Tensor, ax: Axes) -> None:
    """A bar a tier, the best on top."""
    count = len(shares)
    ax.barh(range(count), shares.tolist(), color=[_tier_color(t, count) for t in range(count)], height=0.78)
    for t, share in enumerate(shares.tolist()):
        ax.text(share + 0.015, t, f"{share:.2f}", va="center", fontsize=8.5, color=INK)
    ax.set_xlim(0, 1.12)
    ax.set_ylim(count - 0.5, -0.5)
    names = ["best", *(str(t + 1) for t in range(1, count - 1)), "worst"]
    ax.set_yticks(range(count), names)
    ax.set_xticks([])
    ax.tick_params(length=0, labelsize=8.5, labelcolor=INK)
    for side in ("top", "right", "bottom"):
        ax.spines[side].set_visible(False)
    ax.spines["left"].set_color(MUTED)


def _tier_color(tier: int, count: int) -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return to_hex(colormaps["cividis"](0.95 - 0.75 * tier / max(count - 1, 1)))


__all__ = ["draw_explanation"]
