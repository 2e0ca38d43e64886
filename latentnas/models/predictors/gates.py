r"""GATES: operations as transforms of the information that flows through a cell.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS" (ECCV 2020), and
GATES++, "... with Multifaceted Information" (TPAMI 2023). K layers, :math:`X^{(0)}` is a learnt vector :math:`E` at
the input vertices and zero at the others. With operations on vertices

.. math:: X^{(k)} = \sigma(\mathrm{EMB}(o) W_o^{(k)}) \odot (\tilde A X^{(k-1)} W_x^{(k)}), \quad \tilde A = A + I
          \quad (3, 4)

and the embedding is the mean over the vertices. With operations on edges, :math:`n_d` of them between two vertices,

.. math:: X^{(k)}_i = \sum_{j \to i} \sum_{d=1}^{n_d} \sigma(\mathrm{EMB}(o^d_{ij}) W_o^{(k)}) \odot
          (X^{(k-1)}_j W_x^{(k)}) \quad (5, 6)

where 'none' is no edge and the inputs keep their own :math:`X_j W_x`; the embedding is the state of the output vertex,
or the mean over the inner vertices where a cell concatenates these, and several cells are put side by side.
:math:`W_o` has a bias, :math:`W_x` has none, and between layers stands a ReLU.

The enhanced encoding scheme (EES) of GATES++ appends measures :math:`z^o(o)` of the operations to their embeddings:
:math:`\sigma([\mathrm{EMB}(o), z^o(o)] W_o)`. It is on wherever the inputs carry ``op_features``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, register_encoder, size_faults
from .unfolding import Unfolding, sum_into, unfold_edges, unfold_nodes


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


@register_encoder("gates")
class GATESEncoder(CellEncoder):
    """The GATES encoder, of operations on edges where the space has that view, else of operations on vertices.

    Args:
        facts: the space.
        layers: K.
        hidden: H, size of the information in each layer.
        op_embedding: size of an operation embedding.
        input_embedding: size of E.
        view: "edges", "nodes", or "auto".
        self_loop: eq. 4 instead of eq. 3, for operations on vertices.
        readout: "output" or "mean" of the vertices, or "auto": as above.
    """

    invariant = True
    needs = ("nodes", "edges", "op_features")

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int = 5,
        hidden: int = 128,
        op_embedding: int = 48,
        input_embedding: int = 48,
        view: str = "auto",
        self_loop: bool = True,
        readout: str = "auto",
    ) -> None:
        super().__init__()
        self.facts = facts
        self.on_edges = facts.has_edges if view == "auto" else view == "edges"
        self.self_loop = self_loop
        cells, inputs = (facts.edge_cells, facts.edge_inputs) if self.on_edges else (1, 1)
        if readout == "auto":
            readout = "output" if self.on_edges and facts.edge_output else "mean"
        self.readout = readout
        self.dim = hidden * cells
        types = facts.edge_types if self.on_edges else facts.num_types
        self.operations = OperationGates(
            types,
            embedding=op_embedding,
            features=facts.op_features,
            hidden=hidden,
            layers=layers,
            parts=facts.edge_parts if self.on_edges else None,
        )
        self.start = nn.Parameter(torch.randn(inputs, input_embedding))
        sizes = [input_embedding] + [hidden] * layers
        self.carry = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        for carry in self.carry:
            nn.init.xavier_uniform_(carry.weight)  # type: ignore[arg-type]

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

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        return 4e-3 if facts.has_edges else 1e-3

    def forward(self, inputs: CellInputs) -> Tensor:
        return self._from_edges(inputs) if self.on_edges else self._from_nodes(inputs)

    # --- operations on edges, eq. 5 and 6 ---------------------------------------------------------

    def _from_edges(self, inputs: CellInputs) -> Tensor:
        assert inputs.edges is not None
        features = inputs.edge_features if self.facts.op_features else None
        plan = unfold_edges(
            inputs.edges, cells=self.facts.edge_cells, inputs=self.facts.edge_inputs, merge=features is None
        )
        if features is not None:  # [L, F]
            target = plan.targets
            features = features[plan.row_cells[target], plan.link_vertices, plan.row_vertices[target]]
            messages = torch.arange(len(plan.sources), device=plan.sources.device)
            pair_ops, pair_sources = plan.link_ops, plan.sources
        else:  # links with the same operation and source carry the same message
            pairs, messages = torch.unique(plan.link_ops * len(plan) + plan.sources, return_inverse=True)
            pair_ops, pair_sources = pairs // max(len(plan), 1), pairs % max(len(plan), 1)
        is_input = plan.inputs >= 0
        own = torch.where(is_input, plan.inputs, len(self.start))
        state = torch.cat([self.start, torch.zeros_like(self.start[:1])])[own[: plan.num_sources]]  # [S, h]
        for k, carry in enumerate(self.carry):
            last = k == len(self.carry) - 1
            sent = carry(state)  # [S, H]
            count = len(plan) if last else plan.num_sources
            message = self.operations(k, pair_ops, features) * sent.index_select(0, pair_sources)
            state = sum_into(message, messages, plan.offsets, count=count)
            state = self._keep_inputs(state, sent, is_input[:count])
            if not last:
                state = state.relu()
        return self._edge_readout(state, plan, inputs)

    def _keep_inputs(self, state: Tensor, sent: Tensor, is_input: Tensor) -> Tensor:
        """Input vertices keep their own information: rows where ``is_input`` are taken from ``sent``."""
        padded = sent if len(sent) == len(state) else nn.functional.pad(sent, (0, 0, 0, len(state) - len(sent)))
        return torch.where(is_input[:, None], padded, state)

    def _edge_readout(self, state: Tensor, plan: Unfolding, inputs: CellInputs) -> Tensor:
        """The embedding of every cell, side by side: [R, H] -> [B, cells H]."""
        assert inputs.edges is not None
        cells, first = self.facts.edge_cells, self.facts.edge_inputs
        rows = plan.rows.unflatten(1, (cells, -1))  # [B, cells, width]
        if self.readout == "output":
            return state[rows[:, :, -1]].flatten(1)
        mask = inputs.edges.mask.unflatten(1, (cells, -1))[:, :, first:]
        mean = mean_of_rows(state, rows[:, :, first:].flatten(0, 1), mask.flatten(0, 1))  # [B * cells, H]
        return mean.reshape(len(rows), self.dim)

    # --- operations on vertices, eq. 3 and 4 ------------------------------------------------------

    def _from_nodes(self, inputs: CellInputs) -> Tensor:
        features = inputs.op_features if self.facts.op_features else None
        plan = unfold_nodes(inputs.nodes, merge=features is None)
        if features is not None:
            features = features[plan.row_cells, plan.row_vertices]  # [R, F]
        sources, offsets = with_self_loops(plan) if self.self_loop else (plan.sources, plan.offsets)
        is_input = plan.inputs >= 0
        state = torch.cat([self.start, torch.zeros_like(self.start[:1])])[(~is_input).long()]  # [R, h]
        for k, carry in enumerate(self.carry):
            sent = carry(state)
            arrived = sum_into(sent, sources, offsets)  # [R, H]
            if not self.self_loop:
                arrived = torch.where(is_input[:, None], sent, arrived)
            state = self.operations(k, plan.types, features) * arrived
            if k < len(self.carry) - 1:
                state = state.relu()
        if self.readout == "output":
            return state[plan.rows.gather(1, inputs.nodes.mask.sum(1, keepdim=True) - 1)[:, 0]]
        return mean_of_rows(state, plan.rows, inputs.nodes.mask)


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
