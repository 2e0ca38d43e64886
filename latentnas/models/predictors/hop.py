r"""HOP: attention over the operations that feed a vertex, gates over the layers.

Chen et al., "Not All Operations Contribute Equally: Hierarchical Operation-adaptive Predictor for Neural Architecture
Search" (ICCV 2021). The operation-adaptive attention module (OAM), with operations on vertices

.. math:: a_{ij} = \mathrm{softmax}_j\, \mathrm{LeakyReLU}(W_a [W_x x_i \| W_x x_j]) \quad (1, 2), \qquad
          x'_i = \sigma(W_o o_i) \odot \sum_j a_{ij} W_x x_j \quad (3)

and with operations on edges

.. math:: z_{ij} = \sigma(W_o o_{ij}) \odot W_x x_j \quad (4), \quad
          a_{ij} = \mathrm{softmax}_j\, \mathrm{LeakyReLU}(W_a [x_i \| z_{ij}]) \quad (5, 6), \quad
          x'_i = \sum_j a_{ij} z_{ij} \quad (7)

The cell-hierarchical gated module (CGM) reads each layer t out as :math:`h_t` and fuses the layers,

.. math:: h_t = \frac1N \sum_i x^t_i \quad (8), \qquad h = \sum_t \beta_t h_t \quad (9), \qquad
          \beta = \mathrm{sigmoid}(\mathrm{MLP}(h_1 \| ... \| h_K)) \quad (10)

The formulas leave open what decides most of HOP's quality, so these are options: ``none`` (whether 'no edge' is an
operation with an embedding that takes part in the softmax), ``residual``, ``readout`` and ``aggregate`` (a softmax
forgets how many operations feed a vertex). ``none="skip"``, ``residual="none"``, ``readout="mean"``,
``aggregate="mean"`` is the literal reading; the defaults are what cells held out of the training halves of
NAS-Bench-201 (operations on edges) and NAS-Bench-101 (on vertices) preferred. As in GATES, :math:`x^0` is a learnt
vector at the inputs and zero elsewhere, inputs keep their own :math:`W_x x_i`, and between layers stands a ReLU.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import CellFacts, CellInputs, choice_fault, register_encoder
from .flow import FlowEncoder, mean_of_rows, with_self_loops
from .ranker import Perceptron
from .unfolding import Unfolding, sum_into, unfold_edges, unfold_nodes

SLOPE = 0.2
"""Negative slope of the LeakyReLU, as published."""


@register_encoder("hop")
class HOPEncoder(FlowEncoder):
    """OAM and CGM, of operations on edges where the space has that view, else of operations on vertices.

    Args:
        facts: the space.
        layers: K (published: 5).
        hidden: size of the information in each layer.
        op_embedding: size of an operation embedding.
        input_embedding: size of the inputs' vector.
        view: "edges", "nodes", or "auto".
        none: "embed": 'no edge' is an operation that sends information and takes part in the softmax; "skip": it is
            no edge. Of operations on edges only.
        self_loop: whether a vertex attends to itself, too. Of operations on vertices only.
        residual: "linear": :math:`x'_i` plus :math:`W_x x_i`; "none": nothing is added; "auto": linear where operations
            are on edges, else none.
        readout: :math:`h_t` is the "output" vertex's state, or the "mean" (eq. 8) over the vertices; "auto": the
            output where operations are on edges and the cell has one, else the mean.
        aggregate: "mean": the coefficients of a vertex sum to 1, as a softmax does (eq. 3 and 7); "sum": they are
            multiplied by the number of its links, so that equal ones give a sum, as in GATES; "auto": the sum where
            operations are on edges, else the mean.
        fusion: "gated": CGM; "last": :math:`h_K` alone (HOP without CGM); "mean": of all :math:`h_t`.
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
        none: str = "embed",
        self_loop: bool = True,
        residual: str = "auto",
        readout: str = "auto",
        aggregate: str = "auto",
        fusion: str = "gated",
    ) -> None:
        super().__init__(
            facts,
            layers=layers,
            hidden=hidden,
            op_embedding=op_embedding,
            input_embedding=input_embedding,
            view=view,
            readout=readout,
            none=True,
        )
        self.with_none, self.self_loop, self.residual, self.fusion = none == "embed", self_loop, residual, fusion
        self.sums = self.on_edges if aggregate == "auto" else aggregate == "sum"
        if residual == "auto":
            self.residual = "linear" if self.on_edges else "none"
        pairs = list(pairwise([input_embedding] + [hidden] * layers))
        self.from_target = nn.ModuleList(nn.Linear(a if self.on_edges else b, 1, bias=False) for a, b in pairs)
        self.from_source = nn.ModuleList(nn.Linear(b, 1, bias=False) for _, b in pairs)
        for layer in (*self.carry, *self.from_target, *self.from_source):
            nn.init.xavier_uniform_(layer.weight)
        self.fuse = Perceptron(layers * hidden, (hidden,), layers) if fusion == "gated" else None

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = super().faults(facts, options)
        found += choice_fault(options, "none", ("embed", "skip"))
        found += choice_fault(options, "residual", ("auto", "linear", "none"))
        found += choice_fault(options, "aggregate", ("auto", "mean", "sum"))
        return found + choice_fault(options, "fusion", ("gated", "last", "mean"))

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        return 2e-3 if facts.has_edges else 1e-3

    def forward(self, inputs: CellInputs) -> Tensor:
        plan, links = self._read_graphs(inputs, merge=True)
        return self._fused(self._layers(inputs, plan, links)[0])[0]

    def explain(self, inputs: CellInputs) -> dict[str, Tensor]:
        """What the layers weighed.

        Returns:
            ``attention`` [B, K, V, V] float, entry (b, t, j, i) the coefficient :math:`a_{ij}` of the information
            from vertex j for vertex i in layer t, of the view read; ``layer_gates`` [B, K * cells] float,
            :math:`beta_t`, with ``fusion="gated"`` only.
        """
        plan, links = self._read_graphs(inputs, merge=False)  # every vertex for itself
        readouts, weights = self._layers(inputs, plan, links)
        sources, targets = links[0], torch.repeat_interleave(links[1].diff())
        batch, vertices = plan.rows.shape
        attention = weights.new_zeros(batch, len(self.carry), vertices, vertices)
        attention[plan.row_cells[targets], :, plan.row_vertices[sources], plan.row_vertices[targets]] = weights.T
        gates = self._fused(readouts)[1]
        found = {"attention": attention}
        if gates is not None:
            found["layer_gates"] = gates
        return found

    # --- OAM ----------------------------------------------------------------------------------------

    def _read_graphs(self, inputs: CellInputs, *, merge: bool) -> tuple[Unfolding, tuple[Tensor, Tensor]]:
        """The computations of a batch, and sources [L] and offsets [R + 1] of the links that attention weighs."""
        merge = merge and not self.facts.op_features
        if not self.on_edges:
            plan = unfold_nodes(inputs.nodes, merge=merge)
            return plan, with_self_loops(plan) if self.self_loop else (plan.sources, plan.offsets)
        assert inputs.edges is not None
        facts = self.facts
        plan = unfold_edges(
            inputs.edges, cells=facts.edge_cells, inputs=facts.edge_inputs, with_none=self.with_none, merge=merge
        )
        return plan, (plan.sources, plan.offsets)

    def _layers(self, inputs: CellInputs, plan: Unfolding, links: tuple[Tensor, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Readouts [B * cells, H] of every layer, and the attention coefficients of the links [K, L]."""
        sources, offsets = links
        targets = torch.repeat_interleave(offsets.diff())
        features = self.features_of(plan, inputs)
        degree = offsets.diff()[:, None]
        is_input = (plan.inputs >= 0)[:, None]
        state = self.begin(plan.inputs)  # [R, h]
        readouts, weights = [], []
        for k, carry in enumerate(self.carry):
            sent = carry(state)  # [R, H]
            if self.on_edges:
                message = self.operations(k, plan.link_ops, features) * sent.index_select(0, sources)  # [L, H]
                strength = self.from_target[k](state).squeeze(1)[targets] + self.from_source[k](message).squeeze(1)
                places = torch.arange(len(sources), device=sources.device)
            else:
                message, places = sent, sources
                strength = self.from_target[k](sent).squeeze(1)[targets] + self.from_source[k](sent).squeeze(1)[sources]
            weight = segment_softmax(F.leaky_relu(strength, SLOPE), targets, len(plan))  # [L]
            new = sum_into(message, places, offsets, weights=weight)  # [R, H]
            if self.sums:
                new = new * degree
            if not self.on_edges:
                new = self.operations(k, plan.types, features) * new
            if self.residual == "linear":
                new = new + sent
            state = torch.where(is_input, sent, new)
            readouts.append(self._read(state, plan, inputs))
            weights.append(weight)
            if k < len(self.carry) - 1:
                state = state.relu()
        return readouts, torch.stack(weights)

    # --- CGM ----------------------------------------------------------------------------------------

    def _read(self, state: Tensor, plan: Unfolding, inputs: CellInputs) -> Tensor:
        """h_t of every cell of every graph, eq. 8: [R, H] -> [B * cells, H]."""
        rows = plan.rows.unflatten(1, (self.cells, -1)).flatten(0, 1)
        graphs = inputs.edges if self.on_edges and inputs.edges is not None else inputs.nodes
        mask = graphs.mask.unflatten(1, (self.cells, -1)).flatten(0, 1)
        if self.readout == "output":
            return state[rows.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]]
        return mean_of_rows(state, rows, mask)

    def _fused(self, readouts: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The embedding [B, dim], eq. 9, and the gates beta of eq. 10."""
        if self.fuse is None:
            fused = torch.stack(readouts).mean(0) if self.fusion == "mean" else readouts[-1]
            return fused.unflatten(0, (-1, self.cells)).flatten(1), None
        gates = self.fuse(torch.cat(readouts, 1)).sigmoid()  # [B * cells, K]
        total = (torch.stack(readouts, 1) * gates[:, :, None]).sum(1)
        return total.unflatten(0, (-1, self.cells)).flatten(1), gates.unflatten(0, (-1, self.cells)).flatten(1)


def segment_softmax(strength: Tensor, segments: Tensor, count: int) -> Tensor:
    """Softmax within segments: [L] float, [L] long in 0..count-1 -> [L]."""
    highest = strength.new_full((count,), -torch.inf).scatter_reduce(0, segments, strength.detach(), "amax")
    grown = (strength - highest[segments]).exp()
    return grown / grown.new_zeros(count).index_add(0, segments, grown)[segments]
