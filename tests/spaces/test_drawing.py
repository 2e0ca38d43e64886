"""Pictures of cells: the right labels and arrows, everything inside, nothing over another."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import NASBench1Shot1, SearchSpace, get_space, list_spaces
from latentnas.spaces.drawing import (
    MAX_BOXES,
    cell_size,
    draw_cell,
    grid_columns,
    new_figure,
    op_color,
    op_label,
    text_width,
)  # fmt: skip
from latentnas.spaces.drawing.parts import DEAD, line_color, text_on

TWO_CELLS = ("darts", "enas_micro")
DOTS = ("random_wired32",)
BOXES = ("nas_bench_graph", "nasbench101", "nasbench1shot1-1", "nasbench1shot1-2", "nasbench1shot1-3")
CHAINS = ("enas_macro6", "enas_macro12", "gpnas12")


def arrows(ax: Any, gid: str = "edge") -> list[FancyArrowPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch) and patch.get_gid() == gid]


def labels(ax: Any) -> Counter[str]:
    return Counter(text.get_text() for text in ax.texts)


def few(name: str) -> int:
    """How many cells to draw: large ones take longer."""
    return 1 if name in DOTS else 2


def drawn(space: SearchSpace, code: Any, scale: float = 1.0) -> Any:
    """Axes of a cell, rendered, ``scale`` times as large as is comfortable."""
    width, height = cell_size(space)
    ax = draw_cell(space, code, new_figure(scale * width, scale * height).add_axes((0, 0, 1, 1)))
    ax.figure.canvas.draw()
    return ax


def test_every_space_has_its_kind_of_picture() -> None:
    assert {*TWO_CELLS, *DOTS, *BOXES, *CHAINS, "nasbench201"} == set(list_spaces())


# --- labels and arrows ----------------------------------------------------------------------------


def test_edge_view_labels_every_operation_but_none() -> None:
    space = get_space("nasbench201")
    # edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3: none, skip, conv 1x1, conv 3x3, pool, none
    ax = draw_cell(space, [0, 1, 2, 3, 4, 0])
    assert labels(ax) == Counter(["in", "1", "2", "out", "skip", "conv 1x1", "conv 3x3", "pool 3x3"])
    assert len(arrows(ax)) == 4
    assert len(arrows(ax, "none")) == 2
    assert all(patch.get_linestyle() != "-" for patch in arrows(ax, "none"))


def test_chain_has_boxes_the_chain_and_skips() -> None:
    space = get_space("enas_macro6")
    code = space.parse("[[1], [4, 1], [5, 0, 1], [0, 0, 0, 0], [2, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]]")[0]
    ax = draw_cell(space, code)
    texts = [text.get_text() for text in ax.texts]
    assert texts == [
        "in", "sep conv 3x3", "avg pool 3x3", "max pool 3x3", "conv 3x3", "conv 5x5", "sep conv 5x5", "out",
    ]  # fmt: skip
    assert len(arrows(ax)) == 7 + 3


def test_a_published_darts_cell() -> None:
    """DARTS_V2, first order of the paper's authors: eight operations a cell, four nodes joined to each output."""
    space = get_space("darts")
    code = space.parse(
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=range(2, 6))"
    )
    ax = draw_cell(space, code)
    operations = {"sep conv 3x3": 5, "skip": 2 + 3, "dil conv 3x3": 1, "max pool 3x3": 5}
    ends = ["normal", "reduction", *(["$c_{k-2}$", "$c_{k-1}$", "2", "3", "4", "5", "out"] * 2)]
    assert labels(ax) == Counter(operations) + Counter(ends)
    assert len(arrows(ax)) == len(arrows(ax, "lead")) == 16
    assert len(arrows(ax, "output")) == 8


@pytest.mark.parametrize("name", [*BOXES, *CHAINS])
def test_every_vertex_has_its_label_and_every_edge_its_arrow(name: str) -> None:
    space = get_space(name)
    for code in space.sample(5, seed=1):
        view = space.node_graphs(code[None])
        ax = draw_cell(space, code)
        expected = [op_label(space.node_types[op]) for op in view.ops[view.mask].tolist()]
        assert labels(ax) == Counter(expected)
        assert len(arrows(ax)) == int(view.adj.sum())


@pytest.mark.parametrize("name", TWO_CELLS)
def test_every_operation_of_both_cells_has_its_label_and_arrow(name: str) -> None:
    space = get_space(name)
    for code in space.sample(4, seed=1):
        ops = space.edge_graphs(code[None]).ops[0]
        names = [part for op in ops[ops != 0].tolist() for part in space.edge_types[op].split("+")]
        ax = draw_cell(space, code)
        nodes = len(ops) // 2 - 2
        ends = ["normal", "reduction", *(["$c_{k-2}$", "$c_{k-1}$", "out", *map(str, range(2, nodes + 2))] * 2)]
        assert labels(ax) == Counter([*map(op_label, names), *ends])
        assert len(names) == 4 * nodes  # two a node, in both cells
        assert len(arrows(ax)) == len(arrows(ax, "lead")) == len(names)
        view = space.node_graphs(code[None])
        assert len(arrows(ax, "output")) == int(view.adj[0, :, -1].sum())


@pytest.mark.parametrize("name", DOTS)
def test_large_cells_have_a_dot_a_vertex_and_an_arrow_an_edge(name: str) -> None:
    space = get_space(name)
    assert space.max_nodes > MAX_BOXES
    for code in space.sample(1, seed=1):
        view = space.node_graphs(code[None])
        ax = draw_cell(space, code)
        assert labels(ax) == Counter(["in", "out"])
        assert len([patch for patch in ax.patches if isinstance(patch, Circle)]) == int(view.mask.sum())
        assert len(arrows(ax)) == int(view.adj.sum())


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_spaces())
@pytest.mark.parametrize("scale", [0.6, 2.0])
def test_labels_do_not_overlap_and_stay_inside(name: str, scale: float) -> None:
    space = get_space(name)
    for code in space.sample(few(name), seed=4):
        ax = drawn(space, code, scale)
        frame = ax.figure.bbox
        boxes = [text.get_window_extent() for text in ax.texts]
        assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("name", list_spaces())
def test_everything_stays_inside_and_vertices_apart(name: str) -> None:
    space = get_space(name)
    for code in space.sample(2 * few(name), seed=5):
        ax = drawn(space, code)
        frame = ax.figure.bbox.padded(0.5)
        for patch in ax.patches:
            box = patch.get_window_extent()
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        shapes = [p for p in ax.patches if isinstance(p, Circle | FancyBboxPatch)]
        boxes = [shape.get_window_extent() for shape in shapes]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("name", sorted({*list_spaces()} - {*DOTS, "nasbench201"}))
def test_labels_fit_their_boxes(name: str) -> None:
    space = get_space(name)
    ax = drawn(space, space.sample(1, seed=6)[0])
    boxes = [p.get_window_extent() for p in ax.patches if isinstance(p, Circle | FancyBboxPatch)]
    titles = {"normal", "reduction"}
    for text in ax.texts:
        inner = text.get_window_extent()
        middle = ((inner.x0 + inner.x1) / 2, (inner.y0 + inner.y1) / 2)
        if text.get_text() not in titles:
            (box,) = [b for b in boxes if b.contains(*middle)]
            assert box.x0 <= inner.x0 and inner.x1 <= box.x1 and box.y0 <= inner.y0 and inner.y1 <= box.y1


@pytest.mark.parametrize("name", list_spaces())
def test_texts_are_large_enough_to_read(name: str) -> None:
    space = get_space(name)
    for code in space.sample(few(name), seed=7):
        assert min(float(text.get_fontsize()) for text in draw_cell(space, code).texts) >= 6.5  # points


@pytest.mark.parametrize("name", CHAINS)
def test_arcs_stay_inside(name: str) -> None:
    space = get_space(name)
    every_skip = space.sample(1, seed=0)[0]
    every_skip[[k for k, column in enumerate(space.columns) if column.startswith("skip")]] = 1
    ax = draw_cell(space, every_skip)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    for patch in arrows(ax):
        box = patch.get_path().get_extents()
        assert low <= box.x0
        assert box.x1 <= high


def test_the_first_input_lies_above_the_second() -> None:
    space = get_space("darts")
    for code in space.sample(4, seed=0):
        places: dict[str, list[Any]] = {}
        for text in draw_cell(space, code).texts:
            places.setdefault(text.get_text(), []).append(text.get_position())
        for first, second in zip(places["$c_{k-2}$"], places["$c_{k-1}$"], strict=True):
            assert first[0] == second[0]
            assert first[1] > second[1]


def test_cells_of_a_space_are_drawn_at_one_scale() -> None:
    space = get_space("nasbench101")
    assert len({round(drawn(space, code).texts[0].get_fontsize(), 3) for code in space.sample(12, seed=0)}) == 1


def test_rows_of_a_grid_are_equal_and_fit_a_page() -> None:
    assert [grid_columns(n, 3.8) for n in (1, 2, 3, 4, 5, 6, 7)] == [1, 2, 3, 2, 3, 3, 3]
    assert [grid_columns(n, 5.0) for n in (1, 2, 3, 6)] == [1, 2, 2, 2]
    assert grid_columns(6, 9.0) == grid_columns(6, 40.0) == 1


# --- the small parts ------------------------------------------------------------------------------


def test_colours_come_from_the_space_and_unknown_names_are_legible() -> None:
    space = get_space("nasbench201")
    assert op_color(space, "avg_pool_3x3") == space.op_colors["avg_pool_3x3"]
    assert op_label("my_own_op") == "my own op"
    assert op_label("conv3x3/gauss/relu") == "conv 3x3  \u00b7  gauss  \u00b7  relu"


def test_lines_of_light_colours_are_darker_on_white() -> None:
    assert line_color("#f0e442") == "#b4ab32"  # three quarters of 240, 228, 66
    assert line_color("#0072b2") == "#0072b2"


def test_texts_on_boxes_have_contrast() -> None:
    """At least 4.5 to 1, by the formulas of WCAG 2.1, for every operation of every space."""

    def luminance(color: str) -> float:
        parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for name in list_spaces():
        space = get_space(name)
        for operation in {*space.node_types[2:], *space.edge_types} & {*space.op_colors}:
            color = op_color(space, operation)
            text = {"white": 1.0, "black": 0.0}[text_on(color)]
            light, dark = sorted([luminance(color), text], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_widths_of_texts_are_those_on_the_figure() -> None:
    figure = new_figure(5, 1)
    for text in ("sep conv 3x3", "in", "$c_{k-2}$"):
        shown = figure.text(0.1, 0.5, text, fontsize=10)
        points = shown.get_window_extent(figure.canvas.get_renderer()).width * 72 / figure.dpi  # type: ignore[attr-defined]
        assert text_width(text, 10.0) == pytest.approx(points, rel=0.1)


def test_what_is_no_cell_is_refused() -> None:
    space = get_space("nasbench201")
    with pytest.raises(InvalidCodeError, match=r"must be in 0\.\.4"):
        draw_cell(space, [0, 1, 2, 3, 4, 5])
    with pytest.raises(InvalidCodeError, match="expected one cell, got 2"):
        draw_cell(space, torch.zeros(2, 6, dtype=torch.long))


def test_texts_are_drawn_and_what_is_neither_is_refused() -> None:
    space = get_space("nasbench201")
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|"
    assert labels(space.draw(text)) == labels(draw_cell(space, space.parse(text)))
    with pytest.raises(ParseError, match="'junk' is no cell"):
        space.draw("junk")
    others: list[Any] = [None, ["a"], {"matrix": []}]
    for other in others:
        with pytest.raises(InvalidCodeError, match="nasbench201: draw_cell needs 6 integers or the text of a cell"):
            space.draw(other)


@pytest.mark.parametrize("name", ["nasbench101", "darts", "enas_macro6"])
def test_titles_stay_on_the_figure_above_the_picture(name: str) -> None:
    space = get_space(name)
    ax = space.draw(space.sample(1, seed=0)[0], title="the $best of all")
    ax.figure.canvas.draw()
    title = ax.title.get_window_extent()
    assert ax.get_title() == "the $best of all"
    assert title.y1 <= ax.figure.bbox.y1
    assert title.y0 >= ax.get_window_extent().y1
    assert space.draw(space.sample(1, seed=0)[0]).get_title() == ""


def test_figures_are_as_large_as_their_cells() -> None:
    """A chain of 5 operations has 7 layers, one operation 3; fonts are the same."""
    space = get_space("nasbench101")
    small, large = (
        space.parse(f'{{"matrix": {[[int(j == i + 1) for j in range(n)] for i in range(n)]}, '
                    f'"ops": {["input", *["conv3x3-bn-relu"] * (n - 2), "output"]}}}'.replace("'", '"'))
        for n in (3, 7)
    )  # fmt: skip
    heights = [cell_size(space, codes)[1] for codes in (small, large)]
    assert cell_size(space, torch.cat([small, large]))[1] == heights[1]
    # each layer is 20 points high, 20 points lie between two, and 8 around; a tenth is rounded up and added
    assert heights == pytest.approx([(20 * (2 * n - 1) + 8) / 72 / 0.96 for n in (3, 7)], abs=0.15)
    fonts = {round(float(text.get_fontsize()), 2) for codes in (small, large) for text in space.draw(codes).texts}
    assert fonts == {9.6}  # 10 points on axes of 96 % of the figure


def test_operations_without_effect_are_grey() -> None:
    space = get_space("nasbench201")
    # 0 -> 1 conv, 1 -> 3 skip: used; 0 -> 2 pool leads nowhere, 2 -> 3 is none
    ax = space.draw("|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|skip_connect~1|none~2|")
    pills = {text.get_text(): text.get_bbox_patch() for text in ax.texts}
    faces = {name: to_hex(pill.get_facecolor()) for name, pill in pills.items() if pill is not None}
    colors = space.op_colors
    assert faces == {"conv 3x3": colors["nor_conv_3x3"], "pool 3x3": DEAD, "skip": colors["skip_connect"]}
    shot = NASBench1Shot1(1)
    for code in shot.sample(6, seed=0):
        pruned = get_space("nasbench101").node_graphs(shot.to_nasbench101(code[None])).mask.sum()
        boxes = [p for p in shot.draw(code).patches if isinstance(p, FancyBboxPatch)]
        assert sum(to_hex(box.get_facecolor()) != DEAD for box in boxes) == int(pruned)


def test_ends_stand_in_the_middle_of_what_they_are_joined_to() -> None:
    """Three parallel operations: the ends stand above and below the middle one."""
    space = get_space("nasbench101")
    ops = '["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3", "output"]'
    ax = space.draw(f'{{"matrix": [[0,1,1,1,0],[0,0,0,0,1],[0,0,0,0,1],[0,0,0,0,1],[0,0,0,0,0]], "ops": {ops}}}')
    places = {text.get_text(): text.get_position()[0] for text in ax.texts}
    middle = sorted(places[name] for name in ("conv 3x3", "conv 1x1", "max pool 3x3"))[1]
    assert places["in"] == pytest.approx(middle)
    assert places["out"] == pytest.approx(middle)


def test_skips_from_the_input_differ_from_all_operations() -> None:
    space = get_space("gpnas3")
    code = space.sample(1, seed=0)[0]
    code[[k for k, column in enumerate(space.columns) if column.startswith("skip_0")]] = 1
    arcs = {to_hex(arrow.get_edgecolor()) for arrow in arrows(space.draw(code))}
    assert "#33383f" in arcs
    assert "#33383f" not in space.op_colors.values()


def test_spaces_draw_their_cells() -> None:
    space = get_space("nasbench101")
    ax = new_figure(4, 4).add_axes((0, 0, 1, 1))
    assert space.draw(space.sample(1, seed=0)[0], ax) is ax
    assert ax.texts
