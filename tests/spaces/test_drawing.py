"""Pictures of cells: the right labels and arrows, and no label over another."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from latentnas.errors import InvalidCodeError
from latentnas.report.drawing import cell_size, draw_cell, new_figure, op_color, op_label
from latentnas.spaces import get_space


def arrows(ax) -> list:  # type: ignore[no-untyped-def]
    from matplotlib.patches import FancyArrowPatch

    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_edge_view_labels_every_operation_but_none() -> None:
    space = get_space("nasbench201")
    # edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3: none, skip, conv 1x1, conv 3x3, pool, none
    ax = draw_cell(space, [0, 1, 2, 3, 4, 0])
    texts = sorted(text.get_text() for text in ax.texts)
    assert texts == sorted(["in", "1", "2", "out", "skip", "conv 1x1", "conv 3x3", "pool 3x3"])
    dotted = [patch for patch in arrows(ax) if patch.get_linestyle() != "-"]
    assert len(arrows(ax)) == 6
    assert len(dotted) == 2


def test_node_view_has_boxes_the_chain_and_skips() -> None:
    space = get_space("enas_macro6")
    code = space.parse("[[1], [4, 1], [5, 0, 1], [0, 0, 0, 0], [2, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]]")[0]
    ax = draw_cell(space, code)
    texts = [text.get_text() for text in ax.texts]
    assert texts == [
        "in", "sep conv 3x3", "avg pool 3x3", "max pool 3x3", "conv 3x3", "conv 5x5", "sep conv 5x5", "out",
    ]  # fmt: skip
    assert len(arrows(ax)) == 7 + 3


@pytest.mark.parametrize("name", ["nasbench201", "enas_macro6", "enas_macro12"])
@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
def test_labels_do_not_overlap_and_stay_inside(name: str, scale: float) -> None:
    space = get_space(name)
    for code in space.sample(3, seed=4):
        width, height = cell_size(space)
        ax = new_figure(scale * width, scale * height).add_axes((0, 0, 1, 1))
        draw_cell(space, code, ax)
        ax.figure.canvas.draw()
        boxes = [text.get_window_extent() for text in ax.texts]
        frame = ax.figure.bbox
        assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("name", ["enas_macro6", "enas_macro12"])
def test_arcs_stay_inside(name: str) -> None:
    space = get_space(name)
    every_skip = torch.tensor([0] * space.dim)
    every_skip[space.max_nodes - 2 :] = 1
    ax = draw_cell(space, every_skip)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    for patch in arrows(ax):
        box = patch.get_path().get_extents()
        assert low <= box.x0 and box.x1 <= high


def test_colours_come_from_the_space_and_unknown_names_are_legible() -> None:
    space = get_space("nasbench201")
    assert op_color(space, "avg_pool_3x3") == space.op_colors["avg_pool_3x3"]
    assert op_label("my_own_op") == "my own op"


def test_what_is_no_cell_is_refused() -> None:
    space = get_space("nasbench201")
    with pytest.raises(InvalidCodeError, match=r"must be in 0\.\.4"):
        draw_cell(space, [0, 1, 2, 3, 4, 5])
    with pytest.raises(InvalidCodeError, match="expected one cell, got 2"):
        draw_cell(space, torch.zeros(2, 6, dtype=torch.long))
