r"""GPNAS's predictor: a GCN of the undirected graph, max pooling, and an embedding of the number of epochs.

Ai and Zhang, "GPNAS: A Neural Network Architecture Search Framework Based on Graphical Predictor", section III.C. The
connections of a network count in both directions, so that its adjacency A is symmetric. With
:math:`\tilde A = A + I` and :math:`\tilde D_{ii} = \sum_j \tilde A_{ij}`,

.. math:: H^{(k)} = M(A, H^{(k-1)}; W^{(k)}) \quad (4)
.. math:: H^{(k)} = \mathrm{ReLU}(\tilde D^{-1/2} \tilde A \tilde D^{-1/2} H^{(k-1)} W^{(k-1)}) \quad (5)
.. math:: \mathrm{output} = \mathrm{MLPs}([\max(H^{(l)}); E]) \quad (6)
.. math:: H^{(0)} = X = \mathrm{Embedding}(e_{op}), \quad E = \mathrm{Embedding}(e_{ep}) \quad (7)

where the maximum runs over the vertices and :math:`e_{ep}` is the number of epochs that the network is trained for.
The MLPs of eq. 6 are three layers with batch normalisation and ReLU: a ranker's head of two hidden layers, with
``batch_norm``. The paper trains with the mean squared error, eq. 8. Without epochs among the inputs the embedding is
:math:`\max(H^{(l)})` alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, register_encoder, size_faults


@register_encoder("gpnas-gcn")
class GPNASEncoder(CellEncoder):
    """Topological features of the undirected node view, eq. 4-7, and the epochs beside them.

    Args:
        facts: the space; ``max_epochs`` above 0 adds E to the embedding.
        layers: l, graph convolutions.
        hidden: size of a vertex state.
        op_embedding: size of an operation embedding.
        epoch_embedding: size of E.
    """

    needs = ("nodes", "epochs")
    invariant = True

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int = 3,
        hidden: int = 128,
        op_embedding: int = 48,
        epoch_embedding: int = 16,
    ) -> None:
        super().__init__()
        self.operations = nn.Embedding(facts.num_types, op_embedding)
        sizes = [op_embedding] + [hidden] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        self.epochs = nn.Embedding(facts.max_epochs + 1, epoch_embedding) if facts.max_epochs else None
        self.dim = hidden + (epoch_embedding if self.epochs is not None else 0)

    def forward(self, inputs: CellInputs) -> Tensor:
        mask = inputs.nodes.mask  # [B, N]
        states = self.operations(inputs.nodes.ops)  # [B, N, H]
        weights = symmetric_normalised(inputs.nodes.adj.to(states.dtype))
        for layer in self.layers:
            states = (weights @ layer(states)).relu()  # eq. 5
        pooled = states.masked_fill(~mask[..., None], 0).amax(1)  # states are not negative: zero is no maximum
        if self.epochs is None:
            return pooled
        assert inputs.epochs is not None
        return torch.cat([pooled, self.epochs(inputs.epochs)], 1)

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        return size_faults(options, "layers", "hidden", "op_embedding", "epoch_embedding")


def symmetric_normalised(adj: Tensor) -> Tensor:
    """D^-1/2 (A + A^T + I) D^-1/2 of directed adjacencies: [B, N, N] float -> [B, N, N]."""
    both = adj + adj.transpose(1, 2) + torch.eye(adj.shape[1], dtype=adj.dtype, device=adj.device)
    scale = both.sum(2).rsqrt()  # [B, N]
    return scale[:, :, None] * both * scale[:, None, :]
