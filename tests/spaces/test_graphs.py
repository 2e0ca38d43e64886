"""latentnas/spaces/graphs.py"""

from __future__ import annotations

import itertools

import torch

from latentnas.spaces.graphs import EdgeGraphs, NodeGraphs, random_topological_order, relabel


def diamond(padding: int = 0) -> NodeGraphs:
    """0 -> {1, 2} -> 3 with types 0, 5, 6, 1, and ``padding`` empty vertices."""
    nodes = 4 + padding
    adj = torch.zeros(1, nodes, nodes, dtype=torch.bool)
    for source, target in ((0, 1), (0, 2), (1, 3), (2, 3)):
        adj[0, source, target] = True
    ops = torch.tensor([[0, 5, 6, 1] + [0] * padding])
    return NodeGraphs(ops, adj, torch.arange(nodes)[None] < 4)


def test_relabel_by_hand() -> None:
    graphs = diamond()
    swapped = relabel(diamond(), torch.tensor([[0, 2, 1, 3]]))
    assert swapped.ops.tolist() == [[0, 6, 5, 1]]
    assert torch.equal(swapped.adj, diamond().adj), "the diamond is symmetric"
    # 0 -> 1 -> 2 -> 3 renumbered backwards: edge 0 -> 1 becomes 3 -> 2, and so on.
    chain = NodeGraphs(graphs.ops, torch.diag(torch.ones(3), 1).bool()[None], graphs.mask)
    assert relabel(chain, torch.tensor([[3, 2, 1, 0]])).adj[0].nonzero().tolist() == [[1, 0], [2, 1], [3, 2]]


def test_orders_are_topological_permutations_and_all_of_them_occur() -> None:
    graphs = diamond(padding=2)
    batch = graphs[torch.zeros(400, dtype=torch.long)]
    order = random_topological_order(batch, torch.Generator().manual_seed(0))
    assert torch.equal(order.sort(1).values, torch.arange(6).expand(400, -1))
    assert (order[:, 4:] >= 4).all(), "padding comes last"
    assert {tuple(row[:4]) for row in order.tolist()} == {(0, 1, 2, 3), (0, 2, 1, 3)}
    assert not relabel(batch, order).adj.tril().any()


def test_every_order_of_independent_vertices_is_about_equally_frequent() -> None:
    adj = torch.zeros(3000, 3, 3, dtype=torch.bool)
    graphs = NodeGraphs(torch.zeros(3000, 3, dtype=torch.long), adj, torch.ones(3000, 3, dtype=torch.bool))
    order = random_topological_order(graphs, torch.Generator().manual_seed(0))
    counts = {p: sum(tuple(row) == p for row in order.tolist()) for p in itertools.permutations(range(3))}
    assert all(abs(count - 500) < 120 for count in counts.values())


def test_indexing_and_moving() -> None:
    graphs = diamond()
    assert len(graphs[torch.tensor([0, 0, 0])]) == 3
    assert graphs.num_nodes == 4
    assert graphs.to("cpu").ops.device.type == "cpu"
    edges = EdgeGraphs(torch.zeros(2, 4, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool))
    assert len(edges) == 2
    assert len(edges[:1].to("cpu")) == 1
