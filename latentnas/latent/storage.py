"""Latent spaces on disk, see :mod:`latentnas.weights`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..device import resolve_device
from ..errors import ConfigError, UnknownNameError, WeightsError
from ..models import GraphVAE, VAEConfig
from ..spaces import SearchSpace, get_space
from ..weights import CONFIG, WEIGHTS, load_state, match_state, read_config, read_tensors, write_model

if TYPE_CHECKING:
    from .space import LatentSpace

WHAT = "latent space"
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
    tensors = {f"model.{name}": tensor for name, tensor in latent.model.state_dict().items()}
    tensors |= {f"latents.{name}": getattr(latent, name) for name in STATISTICS}
    config = {
        "space": latent.space.name,
        "node_types": list(latent.space.node_types),
        "model": latent.model.config.to_dict(),
        **latent.info,
    }
    return write_model(folder, WHAT, tensors, config)


def stored_space(folder: Path, config: dict[str, Any], space: SearchSpace | None) -> SearchSpace:
    """The space that a stored model is of: the one given, or the one registered under its name.

    Raises:
        WeightsError: it is not registered, is another than the one given, or has other operations.
    """
    if space is None:
        try:
            space = get_space(config["space"])
        except UnknownNameError as error:
            raise WeightsError(f"{folder}: {error}; give the space to load()") from None
    if space.name != config["space"] or list(space.node_types) != config["node_types"]:
        raise WeightsError(
            f"{folder}: made for space {config['space']!r}, not for {space.name!r}, or its operations changed"
        )
    return space


def load_latent_space(name: str | Path, *, space: SearchSpace | None, device: torch.device | str | None) -> LatentSpace:
    """See :meth:`latentnas.LatentSpace.load`."""
    from .space import LatentSpace

    folder = _find(name)
    config = read_config(folder, WHAT, "model")
    space = stored_space(folder, config, space)
    try:
        model_config = VAEConfig(**config["model"])
    except (ConfigError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG}: the model's settings are wrong: {error}") from None
    if (model_config.num_types, model_config.num_nodes) != (len(space.node_types), space.max_nodes):
        raise WeightsError(f"{folder / CONFIG}: num_types or num_nodes do not fit the space {space.name!r}")
    source = folder / WEIGHTS
    tensors = read_tensors(source)
    try:
        with torch.device("meta"):  # sizes that do not fit the file are found before they cost memory
            match_state(GraphVAE(model_config), tensors, "model.", folder)
    except (RuntimeError, TypeError, OverflowError):
        raise WeightsError(f"{folder / CONFIG}: no model can have these sizes: {model_config}") from None
    model = GraphVAE(model_config)
    load_state(model, tensors, "model.", folder)
    statistics = {}
    for key in STATISTICS:
        tensor = tensors.get(f"latents.{key}")
        if tensor is None or tensor.shape != (model_config.latent_dim,) or not tensor.is_floating_point():
            raise WeightsError(f"{source}: latents.{key} is missing or has a wrong shape or type")
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{source}: latents.{key} has values that are not finite")
        statistics[key] = tensor
    extra = sorted(name for name in tensors if not name.startswith("model.") and name[8:] not in STATISTICS)
    if extra:
        raise WeightsError(f"{source}: unknown tensor {extra[0]!r}")
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
