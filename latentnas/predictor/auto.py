"""AutoPredictor: several rankers, weighted by cross-validation on the training labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from ..errors import ConfigError, LatentNASError, ObservationError
from ..evaluation.metrics import kendall_tau
from ..models.targets import NormalScores
from ..progress import Progress
from ..seeding import derive_seed
from ..spaces import SearchSpace, get_space
from .classical import ForestPredictor, GaussianProcessPredictor, known_features
from .features import cell_expressivity, measure_faults
from .inputs import cell_facts
from .labels import Labels, as_codes, as_values, checked_labels
from .moments import mixture_moments, with_deviations
from .predictor import Predictor
from .settings import device_faults
from .shares import shares

Member: TypeAlias = Predictor | ForestPredictor | GaussianProcessPredictor

MEMBERS = ("gp", "gates-simplified", "gates", "gates-edges", "hop", "forest")
"""Rankers that can be combined."""

DEFAULT_MEMBERS = MEMBERS[:3]
"""A process, which is best on few labels, and the two networks that differ most from it and from each other: chosen by
the tau of their mean on cells held out of the training half of NAS-Bench-201. Where operations are on vertices "hop"
comes to them: their mean ranked held-out cells of NAS-Bench-101 better after one subset of 1,906 labels."""

NETWORKS: dict[str, tuple[str, dict[str, str]]] = {
    "gates-simplified": ("gates-simplified", {}),
    "gates": ("gates", {"view": "nodes"}),
    "gates-edges": ("gates", {"view": "edges"}),
    "hop": ("hop", {}),
}
"""The encoder of a member that is a network, and its options."""

NOT_FITTED = "this AutoPredictor is not fitted yet: call fit(codes, accuracies) first"

READERS = ("gates", "gates-edges", "hop")
"""Networks that read the expressivity of a cell beside its embedding with ``zero_cost``; "gates-simplified" ranked
held-out cells of NAS-Bench-201 no better with it from 390 labels on, and differs more from the others without."""

GRAPH_FEATURES = ("links", "flow", "costs")
"""Measures of a cell's graph that "gates-simplified" reads beside its embedding, as far as the space has them, where
operations are on vertices. There any network ranked held-out cells better with them (by 0.03 to 0.06 at 190 labels,
docs/predictors.md), but their mean with the process, which reads them anyway, was best with one such network; with
operations on edges it was best without from 390 labels on."""

ONE_FOLD_LABELS = 500
"""From how many labels on a single fold is held out: a third of them tell shares apart."""


class AutoPredictor(BaseEstimator):
    """A weighted mean of rankers of different kinds; ``Predictor("auto")``.

    All members read canonical codes, so that isomorphic cells get equal values, and learn the normal scores of the
    accuracies' ranks. Their shares are weighed up on held-out training labels (:func:`.shares.shares`), by K folds that
    are stratified by value; from ``ONE_FOLD_LABELS`` labels on a single one is held out. With fewer than ``least``
    labels, or labels of which the different ones stand in a single fold, all shares are equal. In the folds a network
    is trained once, whatever ``ensemble`` is.

    Args:
        space: the search space, or its name.
        members: None for ``DEFAULT_MEMBERS``, and "hop" where the space has no operations on edges; or some of "gp"
            (:class:`.classical.GaussianProcessPredictor`), "gates-simplified", "gates" (GATES on operations on
            vertices), "gates-edges" (GATES on operations on edges, where the space has that view), "hop" and "forest"
            (:class:`.classical.ForestPredictor`).
        zero_cost: whether all members but "gates-simplified" read a zero-cost metric of every cell, too: the
            expressivity of its untrained network after every block. See :func:`.classical.cell_features` for what that
            costs.
        ensemble: how many networks of a kind are trained on all labels.
        folds: K.
        least: fewest labels that are cross-validated.
        seed: everything random comes from it.
        device: where networks are trained; by default the GPU where there is one.
        threads: CPU threads of their training.
        progress: whether to show how far the training is.

    Attributes:
        members_: the fitted members by name.
        weights_: their shares by name.
        cv_scores_: Kendall's tau of each member's held-out predictions, by name; empty without cross-validation.
        labels_: the different cells trained on, and their values.
    """

    def __init__(
        self,
        *,
        space: SearchSpace | str = "nasbench201",
        members: Sequence[str] | None = None,
        zero_cost: bool = False,
        ensemble: int = 3,
        folds: int = 3,
        least: int = 20,
        seed: int = 0,
        device: torch.device | str | None = None,
        threads: int = 1,
        progress: bool = False,
    ) -> None:
        self.space, self.members, self.zero_cost, self.ensemble = space, members, zero_cost, ensemble
        self.folds, self.least, self.seed = folds, least, seed
        self.device, self.threads, self.progress = device, threads, progress

    def fit(self, codes: Tensor | Sequence[Sequence[int]], accuracies: Tensor | Sequence[float]) -> AutoPredictor:
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
        scores = NormalScores(labels.values).forward()
        names = self.member_names(space)
        parts = self._folds(scores, len(names))
        fitted: dict[str, Member] = {}
        held = torch.zeros(len(labels), len(names), dtype=torch.double)
        with Progress(len(names) * (len(parts) + 1), "fitting auto", enabled=self.progress) as bar:
            for column, name in enumerate(names):
                fitted[name] = self.new_member(name, space).fit(labels.codes, scores)
                bar.update()
                held[:, column] = self._held_out(name, space, labels, scores, parts, bar)
        weights, self.cv_scores_ = torch.full((len(names),), 1 / len(names), dtype=torch.double), {}
        if parts:
            weights = shares(held, scores, parts)
            rows = torch.cat(parts)
            held, known = held[rows], scores[rows]
            self.cv_scores_ = {name: kendall_tau(column, known) for name, column in zip(names, held.T, strict=True)}
        return self.become(space, labels, fitted, dict(zip(names, weights.tolist(), strict=True)))

    def become(
        self, space: SearchSpace, labels: Labels, members: dict[str, Member], weights: dict[str, float]
    ) -> AutoPredictor:
        """Take over what was fitted elsewhere, as by loading from a file.

        Args:
            space: the space of the labels.
            labels: the different cells trained on, and their values.
            members: fitted to the normal scores of these labels, by name.
            weights: their shares by name, sum 1.

        Returns:
            The predictor itself, fitted.
        """
        self.members_, self.weights_ = members, weights
        self.space_, self.labels_, self._transform = space, labels, NormalScores(labels.values)
        return self

    def _held_out(
        self, name: str, space: SearchSpace, labels: Labels, scores: Tensor, parts: list[Tensor], bar: Progress
    ) -> Tensor:
        """What the labels of every part are predicted as from the others: [n] double, 0 for those in no part."""
        found = torch.zeros(len(scores), dtype=torch.double)
        for number, part in enumerate(parts):
            rest = torch.ones(len(scores), dtype=torch.bool)
            rest[part] = False
            member = self._new(name, space, str(number), ensemble=1).fit(labels.codes[rest], scores[rest])
            found[part] = torch.from_numpy(member.predict(labels.codes[part]))
            bar.update()
        return found

    def predict(self, codes: Tensor | Sequence[Sequence[int]], return_std: bool = False) -> Any:
        """What cells are worth, in units of the accuracies trained on.

        Args:
            codes: [B, D] integers.
            return_std: whether to return standard deviations, too: those of the mixture of the members, each with its
                own deviation (a single network has none).

        Returns:
            NumPy array [B] of doubles; with ``return_std`` a pair of them.

        Raises:
            ObservationError: the predictor is not fitted.
        """
        if not self.__sklearn_is_fitted__():
            raise ObservationError(NOT_FITTED)
        codes = as_codes(self.space_, codes)
        means, stds = [], []
        for member in self.members_.values():
            if return_std and not (isinstance(member, Predictor) and member.ensemble == 1):
                mean, std = member.predict(codes, return_std=True)
            else:
                mean = member.predict(codes)
                std = np.zeros_like(mean)
            means.append(torch.from_numpy(mean))
            stds.append(torch.from_numpy(std))
        share = torch.tensor(list(self.weights_.values()), dtype=torch.double)[:, None]
        center, each = torch.stack(means), torch.stack(stds)  # [M, B]
        mean = (share * center).sum(0)
        std = (share * (each.square() + (center - mean).square())).sum(0).sqrt()
        value, spread = self._transform.inverse_moments(mean, std)
        return (value.numpy(), spread.numpy()) if return_std else value.numpy()

    def joint(self, codes: Tensor | Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Joint mean [B] and covariance [B, B] of cells, double, in units of the accuracies trained on.

        Means and variances are those of :meth:`predict`; the correlations are those of the mixture on the scale of
        normal scores, in which a single network has no variance.

        Args:
            codes: [B, D] integers.

        Raises:
            ObservationError: the predictor is not fitted.
        """
        if not self.__sklearn_is_fitted__():
            raise ObservationError(NOT_FITTED)
        codes = as_codes(self.space_, codes)
        share = torch.tensor(list(self.weights_.values()), dtype=torch.double)
        means, covariances = zip(*(self._joint_of(name, codes) for name in self.members_), strict=True)
        mean, covariance = mixture_moments(share, torch.stack(means), torch.stack(covariances))
        value, spread = self._transform.inverse_moments(mean, covariance.diagonal().clamp_min(0).sqrt())
        return value, with_deviations(covariance, spread)

    def _joint_of(self, name: str, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [B] and covariance [B, B] of a member, in normal scores."""
        member = self.members_[name]
        if isinstance(member, Predictor) and member.ensemble == 1:
            mean = torch.from_numpy(member.predict(codes))
            return mean, mean.new_zeros(len(mean), len(mean))
        return member.joint(codes)

    def score(self, codes: Tensor | Sequence[Sequence[int]], accuracies: Tensor | Sequence[float]) -> float:
        """Kendall's tau-b between predictions and accuracies."""
        predicted = torch.from_numpy(self.predict(codes))
        return kendall_tau(predicted, as_values(accuracies, len(predicted)))

    def checked_space(self) -> SearchSpace:
        """The space, after all settings are checked.

        Raises:
            ConfigError: settings are wrong; the message lists all of them.
        """
        faults: list[str] = []
        try:
            space = get_space(self.space)
        except (LatentNASError, TypeError) as error:
            raise ConfigError(f"AutoPredictor: {error}") from None
        faults += device_faults(self.device)
        names, known = DEFAULT_MEMBERS if self.members is None else self.members, self._known(space)
        listed = isinstance(names, Sequence) and not isinstance(names, str) and len(names) > 0
        if not (listed and all(name in known for name in names) and len(set(names)) == len(names)):
            faults.append(f"members must be None or list some of {', '.join(known)}, each once, got {names!r}")
        if not isinstance(self.zero_cost, bool):
            faults.append(f"zero_cost must be True or False, got {self.zero_cost!r}")
        elif self.zero_cost:
            faults += [f"zero_cost: {fault}" for fault in measure_faults(cell_expressivity, space)]
        for name, low in (("ensemble", 1), ("folds", 2), ("least", 2), ("seed", 0), ("threads", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
                faults.append(f"{name} must be an integer, at least {low}, got {value!r}")
        if faults:
            raise ConfigError("AutoPredictor: " + "; ".join(faults))
        return space

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def member_names(self, space: SearchSpace) -> tuple[str, ...]:
        """The members for cells of a space, in order."""
        if self.members is not None:
            return tuple(self.members)
        return DEFAULT_MEMBERS if cell_facts(space).has_edges else (*DEFAULT_MEMBERS, "hop")

    def _cell_features(self, name: str, space: SearchSpace) -> list[str] | None:
        """The measures that a network reads beside its embedding."""
        if name in READERS:
            return ["expressivity"] if self.zero_cost else None
        if cell_facts(space).has_edges:
            return None
        return [feature for feature in GRAPH_FEATURES if feature in known_features(space)]

    @staticmethod
    def _known(space: SearchSpace) -> tuple[str, ...]:
        """The members that the space has."""
        return tuple(name for name in MEMBERS if name != "gates-edges" or cell_facts(space).has_edges)

    def _folds(self, scores: Tensor, members: int) -> list[Tensor]:
        """Rows that are held out together, stratified by value; none where shares are not cross-validated."""
        count = min(self.folds, len(scores))
        if members == 1 or len(scores) < max(self.least, 3):
            return []
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "folds"))
        order = torch.randperm(len(scores), generator=generator)
        order = order[scores[order].argsort(stable=True)]
        parts = [order[start::count] for start in range(count)]
        rests = (torch.cat([part for part in parts if part is not held]) for held in parts)
        if not all(bool((scores[rest] != scores[rest[0]]).any()) for rest in rests):
            return []
        return parts[:1] if len(scores) >= ONE_FOLD_LABELS else parts

    def new_member(self, name: str, space: SearchSpace) -> Member:
        """The member that learns all labels, not fitted."""
        return self._new(name, space, "all", ensemble=self.ensemble)

    def _new(self, name: str, space: SearchSpace, labels: str, *, ensemble: int) -> Member:
        seed = derive_seed(self.seed, name, labels)
        if name in ("gp", "forest"):
            kind = GaussianProcessPredictor if name == "gp" else ForestPredictor
            features = (*known_features(space), "expressivity") if self.zero_cost else None
            return kind(space=space, features=features, seed=seed % 2**31)
        encoder, options = NETWORKS[name]
        return Predictor(
            encoder,
            space=space,
            options=dict(options),
            cell_features=self._cell_features(name, space),
            average=0.2,
            ensemble=ensemble,
            seed=seed,
            device=self.device,
            threads=self.threads,
        )
