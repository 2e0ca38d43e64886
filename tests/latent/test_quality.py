from __future__ import annotations

from typing import cast

import pytest
import torch

from latentnas.latent import GenerationQuality, LatentSpace, generation_quality, reconstruction_accuracy
from latentnas.spaces import get_space

from .tiny import fit


class Scripted:
    """Stands for a LatentSpace of NAS-Bench-201 whose decoder returns what it was given."""

    def __init__(self, codes: list[list[int]], valid: list[bool]) -> None:
        self.space = get_space("nasbench201")
        self.codes, self.valid = torch.tensor(codes), torch.tensor(valid)

    def encode(self, codes: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(codes), 1)

    def sample_prior(self, n: int, *, seed: object) -> torch.Tensor:
        return torch.zeros(n, 1)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.codes

    def decode_free(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.codes, self.valid


def scripted(codes: list[list[int]], valid: list[bool]) -> LatentSpace:
    return cast("LatentSpace", Scripted(codes, valid))


# The first three compute nothing: three codes, one network. The last is another network.
CODES = [[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1], [3, 3, 3, 3, 3, 3]]


def test_reconstruction_counts_rows_that_are_equal_in_every_column() -> None:
    latent = scripted(CODES, [True] * 5)
    wrong = torch.tensor(CODES)
    wrong[1, 3] = 2
    assert reconstruction_accuracy(latent, torch.tensor(CODES)) == 1.0
    assert reconstruction_accuracy(latent, wrong) == pytest.approx(0.8)


def test_shares_of_free_samples() -> None:
    quality = generation_quality(scripted(CODES, [True, True, True, True, False]), n=5)
    assert quality == GenerationQuality(validity=0.8, uniqueness=3 / 4, unique_networks=1 / 4)


def test_shares_of_constrained_samples() -> None:
    quality = generation_quality(scripted(CODES, [False] * 5), n=5, constrained=True)
    assert quality == GenerationQuality(validity=1.0, uniqueness=4 / 5, unique_networks=2 / 5)


def test_nothing_valid() -> None:
    quality = generation_quality(scripted(CODES, [False] * 5), n=5)
    assert quality.to_dict() == {"validity": 0.0, "uniqueness": 0.0, "unique_networks": 0.0}


def test_reproducible_by_seed() -> None:
    latent = fit(epochs=2)
    assert generation_quality(latent, 200, seed=1) == generation_quality(latent, 200, seed=1)
