"""What the public D-VAE code computes from its own state dict, one ENAS cell at a time, in plain loops.

Written from its description (names of its modules, and the equations of Zhang et al., NeurIPS 2019); 8 vertices, 8
vertex types. Everything is a function of the state dict, so that gradients are those by its names.
"""

from __future__ import annotations

import torch
from torch import Tensor

State = dict[str, Tensor]
Cell = tuple[list[int], list[tuple[int, int]]]
"""Vertex types, and edges u -> v."""

N = T = 8


def public_state(model: str, *, hidden: int = 5, latent: int = 4, seed: int = 0) -> State:
    """Random weights with the names and shapes of the public constructors, unused modules included."""
    h, g, wide = hidden, hidden, 2 * hidden
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, n_in: int, n_out: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in)
        if bias:
            shapes[f"{name}.bias"] = (n_out,)

    def gru(name: str, n_in: int, suffix: str = "") -> None:
        shapes.update({f"{name}.weight_ih{suffix}": (3 * h, n_in), f"{name}.weight_hh{suffix}": (3 * h, h)})
        shapes.update({f"{name}.bias_ih{suffix}": (3 * h,), f"{name}.bias_hh{suffix}": (3 * h,)})

    linear("fc1", g, latent)
    linear("fc2", g, latent)
    linear("fc3", latent, h)
    if model in ("svae", "graphrnn"):
        gru("grue", T + N - 1, "_l0")
        gru("grud", h if model == "svae" else T + N - 1, "_l0")
        linear("add_vertex.0", h, h)
        linear("add_vertex.2", h, T)
        linear("add_edges.0", h, h)
        linear("add_edges.2", h, N - 1)
        if model == "graphrnn":
            gru("grud_edge", 1, "_l0")
            linear("add_edge.0", h, h)
            linear("add_edge.2", h, 1)
    else:
        for way in ("forward", "backward"):
            gru(f"grue_{way}", T)
            linear(f"gate_{way}.0", h + N, h)
            linear(f"mapper_{way}.0", h + N, h, bias=False)
        gru("grud", T)
        linear("add_vertex.0", h, wide)
        linear("add_vertex.2", wide, T)
        linear("add_edge.0", wide, 2 * wide)
        linear("add_edge.2", 2 * wide, 1)
        if model == "dvae-bidirectional":
            linear("hv_unify.0", wide, h)
            linear("hg_unify.0", wide, h)
        if model == "gcn":
            for level in range(3):
                linear(f"gconv.{level}.0", T if level == 0 else h, h)
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def linear(s: State, name: str, x: Tensor) -> Tensor:
    y = s[f"{name}.weight"] @ x
    return y + s[f"{name}.bias"] if f"{name}.bias" in s else y


def mlp(s: State, name: str, x: Tensor) -> Tensor:
    return linear(s, f"{name}.2", torch.relu(linear(s, f"{name}.0", x)))


def gru(s: State, name: str, x: Tensor, h: Tensor, suffix: str = "") -> Tensor:
    xr, xu, xn = (s[f"{name}.weight_ih{suffix}"] @ x + s[f"{name}.bias_ih{suffix}"]).chunk(3)
    hr, hu, hn = (s[f"{name}.weight_hh{suffix}"] @ h + s[f"{name}.bias_hh{suffix}"]).chunk(3)
    update = torch.sigmoid(xu + hu)
    return (1 - update) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + update * h


def one_hot(index: int, like: Tensor) -> Tensor:
    return torch.eye(T, dtype=like.dtype)[index]


def gathered(s: State, way: str, states: dict[int, Tensor], senders: list[int]) -> Tensor:
    total = torch.zeros_like(s["fc3.bias"])
    for u in senders:
        x = torch.cat([states[u], one_hot(u, total)])
        total = total + torch.sigmoid(linear(s, f"gate_{way}.0", x)) * linear(s, f"mapper_{way}.0", x)
    return total


def row(cell: Cell, v: int, like: Tensor) -> Tensor:
    bits = torch.tensor([float((u, v) in cell[1]) for u in range(N - 1)], dtype=like.dtype)
    return torch.cat([one_hot(cell[0][v], like), bits])


def graph_state(s: State, model: str, cell: Cell) -> Tensor:
    """What fc1 and fc2 read."""
    types, edges = cell
    zero = torch.zeros_like(s["fc3.bias"])
    if model in ("svae", "graphrnn"):
        h = zero
        for v in range(1, N):
            h = gru(s, "grue", row(cell, v, zero), h, "_l0")
        return h
    if model == "gcn":
        states = [one_hot(op, zero) for op in types]
        indegree = [1 + sum(w == v for _, w in edges) for v in range(N)]
        outdegree = [1 + sum(u == v for u, _ in edges) for v in range(N)]
        for level in range(3):
            current = list(states) if level else [x.clone() for x in states]
            for v in range(N):
                read = current if level else states  # overwritten in place from the second level on
                total = states[v] / indegree[v]
                for u in (u for u, w in edges if w == v):
                    total = total + read[u] / (outdegree[u] * indegree[v]) ** 0.5
                current[v] = torch.relu(linear(s, f"gconv.{level}.0", total))
            states = current
        return torch.stack(states[1:-1]).sum(0)
    forward: dict[int, Tensor] = {}
    for v in range(N):
        message = gathered(s, "forward", forward, [u for u, w in edges if w == v])
        forward[v] = gru(s, "grue_forward", one_hot(types[v], zero), message)
    if model == "dvae":
        return forward[N - 1]
    back: dict[int, Tensor] = {}
    for v in reversed(range(N)):
        message = gathered(s, "backward", back, [w for u, w in edges if u == v])
        back[v] = gru(s, "grue_backward", one_hot(types[v], zero), message)
    return linear(s, "hg_unify.0", torch.cat([forward[N - 1], back[0]]))


def encode(s: State, model: str, cell: Cell) -> tuple[Tensor, Tensor]:
    """mu and logvar: two tensors [latent]."""
    state = graph_state(s, model, cell)
    return linear(s, "fc1", state), linear(s, "fc2", state)


def bit_loss(logit: Tensor, present: bool) -> Tensor:
    return -torch.nn.functional.logsigmoid(logit if present else -logit)


def reconstruction_loss(s: State, model: str, z: Tensor, cell: Cell) -> Tensor:
    """Negative log-likelihood in nats, a scalar."""
    types, edges = cell
    code, total = linear(s, "fc3", z), torch.zeros((), dtype=z.dtype)
    if model in ("svae", "graphrnn"):
        code = torch.relu(code)
        state = torch.zeros_like(code) if model == "svae" else code
        last = torch.zeros(T + N - 1, dtype=z.dtype)
        for v in range(1, N):
            state = gru(s, "grud", code if model == "svae" else last, state, "_l0")
            total = total - torch.log_softmax(mlp(s, "add_vertex", state), 0)[types[v]]
            edge_state, bit = state, torch.zeros(1, dtype=z.dtype)
            for u in range(N - 1):
                present = (u, v) in edges
                if model == "svae":
                    logit = mlp(s, "add_edges", state)[u]
                else:
                    edge_state = gru(s, "grud_edge", bit, edge_state, "_l0")
                    logit = mlp(s, "add_edge", edge_state)[0]
                total = total + bit_loss(logit, present)
                bit = torch.full_like(bit, float(present))
            last = row(cell, v, z)
        return total
    states = {0: gru(s, "grud", one_hot(0, z), torch.tanh(code))}
    for v in range(1, N):
        seen = torch.stack(list(states.values())).sum(0) if model == "gcn" else states[v - 1]
        total = total - torch.log_softmax(mlp(s, "add_vertex", seen), 0)[types[v]]
        added: list[int] = []
        new = gru(s, "grud", one_hot(types[v], z), torch.zeros_like(code))
        for u in range(v - 1, -1, -1):
            present = (u, v) in edges
            total = total + bit_loss(mlp(s, "add_edge", torch.cat([states[u], new]))[0], present)
            if present:
                added.append(u)
                new = gru(s, "grud", one_hot(types[v], z), gathered(s, "forward", states, added))
        states[v] = new
    return total


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
