"""Canonical order of the vertices of unlabelled DAGs: colour refinement in batches, then an exact search.

Everything here depends on a graph alone, not on the numbers of its vertices, up to automorphisms; so
that isomorphic graphs, put into their canonical order, have the same adjacency. Weak refinement (two
vertices with the same hash) only leaves more to the search and cannot make the result wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_NODES = 63
"""Rows of an adjacency matrix fit 64-bit integers."""

_CHUNK = 4096
_SHIFT = 46  # a vertex's neighbours weigh less than 2^46 together: at most 62 weights of 40 bits
_MASK = 2**64 - 1


def _mixed(number: int) -> int:
    """40 bits that look random, a fixed function of ``number`` (splitmix64)."""
    z = (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return (z ^ z >> 31) >> 24


_SOURCE_WEIGHTS = [_mixed(2 * color) for color in range(MAX_NODES)]
_TARGET_WEIGHTS = [_mixed(2 * color + 1) for color in range(MAX_NODES)]


def canonical_order(adj: Tensor) -> Tensor:
    """A canonical topological order of every graph.

    Args:
        adj: [B, N, N] bool, strictly upper triangular, N at most 63.

    Returns:
        [B, N] long, on the device of ``adj``: new vertex i is old vertex ``order[b, i]``. Graphs are
        isomorphic exactly when their reordered adjacencies are equal.
    """
    return torch.cat([_canonical_order(part) for part in adj.split(_CHUNK)])


def reorder(adj: Tensor, order: Tensor) -> Tensor:
    """Adjacency [B, N, N] with new vertex i the old vertex ``order[b, i]``."""
    rows = torch.arange(len(adj), device=adj.device)[:, None, None]
    return adj[rows, order[:, :, None], order[:, None, :]]


def _canonical_order(adj: Tensor) -> Tensor:
    colors = _refined(adj, _ranks(_depths(adj) * adj.shape[1] + _twin_numbers(adj)))
    colors, order = colors.sort(dim=1, stable=True)
    tied = (colors[:, 1:] == colors[:, :-1]).any(1).nonzero()[:, 0]
    if len(tied):
        # Sorted by colour many of these graphs are equal already; the rest is one search for each.
        graphs = torch.cat([colors[tied, None], reorder(adj[tied], order[tied]).long()], 1)
        graphs, which = graphs.unique(dim=0, return_inverse=True)
        found = [_Search(graph[1:], graph[0]).order() for graph in graphs.tolist()]
        order[tied] = order[tied].gather(1, torch.tensor(found, device=adj.device)[which])
    return order


def _depths(adj: Tensor) -> Tensor:
    """Length of the longest path that ends in each vertex: [B, N] double. Sorting by it is topological."""
    depth = torch.zeros(adj.shape[:2], dtype=torch.float64, device=adj.device)
    for v in range(1, adj.shape[1]):
        depth[:, v] = (adj[:, :v, v] * (depth[:, :v] + 1)).amax(1)
    return depth


def _twin_numbers(adj: Tensor) -> Tensor:
    """Numbers 0, 1, ... of the vertices with the same sources and targets: [B, N] long.

    Exchanging such vertices changes nothing, so they may be told apart by any numbering.
    """
    bits = 2 ** torch.arange(adj.shape[1], device=adj.device)
    targets, sources = (adj * bits).sum(2), (adj * bits[:, None]).sum(1)
    twins = (targets[:, :, None] == targets[:, None]) & (sources[:, :, None] == sources[:, None])
    return twins.tril(-1).sum(2)


def _ranks(values: Tensor) -> Tensor:
    """How many values of the row are smaller: [B, N] double -> [B, N] long."""
    ordered, index = values.sort(1)
    position = torch.arange(values.shape[1], device=values.device).expand_as(index)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(index).scatter_(1, index, torch.where(starts, position, 0).cummax(1).values)


def _num_cells(colors: Tensor) -> Tensor:
    """Number of different colours of every row: [B]."""
    return 1 + (colors.sort(1).values.diff(dim=1) > 0).sum(1)


def _refined(adj: Tensor, colors: Tensor) -> Tensor:
    """Split colours by the colours of sources and targets until no row changes: [B, N] long.

    A colour is the number of vertices with smaller colours, before and after.
    """
    weights = torch.tensor([_SOURCE_WEIGHTS, _TARGET_WEIGHTS], dtype=torch.float64, device=adj.device)
    colors = colors.clone()
    cells = _num_cells(colors)
    rows = (cells < adj.shape[1]).nonzero()[:, 0]
    while len(rows):
        part, edges = colors[rows], adj[rows].double()
        value = part * 2.0**_SHIFT  # all sums stay below 2^53, where doubles are exact
        value = value + (edges.transpose(1, 2) @ weights[0][part][:, :, None])[:, :, 0]
        value = value + (edges @ weights[1][part][:, :, None])[:, :, 0]
        colors[rows] = _ranks(value)
        grown = _num_cells(colors[rows])
        rows, cells = rows[(grown > cells[rows]) & (grown < adj.shape[1])], cells.index_copy(0, rows, grown)
    return colors


class _Search:
    """Individualisation and refinement (McKay, 1981) on one graph, with pruning by found automorphisms.

    A node of the search tree singles out one vertex of the first cell with several. Leaves are
    orders of the vertices; the smallest (traces of the refinements on the way, then adjacency) wins.
    """

    def __init__(self, adj: list[list[int]], colors: list[int]) -> None:
        self.nodes = range(len(colors))
        self.sources = [[u for u in self.nodes if adj[u][v]] for v in self.nodes]
        self.targets = [[w for w in self.nodes if adj[v][w]] for v in self.nodes]
        self.colors = colors
        self.best: tuple[list[tuple[int, ...]], tuple[int, ...]] | None = None
        self.best_order: list[int] = []
        self.leaves: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}  # adjacency -> order, path
        self.automorphisms: list[list[int]] = []

    def order(self) -> list[int]:
        """The canonical order: new vertex i is old vertex ``order[i]``."""
        self._visit(self.colors, [], [])
        return self.best_order

    def _refine(self, colors: list[int]) -> tuple[list[int], tuple[int, ...]]:
        """Stable colours, and their trace, which is equal for equivalent nodes of the tree."""
        cells = len(set(colors))
        while True:
            values = [
                (colors[v] << _SHIFT)
                + sum(_SOURCE_WEIGHTS[colors[u]] for u in self.sources[v])
                + sum(_TARGET_WEIGHTS[colors[w]] for w in self.targets[v])
                for v in self.nodes
            ]
            trace = tuple(sorted(values))
            rank = {value: i for i, value in reversed(list(enumerate(trace)))}
            colors = [rank[value] for value in values]
            if len(rank) in (cells, len(values)):
                return colors, trace
            cells = len(rank)

    def _visit(self, colors: list[int], path: list[int], traces: list[tuple[int, ...]]) -> int:
        """Search below one node; return the depth of the node to go on with."""
        colors, trace = self._refine(colors)
        traces = [*traces, trace]
        depth = len(path)
        if self.best is not None and traces > self.best[0][: depth + 1]:
            return depth - 1
        first, vertices = self._first_cell(colors)
        if not vertices:
            return self._leaf(colors, path, traces)
        tried: list[int] = []
        for vertex in vertices:
            if self._is_equivalent(vertex, tried, path):
                continue
            tried.append(vertex)
            single = [color + (color == first and v != vertex) for v, color in enumerate(colors)]
            back = self._visit(single, [*path, vertex], traces)
            if back < depth:
                return back
        return depth - 1

    def _first_cell(self, colors: list[int]) -> tuple[int, list[int]]:
        cells: dict[int, list[int]] = {}
        for v, color in enumerate(colors):
            cells.setdefault(color, []).append(v)
        several = [color for color, members in cells.items() if len(members) > 1]
        return (min(several), cells[min(several)]) if several else (-1, [])

    def _leaf(self, colors: list[int], path: list[int], traces: list[tuple[int, ...]]) -> int:
        order = sorted(self.nodes, key=colors.__getitem__)
        adjacency = tuple(sum(1 << colors[w] for w in self.targets[v]) for v in order)
        if adjacency in self.leaves:
            twin, twin_path = self.leaves[adjacency]
            image = [0] * len(order)
            for old, new in zip(twin, order, strict=True):
                image[old] = new
            self.automorphisms.append(image)
            # What lies below the first difference of both paths has been seen in the twin's branch.
            return next(i for i, (a, b) in enumerate(zip(path, twin_path, strict=False)) if a != b)
        self.leaves[adjacency] = (order, path)
        if self.best is None or (traces, adjacency) < self.best:
            self.best, self.best_order = (traces, adjacency), order
        return len(path) - 1

    def _is_equivalent(self, vertex: int, tried: list[int], path: list[int]) -> bool:
        """Whether automorphisms that keep ``path`` carry a tried vertex to ``vertex``."""
        kept = [image for image in self.automorphisms if all(image[v] == v for v in path)]
        orbit, new = set(tried), list(tried)
        while new:
            v = new.pop()
            for image in kept:
                if image[v] not in orbit:
                    orbit.add(image[v])
                    new.append(image[v])
        return vertex in orbit
