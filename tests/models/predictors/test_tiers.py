from __future__ import annotations

import math

import pytest
import torch

from latentnas.models.predictors.tiers import (
    Histogram,
    TierMemory,
    divergence,
    histogram,
    select_distribution,
    tier_labels,
)


def test_a_batch_is_divided_equally() -> None:
    values = torch.randperm(40, generator=torch.Generator().manual_seed(0)).double()
    labels = tier_labels(values)
    assert labels.tolist() == [int(4 - v // 8) for v in values.tolist()]
    assert torch.bincount(tier_labels(torch.arange(78.0))).tolist() == [16, 16, 15, 16, 15]


def test_equal_values_share_a_tier() -> None:
    assert tier_labels(torch.ones(7)).tolist() == [2] * 7
    assert tier_labels(torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0, 0, 0])).tolist() == [0] * 4 + [3] * 6
    assert tier_labels(torch.empty(0)).tolist() == []
    assert tier_labels(torch.tensor([3.0, 2.0]), tiers=2).tolist() == [0, 1]


def test_memory_is_the_mean_of_all_features_of_a_tier() -> None:
    memory = TierMemory(3, (2, 4)).double()
    start = memory.embeddings.clone()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(30, 2, 4, generator=generator, dtype=torch.double)
    labels = torch.randint(2, (30,), generator=generator)  # the last tier never comes
    for part in (slice(0, 7), slice(7, 8), slice(8, 30)):
        memory.update(features[part], labels[part])
    for tier in (0, 1):
        torch.testing.assert_close(memory.embeddings[tier], features[labels == tier].mean(0))
    assert torch.equal(memory.embeddings[2], start[2])
    assert memory.counts.tolist() == torch.bincount(labels, minlength=3).tolist()
    assert not list(memory.parameters())
    assert set(memory.state_dict()) == {"embeddings", "counts"}


def test_histogram_by_hand() -> None:
    """Costs 10..31 in 4 bins: 21 / 4 rounds up to 6, so (.., 16], (16, 22], (22, 28], (28, 34]."""
    found = histogram(torch.tensor([10, 16, 17, 22, 23, 31]), torch.tensor([0, 0, 0, 1, 1, 1]), bins=4, tiers=3)
    assert (found.low, found.step) == (10, 6)
    assert found.counts.tolist() == [[2, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    torch.testing.assert_close(found.probabilities[0], torch.tensor([2 / 3, 1 / 3, 0, 0], dtype=torch.double))
    assert found.probabilities[2].tolist() == [0.25] * 4
    below, up_to = found.bounds(torch.tensor([0, 1, 3]))
    assert below.tolist() == [9, 16, 28] and up_to.tolist() == [16, 22, 34]


def test_one_cost_only() -> None:
    found = histogram(torch.full((5,), 7), torch.zeros(5, dtype=torch.long), bins=3)
    assert (found.low, found.step) == (7, 1)
    assert found.counts[0].tolist() == [5, 0, 0]


def test_divergence() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    assert divergence(p, q) == pytest.approx(math.log(2))
    assert divergence(p, p) == 0
    assert divergence(q, p) == math.inf


def test_selection() -> None:
    different = Histogram(0, 1, torch.tensor([[8, 2, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 9], [0, 0, 9, 1]]))
    chosen = select_distribution(different, batch=50, factor=0.1, threshold=2.5, tier=4)
    assert chosen.tolist() == [0.8, 0.2, 0, 0]
    few = select_distribution(different, batch=200, factor=0.1, threshold=2.5, tier=4)
    assert few.tolist() == [0.5, 0.5, 0, 0], "uniform on the interval of the best tier"
    alike = Histogram(0, 1, torch.tensor([[7, 0, 3, 0], [1] * 4, [1] * 4, [0, 0, 1, 9], [1, 1, 1, 1]]))
    chosen = select_distribution(alike, batch=50, factor=0.1, threshold=2.5, tier=4)
    assert chosen.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
