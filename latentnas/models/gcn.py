r"""The GCN encoder of the D-VAE paper: three directed graph convolutions (Zhang et al., NeurIPS 2019, section 4).

Graph convolutions (Kipf and Welling, ICLR 2017) along the edges of a DAG. With the degrees of v counted with a
self-loop, :math:`\tilde d^{in}_v = 1 + |pred(v)|` and :math:`\tilde d^{out}_v = 1 + |succ(v)|`, layer l = 1, 2, 3 is

.. math:: h^{(l)}_v = \mathrm{ReLU}\Big(W_l \Big(\frac{h^{(l-1)}_v}{\tilde d^{in}_v}
          + \sum_{u \in pred(v)} \frac{m^{(l)}_u}{\sqrt{\tilde d^{out}_u \tilde d^{in}_v}}\Big) + b_l\Big), \quad
          h^{(0)}_v = \mathcal{O}(x_v) \quad (1)

The public code overwrites the states vertex by vertex, so that a vertex of layers 2 and 3 reads what its predecessors
have become in the same layer, as here: :math:`m^{(1)}_u = h^{(0)}_u`, and :math:`m^{(l)}_u = h^{(l)}_u` for l > 1. The
graph's state is the sum over its vertices without input and output, and

.. math:: \mu = W_1 \sum_{v} h^{(3)}_v + b_1, \qquad \log \sigma^2 = W_2 \sum_{v} h^{(3)}_v + b_2 \quad (2)

The decoder is that of D-VAE (:mod:`.decoder`) with its own messages, and its types are chosen from the sum of the
states of all vertices so far.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spaces.graphs import NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding

LAYERS = 3
"""Graph convolutions, as published."""


class GCNEncoder(nn.Module):
    """Graph convolutions in topological order, eq. 1 and 2.

    Args:
        operations: the vertex type encoding, shared with the decoder.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of a vertex state.
        latent_dim: d, the size of the latent.
        bidirectional: whether edge directions are ignored: successors send messages too (their states are those of
            the layer before, as the public code has not come to them yet), and both degrees are the number of
            neighbours, plus one.
        readout: "sum" over the vertices without input and output (published), or "all", the states of all vertices
            side by side, padding zero.
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        *,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        bidirectional: bool = False,
        readout: str = "sum",
    ) -> None:
        super().__init__()
        self.operations = operations
        self.num_nodes = num_nodes
        self.bidirectional = bidirectional
        self.layers = nn.ModuleList(nn.Linear(operations.dim if i == 0 else hidden, hidden) for i in range(LAYERS))
        self.readout = sum_of_inner_states if readout == "sum" else side_by_side
        size = hidden if readout == "sum" else num_nodes * hidden
        self.mean = nn.Linear(size, latent_dim)
        self.logvar = nn.Linear(size, latent_dim)

    def forward(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two tensors [B, d]."""
        state = self.readout(self.vertex_states(graphs), graphs, self.num_nodes)
        return self.mean(state), self.logvar(state)

    def vertex_states(self, graphs: NodeGraphs) -> Tensor:
        """The states h^(3) of all vertices [B, n, H]; those of padding are without meaning."""
        states = self.operations(graphs.ops)  # [B, n, d_op]
        adj = graphs.adj.to(states.dtype)
        if self.bidirectional:
            adj = adj + adj.transpose(1, 2)
        indegree, outdegree = 1 + adj.sum(1), 1 + adj.sum(2)  # [B, n]
        weights = adj / (outdegree[:, :, None] * indegree[:, None, :]).sqrt()  # [B, n, n]: u sends to v
        own = 1 / indegree
        first, *others = self.layers
        states = first(own[:, :, None] * states + weights.transpose(1, 2) @ states).relu()
        for layer in others:
            states = self._in_order(layer, states, weights, own)
        return states

    def _in_order(self, layer: nn.Module, states: Tensor, weights: Tensor, own: Tensor) -> Tensor:
        """One convolution whose vertices are updated one after the other: [B, n, H] -> [B, n, H]."""
        done: list[Tensor] = []
        for v in range(states.shape[1]):
            total = own[:, v, None] * states[:, v]
            if done:
                total = total + (weights[:, None, :v, v] @ torch.stack(done, 1)).squeeze(1)
            if self.bidirectional:
                total = total + (weights[:, None, v + 1 :, v] @ states[:, v + 1 :]).squeeze(1)
            done.append(layer(total).relu())
        return torch.stack(done, 1)


def sum_of_inner_states(states: Tensor, graphs: NodeGraphs, num_nodes: int) -> Tensor:
    """Sum over the vertices between the first and the last of each graph: [B, n, H] -> [B, H]."""
    followed = graphs.mask[:, 2:]  # vertex v = 1..n-2 is not the last where v + 1 exists
    return (states[:, 1:-1] * followed[:, :, None]).sum(1)


def side_by_side(states: Tensor, graphs: NodeGraphs, num_nodes: int) -> Tensor:
    """The states of all N vertices, zeros for padding: [B, n, H], n <= N -> [B, N H]."""
    kept = states * graphs.mask[:, :, None]
    return F.pad(kept, (0, 0, 0, num_nodes - kept.shape[1])).flatten(1)
