"""Message passing along a DAG, vertex by vertex, with its gradient written out.

With the type x_v of vertex v and the one-hot vector id_v of its index,

    s_v = sum over predecessors u of m_u                                  (1)
    h_v = GRU(O(x_v), s_v)                                                (2)
    m_v = sigmoid(G [h_v, id_v] + c) * M [h_v, id_v]                      (3)

Autograd would compute the gradient of the tied matrices vertex by vertex: as many products with few rows, each of
which reads and writes a whole matrix. Here the factors of all vertices are kept and multiplied once, at the end.
Graphs that agree in all vertices up to v have equal states there, which are computed once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward

ON_TAPE = 6
"""Tensors of a vertex that the gradient needs."""

MOST_BITS = 62
"""What fits into an integer that tells prefixes apart."""


def propagate(
    inputs: Tensor,
    recurrent: tuple[Tensor, Tensor],
    message: tuple[Tensor, Tensor],
    ops: Tensor,
    adj: Tensor,
    *,
    order: Sequence[int],
    first: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """States and messages of all vertices, eq. 1-3: two tensors [N, B, H].

    Messages that no graph of the batch needs are zero.

    Args:
        inputs: [T, 3H], the GRU's linear map of every type's encoding, bias included.
        recurrent: the GRU's matrix [3H, H] of s_v and its bias [3H], in PyTorch's order of gates.
        message: G above M, [2H, H + M] with M >= N vertex identities, and the bias c [H].
        ops: [B, N] long, the types.
        adj: [B, N, N] bool, ``adj[b, u, v]``: u sends to v.
        order: the N vertices; u before v wherever u sends to v.
        first: [B, H], s_v of the first vertex; by default zero.
    """
    plan = Plan(ops, adj, order, inputs.dtype, whole=first is not None)
    if torch.is_grad_enabled():
        states, messages = _Propagation.apply(plan, inputs, *recurrent, *message, first)
        return states, messages
    return _forward(plan, None, inputs, *recurrent, *message, first)


class Plan:
    """Who sends to whom, and which rows are computed; nothing of it depends on weights.

    Args:
        ops, adj, order: see :func:`propagate`.
        dtype: of the states.
        whole: whether the rows of all graphs are computed, even where graphs agree so far.

    Attributes:
        order: vertices in the order of computation.
        ops: for each vertex the types of its rows, [C_v] long.
        senders: for each vertex those that send to it in some graph.
        sends: which vertices send at all.
    """

    def __init__(self, ops: Tensor, adj: Tensor, order: Sequence[int], dtype: torch.dtype, *, whole: bool) -> None:
        self.order, self.batch = list(order), len(ops)
        connected, self._always = torch.stack([adj.any(0), adj.all(0)]).tolist()
        done: list[int] = []
        self.senders: dict[int, list[int]] = {}
        for v in self.order:
            self.senders[v] = [u for u in done if connected[u][v]]
            done.append(v)
        self.sends = {u for senders in self.senders.values() for u in senders}
        self._adj = adj.permute(2, 1, 0).to(dtype, memory_format=torch.contiguous_format)  # [v, u, B]
        self._classes = {} if whole else self._prefixes(ops, adj)
        self.ops = {v: ops[:, v] if v not in self._classes else ops[self._classes[v][0], v] for v in self.order}

    def _prefixes(self, ops: Tensor, adj: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Vertices at which few graphs differ so far, each with one graph of every class [C] and all classes [B]."""
        found: dict[int, tuple[Tensor, Tensor]] = {}
        types = int(ops.max()) + 1 if len(ops) else 1
        key = torch.zeros_like(ops[:, 0])
        for v in self.order:
            if len(self.senders[v]) + math.log2(types * max(1, self.batch)) > MOST_BITS:
                break
            key = key * types + ops[:, v]
            for u in self.senders[v]:
                key = 2 * key + adj[:, u, v]
            values, key = key.unique(return_inverse=True)
            if 2 * len(values) > self.batch:
                break
            rows = torch.arange(self.batch, device=ops.device)
            found[v] = values.new_empty(len(values)).scatter_(0, key, rows), key
        return found

    def edge(self, u: int, v: int) -> tuple[Tensor | None, Tensor | None]:
        """For each row of v, the row of u that it reads [C_v], and 1 or 0 for its edge [C_v, 1].

        None stands for the same row, and for edges that all are there.
        """
        rows = self._classes[v][0] if v in self._classes else None
        pick = rows if u not in self._classes else self._classes[u][1] if rows is None else self._classes[u][1][rows]
        if self._always[u][v]:
            return pick, None
        present = self._adj[v, u]
        return pick, (present if rows is None else present[rows])[:, None]

    def spread(self, rows: Tensor, v: int) -> Tensor:
        """Rows of v for all graphs: [C_v, H] -> [B, H]."""
        return rows[self._classes[v][1]] if v in self._classes else rows

    def gather(self, gradient: Tensor, v: int) -> Tensor:
        """The transpose of :meth:`spread`, never the same memory: [B, H] -> [C_v, H]."""
        if v not in self._classes:
            return gradient.clone()
        rows, classes = self._classes[v]
        return gradient.new_zeros(len(rows), gradient.shape[1]).index_add_(0, classes, gradient)

    def stack(self, rows: dict[int, Tensor], like: Tensor) -> Tensor:
        """Rows of the vertices, zero where there are none, as one tensor [N, B, H]."""
        zero = like.new_zeros(1, like.shape[1] // 3).expand(self.batch, -1)
        return torch.stack([self.spread(rows[v], v) if v in rows else zero for v in range(len(self.order))])


def _forward(
    plan: Plan,
    tape: list[Tensor | None] | None,
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    send: Tensor,
    send_bias: Tensor,
    first: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """States and messages; what the gradient needs is written to ``tape``, ON_TAPE tensors a vertex."""
    size = weight.shape[1]
    identity = send[:, size:].t().contiguous()  # [M, 2H]
    identity[:, :size] += send_bias
    messages: dict[int, Tensor] = {}
    states: dict[int, Tensor] = {}
    for v in plan.order:
        total = first if v == plan.order[0] else _received(plan, messages, v)
        x = inputs.index_select(0, plan.ops[v])  # [C, 3H]
        recurrent = bias.expand_as(x) if total is None else torch.addmm(bias, total, weight.t())
        gates = x[:, : 2 * size].add_(recurrent[:, : 2 * size]).sigmoid_()
        reset, keep = gates[:, :size], gates[:, size:]
        inner = recurrent[:, 2 * size :]
        candidate = torch.addcmul(x[:, 2 * size :], reset, inner).tanh_()
        state = torch.addcmul(candidate, candidate, keep, value=-1)
        if total is not None:
            state.addcmul_(total, keep)
        states[v] = state
        sent = None
        if v in plan.sends:
            sent = torch.addmm(identity[v], state, send[:, :size].t())
            sent[:, :size].sigmoid_()
            messages[v] = sent[:, :size] * sent[:, size:]
        if tape is not None:
            tape += [state, total, gates, candidate, inner, sent]
    return plan.stack(states, inputs), plan.stack(messages, inputs)


def _received(plan: Plan, messages: dict[int, Tensor], v: int) -> Tensor | None:
    """Eq. 1: [C, H], or None where no graph has a predecessor of v."""
    total: Tensor | None = None
    for u in plan.senders[v]:
        pick, present = plan.edge(u, v)
        message = messages[u] if pick is None else messages[u].index_select(0, pick)
        if total is None:
            total = message.clone() if present is None else message * present
        elif present is None:
            total += message
        else:
            total.addcmul_(message, present)
    return total


class _Propagation(torch.autograd.Function):
    """:func:`propagate` with a gradient."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *arguments: Any) -> tuple[Tensor, Tensor]:
        tape: list[Tensor | None] = []
        found = _forward(plan, tape, *arguments)
        ctx.plan = plan
        ctx.save_for_backward(*arguments, *tape)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_messages: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        inputs, weight, _, send, send_bias, first, *kept = ctx.saved_tensors
        size = weight.shape[1]
        tape = {v: kept[ON_TAPE * i : ON_TAPE * (i + 1)] for i, v in enumerate(plan.order)}
        d_message = {v: plan.gather(d_messages[v], v) for v in plan.sends}
        d_sent: dict[int, Tensor] = {}  # of the arguments of eq. 3's sigmoid and of its second factor
        d_recurrent: dict[int, Tensor] = {}  # of the GRU's product with s_v
        d_inputs = torch.zeros_like(inputs)
        d_total = None
        for v in reversed(plan.order):
            _, total, gates, candidate, inner, sent = tape[v]
            d_state = plan.gather(d_states[v], v)
            if v in plan.sends:
                d = d_message.pop(v)
                d_sent[v] = torch.cat([sigmoid_backward(d * sent[:, size:], sent[:, :size]), d * sent[:, :size]], 1)
                d_state.addmm_(d_sent[v], send[:, :size])
            reset, keep = gates[:, :size], gates[:, size:]
            d_candidate = tanh_backward(torch.addcmul(d_state, d_state, keep, value=-1), candidate)
            d_keep = -candidate if total is None else total - candidate
            d = torch.cat([d_candidate * inner, d_keep.mul_(d_state), d_candidate], 1)
            d[:, : 2 * size] = sigmoid_backward(d[:, : 2 * size], gates)
            d_inputs.index_add_(0, plan.ops[v], d)
            d[:, 2 * size :] *= reset
            d_recurrent[v] = d
            if total is None:
                continue
            d_total = torch.addmm(d_state.mul_(keep), d, weight)
            for u in plan.senders[v]:
                pick, present = plan.edge(u, v)
                if pick is not None:
                    d_message[u].index_add_(0, pick, d_total if present is None else d_total * present)
                elif present is None:
                    d_message[u] += d_total
                else:
                    d_message[u].addcmul_(d_total, present)
        d_weight = d_bias = d_send = d_send_bias = None
        if ctx.needs_input_grad[2]:
            fed = [v for v in plan.order if tape[v][1] is not None]
            d_weight = _product([d_recurrent[v] for v in fed], [tape[v][1] for v in fed], weight)
        if ctx.needs_input_grad[3]:
            d_bias = torch.stack([d.sum(0) for d in d_recurrent.values()]).sum(0)
        if ctx.needs_input_grad[4] or ctx.needs_input_grad[5]:
            by_vertex = {v: d.sum(0) for v, d in d_sent.items()}
            d_send, d_send_bias = torch.zeros_like(send), torch.zeros_like(send_bias)
            d_send[:, :size] = _product(list(d_sent.values()), [tape[v][0] for v in d_sent], send[:, :size])
            for v, d in by_vertex.items():
                d_send[:, size + v] = d
                d_send_bias += d[:size]
        d_first = d_total if first is not None else None
        return None, d_inputs, d_weight, d_bias, d_send, d_send_bias, d_first


def _product(left: Sequence[Tensor], right: Sequence[Tensor], like: Tensor) -> Tensor:
    """Sum over i of left[i].T @ right[i], as one product."""
    return torch.cat(list(left)).t() @ torch.cat(list(right)) if left else torch.zeros_like(like)
