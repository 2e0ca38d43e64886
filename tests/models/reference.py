"""The D-VAE encoder and decoder likelihood as published: one graph at a time, in plain loops.

Written from the equations (Zhang et al., NeurIPS 2019, sections 3.2-3.4; Chatzianastasis et al., 2021, section
3.2): vertex identities are one-hot vectors that are really concatenated, and the state of a new vertex is computed
anew after each true edge. The only thing shared with the package are the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentnas.models import DVAEDecoder, DVAEEncoder, GatedSum, GraphVAE, VAEConfig
from latentnas.spaces import INPUT, OUTPUT, NodeGraphs, get_space

Graph = tuple[list[int], list[tuple[int, int]]]
"""Vertex types, and edges u -> v."""


def vae(space: str, *, seed: int = 0, dtype: torch.dtype = torch.double, **options: object) -> GraphVAE:
    """A small untrained VAE with random weights, pair biases included, in double precision."""
    settings = {"hidden": 7, "latent_dim": 5, "type_hidden": 9, "edge_hidden": 6, **options}
    cells = get_space(space)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GraphVAE(VAEConfig(num_types=len(cells.node_types), num_nodes=cells.max_nodes, **settings))  # type: ignore[arg-type]
        if model.decoder.pair_bias is not None:
            torch.nn.init.normal_(model.decoder.pair_bias)
    return model.to(dtype)


def as_lists(graphs: NodeGraphs) -> list[Graph]:
    """Every graph of a batch as lists, without its padding."""
    found = []
    for ops, adj, mask in zip(graphs.ops.tolist(), graphs.adj.tolist(), graphs.mask.tolist(), strict=True):
        n = sum(mask)
        found.append((ops[:n], [(u, v) for v in range(n) for u in range(n) if adj[u][v]]))
    return found


def batch_of(graphs: list[Graph], num_nodes: int) -> NodeGraphs:
    """Graphs of any sizes as one padded batch."""
    ops = torch.full((len(graphs), num_nodes), INPUT)
    adj = torch.zeros(len(graphs), num_nodes, num_nodes, dtype=torch.bool)
    mask = torch.zeros(len(graphs), num_nodes, dtype=torch.bool)
    for b, (types, edges) in enumerate(graphs):
        ops[b, : len(types)] = torch.tensor(types)
        mask[b, : len(types)] = True
        for u, v in edges:
            adj[b, u, v] = True
    return NodeGraphs(ops, adj, mask)


SMALL_GRAPHS: list[Graph] = [
    ([INPUT, OUTPUT], [(0, 1)]),
    ([INPUT, 3, OUTPUT], [(0, 1), (1, 2)]),
    ([INPUT, 2, 4, OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)]),
    ([INPUT, 5, 2, 6, OUTPUT], [(0, 1), (1, 2), (0, 3), (2, 3), (3, 4), (0, 4)]),
    ([INPUT, 2, 3, OUTPUT], [(0, 1), (1, 3)]),  # vertex 2 has no edge at all
]
"""Graphs of 2 to 5 vertices, types 0..6."""


def one_hot(index: int, size: int) -> Tensor:
    vector = torch.zeros(size, dtype=torch.double)
    vector[index] = 1
    return vector


def gru(cell: torch.nn.GRUCell, x: Tensor, h: Tensor) -> Tensor:
    """Cho et al., 2014, with the reset gate inside the candidate as in PyTorch."""
    xr, xu, xn = (cell.weight_ih @ x + cell.bias_ih).chunk(3)
    hr, hu, hn = (cell.weight_hh @ h + cell.bias_hh).chunk(3)
    reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xu + hu)
    return (1 - update) * torch.tanh(xn + reset * hn) + update * h


def gated_sum(send: GatedSum, states: dict[int, Tensor], senders: list[int]) -> Tensor:
    """Sum over senders u of gate([h_u, id_u]) * mapper([h_u, id_u])."""
    total = torch.zeros(send.hidden, dtype=torch.double)
    for u in senders:
        augmented = torch.cat([states[u], one_hot(u, send.gate.in_features - send.hidden)])
        total = total + torch.sigmoid(send.gate(augmented)) * send.mapper(augmented)
    return total


def embed(model: GraphVAE, op: int) -> Tensor:
    return model.operations.weight[op]


def encode(model: GraphVAE, graph: Graph) -> tuple[Tensor, Tensor]:
    """Posterior mean and log-variance of one graph: two tensors [d]."""
    types, edges = graph
    encoder: DVAEEncoder = model.encoder
    states: dict[int, Tensor] = {}
    for v in range(len(types)):
        total = gated_sum(encoder.sum_forward, states, [u for u, w in edges if w == v])
        states[v] = gru(encoder.gru_forward, embed(model, types[v]), total)
    n, back = len(types), dict[int, Tensor]()
    if encoder.gru_backward is not None:
        assert encoder.sum_backward is not None
        for v in reversed(range(len(types))):
            total = gated_sum(encoder.sum_backward, back, [w for u, w in edges if u == v])
            back[v] = gru(encoder.gru_backward, embed(model, types[v]), total)
    if model.config.readout == "all":  # forward and backward state of every vertex, zeros for padding
        zero = torch.zeros(encoder.sum_forward.hidden, dtype=torch.double)
        sides = [states, back] if back else [states]
        state = torch.cat([side[v] if v < n else zero for v in range(model.config.num_nodes) for side in sides])
    elif encoder.unify is not None:
        state = encoder.unify(torch.cat([states[n - 1], back[0]]))
    else:
        state = states[n - 1]
    return encoder.mean(state), encoder.logvar(state)


def log_likelihood(model: GraphVAE, z: Tensor, graph: Graph) -> Tensor:
    """log p(graph | z) in nats: a scalar."""
    types, edges = graph
    decoder: DVAEDecoder = model.decoder
    states = {0: gru(decoder.gru, embed(model, INPUT), torch.tanh(decoder.initial(z)))}
    total = torch.zeros((), dtype=torch.double)
    for v in range(1, len(types)):
        hidden = decoder.type_in(states[v - 1])
        if decoder.latent_to_type is not None:
            width = decoder.type_in.out_features
            hidden = hidden + decoder.latent_to_type.weight[v * width : (v + 1) * width] @ z
        total = total + torch.log_softmax(decoder.type_out(torch.relu(hidden)), 0)[types[v]]
        added: list[int] = []
        states[v] = gru(decoder.gru, embed(model, types[v]), torch.zeros(decoder.hidden, dtype=torch.double))
        for u in range(v - 1, -1, -1):
            hidden = decoder.edge_in(torch.cat([states[u], states[v]]))
            if decoder.latent_to_edge is not None:
                assert decoder.pair_bias is not None
                width = decoder.edge_in.out_features
                hidden = hidden + decoder.latent_to_edge.weight[v * width : (v + 1) * width] @ z
                hidden = hidden + decoder.pair_bias[u, v]
            probability = torch.sigmoid(decoder.edge_out(torch.relu(hidden)))[0]
            if (u, v) in edges:
                total = total + torch.log(probability)
                added.append(u)
                message = gated_sum(decoder.messages, states, added)
                states[v] = gru(decoder.gru, embed(model, types[v]), message)
            else:
                total = total + torch.log1p(-probability)
    return total
