"""A sparse Gaussian process that is trained as a whole, and how well a representation of cells lets it predict.

D-VAE and the operation-embedding paper judge a latent space by a sparse Gaussian process from latents to
accuracies: 500 inducing points, one RBF lengthscale a dimension. :func:`latentnas.models.gaussian_process.fit_gp`
chooses its inducing points greedily and takes the kernel from a subset, which is what a search can afford at
every step; here lengthscales, variances, mean and inducing points all climb the collapsed bound (Titsias,
AISTATS 2009) together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..device import cpu_threads
from ..errors import ConfigError, ObservationError
from ..models.gaussian_process import NUM_INDUCING, Surrogate
from ..models.targets import Standardize
from ..seeding import as_generator

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP

JITTER = 1e-5
"""Share of the kernel's variance that is added to the diagonal of the inducing points' covariance."""

STAGES: tuple[tuple[int | None, int], ...] = ((4_000, 40), (None, 20))
"""Rows of a random subset (None: all) and L-BFGS iterations on them, one stage after the other."""

_MIN_NOISE = 1e-4
_WIDEST = 12.0
"""Largest absolute logarithm of a hyperparameter: exp(12) is far beyond any use, and far from an overflow."""


def fit_sparse_gp(
    x: Tensor,
    values: Tensor,
    *,
    num_inducing: int = NUM_INDUCING,
    stages: tuple[tuple[int | None, int], ...] = STAGES,
    seed: int = 0,
) -> Surrogate:
    """Fit a Gaussian process with an ARD RBF kernel and trained inducing points.

    Everything climbs the collapsed bound by L-BFGS, first on a random subset, then on all rows. Features are
    standardised inside, per dimension, so that their unit does not matter; the start is a lengthscale of the square
    root of their number, the distance at which standardised features lie, and inducing points at random rows.

    Args:
        x: [n, f] features, finite.
        values: [n] observations, finite; standardised inside by their mean and standard deviation.
        num_inducing: inducing points, at most n of them.
        stages: pairs (rows, iterations): L-BFGS iterations on so many random rows, or on all (None).
        seed: of the inducing points and the subsets.

    Returns:
        A BoTorch model with an inducing-point kernel, in double precision.

    Raises:
        ObservationError: shapes that do not fit, values that are not finite, no observation.
        ConfigError: a number out of range.
    """
    x, values = x.detach().cpu().double(), values.detach().cpu().double()
    if x.ndim != 2 or len(x) == 0 or values.shape != (len(x),) or not bool(x.isfinite().all()):
        raise ObservationError(
            f"fit_sparse_gp: expected finite features [n, f] and values [n], got {list(x.shape)} and "
            f"{list(values.shape)}"
        )
    if num_inducing < 1 or any(steps < 0 or (rows is not None and rows < 1) for rows, steps in stages):
        raise ConfigError(
            f"fit_sparse_gp: num_inducing and the rows of every stage must be at least 1, iterations at least 0; "
            f"got {num_inducing} and {stages}"
        )
    transform = Standardize(values)
    y = transform.forward()
    center, scale = x.mean(0), x.std(0, correction=0)
    scale = torch.where(scale > 1e-9 * (1 + center.abs()), scale, torch.ones_like(scale))
    standard = (x - center) / scale
    generator = as_generator(seed)
    parameters = _Parameters.start(standard, num_inducing, generator)
    with cpu_threads(1):  # matrices of a few hundred columns
        for rows, iterations in stages:
            part = slice(None) if rows is None else torch.randperm(len(x), generator=generator)[:rows]
            _climb(parameters, standard[part], y[part], iterations)
    return Surrogate(_model(x, y, parameters, center, scale), transform)


@dataclass(frozen=True, eq=False)
class _Parameters:
    """What is trained; the positive ones by their logarithm.

    Attributes:
        lengthscale: [f].
        variance, noise, mean: scalars; the noise on top of its least value.
        points: [m, f], the inducing points.
    """

    lengthscale: Tensor
    variance: Tensor
    noise: Tensor
    mean: Tensor
    points: Tensor

    @classmethod
    def start(cls, x: Tensor, num_inducing: int, generator: torch.Generator) -> _Parameters:
        """At random rows of standardised features [n, f]."""
        chosen = torch.randperm(len(x), generator=generator)[:num_inducing]
        width = x.shape[1]
        return cls(
            x.new_full((width,), 0.5 * math.log(max(1, width))).requires_grad_(),
            x.new_tensor(0.0).requires_grad_(),
            x.new_tensor(math.log(0.1)).requires_grad_(),
            x.new_tensor(0.0).requires_grad_(),
            x[chosen].clone().requires_grad_(),
        )

    def all(self) -> list[Tensor]:
        return [self.lengthscale, self.variance, self.noise, self.mean, self.points]

    def bound(self, x: Tensor, y: Tensor) -> Tensor:
        """The collapsed bound of rows [n, f] and targets [n], per row."""
        lengthscale, variance, noise = self.positive()
        points = self.points / lengthscale
        inner = variance * _rbf(points, points)
        cross = variance * _rbf(points, x / lengthscale)
        return collapsed_bound(inner, cross, variance * len(x), y - self.mean, noise) / len(x)

    def positive(self) -> tuple[Tensor, Tensor, Tensor]:
        """Lengthscales [f], kernel variance and noise variance."""
        lengthscale, variance, noise = (
            value.clamp(-_WIDEST, _WIDEST).exp() for value in (self.lengthscale, self.variance, self.noise)
        )
        return lengthscale, variance, noise + _MIN_NOISE


def collapsed_bound(inner: Tensor, cross: Tensor, trace: Tensor, residual: Tensor, noise: Tensor) -> Tensor:
    r"""The collapsed lower bound of the log marginal likelihood (Titsias 2009, eq. 9), a scalar in nats.

    .. math:: \log N(y; \mu, Q + \sigma^2 I) - \tfrac{1}{2 \sigma^2} tr(K_{nn} - Q), \quad
        Q = K_{nm} K_{mm}^{-1} K_{mn}

    With L L' = K_mm, A = L^-1 K_mn and B = I + A A' / noise, it costs O(n m^2) and no matrix of n rows squared.

    Args:
        inner: [m, m], K_mm, to whose diagonal JITTER times its mean is added.
        cross: [m, n], K_mn.
        trace: scalar, tr K_nn.
        residual: [n], observations minus the mean.
        noise: scalar, the noise variance.
    """
    m, n = cross.shape
    eye = torch.eye(m, dtype=cross.dtype, device=cross.device)
    factor = torch.linalg.cholesky(inner + JITTER * inner.diagonal().mean() * eye)
    a = torch.linalg.solve_triangular(factor, cross, upper=False)  # [m, n]
    square = a @ a.T
    outer = torch.linalg.cholesky(eye + square / noise)
    c = torch.linalg.solve_triangular(outer, (a @ residual)[:, None], upper=False)[:, 0] / noise
    log_det = n * noise.log() + 2 * outer.diagonal().log().sum()
    quadratic = residual @ residual / noise - c @ c
    lost = (trace - square.diagonal().sum()) / noise
    return -0.5 * (n * math.log(2 * math.pi) + log_det + quadratic + lost)


def _rbf(a: Tensor, b: Tensor) -> Tensor:
    """exp(-|a - b|^2 / 2): [m, f] and [n, f] -> [m, n]."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    return (-0.5 * squares.clamp_min(0)).exp()


def _climb(parameters: _Parameters, x: Tensor, y: Tensor, iterations: int) -> None:
    """Raise the bound of rows [n, f] and targets [n] by so many L-BFGS iterations, in place."""
    if iterations == 0:
        return
    optimizer = torch.optim.LBFGS(
        parameters.all(),
        max_iter=iterations,
        max_eval=iterations + iterations // 4 + 5,
        history_size=20,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -parameters.bound(x, y)
        value.backward()
        return value.detach()

    optimizer.step(loss)


@torch.no_grad()
def _model(x: Tensor, y: Tensor, parameters: _Parameters, center: Tensor, scale: Tensor) -> SingleTaskGP:
    """The BoTorch model, in the unit of the features: an RBF kernel does not care for a shift."""
    from botorch.models import SingleTaskGP
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import InducingPointKernel, RBFKernel, ScaleKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.means import ConstantMean

    lengthscale, variance, noise = parameters.positive()
    rbf = RBFKernel(ard_num_dims=x.shape[1], lengthscale_constraint=GreaterThan(0.0, transform=None)).double()
    kernel = ScaleKernel(rbf, outputscale_constraint=GreaterThan(0.0, transform=None)).double()
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.0, transform=None)).double()
    mean = ConstantMean().double()
    rbf.lengthscale, kernel.outputscale = lengthscale * scale, variance
    likelihood.noise, mean.constant = noise, parameters.mean
    points = center + scale * parameters.points
    sparse = InducingPointKernel(kernel, inducing_points=points, likelihood=likelihood)
    model = SingleTaskGP(
        x, y[:, None], covar_module=sparse, mean_module=mean, outcome_transform=None, likelihood=likelihood
    )
    model.eval()
    return model


@dataclass(frozen=True)
class PredictivePerformance:
    """How well values of cells that were not fitted are predicted.

    Attributes:
        rmse: root mean squared error of the target standardised by the fitted cells' mean and standard deviation.
        pearson: Pearson correlation of prediction and value.
    """

    rmse: float
    pearson: float


@torch.no_grad()
def predictive_performance(surrogate: Surrogate, x: Tensor, values: Tensor) -> PredictivePerformance:
    """Measure a fitted process on cells with features [m, f] and values [m], m at least 2.

    Raises:
        ObservationError: shapes that do not fit, values that are not finite, or fewer than 2 cells.
    """
    values = values.detach().cpu().double()
    if x.ndim != 2 or len(x) < 2 or values.shape != (len(x),) or not bool(values.isfinite().all()):
        raise ObservationError(
            f"predictive_performance: expected features [m, f] and finite values [m] of at least 2 cells, got "
            f"{list(x.shape)} and {list(values.shape)}"
        )
    transform = surrogate.transform
    if not isinstance(transform, Standardize):
        raise ObservationError(
            f"predictive_performance: the process must be of the standardised values, got {type(transform).__name__}"
        )
    predicted = surrogate.marginals(x.detach().cpu().double())[0]
    target = (values - transform.mean) / transform.std
    rmse = (predicted - target).square().mean().sqrt()
    pearson = torch.corrcoef(torch.stack([predicted, target]))[0, 1]
    return PredictivePerformance(float(rmse), float(pearson))


__all__ = [
    "STAGES",
    "PredictivePerformance",
    "collapsed_bound",
    "fit_sparse_gp",
    "predictive_performance",
]
