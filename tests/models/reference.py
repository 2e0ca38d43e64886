"""Encoders and decoder likelihoods of all models as published: one graph at a time, in plain loops.

Written from the equations (Zhang et al., NeurIPS 2019, sections 3.2-3.4 and 4; Chatzianastasis et al., 2021, section
3.2): vertex identities are one-hot vectors that are really concatenated, and the state of a new vertex is computed
anew after each true edge. The only thing shared with the package are the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentnas.models import AdjacencyEncoder, DVAEDecoder, DVAEEncoder, GatedSum, GraphVAE, VAEConfig
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
        for name, parameter in model.named_parameters():  # constants at the start would hide mistakes
            constant = ("pair_bias", "edge_size", "edge_center", "encoder.logvar")
            if name.endswith(constant) or (settings.get("encoder") == "gcn-pyg" and name.endswith("bias")):
                torch.nn.init.normal_(parameter)
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


def gru(cell: torch.nn.GRUCell | torch.nn.GRU, x: Tensor, h: Tensor, suffix: str = "") -> Tensor:
    """Cho et al., 2014, with the reset gate inside the candidate as in PyTorch; its weights end in ``suffix``."""
    weight_ih, weight_hh, bias_ih, bias_hh = (
        getattr(cell, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    xr, xu, xn = (weight_ih @ x + bias_ih).chunk(3)
    hr, hu, hn = (weight_hh @ h + bias_hh).chunk(3)
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
    if model.config.encoder == "adjacency":
        return adjacency_posterior(model, graph)
    states = {"dvae": dvae_state, "gcn": gcn_state, "gcn-pyg": pyg_state}
    state = states.get(model.config.encoder, string_state)(model, graph)
    return model.encoder.mean(state), model.encoder.logvar(state)


def adjacency_posterior(model: GraphVAE, graph: Graph) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the adjacency encoder, coordinate by coordinate."""
    types, edges = graph
    encoder: AdjacencyEncoder = model.encoder
    features: list[Tensor] = []
    for v in model.config.free_types or ():
        features += embed(model, types[v] if v < len(types) else INPUT)
    for i, pair in enumerate(model.config.free_edges or ()):
        half = encoder.edge_size[i] / 2
        features.append(encoder.edge_center[i] + (half if pair in edges else -half))
    mean = torch.stack(features)
    if encoder.project is not None:
        mean = encoder.project.weight @ mean + encoder.project.bias
    return mean, encoder.logvar


def dvae_state(model: GraphVAE, graph: Graph) -> Tensor:
    """What the D-VAE encoder's two linear layers read."""
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
        return torch.cat([side[v] if v < n else zero for v in range(model.config.num_nodes) for side in sides])
    if encoder.unify is not None:
        return encoder.unify(torch.cat([states[n - 1], back[0]]))
    return states[n - 1]


def read_out(model: GraphVAE, states: list[Tensor]) -> Tensor:
    """Sum over the inner vertices, or all vertices side by side with zeros for padding."""
    if model.config.readout == "sum":
        total = torch.zeros_like(states[0])
        for state in states[1:-1]:
            total = total + state
        return total
    return torch.cat([*states, *[torch.zeros_like(states[0])] * (model.config.num_nodes - len(states))])


def gcn_state(model: GraphVAE, graph: Graph) -> Tensor:
    """Graph convolutions that overwrite the states vertex by vertex from the second layer on."""
    types, edges = graph
    senders, outdegree, indegree = [], [], []
    for v in range(len(types)):
        into, out = [u for u, w in edges if w == v], [w for u, w in edges if u == v]
        if model.config.bidirectional:
            into = out = into + out
        senders.append(into)
        indegree.append(1 + len(into))
        outdegree.append(1 + len(out))
    old = [embed(model, op) for op in types]
    for level, layer in enumerate(model.encoder.layers):
        new: list[Tensor] = []
        for v in range(len(types)):
            total = old[v] / indegree[v]
            for u in senders[v]:
                message = old[u] if level == 0 or u > v else new[u]
                total = total + message / (outdegree[u] * indegree[v]) ** 0.5
            new.append(torch.relu(layer(total)))
        old = new
    return read_out(model, old)


def pyg_state(model: GraphVAE, graph: Graph) -> Tensor:
    """Kipf and Welling's convolutions with dense matrices, the transpose taking messages along the edges."""
    types, edges = graph
    a = torch.eye(len(types), dtype=torch.double)
    for u, v in edges:
        a[u, v] = 1
        if model.config.bidirectional:
            a[v, u] = 1
    scale = torch.diag(a.sum(0) ** -0.5)
    h = torch.stack([embed(model, op) for op in types])
    for layer in model.encoder.layers:
        h = torch.relu((scale @ a @ scale).T @ h @ layer.lin.weight.T + layer.bias)
    return read_out(model, list(h))


def rows(model: GraphVAE, graph: Graph) -> list[Tensor]:
    """The string of a graph: type and bits of the vertices 1..N-1."""
    types, edges = graph
    found = []
    for v in range(1, model.config.num_nodes):
        bits = torch.tensor([float((u, v) in edges) for u in range(model.config.num_nodes - 1)], dtype=torch.double)
        found.append(torch.cat([embed(model, types[v] if v < len(types) else INPUT), bits]))
    return found


def string_state(model: GraphVAE, graph: Graph) -> Tensor:
    """What the string encoder's two linear layers read."""
    cell, string = model.encoder.gru, rows(model, graph)
    h = torch.zeros(model.config.hidden, dtype=torch.double)
    forward, back = [], []
    for row in string:
        h = gru(cell, row, h, "_l0")
        forward.append(h)
    if model.config.bidirectional:
        h = torch.zeros(model.config.hidden, dtype=torch.double)
        for row in reversed(string):
            h = gru(cell, row, h, "_l0_reverse")
            back.insert(0, h)
    if model.config.readout == "all":
        both = [torch.cat(pair) for pair in zip(forward, back, strict=True)] if back else forward
        exists = len(graph[0]) - 1
        return torch.cat([state if i < exists else torch.zeros_like(state) for i, state in enumerate(both)])
    return model.encoder.unify(torch.cat([forward[-1], back[0]])) if back else forward[-1]


def log_likelihood(model: GraphVAE, z: Tensor, graph: Graph) -> Tensor:
    """log p(graph | z) in nats: a scalar."""
    if model.config.encoder in ("svae", "graphrnn"):
        return string_log_likelihood(model, z, graph)
    return dag_log_likelihood(model, z, graph)


def string_log_likelihood(model: GraphVAE, z: Tensor, graph: Graph) -> Tensor:
    """log p(string | z) of S-VAE and GraphRNN: types, and all N - 1 bits, of the vertices that exist."""
    types, edges = graph
    decoder, config = model.decoder, model.config
    string, steps = rows(model, graph), config.num_nodes - 1
    code = torch.relu(decoder.initial(z))
    recurrent = config.encoder == "graphrnn"
    state = code if recurrent else torch.zeros_like(code)
    total = torch.zeros((), dtype=torch.double)

    def share(linear: torch.nn.Linear | None, v: int, width: int) -> Tensor | float:
        return 0.0 if linear is None else linear.weight[(v - 1) * width : v * width] @ z

    for v in range(1, len(types)):
        if recurrent:
            state = gru(decoder.gru, string[v - 2] if v > 1 else torch.zeros_like(string[0]), state, "_l0")
        else:
            state = gru(decoder.gru, code, state, "_l0")
        hidden = decoder.type_in(state) + share(decoder.latent_to_type, v, config.type_hidden)
        total = total + torch.log_softmax(decoder.type_out(torch.relu(hidden)), 0)[types[v]]
        edge_state, bit = state, torch.zeros(1, dtype=torch.double)
        for u in range(steps):
            if recurrent:
                edge_state = gru(decoder.edge_gru, bit, edge_state, "_l0")
            hidden = decoder.edge_in(edge_state) + share(decoder.latent_to_edge, v, config.edge_hidden)
            if recurrent and decoder.pair_bias is not None:
                hidden = hidden + decoder.pair_bias[u, v - 1]
            logit = decoder.edge_out(torch.relu(hidden))[0 if recurrent else u]
            bit = torch.tensor([float((u, v) in edges)], dtype=torch.double)
            total = total + torch.log(torch.sigmoid(logit if bit else -logit))
    return total


def dag_log_likelihood(model: GraphVAE, z: Tensor, graph: Graph) -> Tensor:
    """log p(graph | z) of D-VAE's decoder."""
    types, edges = graph
    decoder: DVAEDecoder = model.decoder
    states = {0: gru(decoder.gru, embed(model, INPUT), torch.tanh(decoder.initial(z)))}
    total = torch.zeros((), dtype=torch.double)
    for v in range(1, len(types)):
        last = states[v - 1]
        if model.config.encoder in ("gcn", "gcn-pyg"):  # published with the GCN encoder: the sum of all states so far
            last = torch.stack([states[u] for u in range(v)]).sum(0)
        hidden = decoder.type_in(last)
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
