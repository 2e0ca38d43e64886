"""Joint moments of what several equally likely functions say of cells."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError


def ensemble_moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance over the members of an ensemble.

    Of M members the correlation of independent cells has mean square 1/(M - 1), so covariances are shrunk by that
    share; variances are not. Of two members, which always correlate by 1 or -1, only the variances are left.

    Args:
        values: [M, B] double, what each member predicts, M >= 2.

    Returns:
        mean: [B] double.
        covariance: [B, B] double.

    Raises:
        ConfigError: a single member.
    """
    if len(values) < 2:
        raise ConfigError(f"joint moments need an ensemble of at least 2 members, got {len(values)}")
    freedom = len(values) - 1
    mean = values.mean(0)
    centered = values - mean
    covariance = centered.T @ centered / freedom
    variance = covariance.diagonal().clone()
    covariance *= 1 - 1 / freedom
    covariance.diagonal().copy_(variance)
    return mean, covariance


def with_deviations(covariance: Tensor, std: Tensor) -> Tensor:
    """The covariance of other deviations and the same correlations: [B, B], [B] -> [B, B]."""
    scale = std / covariance.diagonal().clamp_min(1e-24).sqrt()
    return covariance * scale * scale[:, None]


def mixture_moments(shares: Tensor, means: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a mixture of M components.

    Args:
        shares: [M] double, sum 1.
        means: [M, B] double.
        covariances: [M, B, B] double.

    Returns:
        mean: [B] double.
        covariance: [B, B] double.
    """
    mean = shares @ means
    centered = means - mean
    within = torch.einsum("m,mij->ij", shares, covariances)
    return mean, within + torch.einsum("m,mi,mj->ij", shares, centered, centered)
