from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, ObservationError, UnknownNameError
from latentnas.models.gaussian_process import (
    EXACT_LIMIT,
    MIN_NOISE,
    NUM_INDUCING,
    FeatureGroup,
    Surrogate,
    check_surrogate_options,
    fit_gp,
)

GROUPS = [FeatureGroup(0, 2), FeatureGroup(2, 4, ard=True)]


def data(n: int, seed: int = 0, noise: float = 0.01) -> tuple[Tensor, Tensor]:
    """A smooth function of four variables, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 4, generator=generator, dtype=torch.double) * 2
    y = (2 * x[:, 0]).sin() + x[:, 1] * 0.5 + x[:, 2].square() * 0.3
    return x, y + noise * torch.randn(n, generator=generator, dtype=torch.double)


def matern(a: Tensor, b: Tensor, lengthscale: Tensor) -> Tensor:
    """Matern-5/2 with sigma = 1: [n, f] and [m, f] -> [n, m]."""
    r = ((a[:, None] - b[None]) / lengthscale).square().sum(2).sqrt() * 5**0.5
    return (1 + r + r.square() / 3) * (-r).exp()


def dense_kernel(surrogate: Surrogate, a: Tensor, b: Tensor) -> Tensor:
    """The sum of scaled kernels with the fitted hyperparameters."""
    parts = surrogate.model.covar_module.kernels
    total = torch.zeros(len(a), len(b), dtype=torch.double)
    for part, group in zip(parts, GROUPS, strict=True):
        columns = slice(group.start, group.stop)
        scale, lengthscale = part.outputscale.detach(), part.base_kernel.lengthscale.detach()
        assert lengthscale.numel() == (group.size if group.ard else 1)
        total += scale * matern(a[:, columns], b[:, columns], lengthscale)
    return total


def test_exact_posterior_is_the_textbooks() -> None:
    x, y = data(40)
    points = data(25, seed=1)[0]
    surrogate = fit_gp(x, y, GROUPS)
    assert not surrogate.is_sparse
    constant = float(surrogate.model.mean_module.constant.detach())
    targets = surrogate.transform.forward()
    gram = dense_kernel(surrogate, x, x) + surrogate.noise * torch.eye(40, dtype=torch.double)
    cross = dense_kernel(surrogate, points, x)
    mean = constant + cross @ torch.linalg.solve(gram, targets - constant)
    covariance = dense_kernel(surrogate, points, points) - cross @ torch.linalg.solve(gram, cross.T)
    joint_mean, joint_covariance = surrogate.joint(points)
    torch.testing.assert_close(joint_mean, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(joint_covariance, covariance, rtol=1e-4, atol=1e-6)
    marginal_mean, std = surrogate.marginals(points, chunk=7)
    torch.testing.assert_close(marginal_mean, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(std, covariance.diagonal().sqrt(), rtol=1e-3, atol=1e-5)


def test_everything_is_in_double_precision() -> None:
    x, y = data(20)
    surrogate = fit_gp(x.float(), y.float(), GROUPS)
    assert {p.dtype for p in surrogate.model.parameters()} == {torch.double}
    assert all(t.dtype == torch.double for t in (*surrogate.marginals(x), *surrogate.joint(x), *surrogate.predict(x)))


def test_fit_learns_the_function() -> None:
    x, y = data(80)
    points, truth = data(200, seed=1, noise=0.0)
    mean, std = fit_gp(x, y, GROUPS, target="standardize").predict(points)
    assert float((mean - truth).square().mean().sqrt()) < 0.15 * float(truth.std())
    assert bool((std > 0).all())
    assert MIN_NOISE <= fit_gp(x, y, GROUPS).noise < 0.1


def test_hyperparameters_are_better_than_where_they_started() -> None:
    """The posterior log density of the fitted hyperparameters is a local maximum along random directions."""
    from gpytorch.mlls import ExactMarginalLogLikelihood

    surrogate = fit_gp(*data(40), GROUPS)
    model = surrogate.model.train()
    mll = ExactMarginalLogLikelihood(model.likelihood, model)

    def density() -> float:
        with torch.no_grad():
            return float(mll(model(*model.train_inputs), model.train_targets))

    top = density()
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter in parameters:
        for step in (1.3, 0.7):
            kept = parameter.detach().clone()
            with torch.no_grad():
                parameter.mul_(step)
            assert density() <= top + 1e-3
            with torch.no_grad():
                parameter.copy_(kept)


def test_parameters_fitted_to_some_observations_the_posterior_is_that_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 6, generator=generator).double()
    y = x.sum(1)
    some = fit_gp(x, y, [FeatureGroup(0, 6)], target="standardize", fit_limit=30, seed=1)
    assert not some.is_sparse and len(some.model.train_targets) == 80
    assert (some.predict(x)[0] - y).abs().mean() < 0.1, "all observations are known"
    alone = fit_gp(x[:30], y[:30], [FeatureGroup(0, 6)], target="standardize", seed=1)
    assert (alone.predict(x)[0] - y).abs().mean() > (some.predict(x)[0] - y).abs().mean()
    again = fit_gp(x, y, [FeatureGroup(0, 6)], target="standardize", fit_limit=30, seed=1)
    assert torch.equal(again.predict(x)[0], some.predict(x)[0])
    other = fit_gp(x, y, [FeatureGroup(0, 6)], target="standardize", fit_limit=30, seed=2)
    assert not torch.equal(other.predict(x)[0], some.predict(x)[0])


def test_kind_is_chosen_by_size() -> None:
    x, y = data(61)
    assert EXACT_LIMIT == NUM_INDUCING == 500
    assert not fit_gp(x[:60], y[:60], GROUPS, exact_limit=60, num_inducing=20).is_sparse
    sparse = fit_gp(x, y, GROUPS, exact_limit=60, num_inducing=20)
    assert sparse.is_sparse
    assert sparse.model.covar_module.inducing_points.shape == (20, 4)


def test_sparse_is_close_to_exact_on_smooth_data() -> None:
    x, y = data(150)
    points, truth = data(100, seed=2, noise=0.0)
    exact = fit_gp(x, y, GROUPS, target="standardize")
    sparse = fit_gp(x, y, GROUPS, target="standardize", exact_limit=100, num_inducing=80)
    a, b = exact.predict(points)[0], sparse.predict(points)[0]
    spread = float(truth.std())
    assert float((a - b).square().mean().sqrt()) < 0.1 * spread
    assert float((b - truth).square().mean().sqrt()) < 0.15 * spread
    mean, covariance = sparse.joint(points)
    marginal_mean, std = sparse.marginals(points)
    torch.testing.assert_close(mean, marginal_mean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(covariance.diagonal().clamp_min(1e-12).sqrt(), std, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("limit", [500, 30])
def test_deterministic(limit: int) -> None:
    x, y = data(50)
    before = torch.get_rng_state()
    one, two = (fit_gp(x, y, GROUPS, exact_limit=limit, num_inducing=20, seed=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.predict(x), two.predict(x), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n", [1, 2])
def test_few_observations(n: int) -> None:
    x, y = data(n)
    mean, std = fit_gp(x, y, GROUPS).predict(data(5, seed=1)[0])
    assert bool(mean.isfinite().all() & std.isfinite().all())


def test_equal_values_and_repeated_points() -> None:
    x, _ = data(10)
    x[5:] = x[:5]
    mean, std = fit_gp(x, torch.full((10,), 3.0), GROUPS).predict(x)
    torch.testing.assert_close(mean, torch.full((10,), 3.0, dtype=torch.double))
    assert bool(std.isfinite().all())


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(3), torch.zeros(3)),
        (torch.zeros(3, 4), torch.zeros(2)),
        (torch.zeros(3, 4), torch.zeros(3, 1)),
        (torch.full((3, 4), float("nan")), torch.zeros(3)),
        (torch.zeros(3, 4), torch.tensor([0.0, float("nan"), 1.0])),
        (torch.zeros(3, 4), torch.tensor([0.0, float("inf"), 1.0])),
        (torch.zeros(0, 4), torch.zeros(0)),
    ],
)
def test_observations_that_cannot_be_learned_from(x: Tensor, y: Tensor) -> None:
    with pytest.raises(ObservationError):
        fit_gp(x, y, GROUPS)


def test_unknown_target() -> None:
    with pytest.raises(UnknownNameError, match="target transform 'log'"):
        fit_gp(*data(5), GROUPS, target="log")


def test_abnormal_end_of_the_optimiser_keeps_the_parameters_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import botorch.fit
    from botorch.exceptions.warnings import OptimizationWarning
    from botorch.optim.fit import fit_gpytorch_mll_scipy

    original = botorch.fit.fit_gpytorch_mll
    before: list[dict[str, Tensor]] = []

    def abnormal(mll: torch.nn.Module, **options: Any) -> object:
        result = fit_gpytorch_mll_scipy(mll, **options)
        warnings.warn("scipy.optimize ended with ABNORMAL: line search failed", OptimizationWarning, stacklevel=2)
        return result

    def hindered(mll: torch.nn.Module, **options: Any) -> object:
        before.append({name: p.detach().clone() for name, p in mll.named_parameters()})
        return original(mll, optimizer=abnormal, **options)

    monkeypatch.setattr(botorch.fit, "fit_gpytorch_mll", hindered)
    model = fit_gp(*data(30), GROUPS).model
    after = {f"model.{name}": p for name, p in model.named_parameters()}
    assert any(not torch.equal(after[name], start) for name, start in before[0].items() if name in after)
    assert not model.training


@pytest.mark.parametrize("fault", ["target", "exact_limit", "num_inducing"])
def test_options_are_checked_before_the_search(fault: str) -> None:
    good: dict[str, Any] = {"target": "rank", "exact_limit": 5, "num_inducing": 5}
    check_surrogate_options("name", **good)
    with pytest.raises(ConfigError, match=f"name: {fault} must be"):
        check_surrogate_options("name", **{**good, fault: 0})


def test_an_interrupt_inside_a_kernel_stays_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpytorch.kernels import ScaleKernel

    calls = 0
    forward = ScaleKernel.forward

    def interrupted(self: ScaleKernel, *args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return forward(self, *args, **options)

    monkeypatch.setattr(ScaleKernel, "forward", interrupted)
    x = torch.rand(12, 3, generator=torch.Generator().manual_seed(0)).double()
    with pytest.raises(KeyboardInterrupt):
        fit_gp(x, x.sum(1), [FeatureGroup(0, 3)])
