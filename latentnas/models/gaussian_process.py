"""Gaussian processes on feature vectors, as BoTorch models in double precision."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..device import cpu_threads, gradients
from ..errors import ConfigError, ObservationError
from .targets import TARGETS, TargetTransform, target_transform

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP
    from botorch.posteriors import GPyTorchPosterior
    from gpytorch.kernels import Kernel
    from gpytorch.likelihoods import GaussianLikelihood

EXACT_LIMIT = 500
"""With at most this many observations the Gaussian process is exact."""

NUM_INDUCING = 500
"""Most inducing points of a sparse Gaussian process."""

MIN_NOISE = 1e-4


@dataclass(frozen=True)
class FeatureGroup:
    """Columns of a feature vector that share a kernel.

    Attributes:
        start, stop: the half-open range of columns.
        ard: one lengthscale per column instead of one for all.
    """

    start: int
    stop: int
    ard: bool = False

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.stop - self.start


@dataclass(frozen=True)
class Surrogate:
    """A fitted Gaussian process and the transform of its targets.

    Attributes:
        model: a BoTorch model of the transformed targets, one output.
        transform: maps observed values to targets and back.
    """

    model: SingleTaskGP
    transform: TargetTransform

    @property
    def is_sparse(self) -> bool:
        """Whether the posterior goes through inducing points."""
        from gpytorch.kernels import InducingPointKernel

        return isinstance(self.model.covar_module, InducingPointKernel)

    def _posterior(self, x: Tensor) -> GPyTorchPosterior:
        return cast("GPyTorchPosterior", self.model.posterior(x))

    @torch.no_grad()
    def marginals(self, x: Tensor, chunk: int = 512) -> tuple[Tensor, Tensor]:
        """Posterior mean and standard deviation of the target, without noise: [m, f] -> [m], [m]."""
        from gpytorch.utils.warnings import NumericalWarning

        means, variances = [], []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)  # rounding below zero is clamped here
            for rows in x.split(chunk):
                posterior = self._posterior(rows)
                means.append(posterior.mean.flatten())
                variances.append(posterior.variance.flatten())
        return torch.cat(means), torch.cat(variances).clamp_min(1e-12).sqrt()

    @torch.no_grad()
    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Joint posterior of the target at m points: mean [m] and covariance [m, m], without noise."""
        posterior = self._posterior(x)
        return posterior.mean.flatten(), posterior.mvn.covariance_matrix

    @property
    def noise(self) -> float:
        """Variance of the observation noise of the target."""
        return float(cast("GaussianLikelihood", self.model.likelihood).noise.detach().mean())

    @property
    def parameters(self) -> dict[str, Tensor]:
        """What was fitted: kernels, mean and noise by name, for :func:`restore_gp`."""
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    @property
    def best(self) -> float:
        """The highest target observed."""
        return float(self.transform.forward().max())

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in the unit of the observations: [m, f] -> [m], [m]."""
        return self.transform.inverse_moments(*self.marginals(x))


def check_surrogate_options(name: str, target: str, exact_limit: int, num_inducing: int) -> None:
    """Check a strategy's arguments for :func:`fit_gp` before anything is evaluated.

    Raises:
        ConfigError: naming every fault.
    """
    faults = []
    if not isinstance(target, str) or target not in TARGETS:
        faults.append(f"target must be one of {', '.join(sorted(TARGETS))}, got {target!r}")
    for option, value in (("exact_limit", exact_limit), ("num_inducing", num_inducing)):
        if not isinstance(value, int) or value < 1:
            faults.append(f"{option} must be a positive integer, got {value!r}")
    if faults:
        raise ConfigError(f"{name}: " + "; ".join(faults))


@gradients()
def fit_gp(
    x: Tensor,
    values: Tensor,
    groups: list[FeatureGroup],
    *,
    target: str = "rank",
    exact_limit: int = EXACT_LIMIT,
    num_inducing: int = NUM_INDUCING,
    fit_limit: int | None = None,
    seed: int = 0,
) -> Surrogate:
    """Fit a Gaussian process: exact with at most ``exact_limit`` observations, else sparse.

    The kernel is a sum of scaled Matern-5/2 kernels, one per feature group. Lengthscales have a
    log-normal prior whose median is the square root of the group's size, the distance at which
    features of unit variance lie: few observations do not overfit many dimensions (Hvarfner et al.,
    ICML 2024).

    Args:
        x: [n, f] features.
        values: [n] observations, finite, larger is better.
        groups: the columns of each kernel.
        target: "rank" (normal scores) or "standardize".
        exact_limit: largest n that is fitted exactly.
        num_inducing: number of inducing points of the sparse process.
        fit_limit: to how many observations, drawn at random, the parameters of an exact process are fitted; None for
            all. Its posterior is that of all observations.
        seed: seed of the choice of inducing points, and of these observations.

    Raises:
        ObservationError: shapes that do not fit, values that are not finite, no observation.
    """
    x, values = x.double().clone(), values.double().clone()
    if x.ndim != 2 or values.shape != (len(x),) or not bool(x.isfinite().all()):
        raise ObservationError(
            f"fit_gp: expected finite features [n, f] and values [n], got {list(x.shape)} and {list(values.shape)}"
        )
    transform = target_transform(target)(values)
    y = transform.forward()[:, None]
    if len(x) <= exact_limit:
        model = _fit_exact(x, y, groups, maxiter=200, fit_limit=fit_limit, seed=seed)
    else:
        model = _fit_sparse(x, y, groups, min(num_inducing, len(x)), exact_limit, seed)
    return Surrogate(model, transform)


def restore_gp(
    x: Tensor, values: Tensor, groups: list[FeatureGroup], parameters: Mapping[str, Tensor], *, target: str = "rank"
) -> Surrogate:
    """The exact process of :func:`fit_gp` with parameters that were fitted before.

    Args:
        x, values, groups, target: those of :func:`fit_gp`.
        parameters: :attr:`Surrogate.parameters`.

    Raises:
        ObservationError: parameters are missing, unknown, of another shape or out of their bounds.
    """
    from botorch.models import SingleTaskGP

    transform = target_transform(target)(values.double())
    y = transform.forward()[:, None]
    model = SingleTaskGP(x, y, covar_module=_kernel(groups), outcome_transform=None, likelihood=_likelihood())
    own = dict(model.named_parameters())
    wrong = sorted(
        name for name in {*own, *parameters} if name not in own or own[name].shape != _shape(parameters.get(name))
    )
    if wrong:
        raise ObservationError(f"restore_gp: these parameters are missing, unknown or of another shape: {wrong}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(parameters[name])
    for name, parameter, constraint in cast("Any", model).named_parameters_and_constraints():
        if constraint is None:
            continue
        if not bool(constraint.check(constraint.transform(parameter))):
            raise ObservationError(f"restore_gp: {name} is out of its bounds: {parameter.detach().flatten().tolist()}")
    model.eval()
    return Surrogate(model, transform)


def _shape(tensor: Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape


def _kernel(groups: list[FeatureGroup]) -> Kernel:
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import AdditiveKernel, MaternKernel, ScaleKernel
    from gpytorch.priors import LogNormalPrior

    parts = []
    for group in groups:
        prior = LogNormalPrior(0.5 * math.log(group.size), 1.0)
        matern = MaternKernel(
            nu=2.5,
            ard_num_dims=group.size if group.ard else None,
            active_dims=tuple(range(group.start, group.stop)),
            lengthscale_prior=prior,
            lengthscale_constraint=GreaterThan(1e-2, transform=None, initial_value=0.5 * math.sqrt(group.size)),
        )
        parts.append(ScaleKernel(matern))
    return parts[0] if len(parts) == 1 else AdditiveKernel(*parts)


def _fit_exact(
    x: Tensor, y: Tensor, groups: list[FeatureGroup], maxiter: int, *, fit_limit: int | None = None, seed: int = 0
) -> SingleTaskGP:
    from botorch.models import SingleTaskGP

    some = fit_limit is not None and fit_limit < len(x)
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:fit_limit] if some else slice(None)
    model = SingleTaskGP(
        x[rows], y[rows], covar_module=_kernel(groups), outcome_transform=None, likelihood=_likelihood()
    )
    model = _maximize_likelihood(model, maxiter)
    if some:
        model = SingleTaskGP(
            x,
            y,
            covar_module=model.covar_module,
            mean_module=model.mean_module,
            outcome_transform=None,
            likelihood=cast("GaussianLikelihood", model.likelihood),
        )
        model.eval()
    return model


def _fit_sparse(
    x: Tensor, y: Tensor, groups: list[FeatureGroup], num_inducing: int, subset: int, seed: int
) -> SingleTaskGP:
    """Inducing-point GP (Titsias, AISTATS 2009).

    Kernel and mean are those of an exact fit of a random subset, inducing points are chosen greedily
    by the variance that they explain, and the noise maximises the collapsed bound of all data.
    """
    from botorch.models import SingleTaskGP
    from botorch.models.utils.inducing_point_allocators import GreedyVarianceReduction
    from gpytorch.kernels import InducingPointKernel

    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    start = _fit_exact(x[rows[:subset]], y[rows[:subset]], groups, maxiter=60)
    kernel = start.covar_module
    likelihood = cast("GaussianLikelihood", start.likelihood)
    with torch.no_grad():
        points = GreedyVarianceReduction().allocate_inducing_points(
            inputs=x[rows[: 4 * num_inducing]],
            covar_module=kernel,
            num_inducing=num_inducing,
            input_batch_shape=torch.Size(),
        )
        residual = (y - start.mean_module(x)[:, None])[:, 0]
        cross = kernel(points, x).to_dense()
        inner = kernel(points).to_dense()
        likelihood.noise = _best_noise(inner, cross, kernel(x, diag=True).sum(), residual)
    sparse = InducingPointKernel(kernel, inducing_points=points.clone(), likelihood=likelihood)
    model = SingleTaskGP(
        x, y, covar_module=sparse, mean_module=start.mean_module, outcome_transform=None, likelihood=likelihood
    )
    model.eval()
    return model


def _best_noise(inner: Tensor, cross: Tensor, trace: Tensor, residual: Tensor) -> float:
    """Noise variance in 1e-4..1 that maximises the collapsed bound of an inducing-point GP.

    With L L' = K_mm, A = L^-1 K_mn and the eigenvalues s of A A', the bound of Titsias (2009, eq. 9)
    is a function of the noise alone that costs O(m):

        -1/2 [(n - m) log v + sum log(v + s) + (y'y - sum b^2/(v + s))/v + (tr K_nn - sum s)/v]

    Args:
        inner: [m, m], K_mm.
        cross: [m, n], K_mn.
        trace: scalar, tr K_nn.
        residual: [n], observations minus the mean.
    """
    m, n = cross.shape
    jitter = 1e-6 * inner.diagonal().mean() * torch.eye(m, dtype=inner.dtype, device=inner.device)
    factor = torch.linalg.cholesky(inner + jitter)
    a = torch.linalg.solve_triangular(factor, cross, upper=False)
    s, u = torch.linalg.eigh(a @ a.T)
    s = s.clamp_min(0)
    b = u.T @ (a @ residual)
    v = torch.logspace(-4, 0, 161, dtype=inner.dtype, device=inner.device)[:, None]
    fit = (residual.square().sum() - (b.square() / (v + s)).sum(1)) / v[:, 0]
    lost = (trace - s.sum()).clamp_min(0) / v[:, 0]
    bound = -0.5 * ((n - m) * v[:, 0].log() + (v + s).log().sum(1) + fit + lost)
    return float(v[bound.argmax(), 0])


def _likelihood() -> GaussianLikelihood:
    from gpytorch.constraints import GreaterThan
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.priors import LogNormalPrior

    prior = LogNormalPrior(-4.0, 1.0)
    return GaussianLikelihood(
        noise_prior=prior, noise_constraint=GreaterThan(MIN_NOISE, transform=None, initial_value=prior.mode)
    )


def _maximize_likelihood(model: SingleTaskGP, maxiter: int) -> SingleTaskGP:
    from botorch.exceptions import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from gpytorch.mlls import ExactMarginalLogLikelihood

    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    with warnings.catch_warnings(), cpu_threads(1):  # at most exact_limit points: small matrices
        # L-BFGS stopped by maxiter is meant, and our features need no scaling to the unit cube.
        warnings.simplefilter("ignore")
        try:
            # the handler accepts an abnormal end of L-BFGS, so that the parameters reached are kept
            fit_gpytorch_mll(
                mll,
                optimizer_kwargs={"options": {"maxiter": maxiter}},
                max_attempts=1,
                warning_handler=lambda warning: True,
            )
        except ModelFittingError:
            # no Cholesky factor was found on the way: BoTorch went back to where the fit started
            mll.eval()
        except RuntimeError as error:
            # interrupted inside a kernel, BoTorch fails to go back and hides the interrupt
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
    return model
