"""How good a latent space is: reconstruction, prior validity, uniqueness, novelty."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor

from ..seeding import as_generator
from .space import LatentSpace


def reconstruction_accuracy(latent: LatentSpace, codes: Tensor) -> float:
    """Share of cells whose own latent decodes (most probable, constrained) to the same code, in [0, 1]."""
    return float((latent.decode(latent.encode(codes)) == codes).all(1).double().mean())


@dataclass(frozen=True)
class GenerationQuality:
    """Shares, in [0, 1], of what prior samples decode to.

    Attributes:
        validity: valid cells among all decoded.
        uniqueness: distinct cells (by code) among the valid.
        unique_networks: distinct networks (by key) among the valid.
    """

    validity: float
    uniqueness: float
    unique_networks: float

    def to_dict(self) -> dict[str, float]:
        """Plain floats by name."""
        return asdict(self)


def generation_quality(
    latent: LatentSpace, n: int = 10_000, *, seed: int = 0, constrained: bool = False
) -> GenerationQuality:
    """Decode ``n`` prior samples (most probable decisions) and count.

    Args:
        latent: the latent space.
        n: number of prior samples.
        seed: seed of the samples.
        constrained: whether the grammar constrains the decoder (then validity is 1).
    """
    z = latent.sample_prior(n, seed=as_generator(seed))
    if constrained:
        codes, validity = latent.decode(z), 1.0
    else:
        codes, valid = latent.decode_free(z)
        codes, validity = codes[valid], float(valid.double().mean())
    count = max(1, len(codes))
    return GenerationQuality(validity, len(codes.unique(dim=0)) / count, len(set(latent.space.keys(codes))) / count)
