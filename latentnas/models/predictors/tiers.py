r"""Quality tiers: labels, the memory of tier embeddings, and statistics of what the cells of a tier cost.

Guo et al., "Generalized Global Ranking-Aware Neural Architecture Ranker" (NAR, CVPR 2022), sections 3.1-3.3. The cells
of a batch are divided equally into tiers by their values, tier 1 (number 0 here) the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

TIERS = 5
"""Tiers, as published."""


def tier_labels(values: Tensor, tiers: int = TIERS) -> Tensor:
    """The tier of every cell, 0 the best: the batch in equal parts by rank, line 7 of Algorithm 1.

    Cells of equal value share the tier of the middle of their ranks, whatever their order.

    Args:
        values: [B] float, larger is better.
        tiers: number of tiers.

    Returns:
        [B] long.
    """
    better = (values[None, :] > values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    rank = better + (equal - 1) / 2  # the mean rank, 0 for the best
    return (rank * tiers / max(len(values), 1)).long()


class TierMemory(nn.Module):
    """The embedding of each tier: the mean of the features of all cells of it that were seen, eq. 13.

    Before any is seen a tier's embedding is random. The embeddings are buffers: they are stored, but not trained.

    Args:
        tiers: number of tiers.
        shape: shape of a feature.
    """

    embeddings: Tensor
    counts: Tensor

    def __init__(self, tiers: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.randn(tiers, *shape) / math.sqrt(shape[-1]))
        self.register_buffer("counts", torch.zeros(tiers))

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        r"""Take in a batch, eq. 13 at iteration t.

        .. math:: e_i^t = \frac{e_i^{t-1} \sum_{it=1}^{t-1} c_i^{it} + \sum_{GT(\alpha) = T_i} x_\alpha}
                               {\sum_{it=1}^{t} c_i^{it}} \quad (13)

        Args:
            features: x [B, ...] float.
            labels: [B] long, the tier of each.
        """
        counts = torch.bincount(labels, minlength=len(self.counts)).to(self.counts.dtype)
        sums = torch.zeros_like(self.embeddings).index_add_(0, labels, features.detach().to(self.embeddings.dtype))
        total = self.counts + counts
        weight = (self.counts / total.clamp_min(1)).view(-1, *[1] * (self.embeddings.ndim - 1))
        share = total.clamp_min(1).view_as(weight)
        updated = self.embeddings * weight + sums / share
        self.embeddings = torch.where((total > 0).view_as(weight), updated, self.embeddings)
        self.counts = total


# --- statistics ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Histogram:
    r"""How a cost is distributed in each tier of a batch, eq. 14 and 15, over bins that the tiers share.

    Attributes:
        low: the smallest value of the batch, :math:`\tau_{min}`.
        step: width of a bin, :math:`\lceil (\tau_{max} - \tau_{min}) / q \rceil`, at least 1.
        counts: [tiers, q] long, cells in :math:`(\tau_{\kappa-1}, \tau_\kappa]` with
            :math:`\tau_\kappa = \tau_{min} + \kappa \delta`; the first bin holds :math:`\tau_{min}`, too.
    """

    low: int
    step: int
    counts: Tensor

    @property
    def probabilities(self) -> Tensor:
        """Of the bins in each tier: [tiers, q] double; uniform in a tier without cells."""
        totals = self.counts.sum(1, keepdim=True)
        shares = self.counts.double() / totals.clamp_min(1)
        return torch.where(totals > 0, shares, 1 / self.counts.shape[1])

    def bounds(self, bins: Tensor) -> tuple[Tensor, Tensor]:
        """Values below and up to which the bins reach: [m] long -> two [m] long."""
        above = self.low + (bins + 1) * self.step
        return torch.where(bins == 0, self.low - 1, above - self.step), above


def histogram(costs: Tensor, labels: Tensor, bins: int, tiers: int = TIERS) -> Histogram:
    """Eq. 14 and 15 for one batch.

    Args:
        costs: [B] long, FLOPs or parameters, B at least 1.
        labels: [B] long, tiers.
        bins: q.
        tiers: number of tiers.
    """
    low, high = int(costs.min()), int(costs.max())
    step = max(-(-(high - low) // bins), 1)
    slot = ((costs - low + step - 1) // step - 1).clamp_min(0)
    counts = torch.bincount(labels * bins + slot, minlength=tiers * bins)
    return Histogram(low, step, counts.view(tiers, bins))


def divergence(first: Tensor, other: Tensor) -> float:
    r"""Kullback-Leibler divergence :math:`\sum_\kappa p_\kappa \log(p_\kappa / q_\kappa)` of two distributions [q].

    Infinite where ``other`` gives no probability to what ``first`` has seen.
    """
    seen = first > 0
    return float((first[seen] * (first[seen] / other[seen]).log()).sum())


def select_distribution(found: Histogram, *, batch: int, factor: float, threshold: float, tier: int) -> Tensor:
    r"""Algorithm 2: the distribution of the best tier, or none where it tells nothing.

    It is dropped, and uniform sampling over its interval takes its place, where it looks like that of a bad tier
    (:math:`KL(\pi_{T_1} \| \pi_{T_i}) < \zeta` for an i from :math:`\beta` on) or rests on too few cells.

    Args:
        found: the histogram of one batch.
        batch: k, cells in the batch.
        factor: theta; the best tier must hold at least theta k cells.
        threshold: zeta.
        tier: beta, the number of the first bad tier, counted from 1.

    Returns:
        [q] double: probabilities of the bins.
    """
    probabilities = found.probabilities
    best = probabilities[0]
    too_few = int(found.counts[0].sum()) < factor * batch
    alike = any(divergence(best, other) < threshold for other in probabilities[tier - 1 :])
    if not (too_few or alike):
        return best
    inside = torch.zeros_like(best)
    held = found.counts[0].nonzero()[:, 0]
    if len(held):
        inside[int(held[0]) : int(held[-1]) + 1] = 1
    else:
        inside[:] = 1
    return inside / inside.sum()
