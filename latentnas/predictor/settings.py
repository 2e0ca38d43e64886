"""What is wrong with a Predictor's settings, and what "auto" makes of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..device import resolve_device
from ..errors import ConfigError, LatentNASError, UnknownNameError
from ..latent import resolve_latent
from ..models.predictors import LOSSES, encoder_class, encoder_faults, list_encoders
from ..seeding import seed_faults
from ..spaces import SearchSpace, get_space
from .features import (
    CELL_FEATURES,
    OP_FEATURES,
    UNTRAINED,
    Measure,
    MeasureSetting,
    measure_faults,
    names_of,
    network_metrics,
)
from .inputs import FEATURES_ON_EDGES, cell_facts
from .training import SCHEDULES

if TYPE_CHECKING:
    from .auto import AutoPredictor
    from .predictor import Predictor

DIMS = {"op_features": 3, "cell_features": 2, "targets": 2}
"""Dimensions of what each kind of measure returns."""

AUTO_SETTINGS = ("space", "seed", "device", "threads", "progress")
"""Settings that :class:`.auto.AutoPredictor` shares with a Predictor."""

BOUNDS = {
    "margin": (0.0, math.inf),
    "learning_rate": (0.0, 1.0),
    "weight_decay": (0.0, math.inf),
    "average": (0.0, 1.0),
    "dropout": (0.0, 1.0),
    "target_weight": (0.0, math.inf),
}
"""Real settings: from the first number, below the second."""


def checked_space(predictor: Predictor) -> SearchSpace:
    """The space of a predictor, after all its settings are checked.

    Raises:
        ConfigError: settings are wrong; the message lists all of them.
    """
    try:
        space = get_space(predictor.space)
    except (LatentNASError, TypeError) as error:
        raise ConfigError(f"Predictor: {error}") from None
    if predictor.encoder == "auto":
        return auto_predictor(predictor).checked_space()
    faults = [
        *device_faults(predictor.device),
        *_loss_faults(predictor),
        *_number_faults(predictor),
        *_measure_faults(predictor, space),
        *_encoder_faults(predictor, space),
        *_latent_faults(predictor, space),
    ]
    if faults:
        raise ConfigError("Predictor: " + "; ".join(faults))
    return space


def auto_predictor(predictor: Predictor) -> AutoPredictor:
    """What ``Predictor("auto", ...)`` stands for, not fitted.

    Raises:
        ConfigError: settings are changed that it has not; the message lists all of them.
    """
    from .auto import AutoPredictor

    defaults = {name: each.default for name, each in inspect.signature(type(predictor).__init__).parameters.items()}
    faults = [
        f"{name} is not for the encoder 'auto'"
        for name, value in predictor.get_params(deep=False).items()
        if name not in (*AUTO_SETTINGS, "encoder", "options") and not _same(value, defaults[name])
    ]
    known = [name for name in AutoPredictor._get_param_names() if name not in AUTO_SETTINGS]
    options = {} if predictor.options is None else predictor.options
    if not isinstance(options, dict) or set(options) - set(known):
        faults.append(f"options of 'auto' must be a dictionary of {', '.join(known)}, got {options!r}")
    if faults:
        raise ConfigError("Predictor: " + "; ".join(faults))
    return AutoPredictor(**{name: getattr(predictor, name) for name in AUTO_SETTINGS}, **options)


def measures_of(kind: str) -> dict[str, Measure]:
    """The named measures that the setting ``kind`` of :data:`DIMS` takes."""
    return OP_FEATURES if kind == "op_features" else CELL_FEATURES


def measure_of(predictor: Predictor, kind: str) -> MeasureSetting | None:
    """The measure in use as the setting ``kind`` of :data:`DIMS`: the given one, else the encoder's own."""
    own = encoder_class(predictor.encoder).measures if predictor.encoder in list_encoders() else {}
    given: MeasureSetting | None = getattr(predictor, kind)
    return own.get(kind) if given is None else given


def networks_read(predictor: Predictor) -> list[str]:
    """The measures of :data:`.features.UNTRAINED` that the predictor takes of the cells that it is asked about."""
    if predictor.encoder == "auto":
        return ["expressivity"] if auto_predictor(predictor).zero_cost else []
    given = (measure_of(predictor, kind) for kind in ("op_features", "cell_features"))
    named = {name for each in given if each is not None and not callable(each) for name in names_of(each)}
    return [name for name in UNTRAINED if name in named]


def show_measuring(predictor: Predictor, space: SearchSpace, codes: Tensor) -> None:
    """Measure the networks that the predictor reads of cells [B, D], with progress where it shows any.

    They are measured anyway; kept, they are at hand when the cells are read.
    """
    for name in networks_read(predictor) if predictor.progress else []:
        network_metrics(name, space, codes, progress=True)


def _same(value: object, default: object) -> bool:
    if isinstance(value, list) and isinstance(default, tuple):  # as it comes back from JSON
        value = tuple(value)
    return value is default or (type(value) is type(default) and value == default)


def device_faults(device: torch.device | str | None) -> list[str]:
    """Why nothing can be trained on the device, as a list of at most one sentence."""
    try:
        resolve_device(device)
    except LatentNASError as error:
        return [str(error)]
    return []


def _loss_faults(predictor: Predictor) -> list[str]:
    faults = []
    loss, schedule = predictor.loss, predictor.schedule
    if loss == "nar" and predictor.encoder != "nar":
        faults.append(f"the loss 'nar' classifies the tiers of the encoder 'nar', got encoder {predictor.encoder!r}")
    if predictor.batch_norm is True and loss == "comparator":
        faults.append("batch_norm is for heads that score cells, not for the loss 'comparator'")
    if loss not in LOSSES:
        faults.append(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    if schedule not in SCHEDULES:
        faults.append(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    return faults


def _number_faults(predictor: Predictor) -> list[str]:
    faults = []
    for name in ("epochs", "batch_size", "ensemble", "update_epochs", "threads"):
        value = getattr(predictor, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            faults.append(f"{name} must be a positive integer, got {value!r}")
    if predictor.batch_size == 1:
        faults.append("batch_size must be at least 2: pairs are formed within a step")
    if predictor.encoder != "auto":
        faults += seed_faults(predictor.seed)
    for name, (low, high) in BOUNDS.items():
        value = getattr(predictor, name)
        if name == "learning_rate" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not low <= value < high:
            faults.append(f"{name} must be a number, {low:g} <= {name} < {high:g}, got {value!r}")
    sizes = predictor.head
    listed = isinstance(sizes, Sequence) and not isinstance(sizes, str | bytes)
    if not listed or not all(isinstance(s, int) and not isinstance(s, bool) and 1 <= s <= 8192 for s in sizes):
        faults.append(f"head must be a list of layer sizes in 1..8192, got {sizes!r}")
    for name in ("canonical", "warm_start", "progress", "batch_norm"):
        if not isinstance(getattr(predictor, name), bool):
            faults.append(f"{name} must be True or False, got {getattr(predictor, name)!r}")
    return faults


def _measure_faults(predictor: Predictor, space: SearchSpace) -> list[str]:
    faults = []
    for kind in DIMS:
        given, known = measure_of(predictor, kind), measures_of(kind)
        if given is None or callable(given):
            continue
        if not isinstance(given, Sequence) or not given or not all(name in known for name in names_of(given)):
            faults.append(f"{kind} must be one or several of {', '.join(known)}, a function or None, got {given!r}")
        else:
            found = [fault for name in names_of(given) for fault in measure_faults(known[name], space)]
            faults += [f"{kind}: {fault}" for fault in dict.fromkeys(found)]
    name = predictor.encoder
    if predictor.op_features is not None and name in list_encoders() and "op_features" not in encoder_class(name).needs:
        readers = ", ".join(other for other in list_encoders() if "op_features" in encoder_class(other).needs)
        faults.append(f"op_features is for the encoders that read measures of operations, {readers}; got {name!r}")
    elif _reads_edges(predictor, space) and space.name != FEATURES_ON_EDGES:
        faults.append(
            f"op_features of operations on edges are known for {FEATURES_ON_EDGES}; for {space.name} give "
            "options={'view': 'nodes'}, which reads operations on vertices"
        )
    return faults


def _reads_edges(predictor: Predictor, space: SearchSpace) -> bool:
    """Whether the encoder takes measures of operations on edges."""
    options = predictor.options if isinstance(predictor.options, dict) else {}
    measured = measure_of(predictor, "op_features") is not None
    return measured and bool(space.edge_types) and options.get("view") != "nodes"


def _encoder_faults(predictor: Predictor, space: SearchSpace) -> list[str]:
    name, options = predictor.encoder, predictor.options
    if options is not None and not isinstance(options, dict):
        return [f"options must be a dictionary, got {options!r}"]
    if name not in list_encoders():
        return [str(UnknownNameError("encoder", name, ["auto", *list_encoders()]))]
    return encoder_faults(name, cell_facts(space), options or {})


def _latent_faults(predictor: Predictor, space: SearchSpace) -> list[str]:
    if predictor.latent is None:
        return []
    faults, options = [], predictor.options
    if predictor.encoder != "latent":
        faults.append(f"latent is for the encoder 'latent', got encoder {predictor.encoder!r}")
    others = sorted(set(options or {}) - {"frozen"}) if isinstance(options, dict) else []
    if others:
        faults.append(f"with a latent space the only option is 'frozen', got {', '.join(others)}")
    try:
        resolve_latent(space, predictor.latent)
    except LatentNASError as error:
        faults.append(str(error))
    return faults
