from __future__ import annotations

import pytest

from latentnas.latent import LatentSpace
from latentnas.spaces import ENASMacro


@pytest.fixture(scope="session")
def tiny_latent() -> LatentSpace:
    """A latent space, hardly trained, of the 72 cells with two layers."""
    return LatentSpace.fit(
        ENASMacro(layers=2),
        epochs=8,
        batch_size=24,
        lr=1e-2,
        hidden=16,
        latent_dim=4,
        type_hidden=16,
        edge_hidden=16,
        patience=None,
        device="cpu",
        progress=False,
    )


@pytest.fixture(scope="session")
def shipped_latent() -> LatentSpace:
    return LatentSpace.load("nasbench201-dvae-emb", device="cpu")
