"""What GATES and HOP share: information that flows through a cell, from vertex to vertex, under gates of operations."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, size_faults
from .unfolding import Unfolding, sum_into


class OperationGates(nn.Module):
    r"""The gates :math:`\sigma(\mathrm{EMB}(o) W_o^{(k)})` of operations, for every layer k.

    Args:
        types: number of operation types.
        embedding: size of an operation embedding.
        features: F, size of the measures appended to it (EES).
        hidden: H.
        layers: K.
        parts: for each type the plain operations whose gates are summed; by default each is its own.
    """

    plain: Tensor
    present: Tensor

    def __init__(
        self,
        types: int,
        *,
        embedding: int,
        features: int,
        hidden: int,
        layers: int,
        parts: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(types, embedding)
        self.layers = nn.ModuleList(nn.Linear(embedding + features, hidden) for _ in range(layers))
        parts = [(kind,) for kind in range(types)] if parts is None else parts
        most = max(map(len, parts))
        plain = [[*part, *[0] * (most - len(part))] for part in parts]
        present = [[1.0] * len(part) + [0.0] * (most - len(part)) for part in parts]
        self.register_buffer("plain", torch.tensor(plain), persistent=False)  # [types, most]
        self.register_buffer("present", torch.tensor(present), persistent=False)

    def forward(self, k: int, ops: Tensor, features: Tensor | None) -> Tensor:
        """Gates of layer k of M operations: types [M] long, measures [M, F] or None -> [M, H]."""
        layer = self.layers[k]
        if features is None:
            table = layer(self.embedding.weight).sigmoid()  # [types, H]
            return (table[self.plain] * self.present[:, :, None]).sum(1).index_select(0, ops)
        total = torch.zeros(())
        for plain, present in zip(self.plain.T, self.present.T, strict=True):
            gate = layer(torch.cat([self.embedding(plain[ops]), features], 1)).sigmoid()
            total = total.to(gate) + gate * present[ops][:, None]
        return total


class FlowEncoder(CellEncoder, ABC):
    """Layers that carry information along the links of a view, operations on edges where the space has that view.

    Args:
        facts: the space.
        layers: K.
        hidden: H, size of the information in each layer.
        op_embedding: size of an operation embedding.
        input_embedding: size of the inputs' vector.
        view: "edges", "nodes", or "auto".
        readout: "output" or "mean" of the vertices; "auto": the output where operations are on edges and the cell has
            one, else the mean.
        none: whether 'no edge' is an operation with gates of its own.

    Attributes:
        on_edges: which view is read.
        cells: cells of that view, whose embeddings stand side by side.
        operations: the gates.
        start: [inputs, h], what the input vertices begin with; the others begin with zero.
        carry: :math:`W_x` of every layer.
    """

    invariant = True
    needs = ("nodes", "edges", "op_features")

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int,
        hidden: int,
        op_embedding: int,
        input_embedding: int,
        view: str,
        readout: str,
        none: bool = False,
    ) -> None:
        super().__init__()
        self.facts = facts
        self.on_edges = facts.has_edges if view == "auto" else view == "edges"
        self.cells, inputs = (facts.edge_cells, facts.edge_inputs) if self.on_edges else (1, 1)
        if readout == "auto":
            readout = "output" if self.on_edges and facts.edge_output else "mean"
        self.readout = readout
        self.dim = hidden * self.cells
        parts = [(0,), *facts.edge_parts[1:]] if none else facts.edge_parts
        self.operations = OperationGates(
            facts.edge_types if self.on_edges else facts.num_types,
            embedding=op_embedding,
            features=facts.op_features,
            hidden=hidden,
            layers=layers,
            parts=parts if self.on_edges else None,
        )
        self.start = nn.Parameter(torch.randn(inputs, input_embedding))
        sizes = [input_embedding] + [hidden] * layers
        self.carry = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = size_faults(options, "layers", limit=64)
        found += size_faults(options, "hidden", "op_embedding", "input_embedding")
        found += choice_fault(options, "view", ("auto", "nodes", "edges"))
        found += choice_fault(options, "self_loop", (True, False))
        found += choice_fault(options, "readout", ("auto", "output", "mean"))
        if options["view"] == "edges" and not facts.has_edges:
            found.append("view 'edges': the space has operations on vertices only")
        return found

    def begin(self, inputs: Tensor) -> Tensor:
        """States before the first layer: which input vertex each row is [R] long, -1 for none -> [R, h]."""
        table = torch.cat([self.start, torch.zeros_like(self.start[:1])])
        return table[torch.where(inputs >= 0, inputs, len(self.start))]

    def features_of(self, plan: Unfolding, inputs: CellInputs) -> Tensor | None:
        """Features of the links (operations on edges) or of the rows: [L or R, F]; None without any."""
        if not self.facts.op_features:
            return None
        if not self.on_edges:
            assert inputs.op_features is not None
            return inputs.op_features[plan.row_cells, plan.row_vertices]
        assert inputs.edge_features is not None
        target = plan.targets
        return inputs.edge_features[plan.row_cells[target], plan.link_vertices, plan.row_vertices[target]]


def with_self_loops(plan: Unfolding) -> tuple[Tensor, Tensor]:
    """Sources and offsets of the links of a node view and of a loop at every row: [L + R], [R + 1] long."""
    rows = torch.arange(len(plan), device=plan.sources.device)
    order = torch.argsort(torch.cat([plan.targets, rows]), stable=True)
    return torch.cat([plan.sources, rows])[order], plan.offsets + torch.arange(len(plan) + 1, device=rows.device)


def mean_of_rows(state: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
    """Mean over the vertices that exist: states [R, H], rows [B, V], mask [B, V] -> [B, H]."""
    counts = mask.sum(1)
    total = sum_into(state, rows[mask], nn.functional.pad(counts.cumsum(0), (1, 0)))
    return total / counts.clamp_min(1)[:, None]
