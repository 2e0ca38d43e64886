"""latentnas/predictor/shares.py."""

from __future__ import annotations

import itertools

import pytest
import torch

from latentnas.evaluation.metrics import kendall_tau
from latentnas.predictor import shares as module
from latentnas.predictor.shares import kendall_taus, shares, simplex


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_simplex(size: int) -> None:
    grid = simplex(size, 4)
    expected = {c for c in itertools.product(range(5), repeat=size) if sum(c) == 4}
    assert {tuple(row) for row in (4 * grid).round().long().tolist()} == expected and len(grid) == len(expected)


def test_taus_are_kendalls(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, actual = random(30, 5, seed=0), random(30, seed=1)
    expected = [kendall_tau(column, actual) for column in predicted.T]
    assert kendall_taus(predicted, actual).tolist() == pytest.approx(expected)
    monkeypatch.setattr(module, "CHUNK", 64)
    assert kendall_taus(predicted, actual).tolist() == pytest.approx(expected)
    by_hand = kendall_taus(torch.tensor([[1.0, 1], [2, 1], [0, 3]]).double(), torch.tensor([0.0, 0, 1]))
    assert by_hand.tolist() == [-1, 1], "two pairs of different labels"
    assert kendall_taus(predicted, torch.ones(30)).tolist() == [0] * 5


def test_shares_of_three_labels_by_hand() -> None:
    """tau is 1 with at least 0.6 of the first member, 1/3 at 0.5, where two tie, else -1/3."""
    held = torch.tensor([[0.0, 1], [1, 0], [5, 5]]).double()
    taus = torch.tensor([1.0] * 5 + [2 / 3] + [1 / 3] * 5).double()  # by the first member's share 1, 0.9, ..., 0
    weight = (3 * taus).exp() / (3 * taus).exp().sum()
    first = float((weight * torch.linspace(1, 0, 11).double()).sum())
    found = shares(held, torch.tensor([0.0, 1, 2]).double(), [torch.arange(3)])
    assert found.tolist() == pytest.approx([first, 1 - first])


def test_the_better_member_weighs_more_the_more_labels_there_are() -> None:
    noise, scores = random(300, 2, seed=0), random(300, seed=1)
    held = torch.stack([scores + 0.2 * noise[:, 0], scores + 2 * noise[:, 1]], 1)
    few, many = (float(shares(held, scores, torch.arange(n).chunk(3))[0]) for n in (12, 300))
    assert 0.5 < few < many and many > 0.9


def test_only_labels_of_the_same_part_are_compared() -> None:
    """The second member is right within each part, and shifted from one to the other."""
    scores = random(60, seed=0)
    held = torch.stack([scores + 0.5 * random(60, seed=1), scores], 1)
    parts = torch.arange(60).chunk(2)
    held[parts[1], 1] -= 100
    assert float(shares(held, scores, parts)[1]) > 0.8
    assert shares(held, scores, parts).sum() == pytest.approx(1)


def test_a_member_alone_has_all() -> None:
    assert shares(random(9, 1, seed=0), random(9, seed=1), [torch.arange(9)]).tolist() == [1]


def test_of_a_large_part_some_labels_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    held, scores = random(90, 2, seed=0), random(90, seed=1)
    monkeypatch.setattr(module, "MOST", 30)
    assert torch.equal(shares(held, scores, [torch.arange(90)]), shares(held, scores, [torch.arange(0, 90, 3)]))
