"""latentnas/spaces/gpnas.py: the generalised operator space of the GPNAS paper."""

from __future__ import annotations

import pytest
import torch

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import NodeGraphs
from latentnas.spaces.gpnas import ACTIVATIONS, GPNAS, INITIALISATIONS, OPERATORS

SPACE = GPNAS(layers=3)
TEXT = "conv3x3/gauss/relu | maxpool3x3/uniform/tanh 0 | conv1x1/gauss2/elu 01"
CODE = [9, 1, 1, 5, 0, 3, 8, 2, 2, 0, 0, 1]


def test_sizes_are_those_of_the_paper() -> None:
    assert (len(OPERATORS), len(INITIALISATIONS), len(ACTIVATIONS)) == (13, 3, 4)
    assert len(SPACE.node_types) == 156 + 2
    assert SPACE.name == "gpnas3"
    assert SPACE.size == 156**3 * 2**3
    assert GPNAS(layers=12).size == 156**12 * 2**66
    assert GPNAS(layers=1).num_networks == 156


def test_worked_example() -> None:
    assert SPACE.columns == (
        *("op_1", "init_1", "act_1", "op_2", "init_2", "act_2", "op_3", "init_3", "act_3"),
        *("skip_0_2", "skip_0_3", "skip_1_3"),
    )
    assert SPACE.parse(TEXT).tolist() == [CODE]
    assert SPACE.format(torch.tensor([CODE])) == [TEXT]
    assert SPACE.keys(torch.tensor([CODE])) == ["911.5030.82201"]


def test_node_view_of_the_worked_example() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    types = [SPACE.node_types[op] for op in graphs.ops[0].tolist()]
    assert types == ["input", "conv3x3/gauss/relu", "maxpool3x3/uniform/tanh", "conv1x1/gauss2/elu", "output"]
    assert graphs.adj[0].nonzero().tolist() == [[0, 1], [1, 2], [1, 3], [2, 3], [3, 4]]


def test_every_generalised_operator_is_a_type_of_its_own() -> None:
    space = GPNAS(layers=1)
    codes = space.enumerate()
    assert len(set(space.keys(codes))) == len(set(space.format(codes))) == 156
    graphs = space.node_graphs(codes)
    assert [f"{space.node_types[op]}" for op in graphs.ops[:, 1].tolist()] == space.format(codes)
    assert torch.equal(space.from_node_graphs(graphs)[0], codes)


def test_types_out_of_range_are_invalid() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    for wrong in (-1, 0, 1, 158):
        ops = graphs.ops.clone()
        ops[0, 2] = wrong
        codes, valid = SPACE.from_node_graphs(NodeGraphs(ops, graphs.adj, graphs.mask))
        assert not valid.any()
        assert not codes.any()


def test_split_and_join_are_inverse() -> None:
    skips, operators = SPACE.split(torch.tensor([CODE]))
    assert skips.tolist() == [[0, 0, 1]]
    assert operators.tolist() == [CODE[:9]]
    other = torch.tensor([[1, 1, 1]])
    assert SPACE.join(other, operators).tolist() == [[*CODE[:9], 1, 1, 1]]
    codes = GPNAS(layers=12).sample(50, seed=0)
    assert torch.equal(GPNAS(layers=12).join(*GPNAS(layers=12).split(codes)), codes)
    assert SPACE.join(*SPACE.split(SPACE.sample(0, seed=0))).shape == (0, 12)


def test_join_names_what_does_not_fit() -> None:
    skips, operators = SPACE.split(SPACE.sample(4, seed=0))
    for wrong in ((skips[:3], operators), (skips[:, :2], operators), (skips, operators[:, :8]), (operators, skips)):
        with pytest.raises(InvalidCodeError, match=r"gpnas3: join\(\) needs skips \[B, 3\] and operators \[B, 9\]"):
            SPACE.join(*wrong)
    with pytest.raises(InvalidCodeError, match=r"codes\[0, 9\] \(skip_0_2\) is 2"):
        SPACE.join(skips + 2, operators)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("conv3x3", "conv9x9"),
        TEXT.replace("gauss/", "gauss3/"),
        TEXT.replace("relu", "gelu"),
        TEXT.replace("/relu", ""),
        TEXT.replace("tanh 0", "tanh"),
        TEXT.replace("tanh 0", "tanh 2"),
        TEXT.replace("tanh 0", "tanh 00"),
        TEXT.replace("relu |", "relu 0 |"),
        TEXT.replace("elu 01", "elu 0 1"),
        TEXT.replace("elu 01", "elu 0\u0661"),
        TEXT + " | conv3x3/gauss/relu 000",
        TEXT + " |",
        "",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match="gpnas3"):
        SPACE.parse(text)


def test_layers_must_be_positive() -> None:
    with pytest.raises(InvalidCodeError, match="GPNAS: layers must be at least 1, got 0"):
        GPNAS(layers=0)
