"""The autoregressive DAG decoder of D-VAE: types and edges of one vertex after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..seeding import Seed
from ..spaces.grammar import Grammar
from ..spaces.graphs import INPUT, NodeGraphs
from .dvae import GatedSum
from .embedding import OneHotOperations, OperationEmbedding
from .writer import GraphWriter


class DVAEDecoder(nn.Module):
    """Writes a DAG from a latent, vertex by vertex (section 3.2.2 of the operation-embedding paper).

    Vertex 0 is the input, its state GRU(O(input), tanh(W z)). For every further vertex v the type is
    chosen from the state of the graph, by default that of vertex v-1; then, for the candidates
    u = v-1 down to 0, the edge u -> v is chosen from the states of u and v, and the state of v is
    computed anew after each edge added. A graph ends with its first output vertex.

    ``latent_input=True`` also feeds z, and which vertices are concerned, to every type and edge
    decision: the first layer of the type network gets its own linear map of z for each vertex v,
    that of the edge network one for each v and a bias for each pair (u, v). The published decoder
    (False) sees z in its first state alone and needs very long training to carry it through all
    vertices; and it cannot tell apart two candidates of equal type and equal predecessors.

    Args:
        operations: the vertex type encoding, shared with the encoder.
        messages: gate and mapper of the vertices already written (the encoder's, in the published
            model).
        num_types: T, the number of vertex types.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of a vertex state.
        latent_dim: d, the size of the latent.
        type_hidden, edge_hidden: widths of the two decision networks (published: 2H and 4H).
        latent_input: whether z and the vertices' identities enter every decision.
        sum_states: what a type is chosen from: the sum of the states of all vertices so far (published
            with the GCN encoder) instead of the state of the last one (published with the D-VAE encoder).
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        messages: GatedSum,
        *,
        num_types: int,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        type_hidden: int,
        edge_hidden: int,
        latent_input: bool,
        sum_states: bool = False,
    ) -> None:
        super().__init__()
        self.operations = operations
        self.messages = messages
        self.sum_states = sum_states
        self.num_types, self.num_nodes, self.hidden = num_types, num_nodes, hidden
        self.initial = nn.Linear(latent_dim, hidden)
        self.gru = nn.GRUCell(operations.dim, hidden)
        self.type_in = nn.Linear(hidden, type_hidden)
        self.type_out = nn.Linear(type_hidden, num_types)
        self.edge_in = nn.Linear(2 * hidden, edge_hidden)
        self.edge_out = nn.Linear(edge_hidden, 1)
        self.latent_to_type = nn.Linear(latent_dim, num_nodes * type_hidden, bias=False) if latent_input else None
        self.latent_to_edge = nn.Linear(latent_dim, num_nodes * edge_hidden, bias=False) if latent_input else None
        self.pair_bias = nn.Parameter(torch.zeros(num_nodes, num_nodes, edge_hidden)) if latent_input else None

    # --- decisions ------------------------------------------------------------------------------

    def _start(self, z: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """State of vertex 0 [B, H], and z's share of every decision: [B, N, .] for types and edges."""
        ops = torch.full((len(z),), INPUT, dtype=torch.long, device=z.device)
        state = self.gru(self.operations(ops), self.initial(z).tanh())
        if self.latent_to_type is None or self.latent_to_edge is None:
            return state, None, None
        nodes = self.num_nodes
        return state, self.latent_to_type(z).unflatten(1, (nodes, -1)), self.latent_to_edge(z).unflatten(1, (nodes, -1))

    def _type_logits(self, state: Tensor, vertex: int, by_type: Tensor | None) -> Tensor:
        """Logits of the type of ``vertex`` from the state of the graph so far: [B, H] -> [B, T]."""
        hidden = self.type_in(state)
        if by_type is not None:
            hidden = hidden + by_type[:, vertex]
        return self.type_out(hidden.relu())

    def _edge_source(self, state: Tensor) -> Tensor:
        """A candidate's share of the edge network's first layer: [B, H] -> [B, E], once a vertex."""
        return F.linear(state, self.edge_in.weight[:, : self.hidden])

    def _edge_target(self, state: Tensor, vertex: int, by_edge: Tensor | None) -> Tensor:
        """The share of ``vertex`` and of z, in K of its states: [B, K, H] -> [B, K, E]."""
        share = F.linear(state, self.edge_in.weight[:, self.hidden :], self.edge_in.bias)
        return share if by_edge is None else share + by_edge[:, vertex, None]

    def _edge_logits(self, source: Tensor, target: Tensor, candidates: slice | int, vertex: int) -> Tensor:
        """Logits of the edges candidates -> vertex: [B, k, E] and [B, k, E] -> [B, k]."""
        hidden = source + target
        if self.pair_bias is not None:
            hidden = hidden + self.pair_bias[candidates, vertex]
        return self.edge_out(hidden.relu()).squeeze(-1)

    # --- training -------------------------------------------------------------------------------

    def log_likelihood(self, z: Tensor, graphs: NodeGraphs) -> Tensor:
        """log p(graph | z) under teacher forcing: [B], in nats.

        All edge decisions of a vertex are computed at once: the state of v before candidate u
        depends only on the true edges from the candidates above u, so a vertex with k incoming
        edges has k + 1 distinct states.

        Args:
            z: [B, d].
            graphs: the true graphs, N vertices.
        """
        batch = len(graphs)
        if batch == 0:
            return z.new_zeros(0)
        rows = torch.arange(batch, device=z.device)[:, None]
        x = self.operations(graphs.ops)  # [B, N, d_op]
        adj = graphs.adj
        state, by_type, by_edge = self._start(z)
        graph_state = state
        messages = [self.messages.message(state, 0)]
        sources = [self._edge_source(state)]
        total = z.new_zeros(batch)
        max_in_degree = adj.sum(1).amax(0).tolist()
        for v in range(1, graphs.num_nodes):
            exists = graphs.mask[:, v]
            nll = F.cross_entropy(self._type_logits(graph_state, v, by_type), graphs.ops[:, v], reduction="none")
            edges = adj[:, :v, v]  # [B, v] bool
            # edges to candidates above u, added before u is decided
            before = edges.flip(1).cumsum(1).flip(1) - edges.long()  # [B, v]
            count = torch.arange(max_in_degree[v] + 1, device=z.device)
            added = edges[:, None, :] & (before[:, None, :] < count[None, :, None])  # [B, K, v]
            stacked = torch.stack(messages, 1)  # [B, v, H]
            sums = added.to(stacked.dtype) @ stacked  # [B, K, H]: after 0, 1, ..., K-1 edges
            inputs = x[:, v, None].expand(-1, len(count), -1)
            states = self.gru(inputs.flatten(0, 1), sums.flatten(0, 1)).unflatten(0, (batch, len(count)))
            target = self._edge_target(states, v, by_edge)[rows, before]  # [B, v, E]
            logits = self._edge_logits(torch.stack(sources, 1), target, slice(0, v), v)  # [B, v]
            bce = F.binary_cross_entropy_with_logits(logits, edges.to(logits.dtype), reduction="none").sum(1)
            total = total - torch.where(exists, nll + bce, torch.zeros_like(nll))
            state = states[:, -1]
            graph_state = graph_state + state if self.sum_states else state
            messages.append(self.messages.message(state, v))
            sources.append(self._edge_source(state))
        return total

    # --- generation -----------------------------------------------------------------------------

    def decode(
        self,
        z: Tensor,
        *,
        grammar: Grammar | None = None,
        stochastic: bool = False,
        seed: Seed = None,
    ) -> NodeGraphs:
        """Write one graph per latent.

        Args:
            z: [B, d].
            grammar: only what it allows is chosen, and every graph is a cell of its space. None
                decodes freely: any type, any edge; as published, the last possible vertex becomes
                the output, and the output is fed by exactly the vertices without a successor.
            stochastic: sample types from the softmax and edges from their Bernoulli probability;
                otherwise take the most probable.
            seed: seed of the sampling; drawn on the CPU.

        Returns:
            NodeGraphs of N vertices.
        """
        writer = GraphWriter(len(z), self.num_nodes, z.device, grammar=grammar, stochastic=stochastic, seed=seed)
        state, by_type, by_edge = self._start(z)
        graph_state = state
        messages = [self.messages.message(state, 0)]
        sources = [self._edge_source(state)]
        for v in range(1, self.num_nodes):
            x = self.operations(writer.choose_type(self._type_logits(graph_state, v, by_type), v))
            total = torch.zeros_like(state)
            fixed = writer.write_fixed_edges(v)
            if fixed is not None:
                for u in fixed:
                    total = total + messages[u]
                state = self.gru(x, total)
            else:
                state = self.gru(x, total)
                for u in range(v - 1, -1, -1):
                    target = self._edge_target(state[:, None], v, by_edge)[:, 0]
                    present = writer.choose_edge(self._edge_logits(sources[u], target, u, v), u, v)
                    total = total + present[:, None].to(total.dtype) * messages[u]
                    state = torch.where(present[:, None], self.gru(x, total), state)
            writer.end_vertex(v)
            graph_state = graph_state + state if self.sum_states else state
            messages.append(self.messages.message(state, v))
            sources.append(self._edge_source(state))
        return writer.graphs()
