"""Expected improvement of a batch: over a pool of candidates, or over a box of latents."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from botorch.models.model import Model


def log_expected_improvement(mean: Tensor, std: Tensor, best: Tensor | float) -> Tensor:
    r"""Logarithm of the expected improvement of normal variables over ``best``, larger is better.

    .. math:: \log EI = \log\sigma + \log(\phi(u) + u\,\Phi(u)),\quad u = (\mu - best)/\sigma

    computed without cancellation far below ``best`` (Ament et al., NeurIPS 2023).

    Args:
        mean, std: [m] double, std > 0.
        best: the value to improve on, a scalar.

    Returns:
        [m] double.
    """
    u = (mean - best) / std
    log_phi = -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
    above = log_phi.exp() + u * torch.special.ndtr(u)
    # phi + u Phi = phi (1 - |u| Phi/phi) for u < 0, with Phi/phi by the scaled error function
    low = u.clamp_max(-1)
    mills = math.sqrt(math.pi / 2) * torch.special.erfcx(-low / math.sqrt(2))
    # the difference loses all digits where |u| is huge; there it is 1/u^2
    bracket = torch.where(low < -1e4, -2 * low.abs().log(), torch.log1p((low * mills).clamp_min(-1 + 1e-15)))
    h = torch.where(u > -1, above.clamp_min(1e-300).log(), log_phi + bracket)
    return std.log() + h


@dataclass(frozen=True)
class JointPosterior:
    """What one model says of a pool of m points.

    Attributes:
        mean: [m] double, posterior means of the target.
        covariance: [m, m] double, posterior covariance, without noise.
        noise: variance of the observation noise.
    """

    mean: Tensor
    covariance: Tensor
    noise: float


@dataclass(frozen=True)
class GreedyBatch:
    """A batch picked from a pool.

    Attributes:
        index: [q] long, rows of the pool in the order of picking.
        acquisition: [q] double, log expected improvement when each was picked.
    """

    index: Tensor
    acquisition: Tensor


class _Believer:
    """A joint posterior that is conditioned, point by point, on its own means."""

    def __init__(self, posterior: JointPosterior, best: float) -> None:
        self.posterior = posterior
        self.best = best
        self.variance = posterior.covariance.diagonal().clone().clamp_min_(1e-12)
        self._factors: list[Tensor] = []  # covariance - sum of outer products = conditioned covariance

    def condition(self, j: int) -> None:
        """Take point j as observed at its mean: means stay, the covariance loses one rank, in O(m)."""
        column = self.posterior.covariance[:, j].clone()
        for factor in self._factors:
            column -= factor * factor[j]
        self._factors.append(column / (self.variance[j] + self.posterior.noise).sqrt())
        self.variance.sub_(self._factors[-1].square()).clamp_min_(1e-12)
        self.best = max(self.best, float(self.posterior.mean[j]))

    def score(self) -> Tensor:
        return log_expected_improvement(self.posterior.mean, self.variance.sqrt(), self.best)


def greedy_batch(posteriors: list[JointPosterior], best: float, q: int, *, num_pending: int = 0) -> GreedyBatch:
    """Sequential greedy batch of log expected improvement over a pool, by one model or several in turn.

    After each pick every model is conditioned on the picked point having the mean it predicts
    (kriging believer, Ginsbourger et al. 2010). A pick costs O(q m) given the covariances, whatever
    the size of the history.

    Args:
        posteriors: what each model says of the same m points, pending points first; pick i is made
            by model i modulo their number.
        best: the best target observed.
        q: number of picks, at most m - num_pending.
        num_pending: the first rows are points being evaluated already: conditioned on, never picked.
    """
    models = [_Believer(posterior, best) for posterior in posteriors]
    for j in range(num_pending):
        for model in models:
            model.condition(j)
    mean = posteriors[0].mean
    open_ = torch.ones(len(mean), dtype=torch.bool, device=mean.device)
    open_[:num_pending] = False
    index, acquisition = [], []
    for i in range(q):
        score = models[i % len(models)].score().masked_fill(~open_, -torch.inf)
        j = int(score.argmax())
        index.append(j)
        acquisition.append(score[j])
        open_[j] = False
        for model in models:
            model.condition(j)
    return GreedyBatch(torch.tensor(index, dtype=torch.long), torch.stack(acquisition))


def maximize_acquisition(
    model: Model,
    best: float,
    bounds: Tensor,
    q: int,
    *,
    pending: Tensor | None = None,
    restarts: int = 4,
    raw_samples: int = 256,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Maximise BoTorch's qLogExpectedImprovement over a box, sequential greedy.

    Args:
        model: a BoTorch model of one output.
        best: the best target observed.
        bounds: [2, d], lower and upper.
        q: number of points.
        pending: [p, d] points being evaluated already, or None.
        restarts, raw_samples: starts of the gradient ascent, and random points they are chosen from.
        seed: seed of starts and of the quasi-Monte-Carlo samples.

    Returns:
        points: [q, d] double, inside the box.
        acquisition: [q] double, the acquisition value of each when it was added.
    """
    from botorch.acquisition import qLogExpectedImprovement
    from botorch.optim import optimize_acqf
    from botorch.sampling import SobolQMCNormalSampler

    acquisition = qLogExpectedImprovement(
        model, best_f=best, sampler=SobolQMCNormalSampler(torch.Size([128]), seed=seed), X_pending=pending
    )
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # a restart that ends on the border of the box is no news
        torch.manual_seed(seed)
        points, values = optimize_acqf(
            acquisition,
            bounds=bounds.double(),
            q=q,
            num_restarts=restarts,
            raw_samples=raw_samples,
            sequential=True,
            options={"maxiter": 50, "seed": seed},
        )
    if values is None:
        raise AssertionError("optimize_acqf returned no acquisition values")
    return points.detach(), values.detach().reshape(-1)
