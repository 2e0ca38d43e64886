from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.models import GatedSum
from latentnas.models.propagation import propagate

H, TYPES, NODES = 3, 4, 5


def plain(
    gru: torch.nn.GRUCell,
    send: GatedSum,
    table: Tensor,
    ops: Tensor,
    adj: Tensor,
    order: list[int],
    first: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One graph and one vertex at a time, with concatenated identities."""
    states, messages = [], []
    for b in range(len(ops)):
        h: dict[int, Tensor] = {}
        m: dict[int, Tensor] = {}
        for v in order:
            total = torch.zeros(H, dtype=torch.double) if first is None or v != order[0] else first[b]
            for u in m:
                if adj[b, u, v]:
                    total = total + m[u]
            h[v] = gru(table[ops[b, v]][None], total[None])[0]
            augmented = torch.cat([h[v], torch.eye(NODES, dtype=torch.double)[v]])
            m[v] = send.gate(augmented).sigmoid() * send.mapper(augmented)
        states.append(torch.stack([h[v] for v in range(NODES)]))
        messages.append(torch.stack([m[v] for v in range(NODES)]))
    return torch.stack(states, 1), torch.stack(messages, 1)


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("with_first", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_states_messages_and_gradients_are_those_of_autograd(backwards: bool, with_first: bool, few: bool) -> None:
    """``few``: graphs that repeat, so that vertices have fewer distinct states than graphs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gru, send = torch.nn.GRUCell(2, H).double(), GatedSum(H, NODES).double()
        table = torch.randn(TYPES, 2, dtype=torch.double, requires_grad=True)
        ops = torch.randint(TYPES, (9, NODES))
        ops[:, 0] = ops[:, -1] = 0
        adj = torch.rand(9, NODES, NODES) < 0.5
        adj[:, 0, 1] = adj[:, 3, 4] = True  # of every graph
        adj[:, 1, 2] = False  # of none
        if few:
            ops, adj = ops[[0, 0, 1, 1, 0, 1, 0, 2, 0]], adj[[0, 0, 1, 1, 0, 1, 0, 2, 0]]
        adj = adj.triu(1)
        first = torch.randn(9, H, dtype=torch.double, requires_grad=True) if with_first else None
        weights = torch.randn(2, NODES, 9, H, dtype=torch.double)
    order = list(range(NODES))
    if backwards:
        order, adj = order[::-1], adj.transpose(1, 2)
    inputs = torch.nn.functional.linear(table, gru.weight_ih, gru.bias_ih)
    ours = propagate(inputs, (gru.weight_hh, gru.bias_hh), send.weights(), ops, adj, order=order, first=first)
    theirs = plain(gru, send, table, ops, adj, order, first)
    needed = adj.any(0).any(1)
    weights[1, ~needed] = 0
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[1][needed], theirs[1][needed])
    assert not bool(ours[1][~needed].any())
    with torch.no_grad():
        again = propagate(inputs, (gru.weight_hh, gru.bias_hh), send.weights(), ops, adj, order=order, first=first)
    torch.testing.assert_close(again[0], ours[0])
    parameters = [table, *gru.parameters(), *send.parameters(), *([] if first is None else [first])]
    for a, b in zip(
        torch.autograd.grad((torch.stack(ours) * weights).sum(), parameters),
        torch.autograd.grad((torch.stack(theirs) * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
        assert bool(b.any())


def test_only_what_is_asked_for_has_a_gradient() -> None:
    gru, send = torch.nn.GRUCell(2, H).double().requires_grad_(False), GatedSum(H, NODES).double().requires_grad_(False)
    ops, adj = torch.zeros(2, NODES, dtype=torch.long), torch.ones(2, NODES, NODES, dtype=torch.bool).triu(1)
    inputs = torch.linspace(-1, 1, 3 * H * TYPES, dtype=torch.double).reshape(TYPES, 3 * H)

    def final(first: Tensor) -> Tensor:
        recurrent = gru.weight_hh, gru.bias_hh
        return propagate(inputs, recurrent, send.weights(), ops, adj, order=range(NODES), first=first)[0][-1]

    first = torch.linspace(-1, 1, 2 * H, dtype=torch.double).reshape(2, H).requires_grad_()
    assert torch.autograd.gradcheck(final, (first,))


@pytest.mark.parametrize("with_first", [True, False])
def test_projected_messages_come_with_their_products(with_first: bool) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        gru, send = torch.nn.GRUCell(2, H).double(), GatedSum(H, NODES).double()
        table = torch.randn(TYPES, 2, dtype=torch.double, requires_grad=True)
        ops, adj = torch.randint(TYPES, (6, NODES)), (torch.rand(6, NODES, NODES) < 0.6).triu(1)
        first = torch.randn(6, H, dtype=torch.double, requires_grad=True) if with_first else None
        weights = torch.randn(2, NODES, 6, 4 * H, dtype=torch.double)
    inputs = torch.nn.functional.linear(table, gru.weight_ih, gru.bias_ih)
    recurrent, parameters = (gru.weight_hh, gru.bias_hh), [table, *gru.parameters(), *send.parameters()]
    parameters += [] if first is None else [first]
    found, gradients = [], []
    for project in (True, False):
        states, messages = propagate(
            inputs, recurrent, send.weights(), ops, adj, order=range(NODES), first=first, project=project
        )
        if not project:
            messages = torch.cat([messages, messages @ gru.weight_hh.t()], 2)
        loss = (states * weights[0, ..., :H]).sum() + (messages * weights[1]).sum()
        found.append((states, messages))
        gradients.append(torch.autograd.grad(loss, parameters, retain_graph=True))
    torch.testing.assert_close(*found)
    torch.testing.assert_close(*gradients)
    with torch.no_grad():
        again = propagate(inputs, recurrent, send.weights(), ops, adj, order=range(NODES), first=first, project=True)
    torch.testing.assert_close(again, found[0])
