r"""GATES on what a cell computes: skip connections contracted, dead ends dropped, paths counted.

An encoder of this project, for operations on vertices. A skip connection passes information on unchanged and 'none'
passes nothing, so neither needs a gate that is learnt: before the cell is encoded, they are taken out of its graph, and
:math:`a_{uv}` becomes the number of paths from u to v along skip connections, eq. 1 of
:mod:`latentnas.spaces.contraction`. What remains is encoded as GATES (Ning et al., ECCV 2020, eq. 3 and 4) does, with
the counts in the place of edges,

.. math:: X^{(k)} = \sigma(\mathrm{EMB}(o) W_o^{(k)}) \odot ((A^T + I) X^{(k-1)} W_x^{(k)}) \quad (2)

and read out by the sum over the vertices, as every operation adds to what a cell can do, beside the state of
the output.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces.contraction import simplified
from ...spaces.graphs import INPUT, OUTPUT
from .base import CellEncoder, CellFacts, CellInputs, register_encoder, size_faults


@register_encoder("gates-simplified")
class SimplifiedGATESEncoder(CellEncoder):
    """Eq. 1 and 2, of operations on vertices.

    Args:
        facts: the space.
        layers: K; None for 4 in spaces with operations on edges, whose paths are short, and 5 in others.
        hidden: H, size of the information in each layer; the embedding has 2 H.
        op_embedding: size of an operation embedding.
        input_embedding: size of the input's vector.
    """

    invariant = True

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int | None = None,
        hidden: int = 128,
        op_embedding: int = 48,
        input_embedding: int = 48,
    ) -> None:
        super().__init__()
        if layers is None:
            layers = 4 if facts.has_edges else 5
        self.identity_types, self.zero_types = facts.identity_types, facts.zero_types
        self.dim = 2 * hidden
        self.sum_scale = 2 / facts.num_nodes
        self.operations = nn.Embedding(facts.num_types, op_embedding)
        self.gates = nn.ModuleList(nn.Linear(op_embedding, hidden) for _ in range(layers))
        self.start = nn.Parameter(torch.randn(input_embedding))
        sizes = [input_embedding] + [hidden] * layers
        self.carry = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        for carry in self.carry:
            nn.init.xavier_uniform_(carry.weight)  # type: ignore[arg-type]

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = size_faults(options, "layers", limit=64, or_none=True)
        return found + size_faults(options, "hidden", "op_embedding", "input_embedding")

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        return 4e-3 if facts.has_edges else 1e-3

    def forward(self, inputs: CellInputs) -> Tensor:
        ops, mask = inputs.nodes.ops, inputs.nodes.mask  # [B, N]
        is_input, is_output = (ops == INPUT) & mask, (ops == OUTPUT) & mask
        paths, present = simplified(
            ops,
            inputs.nodes.adj,
            is_input,
            is_output,
            identity_types=self.identity_types,
            zero_types=self.zero_types,
        )
        paths = paths.to(self.start.dtype)
        mixing = (paths + torch.eye(ops.shape[1], dtype=paths.dtype, device=paths.device)).transpose(1, 2)
        mixing = mixing * present[:, :, None]  # [B, N, N], rows of the vertices that receive
        state = is_input[:, :, None] * self.start  # [B, N, h]
        for k, (carry, gate) in enumerate(zip(self.carry, self.gates, strict=True)):
            opened = gate(self.operations.weight).sigmoid()[ops]  # [B, N, H]
            state = opened * (mixing @ carry(state))
            if k < len(self.carry) - 1:
                state = state.relu()
        return torch.cat([self.sum_scale * state.sum(1), (state * is_output[:, :, None]).sum(1)], 1)
