"""latentnas/spaces/random_graphs.py: facts of the three models, and networkx."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.spaces.random_graphs import barabasi_albert, draw_connected, erdos_renyi, is_connected, watts_strogatz


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "graphs",
    [
        erdos_renyi(200, 12, 0.3, generator()),
        barabasi_albert(200, 12, 3, generator()),
        watts_strogatz(200, 12, 4, 0.75, generator()),
    ],
)
def test_graphs_are_simple_and_undirected(graphs: torch.Tensor) -> None:
    assert graphs.shape == (200, 12, 12)
    assert graphs.dtype == torch.bool
    assert torch.equal(graphs, graphs.transpose(1, 2))
    assert not graphs.diagonal(dim1=1, dim2=2).any()
    assert len(graphs.flatten(1).unique(dim=0)) > 190


def test_erdos_renyi_joins_every_pair_with_probability_p() -> None:
    n = 20_000
    share = erdos_renyi(n, 5, 0.2, generator()).double().mean(0)
    expected = torch.full((5, 5), 0.2, dtype=torch.float64).fill_diagonal_(0)
    assert ((share - expected).abs() <= 5 * math.sqrt(0.2 * 0.8 / n)).all()
    assert erdos_renyi(3, 6, 1.0, generator()).sum() == 3 * 6 * 5


def test_barabasi_albert_has_m_edges_for_every_added_vertex() -> None:
    for nodes, m in ((32, 5), (32, 1), (6, 5), (32, 31)):
        graphs = barabasi_albert(50, nodes, m, generator())
        assert (graphs.triu(1).sum((1, 2)) == m * (nodes - m)).all()
        assert not graphs[:, :m, :m].any(), "the initial vertices have no edges among themselves"
        assert (graphs.triu(1).sum(1)[:, m:] == m).all()
        assert is_connected(graphs).all()


def test_barabasi_albert_prefers_vertices_in_proportion_to_their_degree() -> None:
    # M = 1: 0-1, then 2 joins 0 or 1 (degree 1 each); after 0-1, 0-2 the degrees are 2, 1, 1.
    n = 20_000
    graphs = barabasi_albert(n, 4, 1, generator())
    star = graphs[graphs[:, 0, 2]]
    assert abs(len(star) / n - 0.5) < 5 * math.sqrt(0.25 / n)
    share = star[:, 3, :3].double().mean(0)
    expected = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    assert ((share - expected).abs() < 5 * math.sqrt(0.25 / len(star))).all()


def test_watts_strogatz_without_rewiring_is_the_ring() -> None:
    for nodes, k in ((12, 4), (5, 4), (7, 2), (8, 6)):
        ring = nx.to_numpy_array(nx.watts_strogatz_graph(nodes, k, 0), nodelist=range(nodes))
        assert torch.equal(watts_strogatz(1, nodes, k, 0.0, generator())[0], torch.tensor(ring).bool())


def test_watts_strogatz_keeps_the_number_of_edges() -> None:
    for p in (0.25, 0.75, 1.0):
        graphs = watts_strogatz(200, 32, 4, p, generator())
        assert (graphs.sum((1, 2)) == 2 * 32 * 2).all()
        # A vertex keeps its own K/2 edges, wherever they lead.
        assert (graphs.sum(2) >= 2).all()


def test_watts_strogatz_of_a_complete_graph_has_nothing_to_rewire() -> None:
    assert watts_strogatz(3, 5, 4, 1.0, generator()).sum() == 3 * 20


def test_distribution_of_watts_strogatz_agrees_with_networkx() -> None:
    n = 4_000
    graphs = watts_strogatz(n, 7, 4, 0.5, generator()).double()
    reference = torch.zeros(7, 7, dtype=torch.float64)
    for seed in range(n):
        reference += torch.tensor(nx.to_numpy_array(nx.watts_strogatz_graph(7, 4, 0.5, seed=seed), nodelist=range(7)))
    assert ((graphs.mean(0) - reference / n).abs() < 5 * math.sqrt(2 * 0.25 / n)).all()


def test_connectedness_agrees_with_networkx() -> None:
    graphs = erdos_renyi(500, 8, 0.25, generator())
    expected = [nx.is_connected(nx.from_numpy_array(graph.numpy())) for graph in graphs]
    assert is_connected(graphs).tolist() == expected
    assert 50 < sum(expected) < 450


def test_graphs_in_several_components_are_drawn_again() -> None:
    source = generator()
    graphs = draw_connected(100, 8, lambda count: erdos_renyi(count, 8, 0.15, source))
    assert graphs.shape == (100, 8, 8)
    assert is_connected(graphs).all()
    assert draw_connected(0, 8, lambda count: erdos_renyi(count, 8, 0.15, source)).shape == (0, 8, 8)
    with pytest.raises(ConfigError, match="none of 64,000 random graphs of 30 nodes was connected"):
        draw_connected(1, 30, lambda count: erdos_renyi(count, 30, 1e-6, source))


@pytest.mark.parametrize("p", [0, -0.1, 1.1, float("nan")])
def test_erdos_renyi_refuses_what_is_no_probability(p: float) -> None:
    with pytest.raises(ConfigError, match="Erdos-Renyi: p must be above 0 and at most 1"):
        erdos_renyi(1, 5, p, generator())


@pytest.mark.parametrize("m", [0, -1, 5, 6, 2.5])
def test_barabasi_albert_refuses_a_wrong_m(m: int) -> None:
    with pytest.raises(ConfigError, match=rf"Barabasi-Albert: m must be in 1..4 .*, got {m}"):
        barabasi_albert(1, 5, m, generator())


@pytest.mark.parametrize(("k", "p"), [(0, 0.5), (3, 0.5), (6, 0.5), (-2, 0.5), (4, -0.1), (4, 1.1), (4, float("nan"))])
def test_watts_strogatz_refuses_wrong_parameters(k: int, p: float) -> None:
    with pytest.raises(ConfigError, match=r"Watts-Strogatz: [kp] must be"):
        watts_strogatz(1, 6, k, p, generator())
