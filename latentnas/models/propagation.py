"""Message passing along a DAG, vertex by vertex, with its gradient written out.

With the type x_v of vertex v and the one-hot vector id_v of its index,

    s_v = sum over predecessors u of m_u                                  (1)
    h_v = GRU(O(x_v), s_v)                                                (2)
    m_v = sigmoid(G [h_v, id_v] + c) * M [h_v, id_v]                      (3)

Autograd would compute the gradient of the tied matrices vertex by vertex: as many products with few rows, each of
which reads and writes a whole matrix. Here the factors of all vertices are kept and multiplied once, at the end.
Graphs that agree in all vertices up to v have equal states there, which are computed once.

The GRU's product with s_v is the sum of its products with the messages. Who needs those of other sums, too, has the
messages multiplied instead (``project``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .gru import input_gradient, through_sigmoid, update, update_back, with_bias

MOST_BITS = 62
"""What fits into an integer that tells prefixes apart."""


def propagate(
    inputs: Tensor,
    recurrent: tuple[Tensor, Tensor],
    message: tuple[Tensor, Tensor, Tensor],
    ops: Tensor,
    adj: Tensor,
    *,
    order: Sequence[int],
    first: Tensor | None = None,
    project: bool = False,
) -> tuple[Tensor, Tensor]:
    """States and messages of all vertices, eq. 1-3: two tensors [N, B, H].

    Messages that no graph of the batch needs are zero.

    Args:
        inputs: [T, 3H], the GRU's linear map of every type's encoding, bias included.
        recurrent: the GRU's matrix W [3H, H] of s_v and its bias [3H], in PyTorch's order of gates.
        message: G [H, H + M] with M >= N vertex identities, c [H], and M [H, H + M].
        ops: [B, N] long, the types.
        adj: [B, N, N] bool, ``adj[b, u, v]``: u sends to v.
        order: the N vertices; u before v wherever u sends to v.
        first: [B, H], s_v of the first vertex; by default zero.
        project: whether m_v and W m_v are returned, side by side, as messages [N, B, 4H].
    """
    plan = _Plan(ops, adj, order, inputs.dtype, whole=first is not None or project)
    width = 4 if project else 1
    if torch.is_grad_enabled():
        states, messages = _Propagation.apply(plan, width, inputs, *recurrent, *message, first)
        return states, messages
    states, messages, _ = _forward(plan, width, inputs, *recurrent, *message, first, keep=False)
    return states, messages


class _Plan:
    """Who sends to whom, and which rows are computed; nothing of it depends on weights.

    Args:
        ops, adj, order: see :func:`propagate`.
        dtype: of the states.
        whole: whether the states of all graphs are computed, even where graphs agree so far.

    Attributes:
        order: vertices in the order of computation.
        rows: for each vertex its C_v rows among those of all vertices, in this order.
        types: the types of all rows, [sum of C_v] long.
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
        self._adj = adj.permute(2, 1, 0).to(dtype, memory_format=torch.contiguous_format)[..., None]  # [v, u, B, 1]
        self._classes = {} if whole else self._prefixes(ops, adj)
        types = {v: ops[:, v] if v not in self._classes else ops[self._classes[v][0], v] for v in self.order}
        self.rows: dict[int, slice] = {}
        start = 0
        for v in self.order:
            self.rows[v] = slice(start, start + len(types[v]))
            start += len(types[v])
        self.types = torch.cat(list(types.values()))

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

    def receive(self, messages: Tensor, v: int, out: Tensor) -> None:
        """Eq. 1 of a vertex with senders: from messages [N, B, W], writes [C_v, W]."""
        for number, u in enumerate(self.senders[v]):
            message = messages[u]  # [B, W]
            present = None if self._always[u][v] else self._adj[v, u]
            if v in self._classes:
                graphs = self._classes[v][0]
                message, present = message[graphs], None if present is None else present[graphs]
            if present is None:
                out.add_(message) if number else out.copy_(message)
            else:
                out.addcmul_(message, present) if number else torch.mul(message, present, out=out)

    def send_back(self, gradients: Tensor, gradient: Tensor, v: int) -> None:
        """The gradient of eq. 1: adds that of s_v [C_v, W] to those of the messages [N, B, W]."""
        for u in self.senders[v]:
            if v in self._classes:
                graphs = self._classes[v][0]
                gradients[u].index_add_(0, graphs, gradient * self._adj[v, u][graphs])
            elif self._always[u][v]:
                gradients[u].add_(gradient)
            else:
                gradients[u].addcmul_(gradient, self._adj[v, u])

    def spread(self, rows: Tensor, v: int, out: Tensor) -> None:
        """What was computed for v, for all graphs: [C_v, W] -> [B, W]."""
        if v in self._classes:
            torch.index_select(rows, 0, self._classes[v][1], out=out)
        else:
            out.copy_(rows)

    def gather(self, gradient: Tensor, v: int) -> Tensor:
        """The transpose of :meth:`spread`: [B, W] -> [C_v, W]."""
        if v not in self._classes:
            return gradient
        graphs, classes = self._classes[v]
        return gradient.new_zeros(len(graphs), gradient.shape[1]).index_add_(0, classes, gradient)


class _Rows:
    """A number of columns for all rows of a plan; only those of the last vertex asked for where none are kept."""

    def __init__(self, plan: _Plan, columns: int, like: Tensor, *, keep: bool) -> None:
        self._rows = plan.rows
        most = len(plan.types) if keep else max(rows.stop - rows.start for rows in plan.rows.values())
        self.all, self._keep = like.new_empty(most, columns), keep

    def __getitem__(self, v: int) -> Tensor:
        rows = self._rows[v]
        return self.all[rows] if self._keep else self.all[: rows.stop - rows.start]


def _forward(
    plan: _Plan,
    width: int,
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    mapper: Tensor,
    first: Tensor | None,
    *,
    keep: bool,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """States [N, B, H], messages [N, B, width * H], and what the gradient needs where it is kept.

    For the rows of all vertices, that is: what :func:`~latentnas.models.gru.update` leaves [., 4H] and [., H], the
    states [., H], and the factors of eq. 3 [., 2H]; and G on top of M, without the identities, [2H, H].
    """
    size = weight.shape[1]
    inputs, inner_bias = with_bias(inputs, bias), bias[2 * size :]
    both = torch.cat([gate[:, :size], mapper[:, :size]])
    identities = torch.cat([gate[:, size:] + gate_bias[:, None], mapper[:, size:]]).t().contiguous()  # [M, 2H]
    fed, candidate, state, sent = (_Rows(plan, count * size, inputs, keep=keep) for count in (4, 1, 1, 2))
    states = inputs.new_empty(len(plan.order), plan.batch, size)
    messages = inputs.new_empty(len(plan.order), plan.batch, width * size)
    for v in plan.order:
        if v == plan.order[0] and first is not None:
            fed[v][:, :size] = first
            torch.mm(first, weight.t(), out=fed[v][:, size:])
        elif not plan.senders[v]:
            fed[v].zero_()
        else:
            plan.receive(messages, v, fed[v][:, : width * size])
            if width == 1:
                torch.mm(fed[v][:, :size], weight.t(), out=fed[v][:, size:])
        update(fed[v], inputs.index_select(0, plan.types[plan.rows[v]]), inner_bias, candidate[v], state[v])
        plan.spread(state[v], v, states[v])
        if v in plan.sends:
            torch.addmm(identities[v], state[v], both.t(), out=sent[v])
            opened, mapped = sent[v].chunk(2, 1)
            plan.spread(opened.sigmoid_() * mapped, v, messages[v, :, :size])
            if width > 1:
                torch.mm(messages[v, :, :size], weight.t(), out=messages[v, :, size:])
        else:
            messages[v] = 0
    return states, messages, (fed.all, candidate.all, state.all, sent.all, both)


class _Propagation(torch.autograd.Function):
    """:func:`propagate` with a gradient."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, width: int, *arguments: Any) -> tuple[Tensor, Tensor]:
        states, messages, kept = _forward(plan, width, *arguments, keep=True)
        inputs, weight, _, gate, _, _, first = arguments
        ctx.plan, ctx.width, ctx.types, ctx.identities = plan, width, len(inputs), gate.shape[1] - weight.shape[1]
        ctx.save_for_backward(weight, first, messages if width > 1 else None, *kept)
        ctx.set_materialize_grads(False)
        return states, messages

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_messages: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        weight, first, messages, fed, candidate, state, sent, both = ctx.saved_tensors
        size, width = weight.shape[1], ctx.width
        shape = len(plan.order), plan.batch, width * size
        d_message = weight.new_zeros(shape) if d_messages is None else d_messages.clone()
        d_sent = torch.zeros_like(sent)
        gradient = fed.new_empty(len(fed), 5 * size)  # see update_back
        for v in reversed(plan.order):
            rows = plan.rows[v]
            d_state = candidate.new_zeros(1, size) if d_states is None else d_states[v]
            d_state = plan.gather(d_state.expand(plan.batch, size), v)
            if v in plan.sends:
                d = d_message[v, :, :size]
                if width > 1:
                    d.addmm_(d_message[v, :, size:], weight)
                d = plan.gather(d, v)
                opened, mapped = sent[rows].chunk(2, 1)
                d_opened, d_mapped = d_sent[rows].chunk(2, 1)
                torch.mul(d, opened, out=d_mapped)
                through_sigmoid(torch.mul(d, mapped, out=d_opened), opened)
                d_state = torch.addmm(d_state, d_sent[rows], both)
            update_back(d_state, fed[rows], candidate[rows], gradient[rows])
            if (plan.senders[v] and width == 1) or (v == plan.order[0] and first is not None):
                gradient[rows, :size].addmm_(gradient[rows, size : 4 * size], weight)
            plan.send_back(d_message, gradient[rows, : width * size], v)
        begin = plan.rows[plan.order[0]]
        d_inputs = input_gradient(gradient, plan.types, ctx.types)
        d_weight = d_bias = d_gate = d_gate_bias = d_mapper = None
        if ctx.needs_input_grad[3] and messages is None:
            d_weight = gradient[:, size : 4 * size].t() @ fed[:, :size]
        elif ctx.needs_input_grad[3]:
            d_weight = d_message[..., size:].flatten(0, 1).t() @ messages[..., :size].flatten(0, 1)
            d_weight.addmm_(gradient[begin, size : 4 * size].t(), fed[begin, :size])
        if ctx.needs_input_grad[4]:
            d_bias = gradient[:, size : 4 * size].sum(0)
        if ctx.needs_input_grad[5]:
            d_identities = sent.new_zeros(ctx.identities, 2 * size)
            for v in plan.sends:
                torch.sum(d_sent[plan.rows[v]], 0, out=d_identities[v])
            d_gate, d_mapper = (
                _sender_gradient(*d, state) for d in zip(d_sent.chunk(2, 1), d_identities.chunk(2, 1), strict=True)
            )
            d_gate_bias = d_identities[:, :size].sum(0)
        d_first = None if first is None else gradient[begin, :size]
        return None, None, d_inputs, d_weight, d_bias, d_gate, d_gate_bias, d_mapper, d_first


def _sender_gradient(gradient: Tensor, d_identities: Tensor, states: Tensor) -> Tensor:
    """The gradient of G or M [H, H + M].

    Args:
        gradient: [R, H], of its products with [h_v, id_v].
        d_identities: [M, H], the sum of those rows by vertex.
        states: [R, H], h_v.
    """
    size = states.shape[1]
    found = states.new_empty(size, size + len(d_identities))
    torch.mm(gradient.t(), states, out=found[:, :size])
    found[:, size:] = d_identities.t()
    return found
