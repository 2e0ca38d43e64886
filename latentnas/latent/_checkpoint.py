"""The state of a fit on disk: weights, best weights, optimiser and history, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..weights import load_state, read_tensors, write_tensors

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class FitState:
    """What changes from epoch to epoch.

    Attributes:
        model: the module that is trained.
        optimizer: its optimiser.
        best: the best epoch's weights by name.
        epoch: epochs done.
        best_epoch, best_loss: when the validation loss was lowest, and how low.
        history: a record an epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor]
    epoch: int
    best_epoch: int
    best_loss: float
    history: list[dict[str, float]]

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


def save_checkpoint(path: Path, state: FitState, identity: dict[str, Any]) -> None:
    """Keep the state, written atomically.

    Args:
        path: the file; its folder is made.
        state: what to keep.
        identity: what must be equal for another fit to go on from it, JSON types.

    Raises:
        WeightsError: it cannot be written.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    progress = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "history": state.history,
    }
    metadata = {"identity": json.dumps(identity), "progress": json.dumps(progress)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors, metadata)
    except OSError as error:
        raise WeightsError(f"cannot write the checkpoint {path}: {error.strerror or error}") from error


def resume_checkpoint(path: Path, state: FitState, identity: dict[str, Any]) -> None:
    """Go on from a checkpoint where there is one: ``state`` is changed in place.

    Raises:
        WeightsError: it is damaged, or belongs to other settings (each difference is named).
    """
    if not path.exists():
        return
    try:
        differences = _restore(path, state, identity)
    except WeightsError as error:
        raise WeightsError(f"{error}; delete {path} to start afresh") from None
    if differences:
        raise WeightsError(
            f"{path} belongs to a fit with other settings ({differences}); use another folder, or the same settings"
        )


def _restore(path: Path, state: FitState, identity: dict[str, Any]) -> str:
    """Take over a checkpoint's state, unless it is another fit's: returns how that one differs."""
    from safetensors import safe_open

    tensors = read_tensors(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    try:
        theirs, progress = dict(json.loads(metadata["identity"])), dict(json.loads(metadata["progress"]))
        epoch, best_epoch = int(progress["epoch"]), int(progress["best_epoch"])
        best_loss, history = float(progress["best_loss"]), list(progress["history"])
    except (KeyError, ValueError, TypeError, RecursionError):
        raise WeightsError(f"{path} is no checkpoint of LatentSpace.fit") from None
    ours = json.loads(json.dumps(identity))
    if theirs != ours:
        return _differences(theirs, ours)
    load_state(state.model, tensors, "best.", path)
    state.best = state.snapshot()
    load_state(state.model, tensors, "model.", path)
    _load_optimizer(state.optimizer, tensors, path)
    state.epoch, state.best_epoch, state.best_loss, state.history = epoch, best_epoch, best_loss, history
    return ""


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], path: Path) -> None:
    shapes = [parameter.shape for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for index, shape in enumerate(shapes):
        for key in ("step", "exp_avg", "exp_avg_sq"):
            tensor = tensors.pop(f"optimizer.{index}.{key}", None)
            if tensor is None or tensor.shape != (torch.Size() if key == "step" else shape):
                raise WeightsError(f"{path}: optimizer.{index}.{key} is missing or has a wrong shape")
            state.setdefault(index, {})[key] = tensor
    extra = sorted(name for name in tensors if name.startswith("optimizer."))
    if extra:
        raise WeightsError(f"{path}: unknown tensor {extra[0]!r}")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _differences(theirs: dict[str, Any], ours: dict[str, Any], prefix: str = "") -> str:
    found = []
    for key in sorted(set(theirs) | set(ours)):
        a, b = theirs.get(key), ours.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if a != b:
                found.append(_differences(a, b, f"{prefix}{key}."))
        elif a != b:
            found.append(f"{prefix}{key}: {a!r} there, {b!r} here")
    return "; ".join(found)
