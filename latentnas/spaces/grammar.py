"""What a decoder may do next in a partial cell, so that what it finishes is a cell of the space.

A decoder writes a cell vertex by vertex: the type of vertex v, then the edges u -> v for the
candidates u = v-1 down to 0. A cell ends with its output vertex; what a grammar answers for vertices
after it does not matter, but there must be an answer. A grammar answers, in batches, which types and
which edges keep the cell completable. Its promise: whatever is chosen among the allowed, something
stays allowed, and the finished graph is valid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ConfigError


class Grammar(ABC):
    """The decisions open to a decoder.

    Attributes:
        num_nodes: N, the largest number of vertices of a cell.
        num_types: T, the number of vertex types.
    """

    num_nodes: int
    num_types: int

    @abstractmethod
    def allowed_types(self, ops: Tensor, adj: Tensor, vertex: int) -> Tensor:
        """Types that ``vertex`` may take: [B, T] bool, at least one true in every row.

        Args:
            ops: [B, N] long, types of the vertices before ``vertex``.
            adj: [B, N, N] bool, edges among the vertices before ``vertex``.
            vertex: the vertex to come, 1 <= vertex < N.
        """

    @abstractmethod
    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        """Whether the edge source -> vertex may be absent and may be present: [B, 2] bool.

        Args:
            ops: [B, N] long, types up to and including ``vertex``.
            adj: [B, N, N] bool, edges decided so far (candidates above ``source`` included).
            vertex: the vertex whose incoming edges are being decided.
            source: the candidate, 0 <= source < vertex.
        """

    def fixed_edges(self, vertex: int) -> Tensor | None:
        """The column ``adj[:, vertex]`` where it is the same in every cell: [N] bool, else None.

        A decoder skips the decisions of a vertex whose edges are fixed.
        """
        return None


def _shape(grammar: str, types: Tensor, **edges: Tensor) -> tuple[int, int]:
    """N and T of a table of types [N, T], after checking that the tables of edges are [N, N], and all bool."""
    if types.ndim != 2:
        raise ConfigError(f"{grammar}: types must have shape [N, T], got {list(types.shape)}")
    nodes, kinds = types.shape
    for name, table in {"types": types, **edges}.items():
        if name != "types" and table.shape != (nodes, nodes):
            raise ConfigError(f"{grammar}: {name} must have shape [{nodes}, {nodes}], got {list(table.shape)}")
        if table.dtype != torch.bool:
            raise ConfigError(f"{grammar}: {name} must be a bool tensor, got {table.dtype}")
    return nodes, kinds


class TemplateGrammar(Grammar):
    """A grammar whose decisions do not depend on each other: a table of types, a table of edges.

    Args:
        types: [N, T] bool, the types that each vertex may take (row 0: the input).
        absent: [N, N] bool, which edges i -> j (i < j) may be absent.
        present: [N, N] bool, which edges i -> j may be present. A free edge is true in both; an edge that
            every cell has is true in ``present`` alone, one that no cell has in ``absent`` alone.

    Raises:
        ConfigError: shapes do not fit, some vertex may have no type, or some edge may be neither.
    """

    def __init__(self, types: Tensor, absent: Tensor, present: Tensor) -> None:
        self.num_nodes, self.num_types = _shape("TemplateGrammar", types, absent=absent, present=present)
        upper = torch.ones_like(absent).triu(1)
        if not bool((absent | present)[upper].all()):
            raise ConfigError("TemplateGrammar: some edge may be neither absent nor present")
        if not bool(types.any(1).all()):
            raise ConfigError("TemplateGrammar: some vertex may have no type")
        self.types, self.absent, self.present = types, absent, present

    def allowed_types(self, ops: Tensor, adj: Tensor, vertex: int) -> Tensor:
        return self.types[vertex].to(ops.device).expand(len(ops), -1)

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        pair = torch.stack([self.absent[source, vertex], self.present[source, vertex]])
        return pair.to(ops.device).expand(len(ops), -1)

    def fixed_edges(self, vertex: int) -> Tensor | None:
        absent, present = self.absent[:vertex, vertex], self.present[:vertex, vertex]
        if bool((absent & present).any()):
            return None
        column = torch.zeros(self.num_nodes, dtype=torch.bool)
        column[:vertex] = present
        return column


class InDegreeGrammar(Grammar):
    """A grammar in which every vertex chooses a given number of sources among its candidates.

    Args:
        types: [N, T] bool, the types that each vertex may take (row 0: the input).
        candidates: [N, N] bool, which edges i -> j vertex j may choose.
        degree: N integers, how many of its candidates vertex j chooses, exactly.
        required: [N, N] bool, edges that are always there; no candidate is among them.

    Raises:
        ConfigError: shapes do not fit, a candidate is required, or a vertex has too few candidates.
    """

    def __init__(self, types: Tensor, candidates: Tensor, degree: Sequence[int], required: Tensor) -> None:
        self.num_nodes, self.num_types = _shape("InDegreeGrammar", types, candidates=candidates, required=required)
        if len(degree) != self.num_nodes:
            raise ConfigError(f"InDegreeGrammar: degree must hold {self.num_nodes} integers, got {len(degree)}")
        if bool((candidates & required).any()):
            raise ConfigError("InDegreeGrammar: an edge is a candidate and required")
        if bool((candidates.sum(0) < torch.tensor(degree)).any()):
            raise ConfigError("InDegreeGrammar: some vertex has fewer candidates than it must choose")
        self.types, self.candidates, self.degree, self.required = types, candidates, tuple(degree), required

    def allowed_types(self, ops: Tensor, adj: Tensor, vertex: int) -> Tensor:
        return self.types[vertex].to(ops.device).expand(len(ops), -1)

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        if not bool(self.candidates[source, vertex]):
            present = bool(self.required[source, vertex])
            return torch.tensor([not present, present], device=ops.device).expand(len(ops), -1)
        later = self.candidates[source + 1 : vertex, vertex].to(ops.device)  # decided already
        missing = self.degree[vertex] - (adj[:, source + 1 : vertex, vertex] & later).sum(1)  # [B]
        left = int(self.candidates[:source, vertex].sum())  # candidates still to come
        return torch.stack([missing <= left, missing > 0], 1)

    def fixed_edges(self, vertex: int) -> Tensor | None:
        candidates, degree = int(self.candidates[:vertex, vertex].sum()), self.degree[vertex]
        if 0 < degree < candidates:
            return None
        column = torch.zeros(self.num_nodes, dtype=torch.bool)
        column[:vertex] = self.required[:vertex, vertex]
        if degree > 0:
            column[:vertex] |= self.candidates[:vertex, vertex]
        return column
