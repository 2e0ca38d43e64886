"""Random graph models of randomly wired networks, drawn in batches (Xie et al., ICCV 2019, section 3.3).

All functions return undirected graphs as symmetric adjacency [n, N, N] bool whose vertex indices are in
the order that the paper uses to direct the edges, from the lower index to the higher.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ConfigError

_FRUITLESS_ROUNDS = 1000
_ROUND = 64


def erdos_renyi(n: int, nodes: int, p: float, generator: torch.Generator) -> Tensor:
    """G(N, P): every pair of vertices is joined with probability P, in a random order of the vertices.

    The distribution does not change when vertices are renumbered, so that any order is a random one.

    Args:
        n: how many graphs.
        nodes: N.
        p: P, in (0, 1].
        generator: a CPU generator.

    Raises:
        ConfigError: P is out of range.
    """
    _require(0 < p <= 1, f"Erdos-Renyi: p must be above 0 and at most 1, got {p!r}")
    upper = (torch.rand(n, nodes, nodes, generator=generator) < p).triu(1)
    return upper | upper.transpose(1, 2)


def barabasi_albert(n: int, nodes: int, m: int, generator: torch.Generator) -> Tensor:
    """BA(M): M vertices without edges, then vertices with M new edges each, M (N - M) edges in all.

    A new vertex is joined to M different vertices, drawn one by one with a probability proportional
    to their degree; the first one is joined to all M initial ones. Vertices are numbered in the order
    in which they are added.

    Args:
        n: how many graphs.
        nodes: N.
        m: M, 1 <= M < N.
        generator: a CPU generator.

    Raises:
        ConfigError: M is out of range.
    """
    _require(
        isinstance(m, int) and 1 <= m < nodes,
        f"Barabasi-Albert: m must be in 1..{nodes - 1} (the nodes less one), got {m!r}",
    )
    adj = torch.zeros(n, nodes, nodes, dtype=torch.bool)
    for new in range(m, nodes):
        degree = adj[:, :new, :new].sum(2).float() if new > m else torch.ones(n, m)
        chosen = torch.multinomial(degree, m, generator=generator) if n else torch.zeros(0, m, dtype=torch.long)
        adj[:, new].scatter_(1, chosen, True)
        adj[:, :, new] = adj[:, new]
    return adj


def watts_strogatz(n: int, nodes: int, k: int, p: float, generator: torch.Generator) -> Tensor:
    """WS(K, P): a ring of N vertices, each joined to K/2 neighbours on either side, then rewired; N K/2 edges.

    Clockwise for every vertex v, and this for i = 1..K/2 in turn, the edge from v to its i-th next
    vertex is rewired with probability P: its other end becomes a vertex drawn uniformly among those
    that are not v and not joined to v. Vertices are numbered clockwise.

    Args:
        n: how many graphs.
        nodes: N.
        k: K, even, 2 <= K < N.
        p: P, in [0, 1].
        generator: a CPU generator.

    Raises:
        ConfigError: K or P is out of range.
    """
    _require(
        isinstance(k, int) and k % 2 == 0 and 2 <= k < nodes,
        f"Watts-Strogatz: k must be even and in 2..{nodes - 1}, got {k!r}",
    )
    _require(0 <= p <= 1, f"Watts-Strogatz: p must be in 0..1, got {p!r}")
    vertices = torch.arange(nodes)
    gap = (vertices[:, None] - vertices).remainder(nodes)
    ring = ((gap <= k // 2) | (gap >= nodes - k // 2)) & (gap > 0)
    adj = ring.repeat(n, 1, 1)
    for i in range(1, k // 2 + 1):
        for v in range(nodes):
            old = (v + i) % nodes
            free = ~adj[:, v]
            free[:, v] = False
            rewired = (torch.rand(n, generator=generator) < p) & free.any(1)
            new = torch.rand(n, nodes, generator=generator).masked_fill(~free, -1).argmax(1)
            rows = rewired.nonzero()[:, 0]
            adj[rows, v, old] = adj[rows, old, v] = False
            adj[rows, v, new[rows]] = adj[rows, new[rows], v] = True
    return adj


def is_connected(adj: Tensor) -> Tensor:
    """Which undirected graphs [n, N, N] are a single component: [n] bool."""
    reached = torch.zeros_like(adj[:, 0])
    reached[:, :1] = True
    for _ in range(adj.shape[1] - 1):
        grown = reached | (adj & reached[:, :, None]).any(1)
        if torch.equal(grown, reached):
            break
        reached = grown
    return reached.all(1)


def draw_connected(n: int, nodes: int, draw: Callable[[int], Tensor]) -> Tensor:
    """``n`` connected graphs of a model: graphs in several components are drawn again.

    Args:
        n: how many graphs.
        nodes: N.
        draw: gives a number of graphs [.., N, N] of the model.

    Raises:
        ConfigError: the model gives hardly any connected graph.
    """
    found = [draw(0)]
    missing, fruitless = n, 0
    while missing > 0:
        graphs = draw(max(missing, _ROUND))
        graphs = graphs[is_connected(graphs)][:missing]
        found.append(graphs)
        missing -= len(graphs)
        fruitless = 0 if len(graphs) else fruitless + 1
        if fruitless == _FRUITLESS_ROUNDS:
            raise ConfigError(
                f"none of {_ROUND * _FRUITLESS_ROUNDS:,} random graphs of {nodes} nodes was connected: "
                "choose a larger p, m or k"
            )
    return torch.cat(found)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
