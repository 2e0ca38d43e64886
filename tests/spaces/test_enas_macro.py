"""latentnas/spaces/enas_macro.py: the form of the D-VAE data file, worked by hand."""

from __future__ import annotations

import pytest
import torch

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import ENASMacro, NodeGraphs, get_space

SPACE = get_space("enas_macro6")

TEXT = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"
CODE = [1, 4, 5, 0, 2, 3, *[0], *[0, 0], *[1, 1, 1], *[1, 1, 1, 1], *[0, 0, 0, 0, 1]]


def test_sizes() -> None:
    assert SPACE.size == 6**6 * 2**15
    assert get_space("enas_macro12").size == 6**12 * 2**66
    assert SPACE.dim == 21
    assert get_space("enas_macro12").dim == 12 + 66
    assert ENASMacro(layers=1).enumerate().tolist() == [[0], [1], [2], [3], [4], [5]]


def test_worked_example() -> None:
    assert SPACE.parse(TEXT).tolist() == [CODE]
    assert SPACE.format(torch.tensor([CODE])) == [TEXT]
    assert SPACE.keys(torch.tensor([CODE])) == ["1.40.500.0111.21111.300001"]


def test_white_space_does_not_matter() -> None:
    assert SPACE.parse(TEXT.replace(" ", "")).tolist() == [CODE]
    assert SPACE.parse(TEXT.replace(",", " , ")).tolist() == [CODE]


def test_node_view_of_the_worked_example() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    types = [SPACE.node_types[op] for op in graphs.ops[0].tolist()]
    operations = ["sepconv3x3", "avgpool3x3", "maxpool3x3", "conv3x3", "conv5x5", "sepconv5x5"]
    assert types == ["input", *operations, "output"]
    chain = {(i, i + 1) for i in range(7)}  # the input feeds layer 1, layer 6 alone feeds the output
    skips = {(0, 4), (1, 4), (2, 4), (0, 5), (1, 5), (2, 5), (3, 5), (4, 6)}
    assert {tuple(edge) for edge in graphs.adj[0].nonzero().tolist()} == chain | skips
    assert graphs.adj[0, :, 7].nonzero().tolist() == [[6]]
    assert graphs.adj[0, :, 1].nonzero().tolist() == [[0]]
    assert graphs.mask.all()


def test_columns_name_the_edge_of_every_bit() -> None:
    space = ENASMacro(layers=3)
    assert space.columns == ("op_1", "op_2", "op_3", "skip_0_2", "skip_0_3", "skip_1_3")
    graphs = space.node_graphs(torch.tensor([[0, 0, 0, 0, 0, 1]]))
    assert graphs.adj[0, 1, 3]
    assert not graphs.adj[0, 0, 2]
    assert not graphs.adj[0, 0, 3]


def test_keys_are_distinct_for_distinct_codes() -> None:
    space = ENASMacro(layers=3)
    codes = space.enumerate()
    assert len(codes) == len(set(space.keys(codes))) == 6**3 * 2**3


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("[1]", "[6]"),
        TEXT.replace("[4, 0]", "[4, 2]"),
        TEXT.replace("[4, 0]", "[4]"),
        TEXT.replace("[4, 0]", "[4, 0, 0]"),
        TEXT.replace("[4, 0], ", ""),
        TEXT.replace("[4, 0], ", "[4, 0] "),
        TEXT.replace("[4, 0], ", "[4, 0],, "),
        TEXT[1:],
        TEXT[:-1],
        TEXT + ", 0.73",
        TEXT.replace("[1]", "[-1]"),
        TEXT.replace("[1]", "[1.0]"),
        TEXT.replace("[1]", "[]"),
        TEXT.replace("[1]", "[[1]]"),
        TEXT.replace("[1]", "[9" + "9" * 5000 + "]"),
        "[]",
        "",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match="enas_macro6"):
        SPACE.parse(text)


def test_missing_chain_edge_and_edge_to_the_output_are_invalid() -> None:
    graphs = SPACE.node_graphs(SPACE.sample(1, seed=0))
    for source, target in [(i, i + 1) for i in range(7)] + [(i, 7) for i in range(6)]:
        adj = graphs.adj.clone()
        adj[0, source, target] ^= True
        assert not SPACE.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))[1].any()


def test_flipped_skip_is_the_mutant() -> None:
    codes = torch.tensor([CODE])
    graphs = SPACE.node_graphs(codes)
    adj = graphs.adj.clone()
    adj[0, 0, 2] ^= True
    back, valid = SPACE.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
    codes[0, 6] = 1
    assert valid.all()
    assert torch.equal(back, codes)


def test_layers_must_be_positive() -> None:
    with pytest.raises(InvalidCodeError, match="layers must be at least 1, got 0"):
        ENASMacro(layers=0)
