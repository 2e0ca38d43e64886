"""Decoded planes and lines as plain values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.latent import LatentSpace
from latentnas.latent.tools import plane_grid, plane_through, random_plane
from latentnas.report.explore import Measure, Plane, explore_line, explore_plane
from latentnas.spaces import get_space


@pytest.fixture(scope="module")
def latent() -> LatentSpace:
    return LatentSpace.load("nasbench201-dvae-emb", device="cpu")


def plane_of(keys: list[str]) -> Plane:
    """A plane with the given rows of one-letter keys."""
    space = get_space("nasbench201")
    return Plane(space, torch.zeros(len(keys), len(keys), 6).long(), [list(row) for row in keys], 1.0)


def test_planes_hold_what_their_points_decode_to(latent: LatentSpace) -> None:
    code = latent.space.sample(1, seed=0)
    directions = random_plane(latent.scale, seed=0)
    measure = Measure("convs", lambda codes: (codes > 1).sum(1))
    plane = explore_plane(latent, code[0], directions, size=5, step=0.8, measure=measure)
    grid = plane_grid(latent.encode(code)[0], directions, 5, 0.8)
    for i in range(5):
        wanted = latent.decode(grid[i])
        assert torch.equal(plane.codes[i], wanted)
        assert plane.keys[i] == latent.space.keys(wanted)
        assert plane.values is not None
        assert torch.equal(plane.values[i], (wanted > 1).sum(1).double())
    assert torch.equal(plane.codes[2, 2], code[0])
    assert plane.size == 5
    assert plane.networks[0] == latent.space.keys(code)[0]
    assert sorted(plane.networks) == sorted({key for row in plane.keys for key in row})


def test_marked_cells_are_where_they_were_put(latent: LatentSpace) -> None:
    codes = latent.space.sample(3, seed=0)
    z = latent.encode(codes)
    directions = plane_through(z[0], z[1], z[2], latent.scale)
    reach = float(((z[1] - z[0]) / latent.scale).norm())
    plane = explore_plane(
        latent, codes[0], directions, size=7, step=reach / 3, marks=[("A", codes[1]), ("B", codes[2])]
    )
    (label, x, y), (other, u, v) = plane.marks
    assert (label, other) == ("A", "B")
    assert (x, y) == (pytest.approx(3, abs=1e-4), pytest.approx(0, abs=1e-4))
    assert torch.equal(plane.codes[3, 6], codes[1])  # three steps to the right lies the cell itself
    step = reach / 3
    torch.testing.assert_close(z[0] + step * (u * directions[0] + v * directions[1]), z[2], atol=1e-4, rtol=1e-4)


def test_regions_touch_along_sides() -> None:
    plane = plane_of(["aab", "cab", "cca"])
    assert plane.regions == [
        [(0, 0), (0, 1), (1, 1)],
        [(0, 2), (1, 2)],
        [(1, 0), (2, 0), (2, 1)],
        [(2, 2)],  # meets the first only at a corner
    ]
    assert plane.networks == ["a", "c", "b"]
    assert plane.representative("c") == (1, 0)
    assert plane.representative("b") == (1, 2)


def test_the_middle_comes_first() -> None:
    assert plane_of(["bbb", "bac", "ccc"]).networks == ["a", "b", "c"]


def test_lines(latent: LatentSpace) -> None:
    a, b = latent.space.sample(2, seed=1).split(1)
    path = latent.interpolate(a, b, 31)[0]
    calls: list[Tensor] = []

    def values(codes: Tensor) -> Tensor:
        calls.append(codes)
        return torch.full((len(codes),), torch.nan)

    line = explore_line(latent, path, measure=Measure("nothing", values, "%"))
    assert torch.equal(line.codes, latent.decode(path))
    assert torch.equal(calls[0], line.codes)
    assert line.parts == latent.trace(path)
    assert line.networks == list(dict.fromkeys(latent.space.keys(line.codes)))
    assert sum(len(line.parts_of(key)) for key in line.networks) == len(line.parts)
    assert line.measure is not None
    assert line.measure.label == "nothing (%)"


def test_errors(latent: LatentSpace) -> None:
    codes = latent.space.sample(2, seed=0)
    plane = random_plane(latent.scale, seed=0)
    with pytest.raises(InvalidCodeError, match="expected one cell, got 2"):
        explore_plane(latent, codes, plane)
    with pytest.raises(ConfigError, match="size must be an odd number, at least 3, got 6"):
        explore_plane(latent, codes[0], plane, size=6)
    with pytest.raises(InvalidCodeError, match="one shape"):
        explore_plane(latent, codes[0], plane[:, :3])
    with pytest.raises(InvalidCodeError, match="at least 2 points, got 1"):
        explore_line(latent, latent.encode(codes[:1]))
