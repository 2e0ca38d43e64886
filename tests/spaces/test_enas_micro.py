"""latentnas/spaces/enas_micro.py: the published cell worked by hand, counts, networkx isomorphism."""

from __future__ import annotations

import itertools
import random

import networkx as nx
import pytest
import torch

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces.enas_micro import OPERATIONS, ENASMicro
from latentnas.spaces.graphs import NodeGraphs, relabel

SPACE = ENASMicro()

# The cell that the authors' script cifar10_micro_final.sh trains.
NORMAL = [0, 2, 0, 0, 0, 4, 0, 1, 0, 4, 1, 1, 1, 0, 0, 1, 0, 2, 1, 1]
REDUCTION = [1, 0, 1, 0, 0, 3, 0, 2, 1, 1, 3, 1, 1, 0, 0, 4, 0, 3, 1, 1]
CODE = NORMAL + REDUCTION
TEXT = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"


def graph_of(cell: list[int]) -> nx.DiGraph:
    """Operations as vertices between the nodes of one cell [in, op, in, op, ...]; the inputs are told apart."""
    graph = nx.DiGraph()
    nodes = len(cell) // 4
    for vertex in range(nodes + 2):
        graph.add_node(vertex, kind=f"input {vertex}" if vertex < 2 else "node")
    for k in range(nodes):
        for side in (0, 2):
            source, op = cell[4 * k + side], cell[4 * k + side + 1]
            graph.add_node((k, side), kind=OPERATIONS[op])
            graph.add_edge(source, (k, side))
            graph.add_edge((k, side), k + 2)
    return graph


def is_same(left: nx.DiGraph, right: nx.DiGraph) -> bool:
    return nx.is_isomorphic(left, right, node_match=lambda a, b: a["kind"] == b["kind"])


def orders_of(cell: list[int]) -> list[list[int]]:
    """The cell with its nodes in every admissible order."""
    found = []
    nodes = len(cell) // 4
    for places in itertools.permutations(range(2, nodes + 2)):
        name = [0, 1, *places]
        moved = {}
        for k, place in enumerate(places):
            a, f, b, g = cell[4 * k : 4 * k + 4]
            moved[place] = [name[a], f, name[b], g]
        if all(node[0] < place and node[2] < place for place, node in moved.items()):
            found.append([number for place in sorted(moved) for number in moved[place]])
    return found


def shuffled(cell: list[int], chance: random.Random) -> list[int]:
    """Nodes in another admissible order, the two choices of each node in either order."""
    moved = chance.choice(orders_of(cell))
    pairs = [[moved[i : i + 2], moved[i + 2 : i + 4]] for i in range(0, len(moved), 4)]
    for pair in pairs:
        chance.shuffle(pair)
    return [number for pair in pairs for choice in pair for number in choice]


# --- codes and texts ------------------------------------------------------------------------------


def test_sizes() -> None:
    assert SPACE.size == ((2 * 3 * 4 * 5 * 6 * 5**5) ** 2) ** 2
    assert SPACE.dim == 40
    assert SPACE.max_nodes == 2 + 2 * 5 * 3 + 1
    assert SPACE.name == "enas_micro"
    assert ENASMicro(nodes=3).name == "enas_micro3"
    assert SPACE.columns[4:8] == ("normal_in_3a", "normal_op_3a", "normal_in_3b", "normal_op_3b")
    assert SPACE.columns[20] == "reduce_in_2a"


@pytest.mark.parametrize("nodes", [-1, 0, 7])
def test_number_of_nodes_is_checked(nodes: int) -> None:
    with pytest.raises(InvalidCodeError, match=rf"1\.\.6, got {nodes}"):
        ENASMicro(nodes=nodes)


def test_worked_example() -> None:
    assert SPACE.parse(TEXT).tolist() == [CODE]
    assert SPACE.format(torch.tensor([CODE])) == [TEXT]
    assert SPACE.parse(" ".join(map(str, NORMAL)) + "\n\t" + " ".join(map(str, REDUCTION))).tolist() == [CODE]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[:-2], "expected 40 numbers.*found 39"),
        (TEXT + " 0", "found more than 40"),
        ("2" + TEXT[1:], r"normal_in_2a is '2', must be a number in 0\.\.1"),
        (TEXT[:-1] + "5", r"reduce_op_6b is '5', must be a number in 0\.\.4"),
        ("00" + TEXT[1:], "normal_in_2a is '00'"),
        ("-0" + TEXT[1:], "normal_in_2a is '-0'"),
        ("\u0660" + TEXT[1:], "normal_in_2a"),
        ("9" * 10_000 + TEXT[1:], "normal_in_2a is '9999"),
        (TEXT.replace(" ", ","), "found 1"),
        ("", "found 0"),
    ],
)
def test_wrong_texts_are_named(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message) as error:
        SPACE.parse(text)
    assert str(error.value).startswith("enas_micro: ")
    assert len(str(error.value)) < 1000


# --- keys -----------------------------------------------------------------------------------------


def test_keys_stay_as_they_are() -> None:
    # Worked by hand. Every node of the normal cell reads the inputs alone: its nodes are sorted. In
    # the reduction cell the nodes 0302, 1010 (sorted: 0203, 1010), 0411 and 0311 are free, and the
    # one that reads 0203 comes after it.
    key = "0002.0104.0110.0211.0411-0203.0311.0410.1010.1121"
    assert SPACE.keys(torch.tensor([CODE])) == [key]


def test_choices_of_a_node_commute() -> None:
    space = ENASMicro(nodes=1)
    a, b, c = space.keys(torch.tensor([[0, 3, 1, 4, 0, 0, 0, 1], [1, 4, 0, 3, 0, 1, 0, 0], [0, 4, 1, 3, 0, 0, 0, 1]]))
    assert a == b
    assert a != c


def test_numbers_of_networks() -> None:
    # One node: a multiset of two among 10 (input, operation) choices in each cell.
    assert ENASMicro(nodes=1).num_networks == (10 * 11 // 2) ** 2
    # Two nodes, normal cells alone. The second node reads the first in 120 - 55 of its 15 * 16 / 2 forms, and else
    # both nodes are an unordered pair of the 55 forms.
    space = ENASMicro(nodes=2)
    normal = torch.cartesian_prod(*map(torch.arange, space.cardinalities[:8]))
    codes = torch.cat([normal, torch.zeros_like(normal)], 1)
    assert len(codes) == 22_500
    assert len(space.canonical(codes).unique(dim=0)) == 55 * (120 - 55) + 55 * 56 // 2


def test_canonical_is_the_first_of_all_orders() -> None:
    codes = SPACE.sample(60, seed=1).tolist()
    for code, found in zip(codes, SPACE.canonical(torch.tensor(codes)).tolist(), strict=True):
        cells = []
        for cell in (code[:20], code[20:]):
            forms = []
            for order in orders_of(cell):
                pairs = [sorted([order[i : i + 2], order[i + 2 : i + 4]]) for i in range(0, 20, 4)]
                forms.append([number for pair in pairs for choice in pair for number in choice])
            cells.append(min(forms))
        assert found == cells[0] + cells[1]


def test_keys_agree_with_networkx_on_thousands_of_cells() -> None:
    """Random pairs, relabelled pairs, and relabelled pairs with one edit; few operations, so that many nearly agree."""
    chance = random.Random(0)
    codes = SPACE.sample(500, seed=2)
    codes[:, 1::2] %= 2
    near = SPACE.mutate(codes, seed=3)
    relabelled = [
        shuffled(code[:20], chance) + shuffled(code[20:], chance) for code in torch.cat([codes, near]).tolist()
    ]
    others = torch.cat([codes.roll(1, 0), torch.tensor(relabelled)])
    keys, other_keys = SPACE.keys(codes) * 3, SPACE.keys(others)
    same = compared = 0
    for left, right, key, other in zip(codes.tolist() * 3, others.tolist(), keys, other_keys, strict=True):
        for cell, (part, other_part) in enumerate(zip(key.split("-"), other.split("-"), strict=True)):
            span = slice(20 * cell, 20 * cell + 20)
            expected = is_same(graph_of(left[span]), graph_of(right[span]))
            assert (part == other_part) == expected
            same += expected
            compared += 1
    assert compared == 3000
    assert 1000 <= same <= 2000, "both answers occur often"


def test_six_nodes_are_exact_too() -> None:
    """The position of a cell of six nodes takes 52.5 bits."""
    space, chance = ENASMicro(nodes=6), random.Random(1)
    codes = space.sample(20, seed=0)
    relabelled = [shuffled(code[:24], chance) + shuffled(code[24:], chance) for code in codes.tolist()]
    assert space.keys(torch.tensor(relabelled)) == space.keys(codes)
    assert torch.equal(space.canonical(torch.tensor(relabelled)), space.canonical(codes))
    last = torch.tensor([space.cardinalities]) - 1
    assert space.canonical(last)[0, 20:24].tolist() == [6, 4, 6, 4]


# --- views ----------------------------------------------------------------------------------------


def test_node_view_of_the_worked_example() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    types = [SPACE.node_types[op] for op in graphs.ops[0].tolist()]
    assert types[:5] == ["input", "input_1", "avg_pool_3x3", "sep_conv_3x3", "node_normal"]
    assert types[29:] == ["max_pool_3x3", "sep_conv_5x5", "node_reduce", "output"]
    operations = [2 + 3 * node + side for node in range(10) for side in (0, 1)]
    sources = CODE[0::2]
    sources[sources.index(3)] = 22  # node 3 of the reduction cell: the seventh sum
    sums = range(4, 32, 3)
    expected = {(0, 1)} | set(zip(sources, operations, strict=True))
    expected |= {(total - 2, total) for total in sums} | {(total - 1, total) for total in sums}
    expected |= {(total, 32) for total in sums if total != 22}  # all but the one that is read
    assert {tuple(edge) for edge in graphs.adj[0].nonzero().tolist()} == expected


def test_edge_view_of_the_worked_example() -> None:
    graphs = SPACE.edge_graphs(torch.tensor([CODE]))
    assert graphs.ops.shape == (1, 14, 14)
    assert len(SPACE.edge_types) == 1 + 5 + 15
    edges = {(i, j): SPACE.edge_types[graphs.ops[0, i, j]] for i, j in graphs.ops[0].nonzero().tolist()}
    assert edges == {
        (0, 2): "sep_conv_3x3+avg_pool_3x3",
        (0, 3): "sep_conv_5x5+identity",
        (0, 4): "identity",
        (1, 4): "sep_conv_5x5",
        (1, 5): "sep_conv_3x3",
        (0, 5): "sep_conv_5x5",
        (0, 6): "avg_pool_3x3",
        (1, 6): "sep_conv_5x5",
        (8, 9): "sep_conv_3x3+sep_conv_3x3",
        (7, 10): "avg_pool_3x3+max_pool_3x3",
        (8, 11): "sep_conv_5x5",
        (10, 11): "sep_conv_5x5",
        (8, 12): "sep_conv_3x3",
        (7, 12): "identity",
        (7, 13): "max_pool_3x3",
        (8, 13): "sep_conv_5x5",
    }


def test_interleaving_of_the_cells_does_not_matter() -> None:
    codes = SPACE.sample(50, seed=4)
    graphs = SPACE.node_graphs(codes)
    woven = [0, 1, *(v for k in range(5) for block in (2, 17) for v in range(block + 3 * k, block + 3 * k + 3)), 32]
    back, valid = SPACE.from_node_graphs(relabel(graphs, torch.tensor(woven).expand(50, -1)))
    assert valid.all()
    assert torch.equal(back, codes)


def test_an_input_that_nothing_reads_may_follow_the_output() -> None:
    """With all sources 0 the vertex of c_{k-1} feeds nothing, so a topological order may end with it."""
    space = ENASMicro(nodes=1)
    codes = torch.tensor([[0, 3, 0, 1, 0, 4, 0, 2]])
    order = torch.tensor([[0, 2, 3, 4, 5, 6, 7, 8, 1]])
    back, valid = space.from_node_graphs(relabel(space.node_graphs(codes), order))
    assert valid.all()
    assert torch.equal(back, codes)


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        ((4, 32), None),  # a loose end that is not concatenated
        (None, (22, 32)),  # a sum that is read, and concatenated
        ((22, 24), (4, 24)),  # an operation reads a sum of the other cell
        ((0, 1), None),
        (None, (0, 32)),
        (None, (1, 4)),
    ],
)
def test_graphs_that_are_no_cells_are_invalid(removed: tuple[int, int] | None, added: tuple[int, int] | None) -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    adj = graphs.adj.clone()
    for edge, present in ((removed, False), (added, True)):
        if edge is not None:
            assert bool(adj[0][edge]) != present
            adj[0][edge] = present
    codes, valid = SPACE.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
    assert not valid.any()
    assert not codes.any()


# --- grammar --------------------------------------------------------------------------------------


def test_the_output_reads_the_loose_ends_and_nothing_else() -> None:
    graphs, grammar = SPACE.node_graphs(torch.tensor([CODE])), SPACE.grammar
    adj = graphs.adj.clone()
    adj[:, :, 32] = False
    assert grammar.fixed_edges(32) is None
    for source in range(32):
        may_be_absent, may_be_present = grammar.allowed_edges(graphs.ops, adj, 32, source)[0].tolist()
        assert may_be_present == (source in {4, 7, 10, 13, 16, 19, 25, 28, 31})
        assert may_be_absent != may_be_present
