"""Transforms of observed values into what a Gaussian process should model, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..errors import ObservationError, UnknownNameError


class TargetTransform(ABC):
    """A monotone map from values to targets of about zero mean and unit variance.

    Args:
        values: [n] double, finite, n >= 1: the observations that define the map.
    """

    def __init__(self, values: Tensor) -> None:
        if values.ndim != 1 or len(values) == 0 or not bool(values.isfinite().all()):
            raise ObservationError(f"{type(self).__name__}: expected at least one finite value [n], got {values}")
        self.values = values.double()

    @abstractmethod
    def forward(self) -> Tensor:
        """Targets of the observations: [n] double."""

    @abstractmethod
    def inverse(self, target: Tensor) -> Tensor:
        """Values of any targets, a non-decreasing map: [m] -> [m]."""

    def inverse_moments(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in the unit of the values, from those of the target.

        The mean is the image of the mean (the median of the image), the standard deviation half the
        image of mean -std..+std.
        """
        spread = (self.inverse(mean + std) - self.inverse(mean - std)) / 2
        return self.inverse(mean), spread


class Standardize(TargetTransform):
    """(value - mean) / standard deviation; constant values become zeros."""

    def __init__(self, values: Tensor) -> None:
        super().__init__(values)
        self.mean = self.values.mean()
        std = self.values.std(correction=0)
        self.std = std if float(std) > 1e-12 * max(1.0, float(self.mean.abs())) else torch.ones_like(std)

    def forward(self) -> Tensor:
        return (self.values - self.mean) / self.std

    def inverse(self, target: Tensor) -> Tensor:
        return self.mean + self.std * target


class NormalScores(TargetTransform):
    """Ranks mapped to the quantiles of a normal distribution: robust to heavy tails and outliers.

    The k-th smallest of n values becomes the (k - 1/2)/n quantile of N(0, 1); equal values share
    the mean of their ranks. The inverse interpolates linearly between observations and goes on
    beyond them with the slope between the median and the extreme.
    """

    def __init__(self, values: Tensor) -> None:
        super().__init__(values)
        unique, index, counts = self.values.unique(return_inverse=True, return_counts=True)
        middle = counts.cumsum(0).double() - counts / 2  # mean rank - 1/2 of each distinct value
        self._knots = unique
        self._scores = torch.special.ndtri(middle / len(self.values)).double()
        self._index = index

    def forward(self) -> Tensor:
        return self._scores[self._index]

    def inverse(self, target: Tensor) -> Tensor:
        knots, scores = self._knots, self._scores
        if len(knots) == 1:
            return knots.expand_as(target).clone()
        median = self.values.median()
        low_slope = (median - knots[0]).clamp_min(1e-12) / (-scores[0]).clamp_min(1e-3)
        high_slope = (knots[-1] - median).clamp_min(1e-12) / scores[-1].clamp_min(1e-3)
        right = torch.searchsorted(scores, target.contiguous()).clamp(1, len(scores) - 1)
        left = right - 1
        share = ((target - scores[left]) / (scores[right] - scores[left])).clamp(0, 1)
        inside = knots[left] + share * (knots[right] - knots[left])
        below = (target - scores[0]).clamp_max(0) * low_slope
        above = (target - scores[-1]).clamp_min(0) * high_slope
        return inside + below + above


TARGETS: dict[str, type[TargetTransform]] = {"rank": NormalScores, "standardize": Standardize}


def target_transform(name: str) -> type[TargetTransform]:
    """The transform called "rank" or "standardize"."""
    if name not in TARGETS:
        raise UnknownNameError("target transform", name, TARGETS)
    return TARGETS[name]
