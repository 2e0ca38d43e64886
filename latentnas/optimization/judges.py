"""Predictors in the place of a Gaussian process: what a strategy asks of a fitted model, from either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch import Tensor

from ..errors import ConfigError, LatentNASError, UnknownNameError
from ..latent import LatentSpace
from ..models.gaussian_process import MIN_NOISE
from ..models.predictors import list_encoders
from ..models.targets import TargetTransform, target_transform

if TYPE_CHECKING:
    from ..predictor import AutoPredictor, ForestPredictor, Predictor

    CellPredictor: TypeAlias = Predictor | ForestPredictor | AutoPredictor

GP = "gp"
"""The surrogate that is no predictor: Gaussian processes, one for each judge of the strategy."""

ENSEMBLE = {"epochs": 60, "ensemble": 4}
"""Settings of an encoder's :class:`latentnas.predictor.Predictor` that differ from its defaults: it is trained anew
before every batch."""

AUTO = {"members": ["gp", "gates-simplified"], "ensemble": 2}
"""The same for "auto"."""

OWN = ("encoder", "space", "seed", "progress", "warm_start", "update_epochs")
"""Settings of a predictor that are the strategy's to choose."""


class Judge(Protocol):
    """What a strategy asks of a fitted surrogate; a :class:`latentnas.models.gaussian_process.Surrogate` is one.

    The x of the methods is what the surrogate reads of m cells.
    """

    @property
    def transform(self) -> TargetTransform:
        """Maps observed values to targets and back."""
        ...

    @property
    def noise(self) -> float:
        """Variance of the observation noise of the target."""
        ...

    @property
    def best(self) -> float:
        """The target to improve on."""
        ...

    def marginals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the target, without noise: two [m] double."""
        ...

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Joint mean [m] and covariance [m, m] of the target, double, without noise."""
        ...


@dataclass(frozen=True)
class PredictorJudge:
    """A predictor, fitted to targets; it reads codes [m, D] long.

    Attributes:
        predictor: fitted, with :meth:`joint`.
        transform: maps observed values to targets and back.
        noise: mean square error of the targets learned, the estimate of the observation noise.
        best: the highest mean of a cell learned: a ranker's mean of the best cell is not that cell's target.
    """

    predictor: CellPredictor
    transform: TargetTransform
    noise: float
    best: float

    def marginals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Judge`; the variance has a floor, as members may agree."""
        mean, std = map(torch.from_numpy, self.predictor.predict(x, return_std=True))
        return mean, (std.square() + MIN_NOISE).sqrt()

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Judge`; the floor of the variance is on the diagonal: of M members the rank is below M."""
        mean, covariance = self.predictor.joint(x)
        covariance.diagonal().add_(MIN_NOISE)
        return mean, covariance


def list_surrogates() -> list[str]:
    """Names of surrogates: "gp", "auto", "forest", then every encoder of a predictor."""
    return [GP, "auto", "forest", *list_encoders()]


def fit_judge(
    name: str,
    latent: LatentSpace,
    codes: Tensor,
    values: Tensor,
    *,
    options: Mapping[str, Any],
    target: str,
    seed: int,
) -> PredictorJudge:
    """Fit the predictor ``name`` to evaluated cells.

    Args:
        name: one of :func:`list_surrogates`, not "gp".
        latent: the latent space of the cells' space.
        codes: [n, D] long.
        values: [n] double, finite, larger is better.
        options: settings of the predictor.
        target: how values are transformed, "rank" or "standardize".
        seed: everything random comes from it.

    Raises:
        ConfigError: settings are wrong.
        ObservationError: the values cannot be learned from: fewer than two cells, or all are worth the same.
    """
    transform = target_transform(target)(values)
    targets = transform.forward()
    predictor = _build(name, latent, options, seed)
    predictor.fit(codes, targets)
    learned = torch.from_numpy(predictor.predict(codes))
    noise = float((learned - targets).square().mean())
    return PredictorJudge(predictor, transform, noise=max(MIN_NOISE, noise), best=float(learned.max()))


def checked_options(strategy: str, name: str, latent: LatentSpace, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a surrogate as JSON types, checked before anything is evaluated.

    Raises:
        UnknownNameError: there is no such surrogate.
        ConfigError: it cannot be built on this space, is of a kind whose predictions have no deviations, or refuses its
            options; the message says which surrogates the space has.
    """
    if name not in list_surrogates():
        raise UnknownNameError("surrogate", name, list_surrogates())
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"{strategy}: surrogate_options must be a mapping, got {options!r}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{strategy}: surrogate_options must be plain values that JSON can hold, {error}") from None
    faults = _faults(name, latent, plain)
    if faults:
        raise ConfigError(f"{strategy}: surrogate {name!r}: {'; '.join(faults)}")
    return plain


def _faults(name: str, latent: LatentSpace, options: dict[str, Any]) -> list[str]:
    if name == GP:
        own = "those of the Gaussian processes are options of the strategy"
        return [f"surrogate_options are for predictors; {own}"] if options else []
    known = sorted(set(_class(name)._get_param_names()) - {*OWN})
    unknown = sorted(set(options) - {*known})
    if unknown:
        return [f"unknown option {', '.join(map(repr, unknown))}; known: {', '.join(known)}"]
    try:
        predictor = _build(name, latent, options, 0)
        predictor.checked_space()
    except LatentNASError as error:
        if _serves(name, latent):
            return [str(error)]
        others = [other for other in list_surrogates() if other == GP or _serves(other, latent)]
        return [f"{error}; surrogates of {latent.space.name}: {', '.join(others)}"]
    return _deviation_faults(predictor.get_params(deep=False))


def _deviation_faults(settings: dict[str, Any]) -> list[str]:
    """What is wrong with a predictor's settings for want of deviations, as sentences."""
    found = []
    if settings.get("loss") == "comparator":
        found.append("with the loss 'comparator' a cell's value depends on the cells it is asked with")
    size = "trees" if "trees" in settings else "ensemble"
    members = settings.get("members", ["gates"])
    deviates = members is None or {"gp", "forest"} & {*members}  # of "auto", whose default members have a process
    if settings[size] < 2 and not deviates:
        found.append(f"{size} must be at least 2, as deviations are those of its members, got {settings[size]}")
    return found


def _serves(name: str, latent: LatentSpace) -> bool:
    """Whether the predictor can be built on the space of ``latent`` with default options."""
    try:
        _build(name, latent, {}, 0).checked_space()
    except LatentNASError:
        return False
    return True


def _class(name: str) -> type[CellPredictor]:
    from ..predictor import AutoPredictor, ForestPredictor, Predictor

    return {"auto": AutoPredictor, "forest": ForestPredictor}.get(name, Predictor)


def _build(name: str, latent: LatentSpace, options: Mapping[str, Any], seed: int) -> CellPredictor:
    """The predictor ``name``, not fitted."""
    settings: dict[str, Any] = {"space": latent.space, "seed": seed}
    if name != "forest":
        settings["device"] = "cpu"
    if name == "auto":
        settings |= AUTO
    elif name != "forest":
        settings |= {"encoder": name, "latent": latent if name == "latent" else None, **ENSEMBLE}
    return _class(name)(**(settings | dict(options)))
