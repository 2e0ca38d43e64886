"""Predictors on disk, see :mod:`latentnas.weights`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..device import gradients, resolve_device
from ..errors import ConfigError, LatentNASError, ObservationError, WeightsError
from ..latent.storage import stored_space
from ..models.predictors import LatentEncoder
from ..models.targets import NormalScores
from ..provenance import provenance
from ..spaces import SearchSpace
from ..weights import CONFIG, WEIGHTS, finite_tensor, load_state, read_config, read_tensors, write_model
from .classical import ForestPredictor, GaussianProcessPredictor
from .epochs import LONGEST, label_epochs
from .features import Standardizer
from .labels import Labels
from .members import Reader, new_member
from .settings import DIMS, auto_predictor

if TYPE_CHECKING:
    from .auto import AutoPredictor, Member
    from .predictor import Predictor

WHAT = "predictor"


def save_predictor(predictor: Predictor, folder: str | Path) -> Path:
    """See :meth:`latentnas.Predictor.save`."""
    settings = predictor.get_params(deep=False)
    del settings["space"], settings["device"]
    if settings["latent"] is not None:  # its weights are stored with the predictor's
        encoder = predictor.members_[0].encoder
        assert isinstance(encoder, LatentEncoder)
        settings["options"], settings["latent"] = encoder.options, None
    settings["head"] = list(settings["head"])
    plain = {name: each.item() for name, each in settings.items() if isinstance(each, np.generic)}
    settings.update(plain)
    for kind in DIMS:
        if callable(settings[kind]):
            raise ConfigError(f"Predictor: {kind} is a function, which cannot be stored; only named measures can")
    config = {
        "space": predictor.space_.name,
        "node_types": list(predictor.space_.node_types),
        "settings": settings,
        "provenance": provenance(),
    }
    if isinstance(predictor.latent, str):  # for the next fit
        config["latent"] = {"latent": predictor.latent, "options": predictor.options}
    labels = predictor.labels_
    tensors = {"labels.codes": labels.codes, "labels.values": labels.values}
    if labels.epochs is not None:
        tensors["labels.epochs"], config["max_epochs"] = labels.epochs, predictor._reader.max_epochs
    if predictor.encoder == "auto":
        auto = predictor.auto_
        # what it was when it was fitted, whatever becomes of the defaults
        settings["options"] = {**(settings["options"] or {}), "members": list(auto.members_), "ensemble": auto.ensemble}
        tensors["shares"] = torch.tensor(list(auto.weights_.values()), dtype=torch.double)
        config["cv_scores"] = auto.cv_scores_
        for name, part in auto.members_.items():
            tensors |= {f"{name}.{key}": tensor for key, tensor in _part_tensors(part).items()}
    else:
        tensors |= _member_tensors(predictor)
    try:
        return write_model(folder, WHAT, tensors, config)
    except TypeError as error:
        raise ConfigError(f"Predictor: settings that are no JSON cannot be stored: {error}") from None


def _member_tensors(predictor: Predictor) -> dict[str, Tensor]:
    """What was learned by a predictor of a single encoder."""
    tensors: dict[str, Tensor] = {}
    for kind, standardizer in predictor._reader.standardizers.items():
        tensors |= {f"{kind}.center": standardizer.center, f"{kind}.scale": standardizer.scale}
    for number, member in enumerate(predictor.members_):
        tensors |= {f"members.{number}.{name}": tensor for name, tensor in member.state_dict().items()}
    if predictor.loss != "comparator":
        tensors |= {"scores.center": predictor._center, "scores.spread": predictor._spread}
    return tensors


def _part_tensors(part: Member) -> dict[str, Tensor]:
    """What was learned by a part of "auto"; a forest is grown again from its seed."""
    if isinstance(part, GaussianProcessPredictor):
        return part.parameters
    return {} if isinstance(part, ForestPredictor) else _member_tensors(part)


@gradients()
def load_predictor(folder: str | Path, *, space: SearchSpace | None, device: torch.device | str | None) -> Predictor:
    """See :meth:`latentnas.Predictor.load`."""
    from .predictor import Predictor

    folder = Path(folder)
    config = read_config(folder, WHAT, "settings")
    space = stored_space(folder, config, space)
    try:
        predictor = Predictor(space=space, device=device, **config["settings"])
        predictor.checked_space()
    except (ConfigError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG}: the settings are wrong: {error}") from None
    source = folder / WEIGHTS
    tensors = read_tensors(source)

    take = partial(finite_tensor, tensors, source=source)
    try:
        codes = space.check_codes(take("labels.codes"))
    except LatentNASError as error:
        raise WeightsError(f"{source}: labels.codes: {error}") from None
    values = take("labels.values").double()
    if values.shape != (len(codes),):
        raise WeightsError(f"{source}: labels.values has shape {list(values.shape)}, expected [{len(codes)}]")
    epochs = _stored_epochs(predictor.encoder, tensors, len(codes), source)
    predictor.space_, predictor.labels_ = space, Labels(codes, values, epochs)
    if predictor.encoder == "auto":
        predictor.auto_ = _load_auto(predictor, config, tensors, source)
    else:
        _restore(predictor, tensors, source, _stored_max_epochs(predictor.labels_, config, folder))
        predictor.set_params(**_stored_latent(config, folder))
        predictor._built_from = predictor._structure()
    return predictor


def _stored_latent(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings ``latent`` and ``options`` that a predictor of the encoder "latent" was trained with, if known."""
    found = config.get("latent", {})
    names = isinstance(found, dict) and set(found) in (set(), {"latent", "options"})
    if not names or not isinstance(found.get("latent", ""), str) or not isinstance(found.get("options"), dict | None):
        raise WeightsError(f"{folder / CONFIG}: latent must hold the name of a latent space and options, got {found!r}")
    return found


def _stored_epochs(encoder: str, tensors: dict[str, Tensor], count: int, source: Path) -> Tensor | None:
    """After how many epochs of training the labels were measured: [count] long, None where they have none."""
    try:
        return label_epochs(encoder, tensors.get("labels.epochs"), count)
    except LatentNASError as error:
        raise WeightsError(f"{source}: labels.epochs: {error}") from None


def _stored_max_epochs(labels: Labels, config: dict[str, Any], folder: Path) -> int:
    """The largest number of epochs that the members have an embedding of, 0 without epochs."""
    if labels.epochs is None:
        return 0
    found, least = config.get("max_epochs"), labels.max_epochs
    if type(found) is not int or not least <= found <= LONGEST:
        raise WeightsError(f"{folder / CONFIG}: max_epochs must be an integer in {least}..{LONGEST}, got {found!r}")
    return found


def _restore(predictor: Predictor, tensors: dict[str, Tensor], source: Path, max_epochs: int = 0) -> None:
    """Set what was learned by a predictor of a single encoder, whose space and labels are set."""
    take = partial(finite_tensor, tensors, source=source)
    reader, target = Reader(predictor.space_, predictor, max_epochs), resolve_device(predictor.device)
    reader.standardizers = {
        kind: Standardizer(take(f"{kind}.center"), take(f"{kind}.scale")) for kind in reader.measures
    }
    members = []
    for number in range(predictor.ensemble):
        member = new_member(predictor, reader, number)
        load_state(member, tensors, f"members.{number}.", source)
        members.append(member.to(target))
    predictor._reader, predictor.members_ = reader, members
    if predictor.loss != "comparator":
        predictor._center, predictor._spread = take("scores.center"), take("scores.spread")
        for name in ("center", "spread"):
            if getattr(predictor, f"_{name}").shape != (len(members),):
                raise WeightsError(f"{source}: scores.{name} has a wrong shape, expected [{len(members)}]")


def _load_auto(predictor: Predictor, config: dict[str, Any], tensors: dict[str, Tensor], source: Path) -> AutoPredictor:
    auto = auto_predictor(predictor)
    names = auto.member_names(predictor.space_)
    weights = finite_tensor(tensors, "shares", source=source).double()
    if weights.shape != (len(names),):
        raise WeightsError(f"{source}: shares has shape {list(weights.shape)}, expected [{len(names)}]")
    if bool((weights < 0).any()) or abs(float(weights.sum()) - 1) > 1e-6:
        raise WeightsError(f"{source}: shares must be at least 0 and have the sum 1, got {weights.tolist()}")
    known = {"labels", "shares", *names}
    unknown = sorted(key for key in tensors if key.partition(".")[0] not in known)
    if unknown:
        raise WeightsError(f"{source}: no part of this predictor is called {unknown[0]!r}")
    labels = Labels(predictor.labels_.codes, NormalScores(predictor.labels_.values).forward())
    members: dict[str, Member] = {}
    for name in names:
        part, prefix = auto.new_member(name, predictor.space_), f"{name}."
        own = {
            key.removeprefix(prefix): finite_tensor(tensors, key, source=source)
            for key in tensors
            if key.startswith(prefix)
        }
        if isinstance(part, GaussianProcessPredictor):
            try:
                part.restore(labels, own)
            except ObservationError as error:
                raise WeightsError(f"{source}: {name}: {error}") from None
        elif isinstance(part, ForestPredictor):
            part.fit(labels.codes, labels.values)
        else:
            part.space_, part.labels_ = predictor.space_, labels
            _restore(part, own, source)
            part._built_from = part._structure()
        members[name] = part
    scores = config.get("cv_scores")
    auto.cv_scores_ = scores if isinstance(scores, dict) else {}
    return auto.become(predictor.space_, predictor.labels_, members, dict(zip(names, weights.tolist(), strict=True)))
