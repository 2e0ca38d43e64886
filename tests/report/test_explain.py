"""What a predictor weighed, gathered and drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.predictor import Predictor
from latentnas.report.explain import Explanation, explain_cells
from latentnas.report.explain_pictures import draw_explanation
from latentnas.spaces import get_space
from latentnas.spaces.drawing import draw_cell, draws_weights

SMALL = {"layers": 2, "hidden": 8, "op_embedding": 4, "input_embedding": 4}
NAR = {"layers": 1, "dim": 8, "heads": 2, "feed_forward": 8}


def explained(encoder: str, space: str, **settings: object) -> Explanation:
    found = get_space(space)
    codes = found.sample(12, seed=0)
    options = NAR if encoder == "nar" else SMALL
    model = Predictor(encoder, space=space, epochs=1, head=(4,), options=options, device="cpu", **settings)  # type: ignore[arg-type]
    return explain_cells(model.fit(codes, torch.arange(12.0)), codes[:2])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def arrows(figure: Figure) -> Iterator[FancyArrowPatch]:
    return (patch for patch in figure.findobj(FancyArrowPatch) if patch.get_gid() == "edge")


def test_attention_of_every_vertex_sums_to_one() -> None:
    found = explained("hop", "nasbench101")
    assert found.attention is not None
    for number, code in enumerate(found.codes):
        links = found.links(number)
        vertices = int(code[0]) + 2
        assert len(links) == int(code[6:].sum()) + vertices - 1  # edges and loops, but for the input's
        total = torch.zeros(2, vertices)
        for source, target in links:
            total[:, target] += found.attention[number, :, source, target]
        assert torch.allclose(total[:, 1:], torch.ones(2, vertices - 1))
    assert torch.equal(found.codes, found.space.canonical(found.codes))
    assert found.tiers is None


def test_numbers_of_all_layers_and_on_the_links_are_drawn() -> None:
    found = explained("hop", "nasbench101")
    assert found.attention is not None and found.gates is not None
    figure = draw_explanation(found, title="title", note="note")
    shown = texts(figure)
    assert {"title", "note", "layer 1", "2", "mean", "gate", "1 to itself", "in to 1"} <= {*shown}
    links = sum(len(found.links(k)) for k in range(2))
    squares = [patch for ax in figure.axes for patch in ax.patches if patch.get_gid() == "square"]
    assert len(squares) == links * 3 + found.gates.numel()
    on_links = [text for text in figure.findobj(Text) if text.get_gid() == "weight"]
    assert len(on_links) == int(found.codes[:, 6:].sum())


def test_links_are_as_broad_as_their_weights() -> None:
    space = get_space("nasbench201")
    code = space.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|skip_connect~2|")
    weights = {(0, 1): 0.9, (0, 2): 0.1, (1, 2): 0.5, (0, 3): 0.25, (1, 3): 0.4, (2, 3): 0.35}
    ax = draw_cell(space, code, weights=weights)
    widths = {round(patch.get_linewidth(), 3) for patch in arrows(ax.figure)}  # type: ignore[arg-type]
    assert len(widths) == 5
    shown = [text.get_text() for text in ax.texts]
    assert "conv 3x3\n0.90" in shown
    assert "0.25" in shown  # of the missing edge
    assert draws_weights(space)
    darts = get_space("darts")
    assert not draws_weights(darts)
    with pytest.raises(InvalidCodeError, match="darts: its pictures of cells have no room for the weights"):
        draw_cell(darts, darts.sample(1, seed=0), weights={})


def test_two_cells_are_told_apart() -> None:
    shown = texts(draw_explanation(explained("hop", "darts")))
    assert {"N: k-2 to 2", "R: k-1 to 2", "gate N", "gate R"} <= {*shown}


def test_a_bar_a_tier() -> None:
    found = explained("nar", "nasbench201", loss="nar")
    assert found.tiers is not None and found.attention is None
    figure = draw_explanation(found)
    shown = texts(figure)
    assert {"best", "4", "worst"} <= {*shown}
    for share in found.tiers.flatten().tolist():
        assert f"{share:.2f}" in shown


def test_encoders_that_explain_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="the encoder 'gates' weighs nothing that could be drawn"):
        explained("gates", "nasbench201")
