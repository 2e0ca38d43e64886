r"""S-VAE: a DAG as a string of vertex descriptors, read and written by GRUs.

The sequence autoencoder of Bowman et al. (2016) as the D-VAE paper (Zhang et al., NeurIPS 2019, section 4) and the
operation-embedding paper use it for architectures. Vertex v = 1..N-1 is described by the row

.. math:: r_v = [\mathcal{O}(x_v),\; A_{0v}, \dots, A_{N-2,v}] \in \mathbb{R}^{d_{op} + N - 1} \quad (1)

its type and one bit for every vertex that may feed it; slots without a vertex hold the input's type, which no vertex
v >= 1 has, and no bits. The encoder reads the rows in order,

.. math:: h_v = \mathrm{GRU}(r_v, h_{v-1}), \quad h_0 = 0 \quad (2), \qquad
          \mu = W_1 h_{N-1} + b_1, \quad \log \sigma^2 = W_2 h_{N-1} + b_2 \quad (3)

and the decoder gets the latent at every step and nothing of what it wrote:

.. math:: c = \mathrm{ReLU}(W_3 z + b_3) \quad (4), \qquad s_v = \mathrm{GRU}(c, s_{v-1}), \quad s_0 = 0 \quad (5)

.. math:: p(x_v | z) = \mathrm{softmax}(f_{type}(s_v)) \quad (6), \qquad
          p(A_{uv} = 1 | z) = \sigma(f_{edge}(s_v)_u), \quad u = 0..N-2 \quad (7)

with two-layer ReLU networks f. The likelihood is that of the string (types, and all N-1 bits of every vertex, those of
u >= v included, which are always zero).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..seeding import Seed
from ..spaces.grammar import Grammar
from ..spaces.graphs import INPUT, NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding
from .writer import GraphWriter


def padded(graphs: NodeGraphs, num_nodes: int) -> NodeGraphs:
    """The same graphs with N vertex slots; every slot without a vertex has the input's type."""
    missing = num_nodes - graphs.num_nodes
    ops = torch.where(graphs.mask, graphs.ops, INPUT)
    return NodeGraphs(
        F.pad(ops, (0, missing), value=INPUT),
        F.pad(graphs.adj, (0, missing, 0, missing)),
        F.pad(graphs.mask, (0, missing)),
    )


def descriptors(x: Tensor, adj: Tensor) -> Tensor:
    """The rows of eq. 1: [B, N, d_op] encoded types and [B, N, N] edges -> [B, N-1, d_op + N-1]."""
    bits = adj[:, :-1, 1:].transpose(1, 2)  # [B, N-1, N-1]: row v - 1 holds the edges into v
    return torch.cat([x[:, 1:], bits.to(x.dtype)], 2)


class StringEncoder(nn.Module):
    """The encoder of S-VAE and of GraphRNN, eq. 1-3, with one-hot or learnable operation embeddings.

    Args:
        operations: the vertex type encoding, shared with the decoder.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of the GRU's state.
        latent_dim: d, the size of the latent.
        bidirectional: whether a second GRU reads the rows from the last to the first; a linear layer unites the
            two final states.
        readout: "ends", the final states (published), or "all", the states at all vertices side by side.
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        *,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        bidirectional: bool = False,
        readout: str = "ends",
    ) -> None:
        super().__init__()
        self.operations = operations
        self.num_nodes = num_nodes
        self.gru = nn.GRU(operations.dim + num_nodes - 1, hidden, batch_first=True, bidirectional=bidirectional)
        self.unify = nn.Linear(2 * hidden, hidden) if bidirectional and readout == "ends" else None
        self.readout = self._ends if readout == "ends" else self._all
        size = hidden if readout == "ends" else (1 + bidirectional) * (num_nodes - 1) * hidden
        self.mean = nn.Linear(size, latent_dim)
        self.logvar = nn.Linear(size, latent_dim)

    def forward(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two tensors [B, d]."""
        graphs = padded(graphs, self.num_nodes)
        states, last = self.gru(descriptors(self.operations(graphs.ops), graphs.adj))  # [B, N-1, .], [1 or 2, B, H]
        state = self.readout(states, last, graphs.mask[:, 1:])
        return self.mean(state), self.logvar(state)

    def _ends(self, states: Tensor, last: Tensor, mask: Tensor) -> Tensor:
        return last[0] if self.unify is None else self.unify(torch.cat([last[0], last[1]], 1))

    def _all(self, states: Tensor, last: Tensor, mask: Tensor) -> Tensor:
        return (states * mask[:, :, None]).flatten(1)


class SVAEDecoder(nn.Module):
    """The decoder of S-VAE, eq. 4-7. It never reads a type, so operation embeddings do not enter it.

    Args:
        num_types: T, the number of vertex types.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of the GRU's state.
        latent_dim: d, the size of the latent.
        type_hidden, edge_hidden: widths of f_type and f_edge (published: H).
        latent_input: whether the first layers of f_type and f_edge get a linear map of z of their own for every
            vertex (published: no).
    """

    def __init__(
        self,
        *,
        num_types: int,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        type_hidden: int,
        edge_hidden: int,
        latent_input: bool,
    ) -> None:
        super().__init__()
        self.num_nodes = num_nodes
        steps = num_nodes - 1
        self.initial = nn.Linear(latent_dim, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.type_in = nn.Linear(hidden, type_hidden)
        self.type_out = nn.Linear(type_hidden, num_types)
        self.edge_in = nn.Linear(hidden, edge_hidden)
        self.edge_out = nn.Linear(edge_hidden, steps)
        self.latent_to_type = nn.Linear(latent_dim, steps * type_hidden, bias=False) if latent_input else None
        self.latent_to_edge = nn.Linear(latent_dim, steps * edge_hidden, bias=False) if latent_input else None

    def rows(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all types and bits: [B, d] -> [B, N-1, T] and [B, N-1, N-1], row v - 1 for vertex v."""
        steps = self.num_nodes - 1
        code = self.initial(z).relu()
        states, _ = self.gru(code[:, None].expand(-1, steps, -1))  # [B, N-1, H]
        types, edges = self.type_in(states), self.edge_in(states)
        if self.latent_to_type is not None and self.latent_to_edge is not None:
            types = types + self.latent_to_type(z).unflatten(1, (steps, -1))
            edges = edges + self.latent_to_edge(z).unflatten(1, (steps, -1))
        return self.type_out(types.relu()), self.edge_out(edges.relu())

    def log_likelihood(self, z: Tensor, graphs: NodeGraphs) -> Tensor:
        """log p(string of the graph | z): [B], in nats; slots without a vertex do not count.

        Args:
            z: [B, d].
            graphs: the true graphs, at most N vertices.
        """
        types, edges = self.rows(z)
        return string_log_likelihood(types, edges, padded(graphs, self.num_nodes))

    def logits(self, z: Tensor, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Logits of all types and edges, see :meth:`DVAEDecoder.logits`; they do not depend on ``graphs``."""
        types, bits = self.rows(z)
        return types, bits_to_edges(bits)

    def decode(
        self,
        z: Tensor,
        *,
        grammar: Grammar | None = None,
        stochastic: bool = False,
        seed: Seed = None,
    ) -> NodeGraphs:
        """Write one graph per latent; arguments and promises are those of :meth:`DVAEDecoder.decode`.

        Args:
            z: [B, d].
            grammar: only what it allows is chosen, and every graph is a cell of its space; None decodes freely.
            stochastic: sample types and edges; otherwise take the most probable.
            seed: seed of the sampling; drawn on the CPU.

        Returns:
            NodeGraphs of N vertices.
        """
        writer = GraphWriter(len(z), self.num_nodes, z.device, grammar=grammar, stochastic=stochastic, seed=seed)
        self.write(z, writer)
        return writer.graphs()

    def write(self, z: Tensor, writer: GraphWriter) -> None:
        """Write one graph per latent [B, d] with ``writer``."""
        types, edges = self.rows(z)
        for v in range(1, self.num_nodes):
            writer.choose_type(types[:, v - 1], v)
            if writer.write_fixed_edges(v) is None:
                for u in range(v - 1, -1, -1):
                    writer.choose_edge(edges[:, v - 1, u], u, v)
            writer.end_vertex(v)


def bits_to_edges(bits: Tensor) -> Tensor:
    """Logits of the bits of eq. 1 by edge: [B, N-1, N-1], row v - 1 for vertex v -> [B, N, N], u -> v at [u, v]."""
    return F.pad(bits.transpose(1, 2), (1, 0, 0, 1))


def string_log_likelihood(types: Tensor, edges: Tensor, graphs: NodeGraphs) -> Tensor:
    """Log-probability of the true types and bits: [B], in nats.

    Args:
        types: [B, N-1, T], logits of the types of vertices 1..N-1.
        edges: [B, N-1, N-1], logits of the bits of eq. 1, row v - 1 for vertex v.
        graphs: the true graphs, N vertices.
    """
    nll = F.cross_entropy(types.transpose(1, 2), graphs.ops[:, 1:], reduction="none")  # [B, N-1]
    bits = graphs.adj[:, :-1, 1:].transpose(1, 2).to(edges.dtype)
    bce = F.binary_cross_entropy_with_logits(edges, bits, reduction="none").sum(2)
    return -torch.where(graphs.mask[:, 1:], nll + bce, 0).sum(1)
