r"""The line-graph GCN baseline: graph convolutions for spaces with operations on edges.

Section 6.1 of GATES++ (Ning et al., TPAMI 2023): "1) convert the graph to a line graph, 2) apply a vanilla GCN,
3) concatenate the node embeddings". The vertices of the line graph are the edges of the cell; two are neighbours where
they share a vertex, :math:`L_{ef} = 1`. Five layers of 128 without self-loops,

.. math:: H^{(l)} = \mathrm{ReLU}(D^{-1} L H^{(l-1)} W_l + b_l), \quad D_{ee} = \textstyle\sum_f L_{ef} \quad (1)

without the ReLU in the last layer. As published an operation 'none' is a vertex with an embedding of its own, in spaces
where every edge exists (NAS-Bench-201); elsewhere a missing edge is a missing vertex, whose part of the embedding is
zero.

The line graph of the directed graph, in which edge i -> j only sends to j -> k, needs self-loops: without them the
states of five layers depend on no operation, as no path of NAS-Bench-201 has more than three edges.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, edge_view_fault, flag_fault, register_encoder, size_faults


@register_encoder("line-graph-gcn")
class LineGraphGCNEncoder(CellEncoder):
    """Graph convolutions over the line graph of the edge view, the states of all edges side by side.

    Args:
        facts: the space; it must have an edge view.
        layers: graph convolutions.
        hidden: size of the state of an edge.
        op_embedding: size of an operation embedding.
        directed: whether edges only send to those that start where they end.
        self_loop: whether an edge also sends to itself.
    """

    needs = ("edges",)

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int = 5,
        hidden: int = 128,
        op_embedding: int = 48,
        directed: bool = False,
        self_loop: bool = False,
    ) -> None:
        super().__init__()
        source, target = edge_slots(facts)
        self.dim = hidden * len(source)
        self.none_is_missing = not facts.edge_output
        share = target[:, None] == source  # edge e ends where edge f starts
        line = share if directed else share | share.T | (source[:, None] == source) | (target[:, None] == target)
        line = line & ~torch.eye(len(source), dtype=torch.bool)
        if self_loop:
            line = line | torch.eye(len(source), dtype=torch.bool)
        self.register_buffer("source", source, persistent=False)
        self.register_buffer("target", target, persistent=False)
        self.register_buffer("line", line.T.float(), persistent=False)  # [E, E], row: receiver
        self.operations = nn.Embedding(facts.edge_types, op_embedding)
        sizes = [op_embedding] + [hidden] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    source: Tensor
    target: Tensor
    line: Tensor

    def forward(self, inputs: CellInputs) -> Tensor:
        assert inputs.edges is not None
        ops = inputs.edges.ops[:, self.source, self.target]  # [B, E]
        states = self.operations(ops)  # [B, E, H]
        exists = torch.ones_like(states[..., :1])
        if self.none_is_missing:
            exists = (ops > 0).to(states.dtype)[..., None]
        states = states * exists
        degree = (self.line.to(states.dtype) @ exists).clamp_min(1)  # [B, E, 1]
        for number, layer in enumerate(self.layers, start=1):
            states = layer(self.line.to(states.dtype) @ states / degree)
            states = states.relu() if number < len(self.layers) else states
            states = states * exists
        return states.flatten(1)

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = edge_view_fault(facts)
        found += size_faults(options, "layers", "hidden", "op_embedding")
        found += flag_fault(options, "directed", "self_loop")
        if options["directed"] is True and options["self_loop"] is False:
            found.append("directed needs self_loop: without it no state depends on an operation of its own edge")
        return found


def edge_slots(facts: CellFacts) -> tuple[Tensor, Tensor]:
    """Where a cell can have edges: sources and targets, [E] long each, cell by cell.

    All pairs i < j of a cell's vertices whose target is no input.
    """
    width = facts.edge_nodes // facts.edge_cells
    pairs = torch.triu_indices(width, width, 1)
    pairs = pairs[:, pairs[1] >= facts.edge_inputs]
    offsets = width * torch.arange(facts.edge_cells)
    both = (pairs[:, None] + offsets[:, None]).flatten(1)
    return both[0], both[1]
