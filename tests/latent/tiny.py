"""Latent spaces that are small and quick to fit."""

from __future__ import annotations

from typing import Any

import torch

from latentnas.latent import LatentSpace
from latentnas.spaces import SearchSpace, get_space

TINY: dict[str, Any] = {
    "hidden": 8,
    "latent_dim": 4,
    "type_hidden": 8,
    "edge_hidden": 8,
    "batch_size": 32,
    "num_cells": 100,
    "num_validation": 50,
    "lr": 1e-2,
}


def fit(space: str | SearchSpace = "enas_macro6", **options: Any) -> LatentSpace:
    """A fit of three epochs on 99 random cells, on the CPU, unless ``options`` say otherwise."""
    space = get_space(space)
    settings = {"codes": space.sample(110, seed=7), "epochs": 3, "seed": 0, **TINY, **options}
    return LatentSpace.fit(space, device="cpu", progress=False, **settings)


def same_weights(a: LatentSpace, b: LatentSpace) -> bool:
    """Whether two latent spaces are equal to the last bit."""
    ours, theirs = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours) and all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("center", "scale", "low", "high")
    )
