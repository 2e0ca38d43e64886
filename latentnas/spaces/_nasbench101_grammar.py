"""What a decoder may do next in a partial NAS-Bench-101 cell."""

from __future__ import annotations

import torch
from torch import Tensor

from ._nasbench101_cells import MAX_EDGES, MAX_VERTICES, NUM_OPERATIONS
from .grammar import Grammar
from .graphs import OUTPUT


class NASBench101Grammar(Grammar):
    """At most 7 vertices and 9 edges, every vertex on a path from the input to the output.

    A vertex is loose while it has no successor; each loose vertex will need an edge of its own. With E
    edges and L loose vertices, a partial cell can be finished exactly when E + L <= 9: by writing the
    output next and joining all loose vertices to it. Every choice that keeps this is allowed: an
    operation vertex needs a predecessor, and an edge from a loose vertex costs nothing, as it takes
    one from L for the one that it adds to E; any other edge costs one.
    """

    num_nodes = MAX_VERTICES
    num_types = 2 + NUM_OPERATIONS

    def allowed_types(self, ops: Tensor, adj: Tensor, vertex: int) -> Tensor:
        allowed = torch.zeros(len(ops), self.num_types, dtype=torch.bool, device=ops.device)
        allowed[:, OUTPUT] = True
        if vertex < MAX_VERTICES - 1:
            before = adj[:, :vertex, :vertex]
            need = before.sum((1, 2)) + (~before.any(2)).sum(1)  # E + L
            allowed[:, OUTPUT + 1 :] = (need < MAX_EDGES)[:, None]
        return allowed

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        output = ops[:, vertex] == OUTPUT
        before = adj[:, :vertex, :vertex]
        chosen = adj[:, source + 1 : vertex, vertex]
        loose = ~before.any(2)  # [B, vertex]
        loose[:, source + 1 :] &= ~chosen
        need = before.sum((1, 2)) + chosen.sum(1) + loose.sum(1) + (~output).long()  # a new operation is loose itself
        spare = need < MAX_EDGES
        here, below = loose[:, source], loose[:, :source].any(1)
        present = here | spare
        fed_later = below | spare if source > 0 else below
        absent = torch.where(output, ~here, chosen.any(1) | fed_later)
        # Only rows that are finished already, whose answer does not matter, can be left without a choice.
        return torch.stack([absent | ~present, present], 1)

    def fixed_edges(self, vertex: int) -> Tensor | None:
        if vertex != 1:
            return None
        column = torch.zeros(MAX_VERTICES, dtype=torch.bool)
        column[0] = True
        return column
