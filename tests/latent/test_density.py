"""Densities against torch's own distributions and distances by hand."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal

import latentnas.latent.density
from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.latent.density import gaussian_log_density, kernel_log_density, nearest_distances

Z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
REFERENCE = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
STD = 0.1 + torch.rand(50, 3, generator=torch.Generator().manual_seed(2))


def test_gaussian_is_torchs() -> None:
    center, scale = torch.tensor([0.5, -1, 2]), torch.tensor([0.3, 1, 4])
    wanted = Independent(Normal(center, scale), 1).log_prob(Z)
    torch.testing.assert_close(gaussian_log_density(Z, center, scale), wanted)


@pytest.mark.parametrize("std", [STD, torch.tensor([0.2, 0.5, 0.1])])
def test_kernel_density_is_the_mixture(std: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    each = Independent(Normal(REFERENCE.double(), std.double().expand(50, 3)), 1).log_prob(Z.double()[:, None])
    wanted = each.exp().mean(1).log().float()
    torch.testing.assert_close(kernel_log_density(Z, REFERENCE, std), wanted)
    monkeypatch.setattr(latentnas.latent.density, "_CHUNK", 120)  # two rows at a time
    torch.testing.assert_close(kernel_log_density(Z, REFERENCE, std), wanted)


def test_kernel_density_far_away_is_finite() -> None:
    assert bool(kernel_log_density(Z + 1e3, REFERENCE, STD).isfinite().all())


def test_nearest_distances_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    z = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert nearest_distances(z, reference, 3)[0].tolist() == [0, 2, 5]
    torch.testing.assert_close(nearest_distances(z, reference, 2)[1], torch.tensor([3, 13**0.5]))
    scaled = nearest_distances(z, reference, 1, scale=torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(scaled, torch.tensor([[0.0], [1.0]]))
    monkeypatch.setattr(latentnas.latent.density, "_CHUNK", 3)
    assert nearest_distances(z, reference, 3)[0].tolist() == [0, 2, 5]
    assert nearest_distances(z[:0], reference, 2).shape == (0, 2)


def test_errors() -> None:
    with pytest.raises(ConfigError, match=r"k must be in 1..50, got 51"):
        nearest_distances(Z, REFERENCE, 51)
    with pytest.raises(InvalidCodeError, match=r"\[R, 3\] with R at least 1, got \[0, 3\]"):
        nearest_distances(Z, REFERENCE[:0])
    with pytest.raises(InvalidCodeError, match=r"scale must be \[3\], got \[7, 3\]"):
        nearest_distances(Z, REFERENCE, scale=torch.ones(7, 3))
    with pytest.raises(InvalidCodeError, match=r"\[R, 3\] .* got \[50, 2\]"):
        kernel_log_density(Z, REFERENCE[:, :2], STD)
    with pytest.raises(InvalidCodeError, match="scale must be positive"):
        kernel_log_density(Z, REFERENCE, STD * 0)
    with pytest.raises(InvalidCodeError, match="expected finite floats"):
        gaussian_log_density(Z * torch.nan, Z[0], Z[0].abs())
