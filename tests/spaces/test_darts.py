"""latentnas/spaces/darts.py: published genotypes and configurations, codes worked by hand, networkx isomorphism."""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any, NamedTuple

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentnas.errors import ParseError
from latentnas.spaces.darts import CONFIG_PREFIX, DARTS, OPERATIONS
from latentnas.spaces.graphs import NodeGraphs, relabel

SPACE = DARTS()

# The genotypes of the DARTS and PC-DARTS papers, as their repositories list them.
DARTS_V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
PC_DARTS_CIFAR = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), "
    "('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), "
    "reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))"
)
PC_DARTS_IMAGE = (
    "Genotype(normal=[('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 1), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), "
    "reduce=[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2), ('max_pool_3x3', 1), ('sep_conv_3x3', 2), "
    "('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 3)], reduce_concat=range(2, 6))"
)
PUBLISHED = [DARTS_V1, DARTS_V2, PC_DARTS_CIFAR, PC_DARTS_IMAGE]

# Operations are numbered 0 max, 1 avg, 2 skip, 3 sep3, 4 sep5, 5 dil3, 6 dil5; node 5 on the inputs
# (0, 2) has the second of the pairs (0, 1), (0, 2), (0, 3), ...
CODE_V1 = [3, 3, 0, 2, 3, 0, 2, 3, 1, 3, 2, 0, 0, 1, 0, 2, 1, 0, 2, 1, 1, 2]
TEXT_V1 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('avg_pool_3x3', 0), ('skip_connect', 2)], reduce_concat=range(2, 6))"
)

# The cell of the result that NAS-Bench-301's repository ships with its tests.
CONFIG = {
    "edge_normal_0": "skip_connect",
    "edge_normal_1": "sep_conv_3x3",
    "edge_reduce_0": "max_pool_3x3",
    "edge_reduce_1": "avg_pool_3x3",
    "inputs_node_normal_3": "0_1",
    "inputs_node_normal_4": "0_2",
    "inputs_node_normal_5": "1_2",
    "inputs_node_reduce_3": "0_1",
    "inputs_node_reduce_4": "1_2",
    "inputs_node_reduce_5": "2_3",
    "edge_normal_10": "sep_conv_3x3",
    "edge_normal_11": "skip_connect",
    "edge_normal_2": "sep_conv_3x3",
    "edge_normal_3": "skip_connect",
    "edge_normal_5": "dil_conv_3x3",
    "edge_normal_7": "dil_conv_5x5",
    "edge_reduce_11": "sep_conv_3x3",
    "edge_reduce_12": "dil_conv_3x3",
    "edge_reduce_2": "skip_connect",
    "edge_reduce_3": "dil_conv_5x5",
    "edge_reduce_6": "sep_conv_3x3",
    "edge_reduce_7": "sep_conv_5x5",
}
CODE_CONFIG = [2, 3, 0, 3, 2, 1, 5, 6, 4, 3, 2, 0, 1, 0, 2, 6, 3, 3, 4, 7, 3, 5]


Node = tuple[tuple[int, str], tuple[int, str]]


def cells_of(text: str) -> list[list[Node]]:
    """The nodes ((input, operation), (input, operation)) of both cells, read off the text."""
    edges = [(int(source), op) for op, source in re.findall(r"\('(\w+)', (\d)\)", text)]
    nodes = [(edges[i], edges[i + 1]) for i in range(0, 16, 2)]
    return [nodes[:4], nodes[4:]]


def text_of(cells: list[list[Node]]) -> str:
    normal, reduction = (", ".join(f"('{op}', {s})" for node in cell for s, op in node) for cell in cells)
    return f"Genotype(normal=[{normal}], normal_concat=range(2, 6), reduce=[{reduction}], reduce_concat=range(2, 6))"


def orders_of(cell: list[Node]) -> list[list[Node]]:
    """The cell with its nodes in every admissible order."""
    found = []
    for places in itertools.permutations(range(2, 6)):
        name = {0: 0, 1: 1, **dict(enumerate(places, start=2))}
        moved = {name[k]: [(name[s], op) for s, op in node] for k, node in enumerate(cell, start=2)}
        if all(s < k for k, node in moved.items() for s, _ in node):
            found.append([tuple(moved[k]) for k in range(2, 6)])
    return found  # type: ignore[return-value]


def graph_of(cell: list[Node]) -> nx.DiGraph:
    """Operations as vertices between the nodes; the two inputs are told apart."""
    graph = nx.DiGraph()
    for vertex in range(6):
        graph.add_node(vertex, kind=f"input {vertex}" if vertex < 2 else "node")
    for k, node in enumerate(cell, start=2):
        for side, (source, op) in enumerate(node):
            graph.add_node((k, side), kind=op)
            graph.add_edge(source, (k, side))
            graph.add_edge((k, side), k)
    return graph


def is_same(left: nx.DiGraph, right: nx.DiGraph) -> bool:
    return nx.is_isomorphic(left, right, node_match=lambda a, b: a["kind"] == b["kind"])


# --- codes and texts ------------------------------------------------------------------------------


def test_size_is_that_of_the_paper() -> None:
    pairs = 1 * 3 * 6 * 10  # pairs of inputs of the four nodes
    assert SPACE.size == (pairs * 7**8) ** 2 == (180 * 7**8) ** 2
    assert SPACE.dim == 22
    assert SPACE.max_nodes == 2 + 2 * 4 * 3 + 1
    assert SPACE.columns[:5] == ("normal_op_2a", "normal_op_2b", "normal_inputs_3", "normal_op_3a", "normal_op_3b")
    assert SPACE.columns[11] == "reduce_op_2a"


def test_worked_example() -> None:
    assert SPACE.parse(DARTS_V1).tolist() == [CODE_V1]
    assert SPACE.format(torch.tensor([CODE_V1])) == [TEXT_V1]
    assert SPACE.parse(TEXT_V1).tolist() == [CODE_V1]


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_genotypes_parse(text: str) -> None:
    again = SPACE.format(SPACE.parse(text))[0]
    for published, printed in zip(cells_of(text), cells_of(again), strict=True):
        assert [sorted(node) for node in published] == [list(node) for node in printed]


def test_spelling_does_not_matter() -> None:
    black = TEXT_V1.replace("'", '"').replace(", (", ",\n    (").replace(")]", "),\n]").replace("6))", "6),\n)")
    assert SPACE.parse(black).tolist() == [CODE_V1]
    assert SPACE.parse(TEXT_V1.replace(" ", "")).tolist() == [CODE_V1]
    assert SPACE.parse(re.sub(r"([(),=\[\]])", r" \1\t", TEXT_V1)).tolist() == [CODE_V1]
    assert SPACE.parse(TEXT_V1.replace("normal_concat=range(2, 6)", "normal_concat=[2,3,4,5]")).tolist() == [CODE_V1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("('sep_conv_3x3', 0)", "('none', 0)", "node 2 of the normal cell has the unknown operation 'none'"),
        (
            "('avg_pool_3x3', 0)",
            "('sep_conv_7x7', 0)",
            "node 5 of the reduce cell.*'sep_conv_7x7'.*known: max_pool_3x3",
        ),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 1)", "node 2 of the normal cell has the input 1 twice"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", r"node 2 of the normal cell has the input 2, must be in 0\.\.1"),
        ("('avg_pool_3x3', 0)", "('avg_pool_3x3', 5)", r"node 5 of the reduce cell has the input 5, must be in 0\.\.4"),
        ("('avg_pool_3x3', 0), ", "", "the reduce cell has 7 operations, must have 8"),
        ("('avg_pool_3x3', 0)", "('avg_pool_3x3', 0), ('avg_pool_3x3', 1)", "the reduce cell has 9 operations"),
        ("normal_concat=range(2, 6)", "normal_concat=[3, 4, 5]", r"normal_concat has \[3, 4, 5\]"),
        ("reduce_concat=range(2, 6)", "reduce_concat=range(2, 5)", r"reduce_concat has \[2, 5\]"),
        ("reduce_concat=range(2, 6)", "reduce_concat=range(6)", "stands where"),
        ("normal=", "reduce=", "'reduce' stands where 'normal' should"),
        ("('sep_conv_3x3', 0)", "(sep_conv_3x3, 0)", "'sep_conv_3x3' stands where the quoted name"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', -1)", "unexpected"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 00)", r"'0' stands where '\)' should"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', '0')", "an input of the normal cell"),
        ("Genotype", "__import__('os').system", "unexpected|stands where 'Genotype' should"),
        ("6))", "6)", r"'\)' is missing"),
        ("6))", "6)) + 1", "unexpected|comes after its end"),
        ("6))", "6)))", "comes after its end"),
        (" ", " " * 2000, "characters, at most"),
    ],
)
def test_wrong_texts_are_named(old: str, new: str, message: str) -> None:
    assert old in TEXT_V1
    with pytest.raises(ParseError, match=message) as error:
        SPACE.parse(TEXT_V1.replace(old, new, 1) if old != " " else TEXT_V1.replace(old, new))
    assert str(error.value).startswith("darts: ")
    assert len(str(error.value)) < 1000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(re.findall(r"\w+|[^\w\s]", TEXT_V1)), max_size=60))
def test_shuffled_tokens_are_parse_errors(tokens: list[str]) -> None:
    with pytest.raises(ParseError, match=r"^darts: "):
        SPACE.parse(" ".join(tokens))


# --- NAS-Bench-301 --------------------------------------------------------------------------------


def test_the_published_configuration() -> None:
    config: dict[str, Any] = {CONFIG_PREFIX + key: value for key, value in CONFIG.items()}
    settings_beside = {
        "NetworkSelectorDatasetInfo:darts:layers": 20,
        "NetworkSelectorDatasetInfo:darts:init_channels": 50,
        "OptimizerSelector:sgd:momentum": 0.9,
    }
    assert SPACE.parse_config(config | settings_beside).tolist() == [CODE_CONFIG]
    assert SPACE.format_config(torch.tensor([CODE_CONFIG])) == [config]
    assert SPACE.parse_config([config, config]).tolist() == [CODE_CONFIG] * 2
    assert SPACE.parse_config([]).shape == (0, 22)
    assert SPACE.format_config(torch.zeros(0, 22, dtype=torch.long)) == []


def test_configurations_say_what_the_genotypes_say() -> None:
    codes = SPACE.sample(300, seed=0)
    for text, config in zip(SPACE.format(codes), SPACE.format_config(codes), strict=True):
        expected = {}
        for name, cell in zip(("normal", "reduce"), cells_of(text), strict=True):
            for vertex, node in enumerate(cell, start=2):
                before = sum(range(2, vertex))  # edges into the nodes before: node v has v of them
                for source, op in node:
                    expected[f"{CONFIG_PREFIX}edge_{name}_{before + source}"] = op
                if vertex > 2:
                    expected[f"{CONFIG_PREFIX}inputs_node_{name}_{vertex}"] = f"{node[0][0]}_{node[1][0]}"
        assert config == expected
    assert torch.equal(SPACE.parse_config(SPACE.format_config(codes)), codes)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("edge_normal_0", None, "edge_normal_0' is missing"),
        ("edge_normal_0", 3, "edge_normal_0' is '3', must be a string"),
        ("edge_normal_0", "none", "node 2 of the normal cell has the unknown operation 'none'"),
        ("edge_reduce_13", "skip_connect", "edge_reduce_13' belongs to no input"),
        ("edge_normal_14", "skip_connect", "edge_normal_14' belongs to no input"),
        ("inputs_node_normal_2", "0_1", "inputs_node_normal_2' belongs to no input"),
        ("inputs_node_normal_4", None, "inputs_node_normal_4' is missing"),
        ("inputs_node_normal_4", "2_0", "inputs_node_normal_4 is '2_0', must be one of 0_1, 0_2, 0_3, 1_2, 1_3, 2_3"),
        ("inputs_node_normal_4", "1_4", "inputs_node_normal_4 is '1_4', must be one of"),
        ("inputs_node_normal_4", "0_1", "edge_normal_6' is missing"),
    ],
)
def test_wrong_configurations_are_named(key: str, value: object, message: str) -> None:
    config: dict[str, Any] = {CONFIG_PREFIX + name: entry for name, entry in CONFIG.items()}
    config[CONFIG_PREFIX + key] = value
    if value is None:
        del config[CONFIG_PREFIX + key]
    with pytest.raises(ParseError, match=message):
        SPACE.parse_config(config)


@pytest.mark.parametrize("wrong", [None, 3, [None], ["text"], [[]], {}])
def test_what_is_no_configuration_is_a_parse_error(wrong: Any) -> None:
    with pytest.raises(ParseError, match=r"darts: (expected a dictionary|the configuration's entry)"):
        SPACE.parse_config(wrong)


# --- keys -----------------------------------------------------------------------------------------


def test_keys_stay_as_they_are() -> None:
    # Worked by hand: the nodes of the normal cell that read the inputs alone are sorted, 23, 023, 033;
    # the last one reads the third of them, and (0, 4) is pair 3. In the reduction cell all nodes read
    # node 2, and the others are sorted as they stand.
    assert SPACE.keys(torch.tensor([CODE_V1])) == ["23.023.033.332-00.102.102.112"]


def test_independent_nodes_may_change_places() -> None:
    """Nodes 2 and 3 of the normal cell read the inputs alone; nodes 4 and 5 follow them."""
    left = text_of([[*_inputs("skip_connect"), *_inputs("sep_conv_5x5"), *_chain(2), *_chain(3)], cells_of(TEXT_V1)[1]])
    right = text_of(
        [[*_inputs("sep_conv_5x5"), *_inputs("skip_connect"), *_chain(3), *_chain(2)], cells_of(TEXT_V1)[1]]
    )
    other = text_of(
        [[*_inputs("sep_conv_5x5"), *_inputs("skip_connect"), *_chain(3), *_chain(3)], cells_of(TEXT_V1)[1]]
    )
    a, b, c = SPACE.keys(SPACE.parse([left, right, other]))
    assert a == b
    assert a != c


def _inputs(op: str) -> list[Node]:
    return [((0, op), (1, op))]


def _chain(source: int) -> list[Node]:
    return [((0, "max_pool_3x3"), (source, "max_pool_3x3"))]


def test_the_cells_and_their_inputs_are_told_apart() -> None:
    normal, reduction = cells_of(TEXT_V1)
    swapped = [tuple(({0: 1, 1: 0}.get(s, s), op) for s, op in node) for node in normal]
    texts = [text_of([normal, reduction]), text_of([reduction, normal]), text_of([swapped, reduction])]  # type: ignore[list-item]
    assert len(set(SPACE.keys(SPACE.parse(texts)))) == 3


def test_canonical_is_the_first_of_all_orders() -> None:
    codes = SPACE.sample(150, seed=1)
    canonical = SPACE.canonical(codes).tolist()
    for text, found in zip(SPACE.format(codes), canonical, strict=True):
        normal, reduction = cells_of(text)
        firsts = min(SPACE.parse([text_of([cell, reduction]) for cell in orders_of(normal)]).tolist())
        seconds = min(SPACE.parse([text_of([normal, cell]) for cell in orders_of(reduction)]).tolist())
        assert found == firsts[:11] + seconds[11:]


def test_keys_agree_with_networkx_on_thousands_of_cells() -> None:
    """Random pairs, relabelled pairs, and relabelled pairs with one edit; few operations, so that many nearly agree."""
    chance = random.Random(0)
    codes = SPACE.sample(700, seed=2)
    few = torch.tensor([high == len(OPERATIONS) for high in SPACE.cardinalities])
    codes[:, few] = codes[:, few] % 2 + 2
    near = SPACE.mutate(codes, seed=3)
    relabelled = [
        text_of([chance.choice(orders_of(cell)) for cell in cells_of(text)])
        for text in SPACE.format(torch.cat([codes, near]))
    ]
    others = torch.cat([codes.roll(1, 0), SPACE.parse(relabelled)])
    lefts, rights = SPACE.format(codes) * 3, SPACE.format(others)
    same = compared = 0
    for text_a, text_b, key_a, key_b in zip(lefts, rights, SPACE.keys(codes) * 3, SPACE.keys(others), strict=True):
        for cell_a, cell_b, part_a, part_b in zip(
            cells_of(text_a), cells_of(text_b), key_a.split("-"), key_b.split("-"), strict=True
        ):
            expected = is_same(graph_of(cell_a), graph_of(cell_b))
            assert (part_a == part_b) == expected
            same += expected
            compared += 1
    assert compared == 4200
    assert 1400 <= same <= 2800, "both answers occur often"


# --- views ----------------------------------------------------------------------------------------


def test_node_view_of_the_worked_example() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE_V1]))
    types = [SPACE.node_types[op] for op in graphs.ops[0].tolist()]
    assert types[:8] == [
        *("input", "input_1", "sep_conv_3x3", "sep_conv_3x3", "node_normal"),
        *("skip_connect", "sep_conv_3x3", "node_normal"),
    ]
    assert types[14:17] == ["max_pool_3x3", "max_pool_3x3", "node_reduce"]
    assert types[23:] == ["avg_pool_3x3", "skip_connect", "node_reduce", "output"]
    # Operations 2, 3, 5, ... and sums 4, 7, 10, 13 of the normal cell, 16, 19, 22, 25 of the reduction cell.
    sources = {2: 0, 3: 1, 5: 0, 6: 1, 8: 0, 9: 1, 11: 0, 12: 4}
    sources |= {14: 0, 15: 1, 17: 0, 18: 16, 20: 0, 21: 16, 23: 0, 24: 16}
    sums = range(4, 26, 3)
    expected = {(0, 1)} | {(source, op) for op, source in sources.items()} | {(total, 26) for total in sums}
    expected |= {(total - 2, total) for total in sums} | {(total - 1, total) for total in sums}
    assert {tuple(edge) for edge in graphs.adj[0].nonzero().tolist()} == expected


def test_edge_view_of_the_worked_example() -> None:
    graphs = SPACE.edge_graphs(torch.tensor([CODE_V1]))
    assert graphs.ops.shape == (1, 12, 12)
    edges = {(i, j): SPACE.edge_types[graphs.ops[0, i, j]] for i, j in graphs.ops[0].nonzero().tolist()}
    expected: dict[tuple[int, int], str] = {}
    for block, cell in zip((0, 6), cells_of(TEXT_V1), strict=True):
        expected |= {(block + s, block + k): op for k, node in enumerate(cell, start=2) for s, op in node}
    assert edges == expected


def test_order_of_operations_and_interleaving_of_the_cells_do_not_matter() -> None:
    codes = SPACE.sample(50, seed=4)
    graphs = SPACE.node_graphs(codes)
    swapped = [0, 1, *(v for k in range(8) for v in (3 + 3 * k, 2 + 3 * k, 4 + 3 * k)), 26]
    woven = [0, 1, *(v for k in range(4) for block in (2, 14) for v in range(block + 3 * k, block + 3 * k + 3)), 26]
    for order in (swapped, woven):
        back, valid = SPACE.from_node_graphs(relabel(graphs, torch.tensor(order).expand(50, -1)))
        assert valid.all()
        assert torch.equal(back, codes)


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        ((0, 5), (1, 5)),  # both operations of node 3 on input 1
        ((4, 12), (16, 12)),  # an operation reads a sum of the other cell: 16 comes after it
        ((16, 24), (4, 24)),  # the same, the other way round
        ((0, 1), (0, 26)),  # the input feeds the output, and c_{k-1} hangs loose
        ((13, 26), (12, 26)),  # an operation feeds the output in place of its sum
        ((2, 4), (2, 7)),  # an operation goes to another sum
        ((2, 4), (2, 3)),  # an operation goes to an operation
        ((0, 2), (0, 4)),  # a sum reads the input itself
    ],
)
def test_graphs_that_are_no_cells_are_invalid(removed: tuple[int, int], added: tuple[int, int]) -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE_V1]))
    adj = graphs.adj.clone()
    assert adj[0][removed]
    assert not adj[0][added]
    adj[0][removed], adj[0][added] = False, True
    codes, valid = SPACE.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
    assert not valid.any()
    assert not codes.any()


def test_graphs_with_padding_are_invalid() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE_V1]))
    mask = graphs.mask.clone()
    mask[0, -1] = False
    assert not SPACE.from_node_graphs(NodeGraphs(graphs.ops, graphs.adj, mask))[1].any()


# --- grammar --------------------------------------------------------------------------------------


def test_the_second_operation_reads_a_later_source() -> None:
    """Node 4 (operations 8 and 9; sources 0, 1 and the sums 4 and 7)."""
    grammar = SPACE.grammar
    ops, adj = torch.zeros(1, 27, dtype=torch.long), torch.zeros(1, 27, 27, dtype=torch.bool)
    assert grammar.allowed_edges(ops, adj, 8, 7).tolist() == [[True, False]], "the first leaves room for the second"
    assert grammar.allowed_edges(ops, adj, 8, 4).tolist() == [[True, True]]
    adj[0, 1, 8] = True
    assert grammar.allowed_edges(ops, adj, 9, 7).tolist() == [[True, True]]
    assert grammar.allowed_edges(ops, adj, 9, 4).tolist() == [[False, True]], "the last source above 1"
    adj[0, 7, 9] = True
    assert grammar.allowed_edges(ops, adj, 9, 4).tolist() == [[True, False]], "one source is enough"
    assert grammar.allowed_edges(ops, adj, 9, 1).tolist() == [[True, False]]
    assert grammar.allowed_edges(ops, adj, 9, 0).tolist() == [[True, False]]
    first, second = grammar.fixed_edges(2), grammar.fixed_edges(3)
    assert first is not None
    assert second is not None
    assert first.nonzero().tolist() == [[0]]
    assert second.nonzero().tolist() == [[1]]


# --- Python objects and what people paste ---------------------------------------------------------


class Genotype(NamedTuple):
    """As in the authors' ``genotypes.py``."""

    normal: Any
    normal_concat: Any
    reduce: Any
    reduce_concat: Any


def genotypes(codes: torch.Tensor) -> list[Genotype]:
    return [eval(text, {"Genotype": Genotype, "range": range}) for text in DARTS().format(codes)]


def test_genotypes_and_configurations_are_parsed_as_objects() -> None:
    space = DARTS()
    codes = space.sample(5, seed=11)
    objects = genotypes(codes)
    assert torch.equal(space.parse(objects), codes)
    assert torch.equal(space.parse(objects[0]), codes[:1])
    assert torch.equal(space.parse([genotype._asdict() for genotype in objects]), codes)
    assert torch.equal(space.parse(space.format_config(codes)), codes)
    assert torch.equal(space.parse(space.format_config(codes)[0]), codes[:1])
    assert torch.equal(space.parse([objects[0], space.format(codes)[1], space.format_config(codes)[2]]), codes[:3])


def test_lines_of_genotypes_py_and_json() -> None:
    space = DARTS()
    codes = space.sample(3, seed=12)
    assert torch.equal(space.parse([f"DARTS_V{k} = {text}" for k, text in enumerate(space.format(codes))]), codes)
    configs = space.format_config(codes)
    assert torch.equal(space.parse_config(json.dumps(configs)), codes)
    assert torch.equal(space.parse_config(json.dumps(configs[0])), codes[:1])
    assert torch.equal(space.parse(json.dumps(configs[0], indent=1)), codes[:1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "edge_normal_0' is missing"),
        ({"normal": 3, "reduce": 4}, "expected a Genotype .* got dict"),
        (Genotype([1, 2], [], [], []), "expected a Genotype .* got Genotype"),
        (Genotype([("none", 0)] * 8, range(2, 6), [("none", 0)] * 8, range(2, 6)), "node 2 of the normal cell"),
        ("{", "is no JSON of a configuration"),
        ("[1]", "unexpected|stands where"),
        ("= Genotype()", "'=' stands where 'Genotype' should"),
    ],
)
def test_objects_and_lines_that_are_no_cells(given: Any, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        DARTS().parse(given)


def test_configurations_that_are_no_json() -> None:
    for text in ("", "[", "[" * 100_000, "5", '"text"'):
        with pytest.raises(ParseError, match=r"is no JSON|expected a dictionary"):
            DARTS().parse_config(text)


def test_values_of_columns() -> None:
    values = dict(zip(DARTS().columns, DARTS().column_values(), strict=True))
    assert values["normal_op_2a"] == values["reduce_op_5b"] == OPERATIONS
    assert values["normal_inputs_3"] == ("(0, 1)", "(0, 2)", "(1, 2)")
