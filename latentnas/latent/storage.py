"""Latent spaces on disk: tensors in safetensors, settings in JSON, nothing that executes."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..device import resolve_device
from ..errors import ConfigError, UnknownNameError, WeightsError
from ..models import GraphVAE, VAEConfig
from ..spaces import SearchSpace, get_space

if TYPE_CHECKING:
    from .space import LatentSpace

FORMAT = 1
SHIPPED = Path(__file__).parent / "shipped"
STATISTICS = ("center", "scale", "low", "high")


def list_latent_spaces() -> list[str]:
    """Names of the latent spaces that come with the package, sorted."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def save_latent_space(latent: LatentSpace, folder: str | Path) -> Path:
    """Write ``latent`` into ``folder`` (made if need be); each file appears whole or not at all.

    Raises:
        WeightsError: the folder cannot be made or written.
    """
    folder = Path(folder)
    tensors = {f"model.{name}": tensor for name, tensor in latent.model.state_dict().items()}
    tensors |= {f"latents.{name}": getattr(latent, name) for name in STATISTICS}
    config = {
        "format": FORMAT,
        "space": latent.space.name,
        "node_types": list(latent.space.node_types),
        "model": latent.model.config.to_dict(),
        **latent.info,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / "model.safetensors", tensors)
        write_atomically(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    except OSError as error:
        raise WeightsError(f"cannot save the latent space in {folder}: {_reason(folder, error)}") from error
    return folder


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


def load_latent_space(name: str | Path, *, space: SearchSpace | None, device: torch.device | str | None) -> LatentSpace:
    """See :meth:`latentnas.LatentSpace.load`."""
    from .space import LatentSpace

    folder = _find(name)
    config = _read_config(folder / "config.json")
    if space is None:
        try:
            space = get_space(config["space"])
        except UnknownNameError as error:
            raise WeightsError(f"{folder}: {error}; give the space to load()") from None
    if space.name != config["space"] or list(space.node_types) != config["node_types"]:
        raise WeightsError(
            f"{folder}: made for space {config['space']!r}, not for {space.name!r}, or its operations changed"
        )
    try:
        model_config = VAEConfig(**config["model"])
    except (ConfigError, TypeError) as error:
        raise WeightsError(f"{folder / 'config.json'}: the model's settings are wrong: {error}") from None
    if (model_config.num_types, model_config.num_nodes) != (len(space.node_types), space.max_nodes):
        raise WeightsError(f"{folder / 'config.json'}: num_types or num_nodes do not fit the space {space.name!r}")
    tensors = read_tensors(folder / "model.safetensors")
    try:
        with torch.device("meta"):  # sizes that do not fit the file are found before they cost memory
            match_state(GraphVAE(model_config), tensors, "model.", folder)
    except (RuntimeError, TypeError, OverflowError):
        raise WeightsError(f"{folder / 'config.json'}: no model can have these sizes: {model_config}") from None
    model = GraphVAE(model_config)
    load_state(model, tensors, "model.", folder)
    statistics = {}
    for key in STATISTICS:
        tensor = tensors.get(f"latents.{key}")
        if tensor is None or tensor.shape != (model_config.latent_dim,) or not tensor.is_floating_point():
            raise WeightsError(f"{folder / 'model.safetensors'}: latents.{key} is missing or has a wrong shape or type")
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{folder / 'model.safetensors'}: latents.{key} has values that are not finite")
        statistics[key] = tensor
    extra = sorted(name for name in tensors if not name.startswith("model.") and name[8:] not in STATISTICS)
    if extra:
        raise WeightsError(f"{folder / 'model.safetensors'}: unknown tensor {extra[0]!r}")
    info = {key: value for key, value in config.items() if key not in ("format", "space", "node_types", "model")}
    return LatentSpace(space, model.to(resolve_device(device)), statistics, info)


def _find(name: str | Path) -> Path:
    shipped = SHIPPED / str(name)
    if str(name) in list_latent_spaces():
        return shipped
    folder = Path(name)
    if not folder.is_dir():
        names = ", ".join(list_latent_spaces()) or "none"
        raise WeightsError(
            f"no latent space {str(name)!r}: neither a folder nor one that comes with the package ({names})"
        )
    return folder


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: {path.parent} is no saved latent space") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise WeightsError(f"{path}: expected format {FORMAT}, found {found!r}")
    for key, kind in (("space", str), ("node_types", list), ("model", dict)):
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


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that other processes, and we after a crash, see it whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
