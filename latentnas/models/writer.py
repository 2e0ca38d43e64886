"""What all decoders share when they write graphs: choosing types and edges, under a grammar or freely."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..seeding import Seed, as_generator
from ..spaces.grammar import Grammar
from ..spaces.graphs import INPUT, OUTPUT, NodeGraphs


@dataclass(frozen=True, eq=False)
class Choices:
    """What a grammar left open while B graphs were written.

    Attributes:
        types: [B, N, T] bool, the types that each vertex could take; all of them after the output
            ([B, N, 1] in free writing).
        edges: [B, N, N] bool, edges u -> v that could be absent and could be present; those after the
            output count as open.
    """

    types: Tensor
    edges: Tensor

    def __getitem__(self, index: Tensor | slice) -> Choices:
        return Choices(self.types[index], self.edges[index])


class GraphWriter:
    """B graphs that are written vertex by vertex, by a decoder that knows only logits.

    For every vertex v = 1..N-1 in turn: :meth:`choose_type`, then either :meth:`write_fixed_edges` or one
    :meth:`choose_edge` (or :meth:`admit_edge`) for each candidate u = v-1 down to 0, then :meth:`end_vertex`.
    A graph ends with its first output vertex; what is chosen for it afterwards is not written.

    Under a grammar every finished graph is a cell of its space. Free writing takes any type and any
    edge; as published, the last possible vertex becomes the output, and the output is fed by exactly
    the vertices without a successor.

    Args:
        batch: B.
        num_nodes: N, the largest number of vertices.
        device: where the graphs are written.
        grammar: what may be chosen; None for free writing.
        stochastic: sample types from the softmax and edges from their Bernoulli probability; otherwise take the
            most probable.
        seed: seed of the sampling; drawn on the CPU.

    Attributes:
        ops, adj, mask: the graphs so far, as in :class:`~latentnas.spaces.NodeGraphs`.
        choices: what could be chosen for them so far; everything in free writing.
    """

    def __init__(
        self,
        batch: int,
        num_nodes: int,
        device: torch.device,
        *,
        grammar: Grammar | None,
        stochastic: bool,
        seed: Seed,
    ) -> None:
        self.grammar = grammar
        self.generator = as_generator(seed) if stochastic else None
        self.num_nodes = num_nodes
        self.ops = torch.full((batch, num_nodes), INPUT, dtype=torch.long, device=device)
        self.adj = torch.zeros(batch, num_nodes, num_nodes, dtype=torch.bool, device=device)
        self.mask = torch.zeros(batch, num_nodes, dtype=torch.bool, device=device)
        self.mask[:, 0] = True
        self._open = torch.ones(batch, dtype=torch.bool, device=device)  # graphs without an output yet
        types = torch.ones(
            batch, num_nodes, 1 if grammar is None else grammar.num_types, dtype=torch.bool, device=device
        )
        self.choices = Choices(types, torch.ones_like(self.adj))

    def choose_type(self, logits: Tensor, vertex: int) -> Tensor:
        """Write the type of ``vertex``: logits [B, T] -> types [B] long."""
        if self.grammar is not None:
            # far away latents overflow: finite logits keep every allowed type above the forbidden ones
            allowed = self.grammar.allowed_types(self.ops, self.adj, vertex)
            self.choices.types[:, vertex] = allowed | ~self._open[:, None]
            chosen = self._most_probable_or_sampled(logits.nan_to_num().masked_fill(~allowed, -torch.inf))
        elif vertex == self.num_nodes - 1:
            chosen = torch.full_like(self.ops[:, 0], OUTPUT)
        else:
            chosen = self._most_probable_or_sampled(logits)
        self.ops[:, vertex] = torch.where(self._open, chosen, INPUT)
        self.mask[:, vertex] = self._open
        return self.ops[:, vertex]

    def write_fixed_edges(self, vertex: int) -> list[int] | None:
        """Write the edges into ``vertex`` where the grammar leaves no choice.

        Returns:
            The sources, the same in every graph; None (and nothing is written) where there is a choice.
        """
        fixed = None if self.grammar is None else self.grammar.fixed_edges(vertex)
        if fixed is None:
            return None
        self.adj[:, :vertex, vertex] = fixed[:vertex].to(self.adj.device) & self._open[:, None]
        self.choices.edges[:, :vertex, vertex] = ~self._open[:, None]
        return [u for u, present in enumerate(fixed[:vertex].tolist()) if present]

    def choose_edge(self, logit: Tensor, source: int, vertex: int) -> Tensor:
        """Write or leave out the edge source -> vertex: logits [B] -> presence [B] bool."""
        return self.admit_edge(self.propose_edge(logit), source, vertex)

    def propose_edge(self, logit: Tensor) -> Tensor:
        """Most probable or sampled presence of an edge, with no regard to the grammar: [B] -> [B] bool."""
        if self.generator is None:
            return logit > 0
        return torch.rand(logit.shape, generator=self.generator).to(logit.device) < logit.sigmoid()

    def admit_edge(self, proposed: Tensor, source: int, vertex: int) -> Tensor:
        """Write the edge source -> vertex as proposed where that is allowed: [B] bool -> presence [B] bool."""
        if self.grammar is not None:
            allowed = self.grammar.allowed_edges(self.ops, self.adj, vertex, source)
            present = (proposed & allowed[:, 1]) | ~allowed[:, 0]
            self.choices.edges[:, source, vertex] = allowed.all(1) | ~self._open
        else:
            present = proposed & (self.ops[:, vertex] != OUTPUT)
        present = present & self._open
        self.adj[:, source, vertex] = present
        return present

    def end_vertex(self, vertex: int) -> None:
        """Finish the graphs whose output ``vertex`` is."""
        ends = self._open & (self.ops[:, vertex] == OUTPUT)
        if self.grammar is None:
            loose = self.mask[:, :vertex] & ~self.adj[:, :vertex, :vertex].any(2)
            self.adj[:, :vertex, vertex] |= ends[:, None] & loose
        self._open = self._open & ~ends

    def graphs(self) -> NodeGraphs:
        """What was written: B graphs of N vertices."""
        return NodeGraphs(self.ops, self.adj, self.mask)

    def _most_probable_or_sampled(self, logits: Tensor) -> Tensor:
        """The most probable type, or a sample by the Gumbel trick: [B, T] -> [B]."""
        if self.generator is None:
            return logits.argmax(1)
        uniform = torch.rand(logits.shape, generator=self.generator).clamp_min(1e-20).to(logits.device)
        return (logits - (-uniform.log()).log()).argmax(1)
