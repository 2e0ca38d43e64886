"""The D-VAE encoder: asynchronous message passing along a DAG (Zhang et al., NeurIPS 2019).

The graph is read vertex by vertex in topological order, all graphs of a batch at once. The state of
vertex v is (eq. 3-5 of the paper, with vertex identities as in its section 3.4)

    h_v = GRU(O(x_v), sum over predecessors u of  sigmoid(g([h_u, id_u])) * m([h_u, id_u]))

with g a linear gate, m a linear mapper without bias, and id_u the one-hot index of u. A vertex
without predecessors has the zero vector for its sum.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spaces.graphs import NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding
from .propagation import propagate


class GatedSum(nn.Module):
    """What a vertex sends to its successors: gate * mapper of its state and its identity.

    Args:
        hidden: H, the size of a vertex state.
        num_nodes: N, the number of vertex identities.
    """

    def __init__(self, hidden: int, num_nodes: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gate = nn.Linear(hidden + num_nodes, hidden)
        self.mapper = nn.Linear(hidden + num_nodes, hidden, bias=False)

    def message(self, state: Tensor, vertex: int) -> Tensor:
        """The message of ``vertex``: [B, H] -> [B, H]."""
        return self.messages()(state, vertex)

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """The gate's matrix [H, H + N] and bias [H], and the mapper's matrix [H, H + N]."""
        return self.gate.weight, self.gate.bias, self.mapper.weight

    def messages(self) -> Callable[[Tensor, int], Tensor]:
        """:meth:`message` for many vertices: what does not depend on the vertex is computed now.

        The identity is one-hot, so its part of each weight matrix acts as a bias per vertex.
        """
        weight = torch.cat([self.gate.weight, self.mapper.weight])  # one matrix product for both
        biases = weight[:, self.hidden :].t() + F.pad(self.gate.bias, (0, self.hidden))  # [N, 2H]
        states = weight[:, : self.hidden]

        def message(state: Tensor, vertex: int) -> Tensor:
            gate, mapped = F.linear(state, states, biases[vertex]).chunk(2, 1)
            return gate.sigmoid() * mapped

        return message


class DVAEEncoder(nn.Module):
    """The D-VAE encoder, forward or bidirectional, with one-hot or learnable operation embeddings.

    Two linear layers turn the state of the graph into mean and log-variance (eq. 3a, 3b of the
    operation-embedding paper). What that state is, is the readout:

    - "ends", as published: the state of the output vertex after the forward pass, united by a linear
      layer with that of vertex 0 after the backward pass (along reversed edges);
    - "all": the states of all vertices side by side, padding zero. The latent then reads every
      vertex directly instead of through the chain of states behind it, and learns far sooner.

    Args:
        operations: the vertex type encoding, shared with the decoder.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of a vertex state.
        latent_dim: d, the size of the latent.
        bidirectional: whether the graph is read backwards too.
        readout: "ends" or "all".
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        *,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        bidirectional: bool = True,
        readout: str = "ends",
    ) -> None:
        super().__init__()
        self.operations = operations
        self.gru_forward = nn.GRUCell(operations.dim, hidden)
        self.sum_forward = GatedSum(hidden, num_nodes)
        self.gru_backward = nn.GRUCell(operations.dim, hidden) if bidirectional else None
        self.sum_backward = GatedSum(hidden, num_nodes) if bidirectional else None
        self.unify = nn.Linear(2 * hidden, hidden) if bidirectional and readout == "ends" else None
        self.num_nodes = num_nodes
        self.readout = self._ends if readout == "ends" else self._all
        size = hidden if readout == "ends" else (1 + bidirectional) * num_nodes * hidden
        self.mean = nn.Linear(size, latent_dim)
        self.logvar = nn.Linear(size, latent_dim)

    def forward(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two tensors [B, d]."""
        state = self.graph_state(graphs)
        return self.mean(state), self.logvar(state)

    def graph_state(self, graphs: NodeGraphs) -> Tensor:
        """The state of the whole graph: [B, H] with the readout "ends", [B, N H] or [B, 2 N H] with "all"."""
        order = range(graphs.num_nodes)
        forward = self._states(self.gru_forward, self.sum_forward, graphs.ops, graphs.adj, order)
        if self.gru_backward is None or self.sum_backward is None:
            return self.readout(graphs, forward, None)
        reverse = graphs.adj.transpose(1, 2)
        backward = self._states(self.gru_backward, self.sum_backward, graphs.ops, reverse, order[::-1])
        return self.readout(graphs, forward, backward)

    def _states(self, gru: nn.GRUCell, send: GatedSum, ops: Tensor, adj: Tensor, order: range) -> Tensor:
        """States of all vertices [N, B, H]; ``adj[b, u, v]``: u sends to v, and comes before it in ``order``."""
        inputs = F.linear(self.operations.weight, gru.weight_ih, gru.bias_ih)
        return propagate(inputs, (gru.weight_hh, gru.bias_hh), send.weights(), ops, adj, order=order)[0]

    def _ends(self, graphs: NodeGraphs, forward: Tensor, backward: Tensor | None) -> Tensor:
        last = graphs.mask.sum(1) - 1
        end = forward[last, torch.arange(len(graphs), device=last.device)]
        if backward is None or self.unify is None:
            return end
        return self.unify(torch.cat([end, backward[0]], 1))

    def _all(self, graphs: NodeGraphs, forward: Tensor, backward: Tensor | None) -> Tensor:
        states = [forward] if backward is None else [forward, backward]
        kept = torch.cat(states, 2).transpose(0, 1) * graphs.mask[:, :, None]  # [B, n, H or 2H], n <= N
        return F.pad(kept, (0, 0, 0, self.num_nodes - kept.shape[1])).flatten(1)
