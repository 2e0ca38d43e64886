"""latentnas/spaces/dag_canonical.py: graphs whose vertices colours cannot tell apart."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch
from torch import Tensor

from latentnas.spaces.dag_canonical import canonical_order, reorder

Edges = list[tuple[int, int]]


def adjacency(edges: Edges, nodes: int) -> Tensor:
    adj = torch.zeros(1, nodes, nodes, dtype=torch.bool)
    for i, j in edges:
        assert i < j
        adj[0, i, j] = True
    return adj


def shuffled(adj: Tensor, seed: int) -> Tensor:
    """The graph [1, N, N] with its vertices in another topological order, drawn vertex by vertex."""
    generator = torch.Generator().manual_seed(seed)
    left, order = set(range(adj.shape[1])), []
    while left:
        ready = [v for v in sorted(left) if not any(adj[0, u, v] for u in left)]
        order.append(ready[int(torch.randint(len(ready), (1,), generator=generator))])
        left.remove(order[-1])
    return reorder(adj, torch.tensor([order]))


def canonical(adj: Tensor) -> list[list[list[bool]]]:
    form = reorder(adj, canonical_order(adj))
    assert not form.tril().any(), "a topological order"
    return form.tolist()


def copies(edges: Edges, size: int, times: int) -> tuple[Edges, int]:
    return [(size * c + i, size * c + j) for c in range(times) for i, j in edges], size * times


def zigzags(*lengths: int) -> tuple[Edges, int]:
    """Cycles of alternating direction: in all of them every source has two targets, every target two sources."""
    edges, start, half = [], 0, sum(lengths)
    for length in lengths:
        for i in range(length):
            edges += [(start + i, half + start + i), (start + i, half + start + (i + 1) % length)]
        start += length
    return edges, 2 * half


def projective_plane(q: int) -> tuple[Edges, int]:
    """Points before lines, an edge where a point is on a line."""
    points = [v for v in itertools.product(range(q), repeat=3) if next((x for x in v if x), 0) == 1]
    n = len(points)
    on = [
        (i, n + j) for i, a in enumerate(points) for j, b in enumerate(points) if sum(map(int.__mul__, a, b)) % q == 0
    ]
    return on, 2 * n


def cube(dimension: int) -> tuple[Edges, int]:
    corners = sorted(range(2**dimension), key=int.bit_count)
    place = {corner: i for i, corner in enumerate(corners)}
    edges = [(place[c], place[c | 1 << k]) for c in corners for k in range(dimension) if not c >> k & 1]
    return edges, 2**dimension


def double_cover(graph: nx.Graph) -> tuple[Edges, int]:
    n = len(graph)
    return [(a, n + b) for pair in graph.edges for a, b in (pair, pair[::-1])], 2 * n


HARD = {
    "empty": ([], 32),
    "complete": (list(itertools.combinations(range(32), 2)), 32),
    "chain": ([(i, i + 1) for i in range(31)], 32),
    "complete bipartite": (list(itertools.product(range(16), range(16, 32))), 32),
    "crown": ([(i, j) for i, j in itertools.product(range(16), range(16, 32)) if j != i + 16], 32),
    "16 edges": copies([(0, 1)], 2, 16),
    "10 paths": copies([(0, 1), (1, 2)], 3, 10),
    "21 paths": copies([(0, 1), (1, 2)], 3, 21),
    "8 diamonds": copies([(0, 1), (0, 2), (1, 3), (2, 3)], 4, 8),
    "cube": cube(5),
    "plane of order 3": projective_plane(3),
    "plane of order 5": projective_plane(5),
    "zigzag 16": zigzags(16),
    "zigzags 8 8": zigzags(8, 8),
    "zigzags 4 4 4 4": zigzags(4, 4, 4, 4),
    "zigzags 3 5 8": zigzags(3, 5, 8),
    "Petersen": double_cover(nx.petersen_graph()),
    "prism": double_cover(nx.circular_ladder_graph(5)),
    "regular": double_cover(nx.random_regular_graph(3, 16, seed=1)),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_graphs_have_one_form(name: str) -> None:
    adj = adjacency(*HARD[name])
    assert canonical(adj) == canonical(shuffled(adj, 0)) == canonical(shuffled(adj, 1))


@pytest.mark.parametrize(
    "names",
    [("zigzag 16", "zigzags 8 8", "zigzags 4 4 4 4", "zigzags 3 5 8"), ("Petersen", "prism")],
)
def test_graphs_that_refinement_cannot_separate_have_different_forms(names: tuple[str, ...]) -> None:
    forms = [canonical(adjacency(*HARD[name])) for name in names]
    assert all(a != b for a, b in itertools.combinations(forms, 2))


def test_batches_mix_hard_and_easy_graphs() -> None:
    graphs = torch.cat([adjacency(edges, nodes) for edges, nodes in HARD.values() if nodes == 32])
    together = reorder(graphs, canonical_order(graphs)).tolist()
    assert together == [canonical(graph[None])[0] for graph in graphs]
    assert canonical_order(graphs[:0]).shape == (0, 32)


def test_orders_are_permutations() -> None:
    adj = (torch.rand(200, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.15).triu(1)
    assert (canonical_order(adj).sort(1).values == torch.arange(9)).all()
    for edges, nodes in HARD.values():
        assert (canonical_order(adjacency(edges, nodes)).sort(1).values == torch.arange(nodes)).all()
