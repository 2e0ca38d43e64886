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

import torch
from torch import Tensor, nn

from .base import CellFacts, CellInputs, register_encoder
from .flow import FlowEncoder, mean_of_rows, with_self_loops
from .unfolding import Unfolding, layer_plans, sum_into, unfold_edges, unfold_nodes


@register_encoder("gates")
class GATESEncoder(FlowEncoder):
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
        super().__init__(
            facts,
            layers=layers,
            hidden=hidden,
            op_embedding=op_embedding,
            input_embedding=input_embedding,
            view=view,
            readout=readout,
        )
        self.self_loop = self_loop
        for carry in self.carry:
            nn.init.xavier_uniform_(carry.weight)  # type: ignore[arg-type]

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        return 4e-3 if facts.has_edges else 1e-3

    def forward(self, inputs: CellInputs) -> Tensor:
        return self._from_edges(inputs) if self.on_edges else self._from_nodes(inputs)

    # --- operations on edges, eq. 5 and 6 ---------------------------------------------------------

    def _from_edges(self, inputs: CellInputs) -> Tensor:
        assert inputs.edges is not None
        merge = not self.facts.op_features
        plan = unfold_edges(inputs.edges, cells=self.facts.edge_cells, inputs=self.facts.edge_inputs, merge=merge)
        features = self.features_of(plan, inputs)  # [L, F]
        if features is not None:
            messages = torch.arange(len(plan.sources), device=plan.sources.device)
            pair_ops, pair_sources = plan.link_ops, plan.sources
        else:  # links with the same operation and source carry the same message
            pairs, messages = torch.unique(plan.link_ops * len(plan) + plan.sources, return_inverse=True)
            pair_ops, pair_sources = pairs // max(len(plan), 1), pairs % max(len(plan), 1)
        is_input = plan.inputs >= 0
        state = self.begin(plan.inputs[: plan.num_sources])  # [S, h]
        for k, carry in enumerate(self.carry):
            last = k == len(self.carry) - 1
            sent = carry(state)  # [S, H]
            count = len(plan) if last else plan.num_sources
            message = self.operations(k, pair_ops, features) * sent.index_select(0, pair_sources)
            state = sum_into(message, messages, plan.offsets, count=count)
            state = self._keep_inputs(state, sent, is_input[:count])
            if not last:
                state = state.relu_()
        return self._edge_readout(state, plan, inputs)

    def _keep_inputs(self, state: Tensor, sent: Tensor, is_input: Tensor) -> Tensor:
        """Input vertices keep their own information: rows where ``is_input`` are taken from ``sent``."""
        padded = sent if len(sent) == len(state) else nn.functional.pad(sent, (0, 0, 0, len(state) - len(sent)))
        return torch.where(is_input[:, None], padded, state)

    def _edge_readout(self, state: Tensor, plan: Unfolding, inputs: CellInputs) -> Tensor:
        """The embedding of every cell, side by side: [R, H] -> [B, cells H]."""
        assert inputs.edges is not None
        cells, first = self.cells, self.facts.edge_inputs
        rows = plan.rows.unflatten(1, (cells, -1))  # [B, cells, width]
        if self.readout == "output":
            return state[rows[:, :, -1]].flatten(1)
        mask = inputs.edges.mask.unflatten(1, (cells, -1))[:, :, first:]
        mean = mean_of_rows(state, rows[:, :, first:].flatten(0, 1), mask.flatten(0, 1))  # [B * cells, H]
        return mean.reshape(len(rows), self.dim)

    # --- operations on vertices, eq. 3 and 4 ------------------------------------------------------

    def _from_nodes(self, inputs: CellInputs) -> Tensor:
        plan = unfold_nodes(inputs.nodes, merge=not self.facts.op_features)
        features = self.features_of(plan, inputs)  # [R, F]
        sources, offsets = with_self_loops(plan) if self.self_loop else (plan.sources, plan.offsets)
        merge = self.self_loop and features is None and not self.training
        begin, levels = layer_plans(plan, sources, offsets, len(self.carry), merge=merge)
        is_input = plan.inputs >= 0
        state = self.begin(begin)  # [S, h]
        for k, (carry, level) in enumerate(zip(self.carry, levels, strict=True)):
            sent = carry(state)
            arrived = sum_into(sent, level.sources, level.offsets)  # [S, H]
            if not self.self_loop:
                arrived = torch.where(is_input[:, None], sent, arrived)
            state = self.operations(k, level.types, features) * arrived
            if k < len(self.carry) - 1:
                state = state.relu_()
        if self.readout == "output":
            return state[plan.rows.gather(1, inputs.nodes.mask.sum(1, keepdim=True) - 1)[:, 0]]
        return mean_of_rows(state, plan.rows, inputs.nodes.mask)
