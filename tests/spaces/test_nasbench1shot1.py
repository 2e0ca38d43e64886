"""latentnas/spaces/nasbench1shot1.py: counts, published in-degrees, loose ends, ways to and from NAS-Bench-101."""

from __future__ import annotations

import itertools
import json

import networkx as nx
import pytest
import torch

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import OUTPUT, NodeGraphs
from latentnas.spaces.nasbench1shot1 import NASBench1Shot1
from latentnas.spaces.nasbench101 import OPERATIONS, NASBench101

from .conformance import networkx_graphs

NB101 = NASBench101()
CONV3, CONV1, POOL = OPERATIONS
DEGREES = {1: [0, 1, 2, 2, 2, 2], 2: [0, 1, 1, 2, 2, 3], 3: [0, 1, 1, 1, 2, 2, 2]}
"""``num_parents_per_node`` of the authors' search spaces."""


@pytest.fixture(scope="module", params=[1, 2, 3])
def space(request: pytest.FixtureRequest) -> NASBench1Shot1:
    return NASBench1Shot1(request.param)


def test_vertices_have_the_published_numbers_of_parents(space: NASBench1Shot1) -> None:
    graphs = space.node_graphs(space.sample(500, seed=0))
    assert (graphs.adj.sum(1) == torch.tensor(DEGREES[space.variant])).all()
    assert sum(DEGREES[space.variant]) == 9
    assert graphs.mask.all()


def test_columns_are_the_choices_there_are() -> None:
    assert NASBench1Shot1(1).cardinalities == (3, 3, 3, 3, 3, 6, 10)
    assert NASBench1Shot1(2).cardinalities == (3, 3, 3, 3, 2, 3, 6, 10)
    assert NASBench1Shot1(3).cardinalities == (3, 3, 3, 3, 3, 2, 3, 6, 10, 15)
    assert NASBench1Shot1(1).columns == ("op_1", "op_2", "op_3", "op_4", "parents_3", "parents_4", "parents_5")
    assert [NASBench1Shot1(k).name for k in (1, 2, 3)] == ["nasbench1shot1-1", "nasbench1shot1-2", "nasbench1shot1-3"]


@pytest.mark.parametrize("variant", [0, 4, "1"])
def test_there_are_three_variants(variant: object) -> None:
    with pytest.raises(InvalidCodeError, match="must be 1, 2 or 3"):
        NASBench1Shot1(variant)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variant", "codes", "whole", "networks", "whole_networks"),
    [(1, 14_580, 3_078, 2_685, 2_484), (2, 29_160, 11_178, 7_773, 7_236), (3, 1_312_200, 108_135, 55_854, 49_032)],
)
def test_counts(variant: int, codes: int, whole: int, networks: int, whole_networks: int) -> None:
    space = NASBench1Shot1(variant)
    assert (space.size, space.num_networks) == (codes, networks)
    everything = space.enumerate()
    adj = space.node_graphs(everything).adj
    is_whole = adj.any(2)[:, :-1].all(1)
    assert is_whole.sum() == whole
    assert len(space.canonical(everything[is_whole]).unique(dim=0)) == whole_networks


@pytest.mark.parametrize("variant", [1, 2])
def test_networks_are_counted_by_the_hash_of_the_benchmark_too(variant: int) -> None:
    space = NASBench1Shot1(variant)
    cells = space.to_nasbench101(space.enumerate()).unique(dim=0)
    assert len(set(NB101.module_hash(cells))) == space.num_networks


@pytest.mark.parametrize(("variant", "published"), [(1, 6_240), (3, 363_648)])
def test_the_paper_counts_operations_of_vertices_with_a_successor(variant: int, published: int) -> None:
    count = 0
    degrees = DEGREES[variant]
    for parents in itertools.product(*(itertools.combinations(range(v), degrees[v]) for v in range(1, len(degrees)))):
        used = {u for sources in parents for u in sources} - {0}
        count += 3 ** len(used)
    assert count == published


def test_networks_are_the_pruned_cells(space: NASBench1Shot1) -> None:
    codes = space.sample(300, seed=0)
    cells = space.to_nasbench101(codes)
    graphs = networkx_graphs(space.node_graphs(codes), space)
    for graph, pruned in zip(graphs, networkx_graphs(NB101.node_graphs(cells), NB101), strict=True):
        output = space.max_nodes - 1
        kept = graph.subgraph(nx.ancestors(graph, output) | {output})
        assert nx.is_isomorphic(kept, pruned, node_match=lambda x, y: x["op"] == y["op"])
    assert space.keys(codes) == NB101.keys(cells)


def test_canonical_codes_are_the_first_of_their_network() -> None:
    space = NASBench1Shot1(1)
    codes = space.enumerate()
    first: dict[str, int] = {}
    for i, key in enumerate(space.keys(codes)):
        first.setdefault(key, i)
    wanted = codes[[first[key] for key in space.keys(codes)]]
    assert torch.equal(space.canonical(codes), wanted)


def test_loose_ends_do_not_matter() -> None:
    space = NASBench1Shot1(2)
    # Vertex 4 (parents 0 and 1) has no successor: its operation and parents change the code, not the network.
    codes = torch.tensor([[0, 1, 2, op, 1, 2, parents, 0] for op in range(3) for parents in range(6)])
    assert not space.node_graphs(codes).adj[:, 4].any()
    assert len(set(space.keys(codes))) == 1
    assert len(space.canonical(codes).unique(dim=0)) == 1


def test_from_nasbench101_finds_the_cells_of_the_space(space: NASBench1Shot1) -> None:
    codes = space.sample(500, seed=1)
    back, valid = space.from_nasbench101(space.to_nasbench101(codes))
    assert valid.all()
    assert torch.equal(back, space.canonical(codes))
    others = NB101.sample(2_000, seed=0)
    back, valid = space.from_nasbench101(others)
    assert NB101.keys(others[valid]) == space.keys(back[valid])
    assert not back[~valid].any()
    known = set(space.keys(space.networks()))
    assert [key in known for key in NB101.keys(others)] == valid.tolist()
    assert 0 < valid.sum() < 2_000


def test_from_nasbench101_refuses_what_is_no_cell(space: NASBench1Shot1) -> None:
    with pytest.raises(InvalidCodeError, match="nasbench101"):
        space.from_nasbench101(torch.zeros(1, 27, dtype=torch.long))


def test_text_is_the_matrix_with_loose_ends() -> None:
    space = NASBench1Shot1(1)
    text = space.format(torch.tensor([[0, 1, 2, 0, 2, 1, 0]]))[0]
    # Parents: 1 of 0; 2 of 0, 1; 3 of 1, 2; 4 of 0, 2; the output of 0, 1: vertices 2 to 4 feed no output.
    assert json.loads(text) == {
        "matrix": [
            [0, 1, 1, 0, 1, 1],
            [0, 0, 1, 1, 0, 1],
            [0, 0, 0, 1, 1, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ],
        "ops": ["input", CONV3, CONV1, POOL, CONV3, "output"],
    }
    # What is left is 0 -> 1, 0 -> 2, 1 -> 2.
    assert space.keys(space.parse(text)) == NB101.keys(NB101.parse(text)) == ["3.0.7"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0, 1, 1, 0, 1, 1]", "[0, 1, 1, 0, 1, 0]"),  # the output has one parent
        ("[0, 0, 0, 0, 0, 0]]", "[1, 0, 0, 0, 0, 0]]"),  # an edge backwards
        ('"ops"', "'ops'"),  # another spelling
        ("{", "ModelSpec("),
        ("maxpool3x3", "maxpool5x5"),
        ('"maxpool3x3", ', ""),
    ],
)
def test_parse_takes_only_cells_of_the_space(old: str, new: str) -> None:
    space = NASBench1Shot1(1)
    text = space.format(torch.tensor([[0, 1, 2, 0, 2, 1, 0]]))[0]
    assert old in text
    with pytest.raises(ParseError, match="nasbench1shot1-1"):
        space.parse(text.replace(old, new))
    with pytest.raises(ParseError, match="7 vertices"):
        NASBench1Shot1(3).parse(text)


def test_graphs_in_any_order_of_their_vertices() -> None:
    """An output with a loose end after it, and vertices of equal in-degree swapped."""
    space = NASBench1Shot1(2)
    code = torch.tensor([[0, 1, 2, 0, 0, 0, 0, 0]])  # 1, 2 of 0; 3, 4 of 0, 1; the output of 0, 1, 2
    graph = space.node_graphs(code)
    order = torch.tensor([[0, 2, 1, 5, 4, 3]])
    adj = graph.adj[0][order[0]][:, order[0]][None]
    assert not adj.tril().any()
    ops = graph.ops.gather(1, order)
    assert ops[0, 3] == OUTPUT
    back, valid = space.from_node_graphs(NodeGraphs(ops, adj, graph.mask))
    assert valid.all()
    assert back[0, :4].tolist() == [1, 0, 0, 2]
    assert space.keys(back) == space.keys(code)


def test_graphs_with_other_numbers_of_parents_are_invalid() -> None:
    graphs = NASBench1Shot1(1).node_graphs(NASBench1Shot1(1).sample(20, seed=0))
    assert not NASBench1Shot1(2).from_node_graphs(graphs)[1].any()


def test_dictionaries_are_parsed(space: NASBench1Shot1) -> None:
    codes = space.sample(4, seed=5)
    cells = [json.loads(text) for text in space.format(codes)]
    assert torch.equal(space.parse(cells), codes)
    assert torch.equal(space.parse(cells[0]), codes[:1])
    with pytest.raises(ParseError, match="is no cell of the space"):
        space.parse({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]})


def test_values_of_columns() -> None:
    values = dict(zip(NASBench1Shot1(1).columns, NASBench1Shot1(1).column_values(), strict=True))
    assert values["op_1"] == OPERATIONS
    assert values["parents_3"] == ("(0, 1)", "(0, 2)", "(1, 2)")
