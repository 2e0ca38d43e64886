"""The two views of a batch of cells that models read: operations on vertices, or on edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

INPUT, OUTPUT = 0, 1
"""Indices of the two vertex types that every space's node view has."""

NO_EDGE = 0
"""Index of the edge type that stands for 'no connection' in every space's edge view."""


@dataclass(frozen=True, eq=False)
class NodeGraphs:
    """A batch of DAGs with operations on vertices, in topological order, vertex 0 the input.

    Attributes:
        ops: [B, N] long, the vertex types, indices into the space's ``node_types``; padding is 0.
        adj: [B, N, N] bool, ``adj[b, i, j]`` says that graph b has the edge i -> j; i < j always.
        mask: [B, N] bool, which vertices exist; they come first.
    """

    ops: Tensor
    adj: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return self.ops.shape[0]

    def __getitem__(self, index: Tensor | slice) -> NodeGraphs:
        return NodeGraphs(self.ops[index], self.adj[index], self.mask[index])

    @property
    def num_nodes(self) -> int:
        """N, the number of vertex slots of every graph of the batch."""
        return self.ops.shape[1]

    def to(self, device: torch.device | str) -> NodeGraphs:
        """The same batch on ``device``."""
        return NodeGraphs(self.ops.to(device), self.adj.to(device), self.mask.to(device))


@dataclass(frozen=True, eq=False)
class EdgeGraphs:
    """A batch of DAGs with operations on edges, vertex 0 the input.

    Attributes:
        ops: [B, V, V] long, ``ops[b, i, j]`` the type of edge i -> j, an index into the space's
            ``edge_types``; 0 where there is no edge.
        mask: [B, V] bool, which vertices exist.
    """

    ops: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return self.ops.shape[0]

    def __getitem__(self, index: Tensor | slice) -> EdgeGraphs:
        return EdgeGraphs(self.ops[index], self.mask[index])

    def to(self, device: torch.device | str) -> EdgeGraphs:
        """The same batch on ``device``."""
        return EdgeGraphs(self.ops.to(device), self.mask.to(device))


def relabel(graphs: NodeGraphs, order: Tensor) -> NodeGraphs:
    """Renumber vertices: new vertex i of graph b is its old vertex ``order[b, i]``.

    Args:
        graphs: B graphs of N vertices.
        order: [B, N] long, a permutation of 0..N-1 in every row, topological for its graph.
    """
    rows = torch.arange(len(graphs), device=order.device)[:, None]
    adj = graphs.adj[rows[:, :, None], order[:, :, None], order[:, None, :]]
    return NodeGraphs(graphs.ops[rows, order], adj, graphs.mask[rows, order])


def random_topological_order(graphs: NodeGraphs, generator: torch.Generator) -> Tensor:
    """A random topological order of every graph, padding last: [B, N] long, see :func:`relabel`."""
    remaining = graphs.mask.clone()
    adj = graphs.adj
    batch, nodes = graphs.ops.shape
    order = torch.empty(batch, nodes, dtype=torch.long, device=adj.device)
    placed = torch.zeros_like(remaining)
    for position in range(nodes):
        blocked = (adj & remaining[:, :, None]).any(1)
        ready = remaining & ~blocked
        ready = torch.where(ready.any(1, keepdim=True), ready, ~placed)  # only padding is left
        priority = torch.rand(batch, nodes, generator=generator).to(adj.device)
        chosen = priority.masked_fill(~ready, -1).argmax(1)
        order[:, position] = chosen
        remaining[torch.arange(batch), chosen] = False
        placed[torch.arange(batch), chosen] = True
    return order
