"""The tools as methods, on the latent space that comes with the package: it reconstructs every cell."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.latent import LatentSpace


@pytest.fixture(scope="module")
def latent() -> LatentSpace:
    return LatentSpace.load("nasbench201-dvae-emb", device="cpu")


def test_paths_end_at_the_cells(latent: LatentSpace) -> None:
    a, b = latent.space.sample(4, seed=0), latent.space.sample(4, seed=1)
    for path in (latent.interpolate(a, b, 5), latent.slerp(a, b, 5)):
        assert path.shape == (4, 5, 16)
        assert torch.equal(latent.decode(path[:, 0]), a)
        assert torch.equal(latent.decode(path[:, -1]), b)
    middle = latent.interpolate(a, b, 3)[:, 1]
    torch.testing.assert_close(middle, (latent.encode(a) + latent.encode(b)) / 2)
    arc = latent.slerp(a, b, 3)[:, 1]
    lengths = (latent.encode(a).norm(dim=1) + latent.encode(b).norm(dim=1)) / 2
    torch.testing.assert_close(arc.norm(dim=1), lengths)


def test_great_circle_starts_and_ends_at_the_cell(latent: LatentSpace) -> None:
    codes = latent.space.sample(2, seed=0)
    path = latent.great_circle(codes, seed=0)
    assert path.shape == (2, 36, 16)
    assert torch.equal(latent.decode(path[:, -1]), codes)


def test_neighbourhoods_are_measured_in_training_or_posterior_deviations(latent: LatentSpace) -> None:
    codes = latent.space.sample(3, seed=0)
    mean, std = latent.posterior(codes)
    near = latent.neighbourhood(codes, 0.7, 10, seed=0)
    torch.testing.assert_close(((near - mean[:, None]) / latent.scale).norm(dim=2), torch.full((3, 10), 0.7))
    near = latent.neighbourhood(codes, 0.7, 10, scale=std, seed=0)
    torch.testing.assert_close(((near - mean[:, None]) / std[:, None]).norm(dim=2), torch.full((3, 10), 0.7))
    assert torch.equal(latent.decode(near.flatten(0, 1)), codes.repeat_interleave(10, 0))  # well within the posterior
    with pytest.raises(ConfigError, match="radius"):
        latent.neighbourhood(codes, -1.0, 10)


def test_analogies_with_equal_cells_give_the_third(latent: LatentSpace) -> None:
    a, c = latent.space.sample(5, seed=0), latent.space.sample(5, seed=1)
    assert torch.equal(latent.analogy(a, a, c), c)
    assert torch.equal(latent.analogy(a, c, c), a)
    with pytest.raises(InvalidCodeError, match="nasbench201"):
        latent.analogy(a, c, c + 9)


def test_traces_are_the_decoded_cells(latent: LatentSpace) -> None:
    a, b = latent.space.sample(2, seed=3).split(1)
    path = latent.interpolate(a, b, 41)[0]
    parts = latent.trace(path)
    keys = latent.space.keys(latent.decode(path))
    assert [key for part in parts for key in [part.key] * (part.last - part.first + 1)] == keys
    assert parts[0].text == latent.space.format(a)[0]
    assert parts[-1].key == latent.space.keys(b)[0]
    assert (parts[0].start, parts[-1].end) == (0, 1)
    assert all(part.key != following.key for part, following in pairwise(parts))
    assert parts[0].last == round(40 * parts[0].end)


def test_density_is_largest_at_the_center(latent: LatentSpace) -> None:
    direction = torch.randn(16, generator=torch.Generator().manual_seed(0))
    z = latent.center + torch.tensor([0.0, 1.0, 2.0])[:, None] * direction
    density = latent.log_density(z)
    assert bool((density.diff() < 0).all())
    # Twice as far: four times the exponent.
    drop = density[0] - density
    torch.testing.assert_close(drop[2], 4 * drop[1])
    with pytest.raises(InvalidCodeError, match=r"\[B, 16\]"):
        latent.log_density(z[:, :3])
