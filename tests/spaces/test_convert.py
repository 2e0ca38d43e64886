"""Cells as networkx and PyG graphs: what they hold, the way back, and what is refused."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import networkx as nx
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv

from latentnas.errors import InvalidCodeError
from latentnas.spaces import SearchSpace, get_space, list_spaces

NB201 = get_space("nasbench201")


@pytest.fixture(params=list_spaces())
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return get_space(request.param)


def shuffled(graph: Data, generator: torch.Generator) -> Data:
    """The same graph, vertices and edges in a random order."""
    n, e = len(graph.op), graph.edge_index.shape[1]
    place = torch.randperm(n, generator=generator)  # old vertex -> new vertex
    op = torch.empty_like(graph.op)
    op[place] = graph.op
    return Data(op=op, edge_index=place[graph.edge_index][:, torch.randperm(e, generator=generator)], num_nodes=n)


# --- what the graphs hold -------------------------------------------------------------------------


def test_networkx_graphs_are_the_node_views(space: SearchSpace) -> None:
    codes = space.sample(20, seed=0)
    view = space.node_graphs(codes)
    graphs = space.to_networkx(codes)
    assert len(graphs) == 20
    for b, graph in enumerate(graphs):
        n = int(view.mask[b].sum())
        assert type(graph) is nx.DiGraph
        assert list(graph) == list(range(n))
        assert [graph.nodes[v]["op"] for v in graph] == [space.node_types[op] for op in view.ops[b, :n].tolist()]
        assert sorted(graph.edges) == [tuple(pair) for pair in view.adj[b].nonzero().tolist()]
        assert nx.is_directed_acyclic_graph(graph)


def test_pyg_graphs_are_the_node_views(space: SearchSpace) -> None:
    codes = space.sample(20, seed=0)
    for graph, reference in zip(space.to_pyg(codes), space.to_networkx(codes), strict=True):
        assert graph.num_nodes == len(reference)
        assert graph.op.dtype == graph.edge_index.dtype == torch.long
        assert [space.node_types[op] for op in graph.op.tolist()] == [op for _, op in reference.nodes(data="op")]
        assert graph.edge_index.T.tolist() == sorted(map(list, reference.edges))
        assert graph.validate()


def test_hand_made_networkx_graph_of_a_chain() -> None:
    enas = get_space("enas_macro6")
    code = enas.parse("[[1], [4, 1], [5, 0, 1], [0, 0, 0, 0], [2, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]]")
    graph = enas.to_networkx(code)[0]
    names = ["input", "sepconv3x3", "avgpool3x3", "maxpool3x3", "conv3x3", "conv5x5", "sepconv5x5", "output"]
    assert [graph.nodes[v]["op"] for v in range(8)] == names
    assert sorted(graph.edges) == sorted([*((k, k + 1) for k in range(7)), (0, 2), (1, 3), (0, 5)])


def test_one_batch_equals_pyg_own_batching(space: SearchSpace) -> None:
    codes = space.sample(30, seed=1)
    ours, pyg = space.to_pyg_batch(codes), Batch.from_data_list(space.to_pyg(codes))
    assert type(ours) is type(pyg)
    assert set(ours.keys()) == set(pyg.keys())
    for key in pyg.keys():  # noqa: SIM118
        assert torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(pyg[key])), key
    assert ours.num_graphs == len(ours) == 30
    assert ours.num_nodes == pyg.num_nodes
    for a, b, c in zip(ours.to_data_list(), pyg.to_data_list(), space.to_pyg(codes), strict=True):
        assert a.num_nodes == b.num_nodes == c.num_nodes
        assert torch.equal(a.op, c.op)
        assert torch.equal(a.edge_index, c.edge_index)
    assert torch.equal(ours[7].edge_index, pyg[7].edge_index)
    assert [len(g.op) for g in ours[torch.tensor([3, 1])]] == [len(g.op) for g in pyg[torch.tensor([3, 1])]]
    again = Batch.from_data_list(ours.to_data_list())
    assert torch.equal(again.edge_index, pyg.edge_index)


def test_a_graph_convolution_sees_cells_apart(space: SearchSpace) -> None:
    """GCNConv on the batch equals GCNConv cell by cell."""
    torch.manual_seed(0)
    codes = space.sample(5, seed=2)
    types = len(space.node_types)
    layer = GCNConv(types, 3)
    batch = space.to_pyg_batch(codes)
    whole = layer(torch.nn.functional.one_hot(batch.op, types).float(), batch.edge_index)
    parts = [layer(torch.nn.functional.one_hot(g.op, types).float(), g.edge_index) for g in space.to_pyg(codes)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-6)
    assert torch.equal(batch.batch.bincount(), batch.ptr.diff())


def test_a_hundred_thousand_cells_make_a_batch_at_once() -> None:
    codes = NB201.sample(100_000, seed=0)
    start = time.perf_counter()
    batch = NB201.to_pyg_batch(codes)
    middle = time.perf_counter()
    back = NB201.from_pyg(batch)
    end = time.perf_counter()
    assert batch.num_graphs == 100_000
    assert torch.equal(back, codes)
    assert middle - start < 3  # 0.1 s on a free core
    assert end - middle < 8  # 0.5 s


def test_no_cells(space: SearchSpace) -> None:
    empty = space.sample(0, seed=0)
    assert space.to_networkx(empty) == space.to_pyg(empty) == []
    assert space.to_pyg_batch(empty).num_graphs == 0
    for back in (space.from_networkx([]), space.from_pyg([]), space.from_pyg(space.to_pyg_batch(empty))):
        assert back.shape == (0, space.dim)
        assert back.dtype == torch.long


def test_codes_are_checked() -> None:
    for name in ("to_networkx", "to_pyg", "to_pyg_batch"):
        with pytest.raises(InvalidCodeError, match=r"codes\[1, 5\]"):
            getattr(NB201, name)(torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 5]]))


# --- there and back -------------------------------------------------------------------------------


def test_round_trips_give_the_codes_back(space: SearchSpace) -> None:
    codes = space.sample(40, seed=3)
    assert torch.equal(space.from_networkx(space.to_networkx(codes)), codes)
    assert torch.equal(space.from_pyg(space.to_pyg(codes)), codes)
    assert torch.equal(space.from_pyg(space.to_pyg_batch(codes)), codes)
    assert torch.equal(space.from_networkx(space.to_networkx(codes)[5]), codes[5:6])
    assert torch.equal(space.from_pyg(space.to_pyg(codes)[5]), codes[5:6])


def test_networkx_graphs_in_any_order_with_any_labels(space: SearchSpace) -> None:
    codes = space.sample(40, seed=4)
    rng = random.Random(0)
    graphs = []
    for graph in space.to_networkx(codes):
        labels = [f"v{k}" if k % 2 else (k, "x") for k in range(len(graph))]
        rng.shuffle(labels)
        vertices = [(labels[v], data) for v, data in graph.nodes(data=True)]
        edges = [(labels[a], labels[b]) for a, b in graph.edges]
        rng.shuffle(vertices)
        rng.shuffle(edges)
        other = nx.DiGraph()
        other.add_nodes_from(vertices)
        other.add_edges_from(edges)
        graphs.append(other)
    assert space.keys(space.from_networkx(graphs)) == space.keys(codes)
    assert torch.equal(space.from_networkx(graphs), space.from_networkx(graphs))


def test_pyg_graphs_in_any_order(space: SearchSpace) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = space.sample(40, seed=5)
    graphs = [shuffled(graph, generator) for graph in space.to_pyg(codes)]
    keys = space.keys(codes)
    assert space.keys(space.from_pyg(graphs)) == keys
    assert space.keys(space.from_pyg(Batch.from_data_list(graphs))) == keys


def test_a_batch_with_its_edges_in_any_order() -> None:
    codes = NB201.sample(20, seed=6)
    batch: Any = NB201.to_pyg_batch(codes)
    batch.edge_index = batch.edge_index[:, torch.randperm(batch.edge_index.shape[1])]
    assert torch.equal(NB201.from_pyg(batch), codes)


def test_small_integer_types_are_read() -> None:
    codes = NB201.sample(3, seed=0)
    graphs = [Data(op=g.op.to(torch.uint8), edge_index=g.edge_index.int()) for g in NB201.to_pyg(codes)]
    assert torch.equal(NB201.from_pyg(graphs), codes)


# --- what is refused ------------------------------------------------------------------------------


def chain() -> nx.DiGraph:
    return NB201.to_networkx(torch.tensor([[1, 2, 3, 4, 1, 2]]))[0]


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: nx.Graph(g), "is a Graph; expected a networkx.DiGraph"),
        (lambda g: nx.MultiDiGraph(g), "is a MultiDiGraph; expected a networkx.DiGraph"),
        (lambda g: "text", "is a str; expected a networkx.DiGraph"),
        (lambda g: g.nodes[2].clear() or g, "has no attribute 'op' at its vertex 2"),
        (lambda g: g.nodes[2].update(op="conv9x9") or g, "has the unknown op 'conv9x9' at its vertex 2; known: input"),
        (lambda g: g.nodes[2].update(op=["none"]) or g, "has the unknown op ['none'] at its vertex 2"),
        (lambda g: g.add_edge(7, 0) or g, "has a cycle"),
        (lambda g: g.add_edge(3, 3) or g, "has a cycle: the edge (3, 3)"),
        (lambda g: g.add_node(8, op="none") or g, "has 9 vertices; the space has at most 8"),
        (lambda g: nx.DiGraph(), "has no vertices"),
        (lambda g: g.nodes[2].update(op="input") or g, "has 2 vertices of the type 'input'; a cell has one"),
        (lambda g: g.nodes[7].update(op="none") or g, "has 0 vertices of the type 'output'; a cell has one"),
        (lambda g: g.remove_edge(0, 1) or g, "is no cell of the space: its types and edges fit none"),
    ],
)
def test_networkx_graphs_that_are_no_cells(place: int, damage: Any, message: str) -> None:
    graphs: list[Any] = [chain() for _ in range(5)]
    graphs[place] = damage(graphs[place])
    with pytest.raises(InvalidCodeError, match=re.escape(f"nasbench201: graph {place} {message}")):
        NB201.from_networkx(graphs)


def op(graph: Data, vertex: int, value: int) -> None:
    graph.op[vertex] = value


def add_edge(graph: Data, source: int, target: int) -> None:
    graph.edge_index = torch.cat([graph.edge_index, torch.tensor([[source], [target]])], 1)


def add_vertex(graph: Data) -> None:
    graph.op, graph.num_nodes = torch.cat([graph.op, torch.tensor([2])]), 9


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: op(g, 2, 7), "has the op 7; must be in 0..6"),
        (lambda g: op(g, 2, -1), "has the op -1; must be in 0..6"),
        (lambda g: op(g, 2, 2**40), f"has the op {2**40}; must be in 0..6"),
        (lambda g: add_edge(g, 0, 1), "has the edge (0, 1) twice"),
        (lambda g: add_edge(g, 2, 0), "has a cycle"),
        (lambda g: add_edge(g, 2, 2), "has a cycle: the edge (2, 2)"),
        (lambda g: add_vertex(g), "has 9 vertices; the space has at most 8"),
        (lambda g: op(g, 0, 2), "has 0 vertices of the type 'input'; a cell has one"),
        (lambda g: op(g, 3, 1), "has 2 vertices of the type 'output'; a cell has one"),
        (lambda g: add_edge(g, 0, 7), "is no cell of the space: its types and edges fit none"),
    ],
)
def test_pyg_graphs_that_are_no_cells(place: int, damage: Any, message: str) -> None:
    graphs = NB201.to_pyg(torch.tensor([[1, 2, 3, 4, 1, 2]] * 5))
    damage(graphs[place])
    expected = re.escape(f"nasbench201: graph {place} {message}")
    with pytest.raises(InvalidCodeError, match=expected):
        NB201.from_pyg(graphs)
    with pytest.raises(InvalidCodeError, match=expected):
        NB201.from_pyg(Batch.from_data_list(graphs))


@pytest.mark.parametrize("edge", [(0, 8), (-1, 3), (2**40, 3)])
def test_edges_out_of_range(edge: tuple[int, int]) -> None:
    graphs = NB201.to_pyg(NB201.sample(3, seed=0))
    add_edge(graphs[1], *edge)
    with pytest.raises(InvalidCodeError, match=re.escape(f"graph 1 has the edge {edge}, out of range 0..7")):
        NB201.from_pyg(graphs)


def test_edges_between_the_cells_of_a_batch() -> None:
    batch: Any = NB201.to_pyg_batch(NB201.sample(3, seed=0))
    batch.edge_index[1, 12] = 17  # an edge of graph 1 into graph 2
    source = int(batch.edge_index[0, 12]) - 8
    with pytest.raises(InvalidCodeError, match=re.escape(f"graph 1 has the edge ({source}, 9), out of range 0..7")):
        NB201.from_pyg(batch)
    batch.edge_index[1, 12] = 24
    message = re.escape("edge_index[:, 12] of the batch is [8, 24], must be in 0..23")
    with pytest.raises(InvalidCodeError, match=message):
        NB201.from_pyg(batch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"op": None}, "{} has no attribute 'op'"),
        ({"edge_index": None}, "{} has no attribute 'edge_index'"),
        ({"op": torch.zeros(8)}, "'op' of {} must be integers [n], got [8] torch.float32"),
        ({"op": torch.zeros(8, 1, dtype=torch.long)}, "'op' of {} must be integers [n], got [8, 1] torch.int64"),
        ({"op": ["input"]}, "'op' of {} must be integers [n], got list"),
        ({"edge_index": torch.zeros(4, 2, dtype=torch.long)}, "'edge_index' of {} must be integers [2, E], got [4, 2]"),
        ({"num_nodes": 9}, "{} has num_nodes 9, but 'op' has 8 entries"),
    ],
)
def test_attributes_that_are_missing_or_wrong(change: dict[str, Any], message: str) -> None:
    codes = NB201.sample(3, seed=0)
    graphs, batch = NB201.to_pyg(codes), NB201.to_pyg_batch(codes)
    for name, value in change.items():
        setattr(graphs[2], name, value)
        setattr(batch, name, value if name != "num_nodes" else 25)
    with pytest.raises(InvalidCodeError, match=re.escape(f"nasbench201: {message.format('graph 2')}")):
        NB201.from_pyg(graphs)
    text = re.escape(message.format("the batch").split(", got")[0]).replace("9,", "25,").replace("8", "24")
    with pytest.raises(InvalidCodeError, match=text):
        NB201.from_pyg(batch)


@pytest.mark.parametrize("ptr", [None, torch.tensor([0, 8, 16]), torch.tensor([0, 30, 24]), torch.zeros(0)])
def test_batches_without_a_sound_ptr(ptr: Any) -> None:
    batch: Any = NB201.to_pyg_batch(NB201.sample(3, seed=0))
    batch.ptr = ptr
    with pytest.raises(InvalidCodeError, match=r"nasbench201: the (batch needs 'ptr'|'ptr' of the batch)"):
        NB201.from_pyg(batch)


def test_what_is_no_pyg_graph() -> None:
    with pytest.raises(InvalidCodeError, match=r"graph 1 is a str; expected torch_geometric\.data\.Data"):
        NB201.from_pyg([NB201.to_pyg(NB201.sample(1, seed=0))[0], "text"])


def test_random_flat_graphs_are_cells_or_clear_errors(space: SearchSpace) -> None:
    """Random types and edges, cycles included: the documented error or a code of the space, nothing else."""
    generator = torch.Generator().manual_seed(0)

    def number(high: int) -> int:
        return int(torch.randint(high, (1,), generator=generator))

    for _ in range(40):
        n, e = 1 + number(space.max_nodes), number(3 * space.max_nodes)
        types = torch.randint(len(space.node_types), (n,), generator=generator)
        edges = torch.randint(n, (2, e), generator=generator)
        try:
            codes = space.from_pyg(Data(op=types, edge_index=edges))
        except InvalidCodeError as error:
            assert f"{space.name}: graph 0 " in str(error)
        else:
            assert space.check_codes(codes).shape == (1, space.dim)


@pytest.mark.parametrize("given", [5, None, "graphs"])
def test_what_is_no_graph_at_all_is_refused(given: Any) -> None:
    space = get_space("nasbench201")
    with pytest.raises(InvalidCodeError, match=r"expected a networkx\.DiGraph or a list of them, got"):
        space.from_networkx(given)
    with pytest.raises(InvalidCodeError, match=r"expected a torch_geometric\.data\.Data or a list of them, got"):
        space.from_pyg(given)


def test_digraphs_know_their_space() -> None:
    space = get_space("nasbench101")
    assert [graph.graph for graph in space.to_networkx(space.sample(2, seed=0))] == [{"space": "nasbench101"}] * 2
