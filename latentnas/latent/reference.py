"""Weights of the public D-VAE code (github.com/muhanzhang/D-VAE, ``models.py``) as a latent space.

The public models, with one-hot operations: DVAE with vertex identities, one- and bidirectional, DVAE_GCN, SVAE,
SVAE_GraphRNN. A table gives each of their modules the name of ours; sizes follow from the shapes.

What the models compute is the same to rounding (``scripts/check_reference.py``), with one exception that no ENAS cell
meets: the loss of the public code also scores the slots that a graph of fewer vertices leaves empty; ours is the
likelihood of the graph alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..device import resolve_device
from ..errors import ConfigError, WeightsError
from ..models import GraphVAE, VAEConfig
from ..provenance import provenance
from ..seeding import as_generator
from ..spaces import SearchSpace, get_space

if TYPE_CHECKING:
    from .space import LatentSpace

REFERENCE_MODELS = ("dvae", "dvae-bidirectional", "gcn", "svae", "graphrnn")

MOST_CELLS = 100_000
"""The latents' statistics come from all cells of spaces with at most this many codes, ..."""

SAMPLED_CELLS = 20_000
"""... and from this many random cells of larger ones."""

_HEADS = {"fc1": "encoder.mean", "fc2": "encoder.logvar", "fc3": "decoder.initial"}
_TYPES = {"add_vertex.0": "decoder.type_in", "add_vertex.2": "decoder.type_out"}
_DAG_DECODER = {
    "grud": "decoder.gru",
    "add_edge.0": "decoder.edge_in",
    "add_edge.2": "decoder.edge_out",
    **_HEADS,
    **_TYPES,
}
_FORWARD = {
    "grue_forward": "encoder.gru_forward",
    "gate_forward.0": "encoder.sum_forward.gate",
    "mapper_forward.0": "encoder.sum_forward.mapper",
}
_BACKWARD = {
    "grue_backward": "encoder.gru_backward",
    "gate_backward.0": "encoder.sum_backward.gate",
    "mapper_backward.0": "encoder.sum_backward.mapper",
}
_GCN = {
    "gate_forward.0": "decoder.messages.gate",
    "mapper_forward.0": "decoder.messages.mapper",
    "gconv.0.0": "encoder.layers.0",
    "gconv.1.0": "encoder.layers.1",
    "gconv.2.0": "encoder.layers.2",
}
_STRING = {"grue": "encoder.gru", "grud": "decoder.gru", **_HEADS, **_TYPES}

MODULES: dict[str, dict[str, str]] = {
    "dvae": {**_FORWARD, **_DAG_DECODER},
    "dvae-bidirectional": {**_FORWARD, **_BACKWARD, "hg_unify.0": "encoder.unify", **_DAG_DECODER},
    "gcn": {**_GCN, **_DAG_DECODER},
    "svae": {**_STRING, "add_edges.0": "decoder.edge_in", "add_edges.2": "decoder.edge_out"},
    "graphrnn": {
        **_STRING,
        "grud_edge": "decoder.edge_gru",
        "add_edge.0": "decoder.edge_in",
        "add_edge.2": "decoder.edge_out",
    },
}
"""Module names of the public code, and ours."""

UNUSED: dict[str, tuple[str, ...]] = {
    "dvae": tuple(_BACKWARD),
    "dvae-bidirectional": ("hv_unify.0",),
    "gcn": ("grue_forward", *_BACKWARD),
    "svae": (),
    "graphrnn": ("add_edges.0", "add_edges.2"),
}
"""Modules that the public code makes and saves, but never computes with; they may be there or not."""


def reference_parameters(model: str) -> dict[str, str]:
    """Name of every tensor in the public code's state dict, and of the tensor of ours that it becomes.

    Args:
        model: one of REFERENCE_MODELS.

    Raises:
        ConfigError: no such model.
    """
    _check_model(model)
    own = _skeleton(VAEConfig.published(**_kind(model), num_types=3, num_nodes=3, hidden=2, latent_dim=2)).state_dict()
    modules = {ours: theirs for theirs, ours in MODULES[model].items()}
    names = {}
    for name in own:
        module, _, tensor = name.rpartition(".")
        if module in modules:  # a module used in two places appears under both names
            names[f"{modules[module]}.{tensor}"] = name
    return names


def latent_space_from_reference(
    state: Mapping[str, Tensor] | str | Path,
    *,
    model: str,
    space: str | SearchSpace,
    codes: Tensor | None,
    device: torch.device | str | None,
) -> LatentSpace:
    """See :meth:`latentnas.LatentSpace.from_reference`."""
    from .space import LatentSpace

    _check_model(model)
    space = get_space(space)
    source = str(state) if isinstance(state, str | Path) else "state dict"
    tensors = _read(Path(state)) if isinstance(state, str | Path) else dict(state)
    vae = _build(tensors, model, space, source).to(resolve_device(device))
    blank = torch.zeros(vae.config.latent_dim)
    latent = LatentSpace(space, vae, dict.fromkeys(("center", "scale", "low", "high"), blank))
    mean = latent.encode(_cells(space) if codes is None else codes).cpu()
    statistics = {"center": mean.mean(0), "scale": mean.std(0), "low": mean.amin(0), "high": mean.amax(0)}
    info = {"reference": {"code": "muhanzhang/D-VAE", "model": model}, "provenance": provenance()}
    return LatentSpace(space, vae, statistics, info)


def _check_model(model: str) -> None:
    if model not in REFERENCE_MODELS:
        raise ConfigError(
            f"LatentSpace.from_reference: model must be one of {', '.join(REFERENCE_MODELS)}, got {model!r}"
        )


def _kind(model: str) -> dict[str, Any]:
    """The options of a public model: encoder and direction."""
    return {"encoder": model.removesuffix("-bidirectional"), "bidirectional": model.endswith("-bidirectional")}


def _skeleton(config: VAEConfig) -> GraphVAE:
    """A model without memory: names and shapes only."""
    with torch.device("meta"):
        return GraphVAE(config)


def _cells(space: SearchSpace) -> Tensor:
    return space.enumerate() if space.size <= MOST_CELLS else space.sample(SAMPLED_CELLS, seed=as_generator(0))


def _read(path: Path) -> dict[str, Any]:
    """The state dict in a ``.pth`` file; nothing but tensors and plain containers is unpickled."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing") from None
    except Exception as error:  # a damaged file fails anywhere in torch's reader, with any exception
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is no file of tensors that torch.load can read safely: {reason}") from None
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: expected a state dict (names and tensors), found a {type(found).__name__}")
    return found


def _build(tensors: dict[str, Any], model: str, space: SearchSpace, source: str) -> GraphVAE:
    """A model of the sizes that the tensors have, with their values.

    Raises:
        WeightsError: tensors are missing, unknown, or of a wrong shape, type or value; every one is named.
    """
    head = tensors.get("fc1.weight")
    if not isinstance(head, Tensor) or head.ndim != 2:
        found = list(head.shape) if isinstance(head, Tensor) else None
        raise WeightsError(
            f"{source}: sizes are read from 'fc1.weight', which must be a tensor [latent, hidden]; "
            + ("it is missing" if found is None else f"it has shape {found}")
        )
    latent_dim, hidden = head.shape
    types, nodes = len(space.node_types), space.max_nodes
    try:
        config = VAEConfig.published(
            **_kind(model), num_types=types, num_nodes=nodes, hidden=hidden, latent_dim=latent_dim
        )
    except ConfigError as error:
        raise WeightsError(
            f"{source}: no {model} can have a 'fc1.weight' of shape {list(head.shape)}: {error}"
        ) from None
    names = reference_parameters(model)
    own = _skeleton(config).state_dict()
    faults = [f"missing {name!r}" for name in names if name not in tensors]
    unused = tuple(f"{module}." for module in UNUSED[model])
    faults += [
        f"unknown {name!r}" for name in tensors if name not in names and not str(name).startswith(unused or ("\0",))
    ]
    faults += [
        f"{name!r} {fault}"
        for name, ours in names.items()
        if name in tensors and (fault := _fault(tensors[name], own[ours].shape)) is not None
    ]
    if faults:
        raise WeightsError(f"{source}: no weights of the public {model} for {space.name!r}: " + "; ".join(faults))
    vae = GraphVAE(config)
    state = vae.state_dict()
    with torch.no_grad():
        for name, ours in names.items():
            state[ours].copy_(tensors[name])
    return vae


def _fault(tensor: object, shape: torch.Size) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"must be a tensor, got a {type(tensor).__name__}"
    if tensor.shape != shape:
        return f"has shape {list(tensor.shape)}, expected {list(shape)}"
    if not tensor.is_floating_point():
        return f"holds {tensor.dtype}, expected floats"
    return None if bool(tensor.isfinite().all()) else "has values that are not finite"
