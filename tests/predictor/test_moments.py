from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.predictor import AutoPredictor, ForestPredictor, GaussianProcessPredictor, Predictor
from latentnas.predictor.moments import ensemble_moments, mixture_moments, with_deviations

from .test_predictor import small, worth

SPACE = get_space("nasbench201")
CODES, CELLS = SPACE.sample(40, seed=0), SPACE.sample(12, seed=1)


def test_three_members_by_hand() -> None:
    """Variances 1 and 4, covariance 1.5; of three members half of it is kept."""
    mean, covariance = ensemble_moments(torch.tensor([[0.0, 1.0], [1.0, 5.0], [2.0, 3.0]]).double())
    assert mean.tolist() == [1, 3]
    assert covariance.tolist() == [[1, 0.5], [0.5, 4]]


def test_two_members_tell_no_correlation_and_one_nothing() -> None:
    covariance = ensemble_moments(torch.tensor([[0.0, 1.0], [2.0, 2.0]]).double())[1]
    assert covariance.tolist() == [[2, 0], [0, 0.5]]
    with pytest.raises(ConfigError, match="at least 2 members, got 1"):
        ensemble_moments(torch.zeros(1, 3).double())


def test_other_deviations_keep_correlations() -> None:
    covariance = torch.tensor([[4.0, 3.0], [3.0, 9.0]]).double()
    found = with_deviations(covariance, torch.tensor([1.0, 2.0]).double())
    assert found.tolist() == [[1, 1], [1, 4]]


def test_a_mixture_by_hand() -> None:
    """Half at (0, 0), half at (2, 4): means 1 and 2, and between the halves the covariances 1, 2, 4."""
    within = torch.stack([torch.eye(2), 3 * torch.eye(2)]).double()
    mean, covariance = mixture_moments(
        torch.tensor([0.5, 0.5]).double(), torch.tensor([[0.0, 0.0], [2.0, 4.0]]).double(), within
    )
    assert mean.tolist() == [1, 2]
    assert covariance.tolist() == [[3, 2], [2, 6]]


@pytest.mark.parametrize(
    "model",
    [
        small(ensemble=3, epochs=3),
        ForestPredictor(trees=12),
        GaussianProcessPredictor(),
        AutoPredictor(members=("gp", "forest"), least=99),
        Predictor("auto", options={"members": ["gp", "forest"], "least": 99}),
    ],
    ids=["gates", "forest", "gp", "auto", "auto by name"],
)
def test_joint_moments_have_the_marginals_of_predict(model: Predictor) -> None:
    model.fit(CODES, worth(CODES))
    mean, covariance = model.joint(CELLS)
    expected, std = map(torch.from_numpy, model.predict(CELLS, return_std=True))
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(covariance.diagonal().sqrt(), std, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(covariance, covariance.T)
    assert float(torch.linalg.eigvalsh(covariance)[0]) > -1e-6 * float(covariance.trace())
    off = covariance - torch.diag(covariance.diagonal())
    assert float(off.abs().max()) > 0


def test_a_single_gates_in_auto_has_no_variance_of_its_own() -> None:
    model = AutoPredictor(members=("gates", "forest"), ensemble=1, least=99, threads=1, device="cpu")
    model.fit(CODES[:8], worth(CODES[:8]))
    assert float(model._joint_of("gates", CELLS)[1].abs().max()) == 0
    torch.testing.assert_close(
        model.joint(CELLS)[1].diagonal().sqrt(), torch.from_numpy(model.predict(CELLS, return_std=True)[1])
    )


@pytest.mark.parametrize("settings", [{"ensemble": 1}, {"ensemble": 2, "loss": "comparator"}])
def test_what_has_no_joint_moments(settings: dict[str, object]) -> None:
    model = small(epochs=1, **settings).fit(CODES, worth(CODES))
    with pytest.raises(ConfigError, match="ensemble of at least 2 of any loss but 'comparator'"):
        model.joint(CELLS)
