from __future__ import annotations

import math

import pytest
import torch
from mpmath import mp, mpf  # type: ignore[import-untyped]
from torch import Tensor

from latentnas.models.gaussian_process import FeatureGroup, fit_gp
from latentnas.optimization.acquisition import (
    JointPosterior,
    greedy_batch,
    log_expected_improvement,
    maximize_acquisition,
)


def double(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.double)


def exact_log_ei(mean: float, std: float, best: float) -> float:
    """sigma * (phi(u) + u * Phi(u)) with hundreds of digits."""
    with mp.workdps(400):
        u = (mpf(mean) - mpf(best)) / mpf(std)
        phi = mp.exp(-u * u / 2) / mp.sqrt(2 * mp.pi)
        cumulative = mp.erfc(-u / mp.sqrt(2)) / 2
        return float(mp.log(mpf(std)) + mp.log(phi + u * cumulative))


@pytest.mark.parametrize("u", [8.0, 1.0, 0.1, 0.0, -0.5, -0.999, -1.0, -1.001, -5.0, -40.0, -300.0, -9e3, -2e4, -1e6])
@pytest.mark.parametrize("std", [1.0, 1e-3])
def test_log_ei_is_precise_far_in_the_tail(u: float, std: float) -> None:
    mean, best = 0.5 + u * std, 0.5
    found = log_expected_improvement(double([mean]), double([std]), best)
    assert float(found) == pytest.approx(exact_log_ei(mean, std, best), rel=0, abs=1e-7 + 1e-15 * u * u)


def test_log_ei_agrees_with_botorch() -> None:
    from botorch.acquisition import LogExpectedImprovement

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 2, generator=generator, dtype=torch.double)
    surrogate = fit_gp(x, (3 * x[:, 0]).sin() + x[:, 1], [FeatureGroup(0, 2)])
    points = torch.rand(100, 2, generator=generator, dtype=torch.double) * 3
    best = float(surrogate.transform.forward().max())
    with torch.no_grad():
        expected = LogExpectedImprovement(surrogate.model, best_f=best)(points[:, None])
    torch.testing.assert_close(
        log_expected_improvement(*surrogate.marginals(points), best), expected, rtol=1e-5, atol=1e-5
    )


def pool(m: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(m, m + 2, generator=generator, dtype=torch.double)
    return torch.randn(m, generator=generator, dtype=torch.double), root @ root.T / m


def plain_batch(
    mean: Tensor, covariance: Tensor, best: float, q: int, noise: float, num_pending: int
) -> tuple[list[int], list[float]]:
    """The same greedy batch, conditioning by dense linear algebra from scratch before each pick."""
    given, picked, values = list(range(num_pending)), [], []
    for _ in range(q):
        if given:
            block = covariance[given][:, given] + noise * torch.eye(len(given), dtype=torch.double)
            cross = covariance[:, given]
            conditioned = covariance - cross @ torch.linalg.solve(block, cross.T)
            incumbent = max(best, float(mean[given].max()))
        else:
            conditioned, incumbent = covariance, best
        scores = [
            exact_log_ei(float(mean[j]), math.sqrt(float(conditioned[j, j])), incumbent)
            if j not in given
            else -math.inf
            for j in range(len(mean))
        ]
        j = max(range(len(mean)), key=lambda i: scores[i])
        given.append(j)
        picked.append(j)
        values.append(scores[j])
    return picked, values


@pytest.mark.parametrize("num_pending", [0, 3])
@pytest.mark.parametrize("noise", [1e-3, 0.5])
def test_greedy_batch_agrees_with_dense_conditioning(noise: float, num_pending: int) -> None:
    mean, covariance = pool(14)
    batch = greedy_batch([JointPosterior(mean, covariance, noise)], 0.3, 6, num_pending=num_pending)
    index, values = plain_batch(mean, covariance, 0.3, 6, noise, num_pending)
    assert batch.index.tolist() == index
    torch.testing.assert_close(batch.acquisition, torch.tensor(values, dtype=torch.double), rtol=1e-6, atol=1e-6)


def test_batch_takes_every_open_point_once() -> None:
    mean, covariance = pool(9)
    batch = greedy_batch([JointPosterior(mean, covariance, 1e-3)], 0.0, 7, num_pending=2)
    assert sorted(batch.index.tolist()) == [2, 3, 4, 5, 6, 7, 8]


def test_near_twins_of_pending_points_lose_their_appeal() -> None:
    mean = torch.tensor([1.0, 1.0, 0.9]).double()
    covariance = torch.tensor([[1.0, 0.999, 0], [0.999, 1.0, 0], [0, 0, 1.0]]).double()
    alone = greedy_batch([JointPosterior(mean[1:], covariance[1:, 1:], 1e-4)], 0.0, 1)
    assert alone.index.tolist() == [0]
    busy = greedy_batch([JointPosterior(mean, covariance, 1e-4)], 0.0, 1, num_pending=1)
    assert busy.index.tolist() == [2]


def test_models_pick_in_turn_and_learn_of_each_others_picks() -> None:
    mean, covariance = pool(10)
    other_mean, other_covariance = pool(10)[0].flip(0), covariance.flip(0, 1)
    batch = greedy_batch(
        [JointPosterior(mean, covariance, 0.1), JointPosterior(other_mean, other_covariance, 0.1)], 0.3, 4
    )
    given: list[int] = []
    for i, picked in enumerate(batch.index.tolist()):
        # the dense reference, given what has been picked so far, agrees with the model whose turn it is
        m, c = ((mean, covariance), (other_mean, other_covariance))[i % 2]
        order = [*given, *(j for j in range(10) if j not in given)]
        reference = plain_batch(m[order], c[order][:, order], 0.3, 1, 0.1, len(given))[0]
        assert order[reference[0]] == picked
        given.append(picked)


def test_arguments_stay_as_they_were() -> None:
    mean, covariance = pool(6)
    kept = mean.clone(), covariance.clone()
    greedy_batch([JointPosterior(mean, covariance, 0.1)], 0.0, 3, num_pending=1)
    assert torch.equal(mean, kept[0])
    assert torch.equal(covariance, kept[1])


def test_maximized_acquisition_stays_in_the_box_near_the_peak() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(30, 2, generator=generator, dtype=torch.double) * 4 - 2
    values = -(x - torch.tensor([0.5, -0.5])).square().sum(1)
    surrogate = fit_gp(x, values, [FeatureGroup(0, 2, ard=True)], target="standardize")
    best = float(surrogate.transform.forward().max())
    bounds = torch.tensor([[-1.0, -2.0], [0.4, 2.0]])

    def run() -> tuple[Tensor, Tensor]:
        return maximize_acquisition(surrogate.model, best, bounds, 3, restarts=2, seed=3)

    state = torch.get_rng_state()
    points, values = run()
    assert torch.equal(torch.get_rng_state(), state)
    assert points.shape == (3, 2)
    assert points.dtype == torch.double
    assert values.shape == (3,)
    assert bool(((points >= bounds[0]) & (points <= bounds[1])).all())
    assert float((points[0] - torch.tensor([0.4, -0.5])).norm()) < 0.4
    assert all(torch.equal(a, b) for a, b in zip(run(), (points, values), strict=True))


def test_pending_points_are_avoided() -> None:
    """Two equally good regions: with one of them pending, the other is proposed."""
    x = double([-2.0, -0.5, 0.5, 2.0])[:, None]
    surrogate = fit_gp(x, double([0.0, 1.0, 1.0, 0.0]), [FeatureGroup(0, 1)], target="standardize")
    best, bounds = float(surrogate.transform.forward().max()), double([-2.0, 2.0])[:, None]
    free = maximize_acquisition(surrogate.model, best, bounds, 1, seed=0)[0]
    busy = maximize_acquisition(surrogate.model, best, bounds, 1, pending=free, seed=0)[0]
    assert float((busy - free).abs()) > 0.3
