r"""The adjacency encoder: a cell's own features as coordinates of the latent space.

The "adjacency encoding" of a cell (White et al., "A Study on Neural Architecture Encodings", NeurIPS 2020) is the list
of its operations and the bits of its adjacency matrix. Here the operations are learnable embeddings (section 3.3 of the
operation-embedding paper), and what no cell of the space varies is left out: with V the vertices whose type varies and
E the pairs of vertices whose edge varies,

.. math:: f = \big[\mathcal{O}(x_v)\big]_{v \in V} \,\Vert\,
          \big[b_{uv} + a_{uv}\,(A_{uv} - \tfrac12)\big]_{(u,v) \in E}
          \in \mathbb{R}^{|V| d_{op} + |E|} \quad (1)

.. math:: \mu = f \quad (2), \qquad \log \sigma^2 = c \quad (3)

with learnable O, a, b and c. So every coordinate of the latent belongs to one vertex or to one edge, and a kernel with
one lengthscale a coordinate reads from it whatever the cell says. The recurrent encoders mix all vertices in every
coordinate; a Gaussian process on their latents, or on randomly rotated features, predicts worse.

A vertex that a cell does not have takes part with the type of the input, which no vertex v >= 1 has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..spaces.graphs import NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding
from .svae import padded

EDGE_SIZE = 2.0
"""How far apart an edge's absence and presence are at first: of unit variance where both are as likely."""

START_LOGVAR = -2.0
"""Logarithm of the posterior's variance at first."""


class AdjacencyEncoder(nn.Module):
    """Operation embeddings and edges, eq. 1-3.

    Args:
        operations: the vertex type encoding, shared with the decoder.
        num_nodes: N, the largest number of vertices.
        latent_dim: d. Where it is not |V| d_op + |E|, f is mapped to d dimensions by a learnable linear map.
        free_types: V, vertices whose type varies.
        free_edges: E, pairs (u, v), u < v, whose edge varies.
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        *,
        num_nodes: int,
        latent_dim: int,
        free_types: Sequence[int],
        free_edges: Sequence[tuple[int, int]],
    ) -> None:
        super().__init__()
        self.operations = operations
        self.num_nodes = num_nodes
        self.free_types = list(free_types)
        self.sources, self.targets = [u for u, _ in free_edges], [v for _, v in free_edges]
        self.edge_size = nn.Parameter(torch.full((len(free_edges),), EDGE_SIZE))
        self.edge_center = nn.Parameter(torch.zeros(len(free_edges)))
        size = feature_size(operations.dim, free_types, free_edges)
        self.project = nn.Linear(size, latent_dim) if latent_dim != size else None
        self.logvar = nn.Parameter(torch.full((latent_dim,), START_LOGVAR))

    def forward(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two tensors [B, d]."""
        features = self.features(graphs)
        mean = features if self.project is None else self.project(features)
        return mean, self.logvar.expand(len(mean), -1)

    def features(self, graphs: NodeGraphs) -> Tensor:
        """f of eq. 1: [B, |V| d_op + |E|]."""
        graphs = padded(graphs, self.num_nodes)
        types = self.operations(graphs.ops[:, self.free_types]).flatten(1)  # [B, |V| d_op]
        bits = graphs.adj[:, self.sources, self.targets].to(types.dtype)  # [B, |E|]
        return torch.cat([types, self.edge_center + self.edge_size * (bits - 0.5)], 1)


def feature_size(dim: int, free_types: Sequence[int], free_edges: Sequence[tuple[int, int]]) -> int:
    """|V| d_op + |E|, the size of f for operation encodings of ``dim`` dimensions."""
    return len(free_types) * dim + len(free_edges)
