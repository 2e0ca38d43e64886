"""Predictors on disk: tensors in safetensors, settings in JSON, nothing that executes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..device import resolve_device
from ..errors import ConfigError, LatentNASError, UnknownNameError, WeightsError
from ..latent.storage import load_state, read_tensors, write_atomically, write_tensors
from ..models.predictors import LatentEncoder
from ..provenance import provenance
from ..spaces import SearchSpace, get_space
from .features import Standardizer
from .labels import Labels

if TYPE_CHECKING:
    from .predictor import Predictor

FORMAT = 1


def save_predictor(predictor: Predictor, folder: str | Path) -> Path:
    """See :meth:`latentnas.Predictor.save`."""
    from .predictor import DIMS

    folder = Path(folder)
    settings = predictor.get_params(deep=False)
    del settings["space"], settings["device"]
    if settings["latent"] is not None:  # its weights are stored with the predictor's
        encoder = predictor.members_[0].encoder
        assert isinstance(encoder, LatentEncoder)
        settings["options"], settings["latent"] = encoder.options, None
    settings["head"] = list(settings["head"])
    for kind in DIMS:
        if settings[kind] is not None and not isinstance(settings[kind], str):
            raise ConfigError(f"Predictor: {kind} is a function, which cannot be stored; only named measures can")
    config = {
        "format": FORMAT,
        "space": predictor.space_.name,
        "node_types": list(predictor.space_.node_types),
        "settings": settings,
        "provenance": provenance(),
    }
    tensors = {"labels.codes": predictor.labels_.codes, "labels.values": predictor.labels_.values}
    for kind, standardizer in predictor._standardizers.items():
        tensors |= {f"{kind}.center": standardizer.center, f"{kind}.scale": standardizer.scale}
    for number, member in enumerate(predictor.members_):
        tensors |= {f"members.{number}.{name}": tensor for name, tensor in member.state_dict().items()}
    if predictor.loss != "comparator":
        tensors |= {"scores.center": predictor._center, "scores.spread": predictor._spread}
    try:
        text = json.dumps(config, indent=2) + "\n"
    except TypeError as error:
        raise ConfigError(f"Predictor: settings that are no JSON cannot be stored: {error}") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / "model.safetensors", tensors)
        write_atomically(folder / "config.json", text.encode())
    except OSError as error:
        raise WeightsError(f"cannot save the predictor in {folder}: {error.strerror or error}") from error
    return folder


def load_predictor(folder: str | Path, *, space: SearchSpace | None, device: torch.device | str | None) -> Predictor:
    """See :meth:`latentnas.Predictor.load`."""
    from .predictor import DIMS, Predictor

    folder = Path(folder)
    config = _read_config(folder / "config.json")
    if space is None:
        try:
            space = get_space(config["space"])
        except UnknownNameError as error:
            raise WeightsError(f"{folder}: {error}; give the space to load()") from None
    if space.name != config["space"] or list(space.node_types) != config["node_types"]:
        raise WeightsError(f"{folder}: made for space {config['space']!r}, not for {space.name!r}")
    try:
        predictor = Predictor(space=space, device=device, **config["settings"])
        predictor.checked_space()
    except (ConfigError, TypeError) as error:
        raise WeightsError(f"{folder / 'config.json'}: the settings are wrong: {error}") from None
    source = folder / "model.safetensors"
    tensors = read_tensors(source)

    def take(name: str) -> torch.Tensor:
        if name not in tensors:
            raise WeightsError(f"{source}: the tensor {name!r} is missing")
        if not bool(tensors[name].isfinite().all()):
            raise WeightsError(f"{source}: {name} has values that are not finite")
        return tensors[name]

    try:
        codes = space.check_codes(take("labels.codes"))
    except LatentNASError as error:
        raise WeightsError(f"{source}: labels.codes: {error}") from None
    values = take("labels.values").double()
    if values.shape != (len(codes),):
        raise WeightsError(f"{source}: labels.values has shape {list(values.shape)}, expected [{len(codes)}]")
    predictor.space_, predictor.labels_ = space, Labels(codes, values)
    predictor._standardizers = {
        kind: Standardizer(take(f"{kind}.center"), take(f"{kind}.scale"))
        for kind in DIMS
        if predictor.measure_of(kind) is not None
    }
    facts, target = predictor._facts(space), resolve_device(device)
    members = []
    for number in range(predictor.ensemble):
        member = predictor._new_member(facts, number, torch.device("cpu"))
        load_state(member, tensors, f"members.{number}.", source)
        members.append(member.to(target))
    predictor.members_ = members
    if predictor.loss != "comparator":
        predictor._center, predictor._spread = take("scores.center"), take("scores.spread")
        for name in ("center", "spread"):
            if getattr(predictor, f"_{name}").shape != (len(members),):
                raise WeightsError(f"{source}: scores.{name} has a wrong shape, expected [{len(members)}]")
    return predictor


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: {path.parent} is no saved predictor") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise WeightsError(f"{path}: expected format {FORMAT}, found {found!r}")
    for key, kind in (("space", str), ("node_types", list), ("settings", dict)):
        if not isinstance(config.get(key), kind):
            raise WeightsError(f"{path}: {key!r} must be a {kind.__name__}, got {config.get(key)!r}")
    return config
