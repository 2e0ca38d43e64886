r"""GraphRNN: one RNN writes vertices, another the bits of each vertex (You et al., ICML 2018).

As the D-VAE paper (Zhang et al., NeurIPS 2019, section 4) uses it for DAGs: in topological order instead of a
breadth-first order, with vertex types, and inside a VAE whose encoder is that of S-VAE (:mod:`.svae`, eq. 1-3). With
the rows r_v of eq. 1 there, the vertex-level RNN starts from the latent and reads what was written,

.. math:: s_0 = \mathrm{ReLU}(W_3 z + b_3) \quad (1), \qquad
          s_v = \mathrm{GRU}(r_{v-1}, s_{v-1}), \quad r_0 = 0 \quad (2)

.. math:: p(x_v | z, r_{<v}) = \mathrm{softmax}(f_{type}(s_v)) \quad (3)

and the edge-level RNN writes the bits of vertex v one by one, from u = 0 on, starting from s_v:

.. math:: e_{v,0} = \mathrm{GRU}(0, s_v), \quad e_{v,u} = \mathrm{GRU}(A_{u-1,v}, e_{v,u-1}) \quad (4), \qquad
          p(A_{uv} = 1 | z, r_{<v}, A_{<u,v}) = \sigma(f_{edge}(e_{v,u})) \quad (5)

with two-layer ReLU networks f. The bits do not depend on the type of their own vertex. The likelihood is that of the
string, as for S-VAE.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..seeding import Seed
from ..spaces.grammar import Grammar
from ..spaces.graphs import NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding
from .svae import bits_to_edges, descriptors, padded, string_log_likelihood
from .writer import GraphWriter


class GraphRNNDecoder(nn.Module):
    """The vertex-level and edge-level RNNs, eq. 1-5, with one-hot or learnable operation embeddings.

    Args:
        operations: the vertex type encoding, shared with the encoder.
        num_types: T, the number of vertex types.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of the states of both RNNs.
        latent_dim: d, the size of the latent.
        type_hidden, edge_hidden: widths of f_type and f_edge (published: H).
        latent_input: whether the first layers of f_type and f_edge get a linear map of z of their own for every
            vertex, and f_edge a bias for every pair of vertices (published: no).
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
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
        self.operations = operations
        self.num_nodes = num_nodes
        steps = num_nodes - 1
        self.initial = nn.Linear(latent_dim, hidden)
        self.gru = nn.GRU(operations.dim + steps, hidden, batch_first=True)
        self.edge_gru = nn.GRU(1, hidden, batch_first=True)
        self.type_in = nn.Linear(hidden, type_hidden)
        self.type_out = nn.Linear(type_hidden, num_types)
        self.edge_in = nn.Linear(hidden, edge_hidden)
        self.edge_out = nn.Linear(edge_hidden, 1)
        self.latent_to_type = nn.Linear(latent_dim, steps * type_hidden, bias=False) if latent_input else None
        self.latent_to_edge = nn.Linear(latent_dim, steps * edge_hidden, bias=False) if latent_input else None
        self.pair_bias = nn.Parameter(torch.zeros(steps, steps, edge_hidden)) if latent_input else None

    def _start(self, z: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """s_0 [1, B, H], and z's share of every decision: [B, N-1, .] for types and edges."""
        state = self.initial(z).relu()[None]
        if self.latent_to_type is None or self.latent_to_edge is None:
            return state, None, None
        shape = (self.num_nodes - 1, -1)
        return state, self.latent_to_type(z).unflatten(1, shape), self.latent_to_edge(z).unflatten(1, shape)

    def log_likelihood(self, z: Tensor, graphs: NodeGraphs) -> Tensor:
        """log p(string of the graph | z) under teacher forcing: [B], in nats; slots without a vertex do not count.

        Args:
            z: [B, d].
            graphs: the true graphs, at most N vertices.
        """
        graphs = padded(graphs, self.num_nodes)
        return string_log_likelihood(*self.rows(z, graphs), graphs)

    def logits(self, z: Tensor, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Logits of all types and edges on the way to ``graphs``, N vertices; see :meth:`DVAEDecoder.logits`."""
        types, bits = self.rows(z, graphs)
        return types, bits_to_edges(bits)

    def rows(self, z: Tensor, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Logits of all types and bits under teacher forcing: [B, N-1, T] and [B, N-1, N-1], row v - 1 for vertex v.

        Args:
            z: [B, d].
            graphs: the true graphs, N vertices.
        """
        start, by_type, by_edge = self._start(z)
        rows = descriptors(self.operations(graphs.ops), graphs.adj)  # [B, N-1, d_op + N-1]
        states, _ = self.gru(_shifted(rows), start)  # [B, N-1, H]
        hidden = self.type_in(states)
        types = self.type_out((hidden if by_type is None else hidden + by_type).relu())

        bits = rows[:, :, self.operations.dim :]  # [B, N-1 vertices, N-1 sources]
        edge_states, _ = self.edge_gru(_shifted(bits.flatten(0, 1)[:, :, None]), states.flatten(0, 1)[None])
        hidden = self.edge_in(edge_states.unflatten(0, bits.shape[:2]))  # [B, N-1, N-1, E]
        if by_edge is not None and self.pair_bias is not None:
            hidden = hidden + by_edge[:, :, None] + self.pair_bias.transpose(0, 1)
        return types, self.edge_out(hidden.relu()).squeeze(3)

    def decode(
        self,
        z: Tensor,
        *,
        grammar: Grammar | None = None,
        stochastic: bool = False,
        seed: Seed = None,
    ) -> NodeGraphs:
        """Write one graph per latent; promises are those of :meth:`DVAEDecoder.decode`.

        The bits of a vertex are proposed from u = 0 on; a grammar then admits or corrects them from u = v - 1 down,
        and the vertex-level RNN reads the corrected row. Only the bits of earlier vertices are asked for.

        Args:
            z: [B, d].
            grammar: what it does not allow is corrected, and every graph is a cell of its space; None decodes freely.
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
        state, by_type, by_edge = self._start(z)
        row = z.new_zeros(len(z), 1, self.gru.input_size)
        for v in range(1, self.num_nodes):
            _, state = self.gru(row, state)  # [1, B, H]
            hidden = self.type_in(state[0])
            ops = writer.choose_type(
                self.type_out((hidden if by_type is None else hidden + by_type[:, v - 1]).relu()), v
            )
            if writer.write_fixed_edges(v) is None:
                proposed = self._propose(writer, state, v, by_edge)
                for u in range(v - 1, -1, -1):
                    writer.admit_edge(proposed[u], u, v)
            writer.end_vertex(v)
            bits = writer.adj[:, :-1, v].to(row.dtype)
            row = torch.cat([self.operations(ops), bits], 1)[:, None]

    def _propose(self, writer: GraphWriter, state: Tensor, vertex: int, by_edge: Tensor | None) -> list[Tensor]:
        """The edge-level RNN's own choice of the edges u -> vertex, u = 0..vertex-1: a list of [B] bool."""
        bit = state.new_zeros(state.shape[1], 1, 1)
        proposed = []
        for u in range(vertex):
            _, state = self.edge_gru(bit, state)
            hidden = self.edge_in(state[0])
            if by_edge is not None and self.pair_bias is not None:
                hidden = hidden + by_edge[:, vertex - 1] + self.pair_bias[u, vertex - 1]
            proposed.append(writer.propose_edge(self.edge_out(hidden.relu()).squeeze(1)))
            bit = proposed[-1].to(bit.dtype)[:, None, None]
        return proposed


def _shifted(sequence: Tensor) -> Tensor:
    """What an RNN reads to predict ``sequence`` [B, L, .]: zeros first, the last element left out."""
    return torch.cat([torch.zeros_like(sequence[:, :1]), sequence[:, :-1]], 1)
