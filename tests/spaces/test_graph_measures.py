"""Clustering and path lengths, against networkx graph by graph and by hand."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch

from latentnas.spaces import get_space
from latentnas.spaces.graph_measures import average_path_length, clustering_coefficient, transitivity
from latentnas.spaces.graphs import NodeGraphs


def networks(graphs: NodeGraphs) -> list[nx.DiGraph]:
    found = []
    for adj, mask in zip(graphs.adj.tolist(), graphs.mask.tolist(), strict=True):
        graph = nx.DiGraph()
        graph.add_nodes_from(v for v, exists in enumerate(mask) if exists)
        graph.add_edges_from((i, j) for i, row in enumerate(adj) for j, edge in enumerate(row) if edge)
        found.append(graph)
    return found


def mean_length(graph: nx.Graph) -> float:
    lengths = [d for v, row in nx.all_pairs_shortest_path_length(graph) for u, d in row.items() if u != v]
    return sum(lengths) / len(lengths)


@pytest.mark.parametrize("name", ["enas_macro6", "nasbench101", "nasbench201"])
def test_like_networkx(name: str) -> None:
    space = get_space(name)
    graphs = space.node_graphs(space.sample(40, seed=0))
    directed = networks(graphs)
    sides = [graph.to_undirected() for graph in directed]
    for found, expected in (
        (clustering_coefficient(graphs), [nx.average_clustering(graph) for graph in sides]),
        (transitivity(graphs), [nx.transitivity(graph) for graph in sides]),
        (average_path_length(graphs, directed=True), [mean_length(graph) for graph in directed]),
        (average_path_length(graphs, directed=False), [mean_length(graph) for graph in sides]),
    ):
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.double))


def test_directed_clustering_is_half() -> None:
    space = get_space("enas_macro6")
    graphs = space.node_graphs(space.sample(10, seed=1))
    expected = torch.tensor([nx.average_clustering(graph) for graph in networks(graphs)], dtype=torch.double)
    torch.testing.assert_close(clustering_coefficient(graphs) / 2, expected)


def test_a_triangle_with_a_tail() -> None:
    """0 -> 1 -> 2 -> 3 and 0 -> 2; one more slot is padding."""
    adj = torch.zeros(1, 5, 5, dtype=torch.bool)
    for i, j in ((0, 1), (1, 2), (2, 3), (0, 2)):
        adj[0, i, j] = True
    graphs = NodeGraphs(torch.zeros(1, 5, dtype=torch.long), adj, torch.tensor([[True] * 4 + [False]]))
    assert clustering_coefficient(graphs).item() == pytest.approx((1 + 1 + 1 / 3 + 0) / 4)
    assert transitivity(graphs).item() == pytest.approx(3 / 5)
    assert average_path_length(graphs, directed=True).item() == pytest.approx((1 + 1 + 2 + 1 + 2 + 1) / 6)


def test_no_edges() -> None:
    graphs = NodeGraphs(
        torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, 3, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    )
    assert clustering_coefficient(graphs).tolist() == transitivity(graphs).tolist() == [0.0]
    assert math.isnan(average_path_length(graphs, directed=True).item())
