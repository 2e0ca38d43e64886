"""The pictures of :mod:`latentnas.report.explore`: cells as tiles of a plane, a map of it, a line of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..spaces import SearchSpace
from ..spaces.drawing import cell_size, draw_cell, grid_columns, text_width
from .explore import Line, Measure, Plane
from .style import FAINT, HEAD, INK, MARGIN, MUTED, frame, heading, new_figure, plain_axes, titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Block = tuple[tuple[int, int], tuple[int, int]]
"""First and last row, first and last column."""

TILE, MAX_SCALE = 0.58, 1.8
"""Cells in tiles are drawn at this share of their comfortable size, and in large areas so much larger."""
MAX_WIDTH, MAX_HEIGHT = 19.0, 17.0
"""Inches of tiles above which a plane is drawn as a map."""
MAP_CELLS, LINE_CELLS = 6, 12
"""How many cells are drawn beside a map, and below a line."""
LOW_PERCENTILE = 0.1
"""The colour scale starts here: one cell that does not train would flatten all others."""
UNKNOWN = "#eceff2"
_FOOT, _BAR = 0.3, 1.1


def draw_plane(plane: Plane, *, title: str = "", note: str = "") -> Figure:
    """Every point a tile; tiles of equal networks that touch are one area, with the cell drawn once in it.

    Areas are coloured by the measure, else every network has a colour of its own. A frame marks the middle.

    Args:
        plane: the decoded cells.
        title: the first line above the picture.
        note: the second, what the plane is.
    """
    wide, tall = (TILE * side for side in cell_size(plane.space))
    head = 0.2 if plane.measure else 0.0  # a line of text below the cell
    across, down = wide + 0.16, tall + head + 0.16
    figure, ax = _tiles(plane, across, down, 0.0, title, note)
    colors = _tile_colors(plane, figure, ax)
    _paint(plane, ax, colors, across, down)
    for region in plane.regions:
        rows, columns = _home(plane, region)
        scale = min(rows[1] - rows[0] + 1, columns[1] - columns[0] + 1, MAX_SCALE)
        w, h = scale * wide, scale * tall
        left = (columns[0] + columns[1] + 1) / 2 * across - w / 2
        top = (rows[0] + rows[1] + 1) / 2 * down - (h + head) / 2
        if plane.measure and plane.values is not None:
            _panel(ax, left, top, w, h + head)
            text = _values([float(plane.values[tile]) for tile in region], plane.measure)
            ax.text(left + w / 2, top + h + 0.4 * head, text, ha="center", va="center", fontsize=8 + scale,
                    color=INK, zorder=6)  # fmt: skip
        draw_cell(plane.space, plane.codes[rows[0], columns[0]], _inset(ax, left, top, w, h))
    _mark(plane, ax, across, down)
    return figure


def draw_plane_map(plane: Plane, *, title: str = "", note: str = "") -> Figure:
    """The plane as small squares, with a few of its cells drawn beside it and numbered in it.

    Drawn are the cell in the middle and the networks with most points, at most 6. For large cells and for
    fine grids. Arguments: :func:`draw_plane`.
    """
    from matplotlib.patheffects import withStroke

    keys = plane.networks[:MAP_CELLS]
    width, height = cell_size(plane.space)
    scale = min(0.8, 6 / width)
    wide, tall = scale * width, scale * height
    caption = 0.5
    columns = min(len(keys), 3 if tall > 1.6 * wide else 2)
    rows = -(-len(keys) // columns)
    beside, least = columns * (wide + 0.3), rows * (tall + caption + 0.1)
    tile = min(max(least, 5.6), 7.5) / plane.size
    figure, ax = _tiles(plane, tile, tile, beside, title, note, least=least)
    colors = _tile_colors(plane, figure, ax)
    _paint(plane, ax, colors, tile, tile)
    _mark(plane, ax, tile, tile)
    number = {key: k + 1 for k, key in enumerate(keys)}
    for region in plane.regions:
        key = plane.keys[region[0][0]][region[0][1]]
        if key in number:
            y, x = ((sum(side) + 1) / 2 * tile for side in _home(plane, region))
            ax.text(x, y, str(number[key]), ha="center", va="center", zorder=6,
                    fontsize=min(11.0, 36 * tile), fontweight="bold", color=INK,
                    path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip
    start = figure.get_size_inches()[0] - beside
    for k, key in enumerate(keys):
        row, column = divmod(k, columns)
        left, top = start + column * (wide + 0.3) + 0.05, HEAD + row * (tall + caption + 0.1)
        tile_at = plane.representative(key)
        points = sum(line.count(key) for line in plane.keys)
        text = f"{points} {'point' if points == 1 else 'points'}"
        if plane.measure is not None and plane.values is not None:
            text += f", {_values([float(plane.values[tile_at])], plane.measure)}"
        heading(figure, left, top + 0.15, f"{k + 1}   in the middle" if k == 0 else str(k + 1))
        heading(figure, left, top + 0.34, text, strong=False)
        draw_cell(plane.space, plane.codes[tile_at], frame(figure, left, top + caption, wide, tall))
    return figure


def fits_tiles(space: SearchSpace, size: int) -> bool:
    """Whether ``size`` x ``size`` cells of the space can be drawn on a picture of readable size."""
    wide, tall = cell_size(space)
    return size * (TILE * wide + 0.16) <= MAX_WIDTH and size * (TILE * tall + 0.36) <= MAX_HEIGHT


def draw_line(line: Line, *, title: str = "", note: str = "") -> Figure:
    """Above, the path with a colour for every network, and the measure along it; below, the cells in order.

    Of more than 12 networks, the first, the last and those with most points are drawn.

    Args:
        line: the decoded cells.
        title: the first line above the picture.
        note: the second, what the path is.
    """
    shown = _longest(line)
    wide, tall = (0.78 * side for side in cell_size(line.space))
    columns = max(grid_columns(len(shown), wide), min(len(shown), int(11.5 // (wide + 0.2))), 1)
    rows = -(-len(shown) // columns)
    caption = 0.5 if line.measure else 0.34
    strip = 2.3 if line.measure else 0.5
    width = max(columns * (wide + 0.2) + 2 * MARGIN, 9.0)
    below = HEAD + strip + 0.72
    figure = new_figure(width, below + rows * (tall + caption + 0.1) + 0.1)
    titles(figure, title, note)
    left = 0.85 if line.measure else MARGIN
    ax = frame(figure, left, HEAD, width - left - MARGIN, strip)
    _draw_strip(line, ax)
    inner = (width - columns * (wide + 0.2)) / 2
    for k, key in enumerate(shown):
        row, column = divmod(k, columns)
        x, y = inner + column * (wide + 0.2) + 0.1, below + row * (tall + caption + 0.1)
        part = max(line.parts_of(key), key=lambda p: p.last - p.first)
        more = len(line.parts_of(key)) - 1
        text = f"{line.networks.index(key) + 1}   {part.start:.2f} to {part.end:.2f}" + (f", +{more}" if more else "")
        heading(figure, x, y + 0.15, text)
        if line.measure is not None and line.values is not None:
            text = _values(line.values[part.first : part.last + 1].tolist(), line.measure)
            heading(figure, x, y + 0.34, text, strong=False)
        draw_cell(line.space, line.codes[part.first], frame(figure, x, y + caption, wide, tall))
    return figure


def _longest(line: Line) -> list[str]:
    """The networks to draw, in order of appearance."""
    points = {key: sum(p.last - p.first + 1 for p in line.parts_of(key)) for key in line.networks}
    ends = {line.parts[0].key, line.parts[-1].key}
    kept = sorted(line.networks, key=lambda key: (key not in ends, -points[key]))[:LINE_CELLS]
    return [key for key in line.networks if key in kept]


def _draw_strip(line: Line, ax: Axes) -> None:
    half = 0.5 / max(len(line.codes) - 1, 1)
    known = [] if line.values is None else [v for v in line.values.tolist() if v == v]
    plain_axes(ax, "position from the start (0) to the end (1)", line.measure.label if line.measure else "")
    ax.grid(False)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = 0.08 * (high - low) or 1.0
    # The numbers of networks stand above the values.
    low, high = (low - room, high + 3.5 * room) if known else (0.0, 1.0)
    width = ax.get_window_extent().width * 72 / ax.figure.dpi
    for part in line.parts:
        a, b = max(part.start - half, 0.0), min(part.end + half, 1.0)
        number = line.networks.index(part.key)
        ax.axvspan(a, b, color=_pale(number), linewidth=0, gid="stretch")
        if part.first:
            ax.axvline(a, color="white", linewidth=1.0, zorder=2)
        text = str(number + 1)
        if text_width(text, 10.0) + 3 < (b - a) * width:
            y = high - room * 1.3 if known else 0.5
            ax.text((a + b) / 2, y, text, ha="center", va="center", fontsize=10, fontweight="bold", color=INK)
    if line.values is not None:
        t = torch.linspace(0, 1, len(line.codes)).tolist()
        ax.step(t, line.values.tolist(), where="mid", color=INK, linewidth=1.6, zorder=3)
    else:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    ax.set_xlim(0, 1)
    ax.set_ylim(low, high)


# --- parts ----------------------------------------------------------------------------------------


def _tiles(
    plane: Plane, across: float, down: float, beside: float, title: str, note: str, least: float = 0.0
) -> tuple[Figure, Axes]:
    """A figure with axes for size x size tiles; data are inches from the upper left corner."""
    left, bar = 0.75, _BAR if plane.measure else 0.0
    wide, tall = plane.size * across, plane.size * down
    width = left + wide + MARGIN + bar + beside
    figure = new_figure(width, HEAD + max(tall + 0.75, least) + _FOOT / 2)
    titles(figure, title, note)
    ax = frame(figure, left, HEAD, wide, tall)
    ax.set_xlim(0, wide)
    ax.set_ylim(tall, 0)
    half, every = plane.size // 2, -(-plane.size // 11)
    ticks = [k for k in range(plane.size) if (k - half) % every == 0]
    ax.set_xticks([(k + 0.5) * across for k in ticks], [f"{(k - half) * plane.step:.3g}" for k in ticks])
    ax.set_yticks([(k + 0.5) * down for k in ticks], [f"{(half - k) * plane.step:.3g}" for k in ticks])
    ax.tick_params(length=0, labelsize=9, labelcolor=MUTED)
    ax.set_xlabel("first direction, standard deviations of the training latents", fontsize=10, color=INK)
    ax.set_ylabel("second direction", fontsize=10, color=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure, ax


def _tile_colors(plane: Plane, figure: Figure, ax: Axes) -> list[list[Any]]:
    """The colour of every tile, and the bar that explains it."""
    if plane.measure is None or plane.values is None:
        # By first appearance in reading order: networks side by side get hues far apart.
        seen = {key: k for k, key in enumerate(dict.fromkeys(key for row in plane.keys for key in row))}
        return [[_pale(seen[key]) for key in row] for row in plane.keys]
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = plane.values[~plane.values.isnan()]
    low, high = (0.0, 1.0) if len(known) == 0 else (float(known.quantile(LOW_PERCENTILE)), float(known.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    shade = ScalarMappable(Normalize(low, high), colormaps["cividis"])
    place = ax.get_position()
    width, _ = figure.get_size_inches()
    bar_ax = figure.add_axes((place.x1 + 0.15 / width, place.y0, 0.16 / width, place.height))
    below = len(known) > 0 and float(known.min()) < low
    bar = figure.colorbar(shade, cax=bar_ax, extend="min" if below else "neither")
    bar.set_label(plane.measure.label, color=INK, fontsize=10)
    bar.ax.tick_params(labelsize=9, colors=MUTED, labelcolor=INK)
    bar.outline.set_visible(False)
    return [[UNKNOWN if v != v else shade.to_rgba(v) for v in row] for row in plane.values.tolist()]


def _pale(number: int) -> tuple[float, float, float]:
    """A light colour; consecutive numbers are far apart on the circle of hues."""
    from matplotlib.colors import hsv_to_rgb

    red, green, blue = hsv_to_rgb(((number * 0.618034) % 1.0, (0.13, 0.22)[number % 2], 0.97)).tolist()
    return red, green, blue


def _paint(plane: Plane, ax: Axes, colors: list[list[Any]], across: float, down: float) -> None:
    """Tiles without seams, and borders where networks change."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    n, keys = plane.size, plane.keys
    for i in range(n):
        for j in range(n):
            ax.add_patch(
                Rectangle((j * across, i * down), across, down, facecolor=colors[i][j], edgecolor=colors[i][j],
                          linewidth=1.0, gid="tile", zorder=1)
            )  # fmt: skip
    upright = [
        ((j * across, i * down), (j * across, (i + 1) * down))
        for i in range(n)
        for j in range(1, n)
        if keys[i][j] != keys[i][j - 1]
    ]
    flat = [
        ((j * across, i * down), ((j + 1) * across, i * down))
        for i in range(1, n)
        for j in range(n)
        if keys[i][j] != keys[i - 1][j]
    ]
    borders = LineCollection(upright + flat, colors="white", linewidths=2.0, zorder=2, gid="borders")
    borders.set_capstyle("round")
    ax.add_collection(borders, autolim=False)


def _framed(plane: Plane) -> dict[str, tuple[int, int]]:
    """The tiles (row, column) that get frames: the middle, named "", and those of marks in the picture."""
    half = plane.size // 2
    tiles = {"": (half, half)}
    for label, x, y in plane.marks:
        i, j = round(half - y), round(half + x)
        if 0 <= i < plane.size and 0 <= j < plane.size:
            tiles[label] = i, j
    return tiles


def _mark(plane: Plane, ax: Axes, across: float, down: float) -> None:
    """A solid frame around the middle, dashed ones with labels around marked points."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=4, foreground="white")]
    for label, (i, j) in _framed(plane).items():
        corner = j * across, i * down
        ax.add_patch(
            Rectangle(corner, across, down, fill=False, edgecolor=INK, linewidth=1.8 if label else 2.4,
                      linestyle=(0, (3, 2)) if label else "-", zorder=3, gid="mark" if label else "middle",
                      path_effects=halo)
        )  # fmt: skip
        if label:
            side = min(0.26, 0.5 * across)
            ax.add_patch(Rectangle(corner, side, side, facecolor=INK, linewidth=0, zorder=8))
            ax.text(corner[0] + side / 2, corner[1] + side / 2, label, ha="center", va="center_baseline",
                    fontsize=40 * side, fontweight="bold", color="white", zorder=9)  # fmt: skip


def _home(plane: Plane, region: Sequence[tuple[int, int]]) -> Block:
    """Where a region's cell stands: in its frame, without one where it can be largest."""
    framed = [tile for tile in _framed(plane).values() if tile in region]
    return _largest_block(framed[:1] or region)


def _largest_block(region: Sequence[tuple[int, int]]) -> Block:
    """First and last row, first and last column of the best block of tiles in a region.

    The best has the largest shorter side (a cell scales with it), then the largest area, then lies nearest to the
    centre of mass.
    """
    inside = set(region)
    i0, j0 = (sum(side) / len(region) for side in zip(*region, strict=True))
    best: tuple[tuple[float, float, float], Block] | None = None
    for top, left in region:
        right_most = left
        while (top, right_most + 1) in inside:
            right_most += 1
        bottom = top
        while (bottom, left) in inside:
            right = left
            while right < right_most and (bottom, right + 1) in inside:
                right += 1
            right_most = right  # rows further down are no wider than this one
            for column in range(left, right_most + 1):
                high, wide = bottom - top + 1, column - left + 1
                away = abs((top + bottom) / 2 - i0) + abs((left + column) / 2 - j0)
                quality = (float(min(high, wide)), float(high * wide), -away)
                if best is None or quality > best[0]:
                    best = quality, ((top, bottom), (left, column))
            bottom += 1
    assert best is not None
    return best[1]


def _values(values: Sequence[float], measure: Measure) -> str:
    """Values of the codes of one network, which may have been measured apart."""
    known = [v for v in values if v == v]
    if not known:
        return "not in the table"
    low, high = f"{min(known):.2f}", f"{max(known):.2f}"
    text = low if low == high else f"{low} to {high}"
    return f"{text} {measure.unit}".rstrip()


def _panel(ax: Axes, left: float, top: float, wide: float, tall: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    ax.add_patch(
        FancyBboxPatch((left, top), wide, tall, boxstyle="round,pad=0,rounding_size=0.08", facecolor="white",
                       edgecolor=FAINT, linewidth=0.5, zorder=4)
    )  # fmt: skip


def _inset(ax: Axes, left: float, top: float, wide: float, tall: float) -> Axes:
    """Axes on a rectangle of ``ax``, whose data are inches from its upper left corner."""
    figure = ax.figure
    width, height = figure.get_size_inches()  # type: ignore[union-attr]
    place = ax.get_position()
    pad = 0.03
    return figure.add_axes(
        (
            place.x0 + (left + pad) / width,
            place.y1 - (top + tall - pad) / height,
            (wide - 2 * pad) / width,
            (tall - 2 * pad) / height,
        ),
        zorder=5,
    )


__all__ = ["draw_line", "draw_plane", "draw_plane_map", "fits_tiles"]
