"""Cells whose output is fed by exactly the vertices that feed nothing else."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from .grammar import Grammar
from .graphs import INPUT, OUTPUT


def close_loose_ends(adj: Tensor) -> Tensor:
    """Feed the output, the last vertex, from every other vertex that feeds nothing, but never from the input.

    Args:
        adj: [B, N, N] bool, edges among the vertices 0..N-2; the last column is empty.

    Returns:
        [B, N, N] bool, a new tensor.
    """
    closed = adj.clone()
    closed[:, 1:-1, -1] = ~adj[:, 1:-1, 1:-1].any(2)
    return closed


class LooseEndsGrammar(Grammar):
    """N vertices, all present: the input, N-2 inner vertices, the output, joined to the loose ends.

    Every inner vertex has at least one source, so that the input is no loose end.

    Args:
        nodes: N, at least 3.
        num_types: T; inner vertices may take the types 2..T-1.
    """

    def __init__(self, nodes: int, num_types: int) -> None:
        self.num_nodes, self.num_types = nodes, num_types
        self._types = torch.zeros(nodes, num_types, dtype=torch.bool)
        self._types[0, INPUT] = self._types[-1, OUTPUT] = True
        self._types[1:-1, 2:] = True

    def allowed_types(self, ops: Tensor, adj: Tensor, vertex: int) -> Tensor:
        return self._types[vertex].to(ops.device).expand(len(ops), -1)

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        if vertex < self.num_nodes - 1:
            return self._inner_edges(adj[:, source + 1 : vertex, vertex].any(1), source)
        loose = ~adj[:, source, 1:-1].any(1) if source > 0 else torch.zeros_like(adj[:, 0, 0])
        return torch.stack([~loose, loose], 1)

    @abstractmethod
    def _inner_edges(self, fed: Tensor, source: int) -> Tensor:
        """Whether the edge ``source`` -> v into an inner vertex v may be absent and may be present: [B, 2] bool.

        Args:
            fed: [B] bool, whether v has a source above ``source`` already.
            source: the candidate; 0 is the input and is decided last.
        """

    def fixed_edges(self, vertex: int) -> Tensor | None:
        if vertex != 1:
            return None
        return torch.arange(self.num_nodes) == 0  # vertex 1 can only read the input
