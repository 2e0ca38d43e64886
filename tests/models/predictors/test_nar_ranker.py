"""latentnas/models/predictors/nar_ranker.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from latentnas.errors import ConfigError
from latentnas.models.predictors import NARRanker, get_encoder
from latentnas.models.predictors.nar import NAREncoder
from latentnas.spaces import get_space

from .inputs import cells, facts

SMALL = {"layers": 1, "dim": 8, "heads": 2, "feed_forward": 6, "tiers": 2}


@pytest.mark.parametrize("weight", [1.0, 16.0])
def test_loss_by_hand(weight: float) -> None:
    """Eq. 12 of four cells: cross-entropy of two tiers, and the mean logistic loss of six pairs."""
    ranker = NARRanker(get_encoder("nar", facts("nasbench201"), **SMALL, ranking_weight=weight), hidden=(5,)).eval()
    inputs = cells("nasbench201", get_space("nasbench201").sample(4, seed=0))
    values = torch.tensor([0.3, -1.0, 2.0, 0.5])
    score = ranker(inputs)
    pairs = [(i, j) for i in range(4) for j in range(4) if values[i] > values[j]]
    ranking = torch.stack([F.softplus(score[j] - score[i]) for i, j in pairs]).mean()
    encoder = ranker.encoder
    assert isinstance(encoder, NAREncoder)
    chances = encoder.explain(inputs)["tiers"]
    tiers = -torch.stack([chances[row, tier].log() for row, tier in enumerate([1, 1, 0, 0])]).mean()
    torch.testing.assert_close(ranker.training_loss(inputs, values), tiers + weight * ranking)


def test_only_training_fills_the_memory() -> None:
    ranker = NARRanker(get_encoder("nar", facts("nasbench201"), **SMALL), hidden=(5,))
    inputs, values = cells("nasbench201", get_space("nasbench201").sample(6, seed=0)), torch.arange(6.0)
    encoder = ranker.encoder
    assert isinstance(encoder, NAREncoder)
    ranker.eval().training_loss(inputs, values)
    assert encoder.memory.counts.tolist() == [0, 0]
    ranker.train().training_loss(inputs, values)
    assert encoder.memory.counts.tolist() == [3, 3]


def test_other_encoders_have_no_tiers() -> None:
    with pytest.raises(ConfigError, match="the loss 'nar' classifies tiers"):
        NARRanker(get_encoder("mlp", facts("nasbench201")))
