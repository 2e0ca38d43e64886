"""latentnas/predictor/surrogate.py: BoTorch takes a Predictor for a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.sampling.index_sampler import IndexSampler

from latentnas import get_space
from latentnas.errors import ConfigError, ObservationError
from latentnas.predictor import Predictor
from latentnas.predictor.surrogate import PredictorModel

from .test_predictor import small, worth

SPACE = get_space("nasbench201")
CODES = SPACE.sample(60, seed=0)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small(ensemble=4, epochs=20).fit(CODES, worth(CODES))


def test_mean_and_variance_are_the_predictors(predictor: Predictor) -> None:
    cells = SPACE.sample(12, seed=1)
    posterior = PredictorModel(predictor).posterior(cells.double())
    mean, std = predictor.predict(cells, return_std=True)
    assert np.allclose(posterior.mean[:, 0], mean)
    assert np.allclose(posterior.variance[:, 0].sqrt(), std)


def test_points_come_in_batches_of_q(predictor: Predictor) -> None:
    cells = SPACE.sample(12, seed=1)
    model = PredictorModel(predictor)
    values = model(cells.double().reshape(4, 3, 6))
    assert values.shape == (4, 4, 3, 1)
    assert torch.allclose(values[1, 2, :, 0], predictor.member_scores(cells[3:6])[2], rtol=1e-4)


def test_expected_improvement_is_that_of_the_members(predictor: Predictor) -> None:
    cells = SPACE.sample(50, seed=2)
    model = PredictorModel(predictor)
    best = float(worth(CODES).mean())
    sampler = IndexSampler(torch.Size([20_000]), seed=0)  # draws members, with replacement
    found = qLogExpectedImprovement(model, best_f=best, sampler=sampler)(cells.double()[:, None])
    expected = (predictor.member_scores(cells) - best).clamp_min(0).mean(0)
    some = expected > 0.3
    assert bool(some.any())
    assert torch.allclose(found.exp()[some], expected[some], rtol=0.05)


def test_what_is_no_model() -> None:
    with pytest.raises(ConfigError, match="ensemble of at least 2"):
        PredictorModel(small())
    with pytest.raises(ConfigError, match="comparator"):
        PredictorModel(small(ensemble=2, loss="comparator"))
    with pytest.raises(ObservationError, match="not fitted"):
        PredictorModel(small(ensemble=2))
