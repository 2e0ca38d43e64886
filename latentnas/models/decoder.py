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
from .likelihood import graph_log_likelihood
from .pair_scores import pair_scores, two_shares
from .partial_states import partial_states
from .propagation import propagate
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

    def _latent_shares(self, z: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """z's share of every type and edge decision: [B, N, .] each, None where z does not enter."""
        if self.latent_to_type is None or self.latent_to_edge is None:
            return None, None
        shape = (self.num_nodes, -1)
        return self.latent_to_type(z).unflatten(1, shape), self.latent_to_edge(z).unflatten(1, shape)

    def _type_logits(self, state: Tensor, by_type: Tensor | None) -> Tensor:
        """Logits of a vertex's type from the state of the graph so far, and z's share: [R, H] -> [R, T]."""
        hidden = self.type_in(state)
        return self.type_out((hidden if by_type is None else hidden + by_type).relu())

    def _edge_source(self, state: Tensor) -> Tensor:
        """A candidate's share of the edge network's first layer: [R, H] -> [R, E]."""
        return F.linear(state, self.edge_in.weight[:, : self.hidden])

    def _edge_target(self, state: Tensor) -> Tensor:
        """The share of the vertex whose edges are chosen: [R, H] -> [R, E]."""
        return F.linear(state, self.edge_in.weight[:, self.hidden :], self.edge_in.bias)

    # --- training -------------------------------------------------------------------------------

    def log_likelihood(self, z: Tensor, graphs: NodeGraphs) -> Tensor:
        """log p(graph | z) under teacher forcing: [B], in nats.

        Args:
            z: [B, d].
            graphs: the true graphs, at most N vertices.
        """
        return graph_log_likelihood(*self.logits(z, graphs), graphs)

    def logits(self, z: Tensor, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Logits of all decisions on the way to ``graphs``, n vertices: types [B, n-1, T], edges [B, n, n].

        Row v - 1 of the types is for vertex v; the edge u -> v stands at [u, v]. What is not decided, as of
        vertices that do not exist, holds zeros. Only the final states of the vertices wait for each other; all
        decisions are computed at once.

        Args:
            z: [B, d].
            graphs: the true graphs, at most N vertices.
        """
        batch, nodes = graphs.ops.shape
        types, edges = z.new_zeros(batch, nodes - 1, self.num_types), z.new_zeros(batch, nodes, nodes)
        if batch == 0:
            return types, edges
        inputs = F.linear(self.operations.weight, self.gru.weight_ih, self.gru.bias_ih)
        recurrent, send = (self.gru.weight_hh, self.gru.bias_hh), self.messages.weights()
        first, order = self.initial(z).tanh(), range(nodes)
        ops = torch.cat([torch.full_like(graphs.ops[:, :1], INPUT), graphs.ops[:, 1:]], 1)
        states, messages = propagate(
            inputs, recurrent, send, ops, graphs.adj, order=order, first=first, project=True
        )  # [N, B, H] and [N, B, 4H]
        # what is known when vertex v = 1..N-1 of graph b is written, one row for each that exists
        vertex, graph = (1 + (row := graphs.mask[:, 1:].t().nonzero())[:, 0]), row[:, 1]
        rows = torch.full((nodes, batch), -1, device=z.device)
        rows[vertex - 1, graph] = torch.arange(len(graph), device=z.device)  # [N, B], of the state of u = v - 1
        place = (vertex - 1) * batch + graph
        last = states.flatten(0, 1).index_select(0, place)  # [R, H]
        known = states.cumsum(0).flatten(0, 1).index_select(0, place) if self.sum_states else last
        by_type, by_edge = self._latent_shares(z)
        logits = self._type_logits(known, None if by_type is None else by_type[graph, vertex])
        types = types.index_put((graph, vertex - 1), logits)

        seen, target = self._seen_states(inputs, states, messages, ops, graphs.adj)
        sources, targets = two_shares(self.edge_in.weight, self.edge_in.bias, last, seen)
        pair = _pairs(graphs.mask).nonzero()
        graph, source, vertex = pair.unbind(1)
        shares = [(sources, rows[source, graph]), (targets, target[graph, source, vertex])]
        if by_edge is not None and self.pair_bias is not None:
            shares += [(by_edge.flatten(0, 1), graph * self.num_nodes + vertex)]
            shares += [(self.pair_bias.flatten(0, 1), source * self.num_nodes + vertex)]
        scores = pair_scores(self.edge_out.weight[0], shares) + self.edge_out.bias
        return types, edges.index_put((graph, source, vertex), scores)

    def _seen_states(
        self, inputs: Tensor, states: Tensor, messages: Tensor, ops: Tensor, adj: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The states of v that the decisions on its edges see.

        Before a candidate u is decided, the state of v depends on the true edges from the candidates above u alone:
        without one it is that of its type, after the last one it is final, else it is that after the edge before.

        Args:
            inputs: [T, 3H], the GRU's linear map of every type's encoding.
            states: [N, B, H], when all edges are written.
            messages: [N, B, 4H], with their products.
            ops: [B, N].
            adj: [B, N, N].

        Returns:
            states: [R, H], one row for each distinct state.
            row: [B, N, N] long, where the decision on edge u -> v finds its own.
        """
        batch, nodes = ops.shape
        place = torch.arange(nodes, device=ops.device)
        ends = adj & (adj.cumsum(1) == 1)  # [B, N, N], edges from the lowest sender, after which a state is final
        ends[:, 0] = False  # no candidate is left that would see it
        inner = adj & (adj.cumsum(1) > 1)
        graph, source, vertex = inner.nonzero().unbind(1)
        number = torch.arange(len(graph), device=ops.device) - torch.searchsorted(graph, graph)  # within its graph
        most = int(number.max()) + 1 if len(number) else 0
        senders = messages.new_zeros(batch, most, nodes)
        senders[graph, number] = (adj[graph, :, vertex] & (place >= source[:, None])).to(senders.dtype)
        partial = partial_states(
            inputs, self.gru.bias_hh, messages, senders, graph * most + number, ops[graph, vertex]
        )  # [T + inner edges, H]
        end_graph, end_source, end_vertex = ends.nonzero().unbind(1)
        final = states.flatten(0, 1).index_select(0, end_vertex * batch + end_graph)
        seen = torch.cat([partial, final])

        row = torch.zeros_like(adj, dtype=torch.long)  # of the state after an edge
        row[graph, source, vertex] = self.num_types + torch.arange(len(graph), device=ops.device)
        row[end_graph, end_source, end_vertex] = len(partial) + torch.arange(len(end_graph), device=ops.device)
        above = torch.where(adj, place[:, None], nodes).flip(1).cummin(1).values.flip(1)  # the lowest sender from u on
        above = torch.cat([above[:, 1:], torch.full_like(above[:, :1], nodes)], 1)  # above u
        return seen, torch.where(above < nodes, row.gather(1, above.clamp_max(nodes - 1)), ops[:, None, :])

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
        self.write(z, writer)
        return writer.graphs()

    def write(self, z: Tensor, writer: GraphWriter) -> None:
        """Write one graph per latent [B, d] with ``writer``."""
        by_type, by_edge = self._latent_shares(z)
        message = self.messages.messages()
        state = self.gru(self.operations(writer.ops[:, 0]), self.initial(z).tanh())
        graph_state, messages, sources = state, [message(state, 0)], [self._edge_source(state)]
        for v in range(1, self.num_nodes):
            logits = self._type_logits(graph_state, None if by_type is None else by_type[:, v])
            x = self.operations(writer.choose_type(logits, v))
            total = torch.zeros_like(state)
            fixed = writer.write_fixed_edges(v)
            if fixed is not None:
                for u in fixed:
                    total = total + messages[u]
                state = self.gru(x, total)
            else:
                state = self.gru(x, total)
                for u in range(v - 1, -1, -1):
                    hidden = sources[u] + self._edge_target(state)
                    if by_edge is not None and self.pair_bias is not None:
                        hidden = hidden + by_edge[:, v] + self.pair_bias[u, v]
                    present = writer.choose_edge(self.edge_out(hidden.relu()).squeeze(1), u, v)
                    total = total + present[:, None].to(total.dtype) * messages[u]
                    state = torch.where(present[:, None], self.gru(x, total), state)
            writer.end_vertex(v)
            if v == self.num_nodes - 1:
                break  # nothing reads its state
            graph_state = graph_state + state if self.sum_states else state
            messages.append(message(state, v))
            sources.append(self._edge_source(state))


def _pairs(mask: Tensor) -> Tensor:
    """Which edges u -> v are decided, those into vertices that exist: [B, N] -> [B, N, N] bool."""
    nodes = mask.shape[1]
    return mask[:, None, :] & torch.ones(nodes, nodes, dtype=torch.bool, device=mask.device).triu(1)
