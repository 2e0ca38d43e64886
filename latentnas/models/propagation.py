"""Message passing along a DAG, vertex by vertex, with its gradient written out.

With the type x_v of vertex v and the one-hot vector id_v of its index,

    s_v = sum over predecessors u of m_u                                  (1)
    h_v = GRU(O(x_v), s_v)                                                (2)
    m_v = sigmoid(G [h_v, id_v] + c) * M [h_v, id_v]                      (3)

Autograd would compute the gradient of the tied matrices vertex by vertex: as many products with few rows, each of
which reads and writes a whole matrix. Here the factors of all vertices are kept and multiplied once, at the end.
Graphs that agree in all vertices up to v have equal states there, which are computed once. A state is a column here:
a product W h with few columns is half as fast again as the same product with rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ON_TAPE = 7
"""Tensors of a vertex that the gradient needs."""

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
) -> tuple[Tensor, Tensor]:
    """States and messages of all vertices, eq. 1-3: two tensors [N, B, H].

    Messages that no graph of the batch needs are zero.

    Args:
        inputs: [T, 3H], the GRU's linear map of every type's encoding, bias included.
        recurrent: the GRU's matrix [3H, H] of s_v and its bias [3H], in PyTorch's order of gates.
        message: G [H, H + M] with M >= N vertex identities, c [H], and M [H, H + M].
        ops: [B, N] long, the types.
        adj: [B, N, N] bool, ``adj[b, u, v]``: u sends to v.
        order: the N vertices; u before v wherever u sends to v.
        first: [B, H], s_v of the first vertex; by default zero.
    """
    plan = _Plan(ops, adj, order, inputs.dtype, whole=first is not None)
    if torch.is_grad_enabled():
        states, messages = _Propagation.apply(plan, inputs, *recurrent, *message, first)
        return states, messages
    return _forward(plan, None, inputs, *recurrent, *message, first)


class _Plan:
    """Who sends to whom, and which columns are computed; nothing of it depends on weights.

    Args:
        ops, adj, order: see :func:`propagate`.
        dtype: of the states.
        whole: whether the states of all graphs are computed, even where graphs agree so far.

    Attributes:
        order: vertices in the order of computation.
        ops: for each vertex the types of its columns, [C_v] long.
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

    def received(self, messages: dict[int, Tensor], v: int) -> Tensor | None:
        """Eq. 1: [H, C_v], or None where no graph has a predecessor of v."""
        total: Tensor | None = None
        for u in self.senders[v]:
            message = messages[u]  # [H, B]
            present = None if self._always[u][v] else self._adj[v, u]
            if v in self._classes:
                rows = self._classes[v][0]
                message, present = message[:, rows], None if present is None else present[rows]
            if total is None:
                total = message if present is None else message * present
            else:
                total = total + message if present is None else torch.addcmul(total, message, present)
        return total

    def send_back(self, gradients: dict[int, Tensor], d_total: Tensor, v: int) -> None:
        """The gradient of eq. 1: adds that of s_v [H, C_v] to those of the messages [H, B]."""
        for u in self.senders[v]:
            if v in self._classes:
                rows = self._classes[v][0]
                gradients[u].index_add_(1, rows, d_total * self._adj[v, u][rows])
            elif self._always[u][v]:
                gradients[u] += d_total
            else:
                gradients[u].addcmul_(d_total, self._adj[v, u])

    def spread(self, columns: Tensor, v: int) -> Tensor:
        """What was computed for v, for all graphs: [H, C_v] -> [H, B]."""
        return columns.index_select(1, self._classes[v][1]) if v in self._classes else columns

    def gather(self, gradient: Tensor, v: int) -> Tensor:
        """The transpose of :meth:`spread`: [H, B] -> [H, C_v]."""
        if v not in self._classes:
            return gradient
        rows, classes = self._classes[v]
        return gradient.new_zeros(len(gradient), len(rows)).index_add_(1, classes, gradient)

    def stack(self, columns: dict[int, Tensor], like: Tensor) -> Tensor:
        """Columns of all graphs by vertex, zero where there are none, as one tensor [N, B, H]."""
        zero = like.new_zeros(1, 1).expand(self.batch, like.shape[1] // 3)
        return torch.stack([columns[v].t() if v in columns else zero for v in range(len(self.order))])


def _forward(
    plan: _Plan,
    tape: list[Tensor | None] | None,
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    mapper: Tensor,
    first: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """States and messages; what the gradient needs is written to ``tape``, ON_TAPE tensors a vertex."""
    size = weight.shape[1]
    inputs_by_type = inputs.t().contiguous()
    states: dict[int, Tensor] = {}
    messages: dict[int, Tensor] = {}
    for v in plan.order:
        total = first.t().contiguous() if first is not None and v == plan.order[0] else plan.received(messages, v)
        x = inputs_by_type.index_select(1, plan.ops[v])  # [3H, C]
        recurrent = bias[:, None].expand_as(x) if total is None else torch.addmm(bias[:, None], weight, total)
        gates = x[: 2 * size].add_(recurrent[: 2 * size]).sigmoid_()
        reset, keep = gates[:size], gates[size:]
        inner = recurrent[2 * size :]
        candidate = torch.addcmul(x[2 * size :], reset, inner).tanh_()
        state = torch.addcmul(candidate, candidate, keep, value=-1)
        if total is not None:
            state.addcmul_(total, keep)
        states[v] = plan.spread(state, v)
        opened = mapped = None
        if v in plan.sends:
            opened = torch.addmm((gate[:, size + v] + gate_bias)[:, None], gate[:, :size], state).sigmoid_()
            mapped = torch.addmm(mapper[:, size + v, None], mapper[:, :size], state)
            messages[v] = plan.spread(opened * mapped, v)
        if tape is not None:
            tape += [state, total, gates, candidate, inner, opened, mapped]
    return plan.stack(states, inputs), plan.stack(messages, inputs)


class _Propagation(torch.autograd.Function):
    """:func:`propagate` with a gradient."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *arguments: Any) -> tuple[Tensor, Tensor]:
        tape: list[Tensor | None] = []
        found = _forward(plan, tape, *arguments)
        ctx.plan = plan
        ctx.save_for_backward(*arguments, *tape)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_messages: Tensor) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        inputs, weight, _, gate, _, mapper, first, *kept = ctx.saved_tensors
        size = weight.shape[1]
        tape = {v: kept[ON_TAPE * i : ON_TAPE * (i + 1)] for i, v in enumerate(plan.order)}
        types = torch.eye(len(inputs), dtype=inputs.dtype, device=inputs.device)
        d_message = {v: d_messages[v].t().contiguous() for v in plan.sends}
        d_gate: dict[int, Tensor] = {}  # of the argument of eq. 3's sigmoid
        d_mapped: dict[int, Tensor] = {}  # of its second factor
        d_recurrent: dict[int, Tensor] = {}  # of the GRU's product with s_v
        d_inputs = inputs.new_zeros(3 * size, len(inputs))
        d_total = None
        for v in reversed(plan.order):
            _, total, gates, candidate, inner, opened, mapped = tape[v]
            d_state = plan.gather(d_states[v].t(), v)
            if v in plan.sends:
                d = plan.gather(d_message.pop(v), v)
                d_mapped[v] = d * opened
                d_gate[v] = _through_sigmoid(d.mul_(mapped), opened)
                d_state = torch.addmm(d_state, mapper[:, :size].t(), d_mapped[v])
                d_state.addmm_(gate[:, :size].t(), d_gate[v])
            reset, keep = gates[:size], gates[size:]
            d = torch.empty_like(gates, memory_format=torch.contiguous_format).resize_(3 * size, gates.shape[1])
            d_candidate = torch.addcmul(d_state, d_state, keep, value=-1)
            d_candidate.addcmul_(d_candidate * candidate, candidate, value=-1)
            torch.mul(d_candidate, inner, out=d[:size])
            torch.mul(d_state, -candidate if total is None else total - candidate, out=d[size : 2 * size])
            _through_sigmoid(d[: 2 * size], gates)
            d[2 * size :] = d_candidate
            d_inputs.addmm_(d, types[plan.ops[v]])
            d[2 * size :] *= reset
            d_recurrent[v] = d
            if total is not None:
                d_total = torch.addmm(d_state * keep, weight.t(), d)
                plan.send_back(d_message, d_total, v)
        d_weight = d_bias = d_gate_weight = d_mapper = d_gate_bias = None
        if ctx.needs_input_grad[2]:
            fed = [v for v in plan.order if tape[v][1] is not None]
            d_weight = torch.empty_like(weight)
            _product([d_recurrent[v] for v in fed], [tape[v][1] for v in fed], d_weight)
        if ctx.needs_input_grad[3]:
            d_bias = torch.cat(list(d_recurrent.values()), 1).sum(1)
        if ctx.needs_input_grad[4]:
            states = [tape[v][0] for v in d_gate]
            d_gate_weight, d_mapper = _sender_gradient(d_gate, states, gate), _sender_gradient(d_mapped, states, mapper)
            d_gate_bias = d_gate_weight[:, size:].sum(1)
        d_first = d_total.t() if d_total is not None and first is not None else None
        return None, d_inputs.t(), d_weight, d_bias, d_gate_weight, d_gate_bias, d_mapper, d_first


def _through_sigmoid(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient of a sigmoid's argument from that of its output, in its place."""
    return torch.ops.aten.sigmoid_backward.grad_input(gradient, output, grad_input=gradient)


def _sender_gradient(gradients: dict[int, Tensor], states: Sequence[Tensor], weight: Tensor) -> Tensor:
    """The gradient of G or M [H, H + M] from those of its products with [h_v, id_v]."""
    size = len(weight)
    found = torch.empty_like(weight)
    _product(list(gradients.values()), states, found[:, :size])
    found[:, size:] = 0
    for v, gradient in gradients.items():
        found[:, size + v] = gradient.sum(1)
    return found


def _product(left: Sequence[Tensor], right: Sequence[Tensor], out: Tensor) -> None:
    """Sum over i of left[i] @ right[i].T, as one product."""
    if left:
        torch.mm(torch.cat(list(left), 1), torch.cat(list(right), 1).t(), out=out)
    else:
        out.zero_()
