from __future__ import annotations

import torch

from latentnas.models.gru import input_gradient, through_sigmoid, update, update_back, with_bias

H, TYPES, ROWS = 3, 4, 6


def numbers(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double).requires_grad_()


def test_update_and_its_gradient_are_those_of_a_gru_cell() -> None:
    cell = torch.nn.GRUCell(2, H).double()
    table, state, scale = numbers(TYPES, 2, seed=0), numbers(ROWS, H, seed=1), numbers(ROWS, H, seed=2).detach()
    types = torch.tensor([0, 1, 3, 1, 0, 1])
    inputs = torch.nn.functional.linear(table, cell.weight_ih, cell.bias_ih)
    product = state @ cell.weight_hh.t()
    expected = cell(table[types], state)

    with torch.no_grad():
        fed, candidate, out = (
            torch.cat([state, product], 1),
            torch.empty(ROWS, H).double(),
            torch.empty(ROWS, H).double(),
        )
        update(fed, with_bias(inputs, cell.bias_hh)[types], cell.bias_hh[2 * H :], candidate, out)
        torch.testing.assert_close(out, expected)
        gradient = torch.empty(ROWS, 5 * H).double()
        update_back(scale, fed, candidate, gradient)
    d_table, d_state, d_bias = torch.autograd.grad((expected * scale).sum(), [table, state, cell.bias_hh])
    recurrent = gradient[:, H : 4 * H]
    torch.testing.assert_close(recurrent.sum(0), d_bias)
    torch.testing.assert_close(gradient[:, :H] + recurrent @ cell.weight_hh, d_state)
    torch.testing.assert_close(input_gradient(gradient, types, TYPES) @ cell.weight_ih, d_table)


def test_only_the_first_two_biases_are_added_to_the_inputs() -> None:
    found = with_bias(torch.zeros(1, 6), torch.arange(6.0))
    assert found.tolist() == [[0, 1, 2, 3, 0, 0]]


def test_through_sigmoid() -> None:
    """At 0 a sigmoid is 1/2 and rises by 1/4."""
    gradient = torch.tensor([8.0, -4.0])
    through_sigmoid(gradient, torch.tensor([0.5, 0.5]))
    assert gradient.tolist() == [2, -1]
