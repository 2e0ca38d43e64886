"""The sparse Gaussian process that is trained as a whole."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, ObservationError
from latentnas.models.gaussian_process import FeatureGroup, fit_gp
from latentnas.optimization.sparse_gp import JITTER, collapsed_bound, fit_sparse_gp, predictive_performance

SHORT = ((100, 15), (None, 5))


def data(n: int, seed: int = 0, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """A smooth function of two of four variables, with a little noise; the first variable in another unit."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 4, generator=generator, dtype=torch.double) * torch.tensor([2000.0, 2, 2, 2])
    y = 3 + (x[:, 0] / 500).sin() + x[:, 1]
    return x, y + noise * torch.randn(n, generator=generator, dtype=torch.double)


def rbf(a: Tensor, b: Tensor) -> Tensor:
    return (-0.5 * (a[:, None] - b[None]).square().sum(2)).exp()


def test_bound_is_that_of_the_dense_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(30, 3, generator=generator).double(), torch.randn(7, 3, generator=generator).double()
    residual, noise, variance = torch.randn(30, generator=generator).double(), torch.tensor(0.3).double(), 1.7
    inner, cross = variance * rbf(z, z), variance * rbf(z, x)
    trace = torch.tensor(30 * variance).double()
    q = cross.T @ torch.linalg.solve(inner + JITTER * variance * torch.eye(7), cross)
    normal = torch.distributions.MultivariateNormal(torch.zeros(30).double(), q + noise * torch.eye(30))
    expected = normal.log_prob(residual) - (trace - q.trace()) / (2 * noise)
    torch.testing.assert_close(collapsed_bound(inner, cross, trace, residual, noise), expected)


def test_bound_is_the_likelihood_where_every_point_is_an_inducing_point() -> None:
    x, residual = data(20)[0] / torch.tensor([1000.0, 1, 1, 1]), data(20)[1] - 4
    noise = torch.tensor(0.1).double()
    gram = rbf(x, x)
    exact = torch.distributions.MultivariateNormal(torch.zeros(20).double(), gram + noise * torch.eye(20))
    bound = collapsed_bound(gram, gram, gram.trace(), residual, noise)
    assert float(bound) <= float(exact.log_prob(residual))
    torch.testing.assert_close(bound, exact.log_prob(residual), rtol=1e-2, atol=1e-2)


def test_posterior_is_the_textbooks() -> None:
    """Titsias 2009, eq. 6: mean K_*m (noise K_mm + K_mn K_nm)^-1 K_mn (y - c) + c, with the fitted parameters."""
    x, y = data(150)
    points = data(40, seed=1)[0]
    surrogate = fit_sparse_gp(x, y, num_inducing=25, stages=SHORT, seed=0)
    assert surrogate.is_sparse
    kernel = surrogate.model.covar_module
    base = kernel.base_kernel
    lengthscale, variance = base.base_kernel.lengthscale.detach(), base.outputscale.detach()
    assert lengthscale.shape == (1, 4)
    z, mean = kernel.inducing_points.detach(), surrogate.model.mean_module.constant.detach()

    def k(a: Tensor, b: Tensor) -> Tensor:
        return variance * rbf(a / lengthscale, b / lengthscale)

    target = (y - y.mean()) / y.std(correction=0)
    system = surrogate.noise * k(z, z) + k(z, x) @ k(x, z)
    expected = mean + k(points, z) @ torch.linalg.lstsq(system, k(z, x) @ (target - mean)).solution
    torch.testing.assert_close(surrogate.marginals(points)[0], expected, rtol=1e-2, atol=1e-3)


def test_learns_as_well_as_an_exact_process() -> None:
    x, y = data(200)
    points, truth = data(300, seed=1, noise=0.0)
    sparse = predictive_performance(fit_sparse_gp(x, y, num_inducing=40, stages=((None, 30),)), points, truth)
    scaled = torch.tensor([1000.0, 1, 1, 1])
    exact = fit_gp(x / scaled, y, [FeatureGroup(0, 4, ard=True)], target="standardize")
    assert sparse.rmse < 0.1 and sparse.pearson > 0.99
    assert sparse.rmse < 1.5 * predictive_performance(exact, points / scaled, truth).rmse


def test_unit_of_the_features_does_not_matter_and_seeds_repeat() -> None:
    x, y = data(120)
    points = data(30, seed=1)[0]
    first, again, scaled = (
        fit_sparse_gp(x * unit + shift, y, num_inducing=20, stages=SHORT, seed=4).predict(points * unit + shift)[0]
        for unit, shift in ((1.0, 0.0), (1.0, 0.0), (0.5, 8.0))
    )
    assert torch.equal(first, again)
    torch.testing.assert_close(first, scaled, rtol=1e-2, atol=1e-2)
    other = fit_sparse_gp(x, y, num_inducing=20, stages=SHORT, seed=5).predict(points)[0]
    assert not torch.equal(first, other)


def test_training_raises_the_bound() -> None:
    x, y = data(120)
    points, truth = data(200, seed=1, noise=0.0)
    start, trained = (
        predictive_performance(fit_sparse_gp(x, y, num_inducing=10, stages=((None, steps),)), points, truth)
        for steps in (0, 20)
    )
    assert trained.rmse < start.rmse


def test_features_that_do_not_vary_and_equal_values() -> None:
    x, y = data(40)
    x[:, 2] = 7
    mean, std = fit_sparse_gp(x, y, num_inducing=100, stages=((None, 5),)).predict(x)
    assert bool(mean.isfinite().all() & std.isfinite().all())
    mean = fit_sparse_gp(x, torch.full((40,), 2.0), num_inducing=5, stages=((None, 3),)).predict(x)[0]
    torch.testing.assert_close(mean, torch.full((40,), 2.0).double(), atol=0.05, rtol=0)


def test_performance_by_hand() -> None:
    class Constant:
        transform = fit_sparse_gp(*data(10), num_inducing=2, stages=()).transform

        def marginals(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:, 0], x[:, 0]

    transform = Constant.transform
    target = torch.tensor([0.0, 1.0, 2.0]).double()
    values = transform.inverse(target)
    found = predictive_performance(Constant(), torch.tensor([[1.0], [1.0], [4.0]]), values)  # type: ignore[arg-type]
    assert found.rmse == pytest.approx(math.sqrt((1 + 0 + 4) / 3))
    assert found.pearson == pytest.approx(3 / math.sqrt(2 * 6))


def test_faults() -> None:
    x, y = data(10)
    for features, values in ((x[0], y), (x[:0], y[:0]), (x, y[:5]), (x * math.nan, y), (x, y * math.inf)):
        with pytest.raises(ObservationError):
            fit_sparse_gp(features, values)
    for options in ({"num_inducing": 0}, {"stages": ((0, 5),)}, {"stages": ((None, -1),)}):
        with pytest.raises(ConfigError, match="fit_sparse_gp"):
            fit_sparse_gp(x, y, **options)  # type: ignore[arg-type]
    surrogate = fit_sparse_gp(x, y, num_inducing=2, stages=())
    with pytest.raises(ObservationError, match="predictive_performance"):
        predictive_performance(surrogate, x, y[:3])
    ranked = fit_gp(x, y, [FeatureGroup(0, 4)])
    with pytest.raises(ObservationError, match="standardised"):
        predictive_performance(ranked, x, y)
