from __future__ import annotations

import torch

from latentnas.models.partial_states import partial_states

H, TYPES, NODES, BATCH = 3, 4, 3, 2


def numbers(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double).requires_grad_()


def test_states_and_gradients_are_those_of_a_gru_cell_on_the_sums() -> None:
    cell = torch.nn.GRUCell(2, H).double()
    table, sent = numbers(TYPES, 2, seed=0), numbers(NODES, BATCH, H, seed=1)
    senders = torch.zeros(BATCH, 2, NODES, dtype=torch.double)
    senders[0, 0, 2] = senders[0, 1, 0] = senders[0, 1, 2] = senders[1, 0, 1] = 1  # the last sum is not wanted
    rows, types = torch.tensor([1, 0, 2]), torch.tensor([3, 0, 3])
    inputs = torch.nn.functional.linear(table, cell.weight_ih, cell.bias_ih)
    messages = torch.cat([sent, sent @ cell.weight_hh.t()], 2)
    ours = partial_states(inputs, cell.bias_hh, messages, senders, rows, types)

    sums = torch.stack([sent[0, 0] + sent[2, 0], sent[2, 0], sent[1, 1]])
    states = torch.cat([torch.zeros(TYPES, H, dtype=torch.double), sums])
    theirs = cell(torch.cat([table, table[types]]), states)
    torch.testing.assert_close(ours, theirs)
    scale, wanted = numbers(TYPES + 3, H, seed=2).detach(), [table, sent, *cell.parameters()]
    for a, b in zip(
        torch.autograd.grad((ours * scale).sum(), wanted),
        torch.autograd.grad((theirs * scale).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
        assert bool(b.any())


def test_without_sums_there_are_the_states_of_the_types() -> None:
    inputs, bias, messages = numbers(TYPES, 3 * H, seed=0), numbers(3 * H, seed=1), numbers(NODES, BATCH, 4 * H, seed=2)
    none = torch.empty(0, dtype=torch.long)
    found = partial_states(inputs, bias, messages, torch.zeros(BATCH, 0, NODES, dtype=torch.double), none, none)
    assert found.shape == (TYPES, H)
    assert not bool(torch.autograd.grad(found.sum(), messages)[0].any())
