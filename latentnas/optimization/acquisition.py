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
class GreedyBatch:
    """A batch picked from a pool.

    Attributes:
        index: [q] long, rows of the pool in the order of picking.
        acquisition: [q] double, log expected improvement when each was picked.
    """

    index: Tensor
    acquisition: Tensor


def greedy_batch(
    mean: Tensor, covariance: Tensor, best: float, q: int, *, noise: float, num_pending: int = 0
) -> GreedyBatch:
    """Sequential greedy batch of log expected improvement over a pool with a joint normal posterior.

    After each pick the posterior is conditioned on the picked point having its predicted mean
    (kriging believer, Ginsbourger et al. 2010). Then means stay as they are and the covariance loses
    one rank, so a pick costs O(m) given the covariance, whatever the size of the history.

    Args:
        mean: [m] posterior means, pending points first.
        covariance: [m, m] posterior covariance.
        best: the best target observed.
        q: number of picks, at most m - num_pending.
        noise: variance of the observation noise.
        num_pending: the first rows are points being evaluated already: conditioned on, never picked.
    """
    variance = covariance.diagonal().clone()
    factors: list[Tensor] = []  # covariance - sum of outer products = conditioned covariance

    def condition(j: int) -> None:
        column = covariance[:, j].clone()
        for factor in factors:
            column -= factor * factor[j]
        factors.append(column / (variance[j].clamp_min(1e-12) + noise).sqrt())
        variance.sub_(factors[-1].square()).clamp_min_(1e-12)

    for j in range(num_pending):
        condition(j)
        best = max(best, float(mean[j]))
    index, acquisition = [], []
    open_ = torch.ones(len(mean), dtype=torch.bool, device=mean.device)
    open_[:num_pending] = False
    for _ in range(q):
        score = log_expected_improvement(mean, variance.sqrt(), best).masked_fill(~open_, -torch.inf)
        j = int(score.argmax())
        index.append(j)
        acquisition.append(score[j])
        open_[j] = False
        condition(j)
        best = max(best, float(mean[j]))
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
