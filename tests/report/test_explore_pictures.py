"""The pictures of planes and lines: what is drawn, how often, and that nothing overlaps."""

from __future__ import annotations

import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from latentnas.latent.tools import stretches
from latentnas.report.explore import Line, Measure, Plane
from latentnas.report.explore_pictures import (
    LINE_CELLS,
    MAP_CELLS,
    UNKNOWN,
    Block,
    _largest_block,
    draw_line,
    draw_plane,
    draw_plane_map,
    fits_tiles,
)
from latentnas.spaces import get_space

MEASURE = Measure("accuracy", lambda codes: codes.sum(1), "%")
LAYOUT = ["aabbb", "aabcc", "aaacc", "ddacc", "ddeef"]


def plane_of(name: str, rows: list[str], *, measured: bool = False, marks: tuple = ()) -> Plane:  # type: ignore[type-arg]
    space = get_space(name)
    letters = sorted({letter for row in rows for letter in row})
    cells = space.sample(60, seed=0)
    first = {key: k for k, key in reversed(list(enumerate(space.keys(cells))))}
    cells = cells[sorted(first.values())[: len(letters)]]  # one of each network
    where = torch.tensor([[letters.index(letter) for letter in row] for row in rows])
    keys = [[space.keys(cells)[k] for k in row] for row in where.tolist()]
    values = (where.double() + 90) if measured else None
    if values is not None:
        values[where == 1] = torch.nan
    return Plane(space, cells[where], keys, 0.5, values, MEASURE if measured else None, marks)


def line_of(name: str, letters: str, *, measured: bool = False) -> Line:
    plane = plane_of(name, [letters])
    codes, space = plane.codes[0], plane.space
    values = torch.linspace(90, 94, len(codes)).double() if measured else None
    parts = stretches(space.keys(codes), space.format(codes))
    return Line(space, codes, parts, values, MEASURE if measured else None)


def patches(figure: Figure, gid: str) -> list[Rectangle]:
    return [p for ax in figure.axes for p in ax.patches if p.get_gid() == gid and isinstance(p, Rectangle)]


def texts(figure: Figure) -> list[str]:
    """What is written on the plane or the strip, and on the page; not what is written in cells."""
    return [text.get_text() for text in (*figure.axes[0].texts, *figure.texts)]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of captions and numbers that overlap, and texts that leave the page."""
    figure.canvas.draw()
    first = figure.axes[0]
    shown: list[Text] = [*figure.texts, *first.texts, *first.get_xticklabels(), first.xaxis.label]
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown if t.get_text()]
    wrong = [(a, b) for k, (a, box) in enumerate(boxes) for b, other in boxes[:k] if box.overlaps(other)]
    page = figure.bbox
    wrong += [
        (text, "page")
        for text, box in boxes
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1
    ]
    return wrong


def test_one_cell_an_area_and_one_colour_a_network() -> None:
    plane = plane_of("nasbench201", LAYOUT)
    figure = draw_plane(plane, title="Around x", note="note")
    assert len(plane.regions) == 6
    assert len(figure.axes) == 1 + 6
    tiles = patches(figure, "tile")
    assert len(tiles) == 25
    colors = {tile.get_facecolor() for tile in tiles}
    assert len(colors) == 6
    by_key: dict[str, set[object]] = {}
    for k, tile in enumerate(tiles):
        by_key.setdefault(plane.keys[k // 5][k % 5], set()).add(tile.get_facecolor())
    assert all(len(found) == 1 for found in by_key.values())
    assert len(patches(figure, "middle")) == 1
    assert "Around x" in texts(figure)


def test_borders_run_where_networks_change() -> None:
    plane = plane_of("nasbench201", ["aab", "aab", "aab"])
    (borders,) = [c for c in draw_plane(plane).axes[0].collections if isinstance(c, LineCollection)]
    segments = borders.get_segments()
    assert len(segments) == 3  # one beside every row
    assert len({float(x) for segment in segments for x, _ in segment}) == 1


def test_cells_stand_inside_their_areas_and_apart() -> None:
    plane = plane_of("nasbench201", LAYOUT, measured=True, marks=(("A", 2.0, -1.0), ("B", 9.0, 0.0)))
    figure = draw_plane(plane)
    figure.canvas.draw()
    main, *others = figure.axes
    cells = [ax for ax in others if ax.get_xlabel() == "" and not ax.axison]
    assert len(cells) == 6
    boxes = [ax.get_window_extent() for ax in cells]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    frame = main.get_window_extent()
    width, height = frame.width / 5, frame.height / 5
    for region, box in zip(plane.regions, boxes, strict=True):
        rows = {int((frame.y1 - y) // height) for y in (box.y0, box.y1)}
        columns = {int((x - frame.x0) // width) for x in (box.x0, box.x1)}
        assert {(i, j) for i in rows for j in columns} <= set(region)
    # The middle's cell stands in the middle, that of the marked area in the marked tile.
    middle = boxes[[(2, 2) in region for region in plane.regions].index(True)]
    assert (middle.x0 + middle.x1) / 2 == pytest.approx((frame.x0 + frame.x1) / 2, abs=1)
    (mark,) = patches(figure, "mark")  # B lies outside
    assert mark.get_x() == pytest.approx(4 * mark.get_width())
    assert mark.get_y() == pytest.approx(3 * mark.get_height())
    assert "A" in texts(figure)
    assert "B" not in texts(figure)


def test_values_are_written_and_explained() -> None:
    figure = draw_plane(plane_of("nasbench201", LAYOUT, measured=True))
    found = texts(figure)
    assert {"90.00 %", "92.00 %", "95.00 %", "not in the table"} <= set(found)
    assert "accuracy (%)" in [ax.get_ylabel() for ax in figure.axes]
    unknown = [tile for tile in patches(figure, "tile") if to_hex(tile.get_facecolor()) == UNKNOWN]
    assert len(unknown) == "".join(LAYOUT).count("b")


def test_codes_of_one_network_with_several_values() -> None:
    plane = plane_of("nasbench201", ["aaa", "aaa", "aaa"], measured=True)
    assert plane.values is not None
    plane.values[0, 0] = 89.5
    assert "89.50 to 90.00 %" in texts(draw_plane(plane))


@pytest.mark.parametrize(
    ("region", "block"),
    [
        ([(0, 0)], ((0, 0), (0, 0))),
        ([(0, 0), (0, 1), (1, 1)], ((0, 0), (0, 1))),
        ([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)], ((0, 1), (0, 1))),
        ([(i, j) for i in range(3) for j in range(3) if (i, j) != (0, 0)], ((1, 2), (0, 2))),
        ([(0, 2), (1, 0), (1, 1), (1, 2), (2, 2)], ((1, 1), (0, 2))),
    ],
)
def test_largest_blocks(region: list[tuple[int, int]], block: Block) -> None:
    (top, bottom), (left, right) = _largest_block(region)
    assert {(i, j) for i in range(top, bottom + 1) for j in range(left, right + 1)} <= set(region)
    (a, b), (c, d) = block  # where several blocks are as good, one of them
    assert (bottom - top + 1) * (right - left + 1) == (b - a + 1) * (d - c + 1)


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("name", ["nasbench201", "enas_macro12", "darts"])
def test_maps_draw_a_few_cells_with_their_numbers(name: str, measured: bool) -> None:
    plane = plane_of(name, ["aabbbgg", "aabcchh", "aaaccii", "ddaccii", "ddeeffi", "ddeeffi", "jjjjjjj"],
                     measured=measured, marks=(("A", 2.0, 0.0),))  # fmt: skip
    figure = draw_plane_map(plane, title="Around x", note="note")
    cells = [ax for ax in figure.axes if not ax.axison]
    assert len(cells) == MAP_CELLS
    found = texts(figure)
    assert "1   in the middle" in found
    assert all(found.count(str(k)) == 2 for k in range(2, MAP_CELLS + 1))  # in the map, and above the cell
    points = sum(row.count(plane.networks[0]) for row in plane.keys)
    assert any(text.startswith(f"{points} points") for text in found)
    assert overlaps(figure) == []
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_which_spaces_have_tiles() -> None:
    assert fits_tiles(get_space("nasbench201"), 7)
    assert not fits_tiles(get_space("nasbench201"), 15)
    assert not fits_tiles(get_space("darts"), 7)


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("name", ["nasbench201", "enas_macro6", "darts"])
def test_lines_show_every_network_once(name: str, measured: bool) -> None:
    line = line_of(name, "aaaaaabbbbccccccbbbbdeeeeeeee", measured=measured)
    figure = draw_line(line, title="From x to y", note="note")
    assert len(figure.axes) == 1 + 5
    assert len([p for p in figure.axes[0].patches if p.get_gid() == "stretch"]) == len(line.parts) == 6
    found = texts(figure)
    assert "1   0.00 to 0.18" in found
    assert "2   0.21 to 0.32, +1" in found
    assert found.count("2") == 2  # both stretches are numbered in the strip
    assert ("94.00 %" in " ".join(found)) == measured
    assert figure.axes[0].get_ylabel() == ("accuracy (%)" if measured else "")
    assert overlaps(figure) == []


def test_lines_with_many_networks_keep_the_ends_and_the_longest() -> None:
    line = line_of("nasbench201", "a" + "".join(letter * 2 for letter in "bcdefghijklm") + "n")
    figure = draw_line(line)
    assert len(figure.axes) == 1 + LINE_CELLS
    heads = [text.get_text() for text in figure.texts if " to " in text.get_text()]
    assert heads[0].startswith("1 ")
    assert heads[-1].startswith("14 ")
