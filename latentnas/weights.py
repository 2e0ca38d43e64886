"""Models on disk: named tensors in safetensors, settings in JSON, nothing that executes."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import WeightsError

FORMAT = 1
"""Of the settings; others are refused."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""The files in a folder."""


def write_model(folder: str | Path, what: str, tensors: dict[str, Tensor], config: dict[str, Any]) -> Path:
    """Write a model into ``folder`` (made if need be); each file appears whole or not at all.

    Args:
        folder: where.
        what: the kind of model, as errors name it.
        tensors: by name.
        config: JSON types; the format is added.

    Raises:
        TypeError: the settings are no JSON.
        WeightsError: the folder cannot be made or written.
    """
    folder = Path(folder)
    text = json.dumps({"format": FORMAT, **config}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS, tensors)
        write_atomically(folder / CONFIG, text.encode())
    except OSError as error:
        raise WeightsError(f"cannot save the {what} in {folder}: {_reason(folder, error)}") from error
    return folder


def read_config(folder: Path, what: str, part: str) -> dict[str, Any]:
    """The settings of a model, of which "space", "node_types" and ``part`` have the right types.

    Args:
        folder: where.
        what: the kind of model, as errors name it.
        part: the key of the settings that it is built from.

    Raises:
        WeightsError: the file is missing or damaged, of another format or lacks a key.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: {folder} is no saved {what}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise WeightsError(f"{path}: expected format {FORMAT}, found {found!r}")
    for key, kind in (("space", str), ("node_types", list), (part, dict)):
        if not isinstance(config.get(key), kind):
            raise WeightsError(f"{path}: {key!r} must be a {kind.__name__}, got {config.get(key)!r}")
    return config


# --- tensors ------------------------------------------------------------------------------------


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write named tensors as safetensors, atomically; tensors shared under two names are kept once."""
    from safetensors.torch import save

    unique: dict[int, str] = {}
    kept = {}
    for name, tensor in tensors.items():
        if unique.setdefault(tensor.data_ptr(), name) == name or tensor.numel() == 0:
            kept[name] = tensor.detach().cpu().contiguous()
    write_atomically(path, save(kept, metadata))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file; WeightsError where it is missing, truncated or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is truncated, damaged or no safetensors file: {error}") from None


def finite_tensor(tensors: dict[str, Tensor], name: str, source: Path) -> Tensor:
    """One of the tensors, without a wrong value.

    Raises:
        WeightsError: it is missing, or has values that are not finite.
    """
    if name not in tensors:
        raise WeightsError(f"{source}: the tensor {name!r} is missing")
    if not bool(tensors[name].isfinite().all()):
        raise WeightsError(f"{source}: {name} has values that are not finite")
    return tensors[name]


def load_state(model: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, source: Path) -> None:
    """Copy the tensors called ``prefix...`` into ``model``, checking names, shapes and values."""
    pairs = match_state(model, tensors, prefix, source)
    with torch.no_grad():
        for own, stored in pairs:
            own.copy_(stored)


def match_state(
    model: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, source: Path
) -> list[tuple[Tensor, Tensor]]:
    """Every tensor of ``model`` with the one called ``prefix...`` that belongs into it.

    Raises:
        WeightsError: one is missing or too many, or has a wrong shape, type or value.
    """
    state: dict[str, Tensor] = model.state_dict(keep_vars=True)
    given = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    aliases: dict[int, list[str]] = {}
    for name, tensor in state.items():
        aliases.setdefault(id(tensor), []).append(name)
    pairs = []
    for names in aliases.values():  # a module used in two places is stored under one of its names
        stored = [name for name in names if name in given]
        if not stored:
            raise WeightsError(f"{source}: the weights lack {names[0]!r}")
        own, tensor = state[names[0]], given[stored[0]]
        if tensor.shape != own.shape:
            raise WeightsError(f"{source}: {stored[0]!r} has shape {list(tensor.shape)}, expected {list(own.shape)}")
        if not tensor.is_floating_point():
            raise WeightsError(f"{source}: {stored[0]!r} holds {tensor.dtype}, expected {own.dtype}")
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{source}: {stored[0]!r} has values that are not finite")
        pairs.append((own, tensor))
    extra = sorted(set(given) - set(state))
    if extra:
        raise WeightsError(f"{source}: the weights have {extra[0]!r}, which the model does not")
    return pairs


# --- files ---------------------------------------------------------------------------------------


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that other processes, and we after a crash, see it whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def why_not_writable(folder: Path) -> str | None:
    """Why no file can be written into ``folder``, None where one can; leaves nothing behind."""
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return _reason(folder, error)
    finally:
        for path in missing:
            with suppress(OSError):  # was not made, or somebody else uses it by now
                path.rmdir()


def _reason(folder: Path, error: OSError) -> str:
    file = next((path for path in (folder, *folder.parents) if os.path.exists(path) and not path.is_dir()), None)
    return f"{file} is a file, not a folder" if file else str(error.strerror or error)
