"""latentnas/spaces/nasbench201.py: facts of the published space, and keys against numerical evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import NASBench201, NodeGraphs, get_space
from latentnas.spaces.graphs import random_topological_order, relabel

SPACE = get_space("nasbench201")
NONE, SKIP, CONV1, CONV3, POOL = range(5)

# The best cell of NATS-Bench on CIFAR-10, as its paper prints it.
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def evaluate(codes: Tensor) -> Tensor:
    """What cells compute, with a random smooth function f, f(0) = 0, for every operation: [B, 6] double."""
    generator = torch.Generator().manual_seed(0)
    weights = {op: torch.randn(6, 6, generator=generator, dtype=torch.double) for op in (CONV1, CONV3, POOL)}
    x = torch.randn(6, generator=generator, dtype=torch.double).expand(len(codes), -1)

    def edge(op: Tensor, value: Tensor) -> Tensor:
        out = torch.where(op[:, None] == SKIP, value, torch.zeros_like(value))
        for name, weight in weights.items():
            # Odd and even parts of different strength, so that no two functions are related by a sign.
            inner = value @ weight
            out = torch.where(op[:, None] == name, torch.sin(inner) + 0.3 * inner.tanh() ** 2, out)
        return out

    a, b, c, d, e, f = codes.unbind(1)  # edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3
    first = edge(a, x)
    second = edge(b, x) + edge(c, first)
    return edge(d, x) + edge(e, first) + edge(f, second)


def test_counts_of_the_published_space() -> None:
    assert SPACE.size == 15_625
    assert len(set(SPACE.keys(SPACE.enumerate()))) == 4_930


def test_equal_keys_exactly_where_cells_compute_the_same_function() -> None:
    codes = SPACE.enumerate()
    values, keys = evaluate(codes), SPACE.keys(codes)
    group: dict[str, int] = {}
    index = torch.tensor([group.setdefault(key, len(group)) for key in keys])
    first = torch.full((len(group),), len(codes)).scatter_reduce(0, index, torch.arange(len(codes)), "amin")
    representatives = values[first]
    within = (values - representatives[index]).abs().max().item()
    distance = torch.cdist(representatives, representatives, p=float("inf")).fill_diagonal_(float("inf"))
    assert within < 1e-12
    assert distance.min() > 1e-6
    zero = (values == 0).all(1)
    assert zero.tolist() == [key == "0" for key in keys]


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ([NONE] * 6, "0"),
        ([SKIP, SKIP, SKIP, SKIP, SKIP, SKIP], "x+x+x+x"),
        ([CONV1, SKIP, SKIP, POOL, NONE, CONV3], "c3(c1(x)+x)+p(x)"),
        ([CONV3, NONE, CONV3, NONE, NONE, CONV3], "c3(c3(c3(x)))"),
        ([NONE, NONE, CONV3, NONE, CONV3, CONV1], "0"),  # nothing reaches vertices 1 and 2
        ([CONV3, CONV3, NONE, SKIP, NONE, NONE], "x"),  # dead ends
        ([CONV3, NONE, NONE, NONE, SKIP, NONE], "c3(x)"),
    ],
)
def test_keys_by_hand(code: list[int], key: str) -> None:
    assert SPACE.keys(torch.tensor([code])) == [key]


def test_published_string() -> None:
    code = torch.tensor([[CONV3, CONV3, CONV3, SKIP, CONV3, CONV3]])
    assert SPACE.format(code) == [BEST]
    assert torch.equal(SPACE.parse(BEST), code)
    assert SPACE.columns == ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")


@pytest.mark.parametrize(
    "text",
    [
        BEST.replace("skip_connect", "skip"),
        BEST.replace("~2", "~3"),
        BEST[:-1],
        BEST + "|",
        BEST.replace("+", ""),
        BEST.replace("nor_conv_3x3", "nor_conv_5x5"),
        BEST.upper(),
        "",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match="nasbench201"):
        SPACE.parse(text)


def test_unknown_operation_is_named() -> None:
    with pytest.raises(ParseError, match="unknown operation 'dil_conv'; known: none, skip_connect"):
        SPACE.parse(BEST.replace("skip_connect", "dil_conv"))


def test_edge_view_by_hand() -> None:
    graphs = SPACE.edge_graphs(torch.tensor([[1, 2, 3, 4, 0, 1]]))
    assert graphs.ops[0].tolist() == [[0, 1, 2, 4], [0, 0, 3, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert graphs.mask.all()


def test_node_view_joins_operations_that_meet_at_a_vertex_of_the_cell() -> None:
    code = torch.tensor([[1, 2, 3, 4, 0, 1]])
    graphs = SPACE.node_graphs(code)
    assert [SPACE.node_types[op] for op in graphs.ops[0].tolist()] == [
        "input",
        "skip_connect",
        "nor_conv_1x1",
        "nor_conv_3x3",
        "avg_pool_3x3",
        "none",
        "skip_connect",
        "output",
    ]
    # Vertices 1..6 stand for the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 of the cell.
    expected = [(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7)]
    assert [tuple(edge) for edge in graphs.adj[0].nonzero().tolist()] == expected


def test_relabelled_graphs_give_back_the_same_code() -> None:
    """Stronger than equal keys: the vertices of the node view can be told apart."""
    codes = SPACE.sample(500, seed=0)
    graphs = SPACE.node_graphs(codes)
    order = random_topological_order(graphs, torch.Generator().manual_seed(0))
    assert len(order.unique(dim=0)) > 10
    back, valid = SPACE.from_node_graphs(relabel(graphs, order))
    assert valid.all()
    assert torch.equal(back, codes)


def test_every_flipped_edge_is_reported() -> None:
    """The node view has one adjacency, so a graph with any other is no cell."""
    graphs = SPACE.node_graphs(SPACE.sample(1, seed=0))
    for source in range(8):
        for target in range(source + 1, 8):
            adj = graphs.adj.clone()
            adj[0, source, target] ^= True
            codes, valid = SPACE.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
            assert not valid.any()
            assert codes.tolist() == [[0] * 6]


def test_published_numbers() -> None:
    """The first cells of NAS-Bench-201 as its authors' code asserts them, and number 0 of every copy of the table."""
    space = NASBench201()
    texts = [
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    ]
    assert space.format(space.from_published_index([0, 1])) == texts
    assert space.published_index(space.parse(texts)).tolist() == [0, 1]
    numbers = space.published_index(space.enumerate())
    assert torch.equal(numbers.sort().values, torch.arange(15_625))
    assert torch.equal(space.from_published_index(numbers), space.enumerate())
    for wrong in ([15_625], [-1], [0.5], [[0]], [True]):
        with pytest.raises(InvalidCodeError, match="number"):
            space.from_published_index(torch.tensor(wrong))


def test_cell_structures_are_parsed() -> None:
    class CellStructure:
        """As in the authors' code: the text from ``tostr``."""

        def __init__(self, text: str | None) -> None:
            self.nodes, self.text = (), text

        def tostr(self) -> str:
            if self.text is None:
                raise TypeError("nodes are missing")
            return self.text

    assert torch.equal(SPACE.parse([CellStructure(BEST), BEST]), SPACE.parse([BEST, BEST]))
    assert torch.equal(SPACE.parse(CellStructure(BEST)), SPACE.parse(BEST))
    with pytest.raises(ParseError, match="'junk' is no cell"):
        SPACE.parse(CellStructure("junk"))
    with pytest.raises(ParseError, match="tostr\\(\\) of the CellStructure failed: nodes are missing"):
        SPACE.parse(CellStructure(None))
