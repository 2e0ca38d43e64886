r"""The GCN baseline, with BONAS's global node or with the mean over vertices.

Shi et al., "Bridging the Gap between Sample-based and One-shot Neural Architecture Search with BONAS" (NeurIPS 2020):
graph convolutions (Kipf and Welling, ICLR 2017) over a graph of operations, to which a *global node* is added that all
vertices send to, and whose state is the embedding of the cell. With the operation embeddings as :math:`H^{(0)}`,

.. math:: H^{(l)} = \mathrm{ReLU}(\hat A^T H^{(l-1)} W_l + b_l), \quad
          \hat A = D^{-1/2} (A + I) D^{-1/2}, \quad D_{ii} = \textstyle\sum_j (A + I)_{ji} \quad (1)

without the ReLU in the last layer. The GCN of GATES (Ning et al., TPAMI 2023, section 6.2: five layers of 128,
operation embeddings of 48) has no global node and takes the average of all vertices.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, register_encoder, size_faults

READOUTS = ("global", "mean")


@register_encoder("gcn")
class GCNPredictorEncoder(CellEncoder):
    """Graph convolutions along the edges of the node view.

    Args:
        facts: the space.
        layers: graph convolutions. Published: 5; of 2, 3 and 5 cells held out of the training half of NB1Shot1-3
            preferred 3, by far: after five the states of vertices are hardly apart.
        hidden: size of a vertex state, and so of the embedding.
        op_embedding: size of an operation embedding.
        readout: the state of the "global" node, or the "mean" over the vertices.
    """

    invariant = True

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int = 3,
        hidden: int = 128,
        op_embedding: int = 48,
        readout: str = "global",
    ) -> None:
        super().__init__()
        self.dim = hidden
        self.has_global = readout == "global"
        self.global_type = facts.num_types
        self.operations = nn.Embedding(facts.num_types + self.has_global, op_embedding)
        sizes = [op_embedding] + [hidden] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, inputs: CellInputs) -> Tensor:
        ops, adj, mask = inputs.nodes.ops, inputs.nodes.adj, inputs.nodes.mask  # [B, N], [B, N, N], [B, N]
        if self.has_global:  # the last vertex of every graph, fed by all
            adj = F.pad(adj, (0, 1, 0, 1))
            adj[:, :-1, -1] = mask
            ops = F.pad(ops, (0, 1), value=self.global_type)
            mask = F.pad(mask, (0, 1), value=True)
        states = self.operations(ops) * mask[..., None]  # [B, N, H]
        weights = normalised(adj.to(states.dtype))
        for number, layer in enumerate(self.layers, start=1):
            states = layer(weights.transpose(1, 2) @ states)
            states = states.relu() if number < len(self.layers) else states
            states = states * mask[..., None]
        if self.has_global:
            return states[:, -1]
        return states.sum(1) / mask.sum(1, keepdim=True)

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        return size_faults(options, "layers", "hidden", "op_embedding") + choice_fault(options, "readout", READOUTS)


def normalised(adj: Tensor) -> Tensor:
    """Adjacencies with self-loops, normalised by in-degrees from both sides: [B, N, N] float -> [B, N, N]."""
    with_loops = adj + torch.eye(adj.shape[1], dtype=adj.dtype, device=adj.device)
    scale = with_loops.sum(1).rsqrt()  # [B, N]
    return scale[:, :, None] * with_loops * scale[:, None, :]
