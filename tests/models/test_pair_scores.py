from __future__ import annotations

import pytest
import torch

from latentnas.models import pair_scores as module
from latentnas.models.pair_scores import pair_scores, two_shares


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double).requires_grad_()


@pytest.mark.parametrize("block", [1, 8, 10_000])
def test_pair_scores_and_gradients_are_those_of_autograd(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    weight, tables = numbers(4), [numbers(3, 4, seed=1), numbers(5, 4, seed=2), numbers(2, 4, seed=3)]
    generator = torch.Generator().manual_seed(4)
    rows = [torch.randint(len(table), (11,), generator=generator) for table in tables]
    shares = list(zip(tables, rows, strict=True))
    ours = pair_scores(weight, shares)
    plain = sum(table[row] for table, row in shares).relu() @ weight  # type: ignore[union-attr]
    torch.testing.assert_close(ours, plain)
    with torch.no_grad():
        torch.testing.assert_close(pair_scores(weight, shares), plain)
    scale = torch.linspace(-1, 2, 11, dtype=torch.double)
    for a, b in zip(
        torch.autograd.grad(ours @ scale, [weight, *tables]),
        torch.autograd.grad(plain @ scale, [weight, *tables]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_no_pairs() -> None:
    weight, table = numbers(4), numbers(3, 4)
    found = pair_scores(weight, [(table, torch.empty(0, dtype=torch.long))])
    assert found.shape == (0,)
    assert [float(g.abs().sum()) for g in torch.autograd.grad(found.sum(), [weight, table])] == [0, 0]


def test_two_shares_are_a_linear_map_taken_apart() -> None:
    weight, bias, left, right = numbers(5, 6), numbers(5), numbers(2, 3, seed=1), numbers(4, 3, seed=2)
    a, b = two_shares(weight, bias, left, right)
    whole = torch.nn.functional.linear(torch.cat([left[1], right[2]]), weight, bias)
    torch.testing.assert_close(a[1] + b[2], whole)
    assert torch.autograd.gradcheck(two_shares, (weight, bias, left, right))
