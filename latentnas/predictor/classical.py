"""Classical predictors on feature vectors: a tree ensemble and an exact Gaussian process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from ..device import cpu_threads
from ..errors import ConfigError, ObservationError
from ..evaluation.metrics import kendall_tau
from ..models.targets import NormalScores
from ..spaces import SearchSpace, get_space
from ..spaces.features import flow_statistics, link_counts, one_hot_features, path_counts
from .features import CELL_FEATURES, UNTRAINED, measure_faults, measured
from .labels import Labels, as_codes, as_values, checked_labels, distinct_rows
from .moments import ensemble_moments, with_deviations

if TYPE_CHECKING:
    from ..models.gaussian_process import FeatureGroup, Surrogate

CHUNK = 32_768
"""Cells whose features are worked out at once."""

COUNTS = ("operations", "paths", "links")
"""Groups of features whose columns count things of one kind. The Gaussian process has a kernel for each of them, and
scales all its columns by one number: scaled one by one, what is rare would weigh most."""

FEATURES = (*COUNTS, "flow", "costs", *UNTRAINED)
"""Groups of features; see :func:`cell_features`."""

ARD_LABELS = 200
"""From how many labels on the last kernel of a Gaussian process has one lengthscale per column."""


def known_features(space: SearchSpace) -> tuple[str, ...]:
    """The groups of features that the space has, all but those that take a pass of every network.

    "costs" only where an image network is built around its cells.
    """
    try:
        space.costs(space.sample(1, seed=0))
    except ConfigError:
        return FEATURES[:4]
    return FEATURES[:5]


def cell_features(space: SearchSpace, codes: Tensor, names: Sequence[str]) -> Tensor:
    """Feature vectors of cells: [B, D] long -> [B, f] double.

    Args:
        space: the space of the codes.
        codes: checked codes.
        names: any of "operations" (one-hot columns of the code), "paths" (which sequences of last operations some path
            from input to output has, :func:`latentnas.spaces.features.path_counts`), "links" (square roots of how many
            links lead from each operation to each, :func:`latentnas.spaces.features.link_counts`), "flow" (depth and
            width, :func:`latentnas.spaces.features.flow_statistics`), "costs" (logarithms of parameters and
            multiply-adds), "zero_cost" and "expressivity" (metrics of untrained networks,
            :func:`.features.cell_zero_cost` and :func:`.features.cell_expressivity`, damped; some 40 ms of CPU each for
            every network that is not in the user's cache). The columns stand in this order, whatever the order of the
            names.
    """
    groups = []
    if "operations" in names:
        groups.append(one_hot_features(space, codes))
    if "paths" in names:
        groups.append((path_counts(space, codes) > 0).double())
    if "links" in names:
        groups.append(link_counts(space, codes).sqrt())
    if "flow" in names:
        groups.append(flow_statistics(space, codes))
    if "costs" in names:
        costs = space.costs(codes)
        groups.append(torch.stack([costs.params, costs.macs], 1).double().log1p())
    groups += [measured(CELL_FEATURES[name], space, codes, 2).double() for name in UNTRAINED if name in names]
    return torch.cat(groups, 1)


class FeaturePredictor(BaseEstimator, ABC):
    """Predicts from feature vectors, with the habits of :class:`.predictor.Predictor`.

    Labels are checked as there. Features are those of canonical codes, so that isomorphic cells get equal predictions.

    Attributes:
        labels_: the different cells trained on, and their values.
    """

    space: SearchSpace | str
    features: Sequence[str] | None

    def fit(self, codes: Tensor | Sequence[Sequence[int]], accuracies: Tensor | Sequence[float]) -> FeaturePredictor:
        """Learn from evaluated cells.

        Args:
            codes: [n, D] integers.
            accuracies: [n], larger is better.

        Raises:
            ConfigError: settings are wrong; the message lists all of them.
            InvalidCodeError, ObservationError: the labels cannot be learned from.
        """
        space = self.checked_space()
        labels = checked_labels(space, codes, accuracies, canonical=True)
        self._names = known_features(space) if self.features is None else tuple(self.features)
        self._learn(cell_features(space, labels.codes, self._names), labels.values)
        self.space_, self.labels_ = space, labels
        return self

    def predict(self, codes: Tensor | Sequence[Sequence[int]], return_std: bool = False) -> Any:
        """What cells are worth, in units of the accuracies trained on.

        Args:
            codes: [B, D] integers.
            return_std: whether to return standard deviations, too.

        Returns:
            NumPy array [B] of doubles; with ``return_std`` a pair of them.

        Raises:
            ObservationError: the predictor is not fitted.
        """
        if not self.__sklearn_is_fitted__():
            raise ObservationError(f"this {type(self).__name__} is not fitted yet: call fit(codes, accuracies) first")
        codes = self.space_.canonical(as_codes(self.space_, codes))
        distinct, number = distinct_rows(self.space_, codes)
        means, stds = [torch.zeros(0).double()], [torch.zeros(0).double()]
        for part in distinct.split(CHUNK):
            if len(part):
                mean, std = self._moments(cell_features(self.space_, part, self._names))
                means.append(mean)
                stds.append(std)
        predicted = torch.cat(means)[number].numpy()
        return (predicted, torch.cat(stds)[number].numpy()) if return_std else predicted

    def joint(self, codes: Tensor | Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Joint mean [B] and covariance [B, B] of cells, double, in units of the accuracies trained on.

        Means and variances are those of :meth:`predict`; the correlations are those of the model's own scale, on which
        accuracies are normal scores.

        Args:
            codes: [B, D] integers.

        Raises:
            ObservationError: the predictor is not fitted.
        """
        mean, std = self.predict(codes, return_std=True)
        if len(mean) == 0:
            return torch.from_numpy(mean), torch.zeros(0, 0, dtype=torch.double)
        canonical = self.space_.canonical(as_codes(self.space_, codes))
        covariance = self._covariance(cell_features(self.space_, canonical, self._names))
        return torch.from_numpy(mean), with_deviations(covariance, torch.from_numpy(std))

    def score(self, codes: Tensor | Sequence[Sequence[int]], accuracies: Tensor | Sequence[float]) -> float:
        """Kendall's tau-b between predictions and accuracies."""
        predicted = torch.from_numpy(self.predict(codes))
        return kendall_tau(predicted, as_values(accuracies, len(predicted)))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    @abstractmethod
    def _learn(self, x: Tensor, values: Tensor) -> None:
        """Fit features [n, f] double to values [n] double."""

    @abstractmethod
    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations at features [m, f]: two [m] double."""

    @abstractmethod
    def _covariance(self, x: Tensor) -> Tensor:
        """Covariance of normal scores at features [m, f]: [m, m] double."""

    def checked_space(self) -> SearchSpace:
        """The space, after all settings are checked.

        Raises:
            ConfigError: settings are wrong; the message lists all of them.
        """
        space = get_space(self.space)
        faults = self._faults(space)
        if faults:
            raise ConfigError(f"{type(self).__name__}: " + "; ".join(faults))
        return space

    def _faults(self, space: SearchSpace) -> list[str]:
        found, names, known = [], self.features, known_features(space)
        known = (*known, *(name for name in UNTRAINED if measure_faults(CELL_FEATURES[name], space) == []))
        listed = isinstance(names, Sequence) and not isinstance(names, str) and len(names) > 0
        if names is not None and not (listed and all(name in known for name in names)):
            found.append(f"features of {space.name} must be None or list some of {', '.join(known)}, got {names!r}")
        for name in ("trees", "seed", "exact_limit", "fit_limit"):
            value = getattr(self, name, 1)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < (name != "seed"):
                found.append(
                    f"{name} must be a {'non-negative' if name == 'seed' else 'positive'} integer, got {value!r}"
                )
        return found


class ForestPredictor(FeaturePredictor):
    """An ensemble of extremely randomised trees (Geurts et al., Machine Learning 2006), by scikit-learn.

    The trees learn the normal scores of the accuracies' ranks, as accuracies are heavy-tailed downwards.

    Args:
        space: the search space, or its name.
        features: groups of features, see :func:`cell_features`; None for all that the space has.
        trees: how many.
        seed: of the trees.
    """

    def __init__(
        self,
        *,
        space: SearchSpace | str = "nasbench201",
        features: Sequence[str] | None = None,
        trees: int = 300,
        seed: int = 0,
    ) -> None:
        self.space, self.features, self.trees, self.seed = space, features, trees, seed

    def _learn(self, x: Tensor, values: Tensor) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        self._transform = NormalScores(values)
        self._forest = ExtraTreesRegressor(self.trees, max_features=1 / 3, random_state=self.seed % 2**32)
        self._forest.fit(x.numpy(), self._transform.forward().numpy())

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        each = self._by_tree(x)
        return self._transform.inverse_moments(each.mean(0), each.std(0))

    def _covariance(self, x: Tensor) -> Tensor:
        return ensemble_moments(self._by_tree(x))[1]

    def _by_tree(self, x: Tensor) -> Tensor:
        """Normal scores that each tree predicts: [trees, m] double."""
        rows = x.numpy().astype(np.float32)
        return torch.from_numpy(np.stack([tree.predict(rows) for tree in self._forest.estimators_]))


class GaussianProcessPredictor(FeaturePredictor):
    """An exact Gaussian process with Matern-5/2 kernels, by GPyTorch; sparse beyond ``exact_limit`` labels.

    See :func:`latentnas.models.gaussian_process.fit_gp`. It models the normal scores of the accuracies' ranks, by a sum
    of kernels, see :func:`kernel_of_columns`; features that all training cells share are left out. The columns of a
    group of ``COUNTS`` are scaled together, to a mean variance of 1, the others one by one. From ``ARD_LABELS`` labels
    on the kernel of depths, widths, costs and zero-cost metrics has a lengthscale for every column.

    Args:
        space: the search space, or its name.
        features: groups of features, see :func:`cell_features`; None for all that need no pass of networks.
        exact_limit: most labels on which the posterior is exact.
        fit_limit: most labels that the kernels' parameters are fitted to, drawn at random.
        seed: of the choice of these labels, and of inducing points.
    """

    def __init__(
        self,
        *,
        space: SearchSpace | str = "nasbench201",
        features: Sequence[str] | None = None,
        exact_limit: int = 5000,
        fit_limit: int = 800,
        seed: int = 0,
    ) -> None:
        self.space, self.features, self.exact_limit = space, features, exact_limit
        self.fit_limit, self.seed = fit_limit, seed

    _surrogate: Surrogate

    def _learn(self, x: Tensor, values: Tensor) -> None:
        from ..models.gaussian_process import fit_gp

        groups = self._groups(x)
        self._surrogate = fit_gp(
            self._standardized(x),
            values,
            groups,
            target="rank",
            exact_limit=self.exact_limit,
            fit_limit=self.fit_limit,
            seed=self.seed,
        )

    @property
    def parameters(self) -> dict[str, Tensor]:
        """What was fitted, by name, for :meth:`restore`."""
        return self._surrogate.parameters

    def restore(self, labels: Labels, parameters: Mapping[str, Tensor]) -> GaussianProcessPredictor:
        """The predictor that was fitted to ``labels`` and has these :attr:`parameters`; nothing is fitted.

        A sparse process is fitted anew, as it was: its inducing points come from the seed.

        Args:
            labels: ``labels_`` of the fitted predictor.
            parameters: its :attr:`parameters`.

        Raises:
            ObservationError: parameters are missing, unknown or have another shape.
        """
        from ..models.gaussian_process import restore_gp

        self.space_, self.labels_ = self.checked_space(), labels
        self._names = known_features(self.space_) if self.features is None else tuple(self.features)
        x = cell_features(self.space_, labels.codes, self._names)
        if len(x) > self.exact_limit:
            self._learn(x, labels.values)
        else:
            groups = self._groups(x)
            self._surrogate = restore_gp(self._standardized(x), labels.values, groups, parameters)
        return self

    def _groups(self, x: Tensor) -> list[FeatureGroup]:
        """The columns of each kernel, after noting which columns of x [n, f] vary, and on which scale."""
        from ..models.gaussian_process import FeatureGroup

        kernels = torch.tensor(kernel_of_columns(get_space(self.space), self._names))  # [f]
        scale = x.std(0, correction=0)
        varies = scale > 1e-9
        for kernel in range(len(COUNTS)):
            alike = varies & (kernels == kernel)
            if bool(alike.any()):
                scale[alike] = scale[alike].square().mean().sqrt()
        self._kept = varies if bool(varies.any()) else torch.ones_like(varies)
        self._center, self._scale = x.mean(0), torch.where(varies, scale, 1.0)
        kept, sizes = kernels[self._kept].unique(return_counts=True)
        stops = list(accumulate(sizes.tolist()))
        return [
            FeatureGroup(stop - size, stop, ard=kernel == len(COUNTS) and len(x) >= ARD_LABELS)
            for kernel, size, stop in zip(kept.tolist(), sizes.tolist(), stops, strict=True)
        ]

    def _standardized(self, x: Tensor) -> Tensor:
        return ((x - self._center) / self._scale)[:, self._kept]

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with cpu_threads(1):
            return self._surrogate.predict(self._standardized(x))

    def _covariance(self, x: Tensor) -> Tensor:
        with cpu_threads(1):
            return self._surrogate.joint(self._standardized(x))[1]


def kernel_of_columns(space: SearchSpace, names: Sequence[str]) -> list[int]:
    """Which kernel of the Gaussian process each column of :func:`cell_features` belongs to, from 0, ascending.

    Groups of ``COUNTS`` have one each; the others share the last.
    """
    cell = space.sample(1, seed=0)
    found: list[int] = []
    for name in FEATURES:
        if name in names:
            found += [min(FEATURES.index(name), len(COUNTS))] * cell_features(space, cell, [name]).shape[1]
    return found
