"""latentnas/spaces/random_wired.py: unlabelled DAGs, counted and compared with networkx."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, InvalidCodeError, ParseError, UnknownNameError
from latentnas.spaces import NodeGraphs
from latentnas.spaces.graphs import random_topological_order, relabel
from latentnas.spaces.random_wired import RandomWired

SPACE = RandomWired()
SMALL = RandomWired(nodes=4)


def networks(space: RandomWired, codes: Tensor) -> list[nx.DiGraph]:
    pairs = list(itertools.combinations(range(space.nodes), 2))
    graphs = []
    for row in codes.tolist():
        graph = nx.DiGraph()
        graph.add_nodes_from(range(space.nodes))
        graph.add_edges_from(pair for pair, bit in zip(pairs, row, strict=True) if bit)
        graphs.append(graph)
    return graphs


@pytest.mark.parametrize(("nodes", "count"), [(2, 2), (3, 6), (4, 31), (5, 302), (6, 5984)])
def test_networks_are_the_unlabelled_dags(nodes: int, count: int) -> None:
    """The On-Line Encyclopedia of Integer Sequences, A003087."""
    assert RandomWired(nodes=nodes).num_networks == count


def test_sizes() -> None:
    assert SPACE.name == "random_wired32"
    assert SPACE.dim == 496
    assert SPACE.size == 2**496
    assert SMALL.columns == ("edge_0_1", "edge_0_2", "edge_0_3", "edge_1_2", "edge_1_3", "edge_2_3")


@pytest.mark.parametrize("nodes", [-1, 0, 1, 64])
def test_the_number_of_nodes_is_bounded(nodes: int) -> None:
    with pytest.raises(InvalidCodeError, match=rf"RandomWired: nodes must be in 2..63, got {nodes}"):
        RandomWired(nodes=nodes)


def test_the_largest_stage_has_short_keys() -> None:
    space = RandomWired(nodes=63)
    codes = space.sample(3, seed=0)
    assert all(len(key) < 500 for key in space.keys(codes))
    assert space.keys(space.canonical(codes)) == space.keys(codes)


# --- views and texts ------------------------------------------------------------------------------


def test_worked_example() -> None:
    codes = SMALL.parse("4: 0-2 0-3 1-3")
    assert codes.tolist() == [[0, 1, 1, 0, 1, 0]]
    assert SMALL.format(codes) == ["4: 0-2 0-3 1-3"]
    graphs = SMALL.node_graphs(codes)
    assert [SMALL.node_types[op] for op in graphs.ops[0].tolist()] == ["input", *["sepconv3x3"] * 4, "output"]
    # Nodes 0 and 1 (vertices 1 and 2) have no predecessor, 2 and 3 no successor.
    assert graphs.adj[0].nonzero().tolist() == [[0, 1], [0, 2], [1, 3], [1, 4], [2, 4], [3, 5], [4, 5]]


def test_nodes_without_any_edge_lie_between_input_and_output() -> None:
    graphs = SMALL.node_graphs(SMALL.parse("4:"))
    assert graphs.adj[0].nonzero().tolist() == [[0, i] for i in range(1, 5)] + [[i, 5] for i in range(1, 5)]


def test_edges_of_input_and_output_follow_from_the_others() -> None:
    graphs = SMALL.node_graphs(SMALL.parse("4: 0-2 0-3 1-3"))
    for source, target in itertools.combinations(range(6), 2):
        adj = graphs.adj.clone()
        adj[0, source, target] ^= True
        codes, valid = SMALL.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
        # Only 1-2 (vertices 2, 3) can come, and only 0-3 (vertices 1, 4) can go, without another change.
        expected = {(2, 3): ["4: 0-2 0-3 1-2 1-3"], (1, 4): ["4: 0-2 1-3"]}.get((source, target))
        assert bool(valid) == (expected is not None)
        assert expected is None or SMALL.format(codes) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "5: 0-1",
        "4 : 0-1",
        "4:0-1",
        "4: 0-4",
        "4: 1-0",
        "4: 1-1",
        "4: 0-1 0-1",
        "4: 0-2 0-1",
        "4: 00-1",
        "4: 0-1, 0-2",
        "4: 0 -1",
        "4: 0-\u0661",
        "4: 0--1",
        "0-1",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"random_wired4: .* e\.g\. '4: 0-1'"):
        SMALL.parse(text)


# --- keys -----------------------------------------------------------------------------------------


def test_keys_agree_with_networkx_for_thousands_of_pairs() -> None:
    space = RandomWired(nodes=6)
    generator = torch.Generator().manual_seed(0)
    sparse = (torch.rand(600, 15, generator=generator) < torch.rand(600, 1, generator=generator)).long()
    codes = torch.cat([sparse, space.mutate(sparse[:100], seed=generator)])
    keys, graphs = space.keys(codes), networks(space, codes)
    equal = 0
    for step in range(1, 13):
        for i in range(len(codes) - step):
            same = nx.is_isomorphic(graphs[i], graphs[i + step])
            assert (keys[i] == keys[i + step]) == same
            equal += same
    assert equal > 50


def test_every_pair_of_networks_of_four_nodes_differs() -> None:
    graphs = networks(SMALL, SMALL.networks())
    assert len(graphs) == 31
    assert not any(nx.is_isomorphic(a, b) for a, b in itertools.combinations(graphs, 2))


@pytest.mark.parametrize("model", ["er", "ba", "ws"])
def test_relabelled_stages_have_the_same_key(model: str) -> None:
    codes = SPACE.sample_graphs(300, model=model, seed=0)  # type: ignore[arg-type]
    graphs = SPACE.node_graphs(codes)
    order = random_topological_order(graphs, torch.Generator().manual_seed(1))
    back, valid = SPACE.from_node_graphs(relabel(graphs, order))
    assert valid.all()
    assert (back != codes).any(1).sum() > 250
    keys = SPACE.keys(codes)
    assert SPACE.keys(back) == keys
    assert len(set(keys)) == 300
    assert len(set(SPACE.keys(torch.cat([codes, SPACE.mutate(codes, seed=0)])))) == 600


def test_canonical_stages_are_isomorphic_to_their_stages() -> None:
    codes = SPACE.sample_graphs(20, model="ws", seed=0)
    for a, b in zip(networks(SPACE, codes), networks(SPACE, SPACE.canonical(codes)), strict=True):
        assert nx.is_isomorphic(a, b)


def test_key_is_the_bits_of_the_canonical_code() -> None:
    # The only edge of four nodes leads from the first source to the only other depth, which comes last.
    codes = SMALL.parse(["4: 0-1", "4: 2-3", "4: 1-2", "4:"])
    keys = SMALL.keys(codes)
    assert len(set(keys[:3])) == 1
    assert keys[3] == "00"
    for key, row in zip(keys, SMALL.canonical(codes).tolist(), strict=True):
        assert f"{int(key, 16):08b}" == "".join(map(str, row)) + "00"


def test_stored_keys_do_not_change() -> None:
    space = RandomWired(nodes=8)
    codes = space.parse(["8: 0-1 0-2 1-3 2-3 3-4 4-5 4-6 5-7", "8: 0-4 1-4 1-5 2-5 2-6 3-6 3-7", "8: 0-1 2-3 4-5 6-7"])
    assert space.keys(codes) == ["c084231", "0229a80", "0241080"]


# --- random graph models --------------------------------------------------------------------------


def test_models_have_their_numbers_of_edges() -> None:
    ba = SPACE.sample_graphs(20, model="ba", seed=0)
    assert ba.shape == (20, 496)
    assert (ba.sum(1) == 5 * (32 - 5)).all()
    assert (SPACE.sample_graphs(20, model="ba", m=7, seed=0).sum(1) == 7 * (32 - 7)).all()
    assert (SPACE.sample_graphs(20, model="ws", seed=0).sum(1) == 2 * 32).all()
    assert (SPACE.sample_graphs(20, model="ws", k=6, p=0.25, seed=0).sum(1) == 3 * 32).all()
    er = SPACE.sample_graphs(500, model="er", seed=0).double()
    assert abs(er.mean() - 0.2) < 0.01
    assert abs(SPACE.sample_graphs(500, model="er", p=0.6, seed=0).double().mean() - 0.6) < 0.01


def test_watts_strogatz_without_rewiring_is_the_directed_ring() -> None:
    space = RandomWired(nodes=6)
    assert space.format(space.sample_graphs(1, model="ws", k=2, p=0.0)) == ["6: 0-1 0-5 1-2 2-3 3-4 4-5"]


@pytest.mark.parametrize("model", ["er", "ba", "ws"])
def test_graphs_are_connected_and_seeds_reproduce(model: str) -> None:
    space = RandomWired(nodes=10)
    options = {"er": {"p": 0.15}, "ba": {"m": 2}, "ws": {"k": 2}}[model]
    codes = space.sample_graphs(100, model=model, seed=3, **options)  # type: ignore[arg-type]
    assert torch.equal(space.sample_graphs(100, model=model, seed=3, **options), codes)  # type: ignore[arg-type]
    assert all(nx.is_weakly_connected(graph) for graph in networks(space, codes))
    assert space.sample_graphs(0, model=model, seed=3, **options).shape == (0, 45)  # type: ignore[arg-type]


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="random graph model 'wss'"):
        SPACE.sample_graphs(1, model="wss")  # type: ignore[arg-type]
    with pytest.raises(InvalidCodeError, match="at least 0, got -1"):
        SPACE.sample_graphs(-1, model="er")
    with pytest.raises(ConfigError, match="model 'er' has the parameters p, not m"):
        SPACE.sample_graphs(1, model="er", m=5)
    with pytest.raises(ConfigError, match="model 'ws' has the parameters k, p, not m"):
        SPACE.sample_graphs(1, model="ws", k=4, m=5)
    with pytest.raises(ConfigError, match=r"m must be in 1\.\.3 .*, got 5"):
        SMALL.sample_graphs(1, model="ba")
    with pytest.raises(ConfigError, match="k must be even"):
        SPACE.sample_graphs(1, model="ws", k=5)
    with pytest.raises(ConfigError, match=r"m must be in .*, got 2\.5"):
        SPACE.sample_graphs(1, model="ba", m=2.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="connected"):
        SPACE.sample_graphs(1, model="er", p=1e-4)
