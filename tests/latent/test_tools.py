"""Geometry of latents, against hand-computed points and invariants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.latent.tools import (
    Stretch,
    analogy,
    great_circle,
    in_ball,
    interpolate,
    on_sphere,
    plane_grid,
    plane_through,
    random_line,
    random_plane,
    slerp,
    stretches,
)


def points(rows: int = 5, dim: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


def test_lines_have_equal_steps_and_exact_ends() -> None:
    path = interpolate(torch.tensor([[0.0, 4.0], [1.0, 1.0]]), torch.tensor([[2.0, 0.0], [1.0, -1.0]]), 3)
    assert path.tolist() == [[[0, 4], [1, 2], [2, 0]], [[1, 1], [1, 0], [1, -1]]]
    a, b = points(seed=1), points(seed=2)
    path = interpolate(a, b, 7)
    assert torch.equal(path[:, 0], a)
    assert torch.equal(path[:, -1], b)
    torch.testing.assert_close(path.diff(dim=1), ((b - a) / 6)[:, None].expand(-1, 6, -1))


def test_arcs_of_a_quarter_turn() -> None:
    path = slerp(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 4)
    turn = torch.tensor([0.0, 30.0, 60.0, 90.0]).deg2rad()
    torch.testing.assert_close(path[0], 2 * torch.stack([turn.cos(), turn.sin()], 1))


def test_arcs_keep_the_length_and_have_equal_angles() -> None:
    a, b = points(seed=1), points(seed=2)
    a, b = 3 * a / a.norm(dim=1, keepdim=True), 3 * b / b.norm(dim=1, keepdim=True)
    path = slerp(a, b, 9)
    torch.testing.assert_close(path.norm(dim=2), torch.full((5, 9), 3.0))
    cosines = (path[:, 1:] * path[:, :-1]).sum(2) / 9
    torch.testing.assert_close(cosines, cosines[:, :1].expand(-1, 8))
    assert torch.equal(path[:, 0], a)
    assert torch.equal(path[:, -1], b)


def test_arcs_between_lengths_and_of_equal_directions() -> None:
    a = torch.tensor([[1.0, 0.0], [3.0, 4.0], [2.0, 1.0]])
    b = torch.tensor([[0.0, 3.0], [6.0, 8.0], [2.0, 1.0]])
    path = slerp(a, b, 3)
    torch.testing.assert_close(path[0, 1], torch.tensor([2.0, 2.0]) / math.sqrt(2))
    torch.testing.assert_close(path[1, 1], torch.tensor([4.5, 6.0]))
    torch.testing.assert_close(path[2], a[2].expand(3, 2))


def test_great_circles_come_back_at_one_distance() -> None:
    z = points()
    path = great_circle(z, 36, seed=0)
    assert path.shape == (5, 37, 6)
    assert torch.equal(path[:, 0], z)
    assert torch.equal(path[:, -1], z)
    torch.testing.assert_close(path.norm(dim=2), z.norm(dim=1)[:, None].expand(-1, 37))
    torch.testing.assert_close(path[:, 18], -z, atol=1e-5, rtol=0)  # half a turn
    # A quarter turn stands at right angles to the start.
    torch.testing.assert_close((path[:, 9] * z).sum(1), torch.zeros(5), atol=1e-5, rtol=0)
    # On a circle around the origin every point lies in the plane of two others.
    assert [int(torch.linalg.matrix_rank(circle, rtol=1e-4)) for circle in path] == [2] * 5
    assert torch.equal(path, great_circle(z, 36, seed=0))
    assert not torch.equal(path, great_circle(z, 36, seed=1))


def test_random_lines_reach_as_far_as_said() -> None:
    z, scale = points(), torch.tensor([0.1, 1, 2, 3, 4, 5])
    path = random_line(z, 2.0, 4, scale=scale, seed=0)
    assert path.shape == (5, 9, 6)
    assert torch.equal(path[:, 4], z)
    wanted = torch.tensor([2, 1.5, 1, 0.5, 0, 0.5, 1, 1.5, 2])
    torch.testing.assert_close(((path - z[:, None]) / scale).norm(dim=2), wanted.expand(5, 9), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(path[:, 0] + path[:, -1], 2 * z)


def test_spheres_and_balls() -> None:
    z = points(3)
    scale = 0.5 + points(3, seed=1).abs()
    on = on_sphere(z, 1.5, 2000, scale=scale, seed=0)
    assert on.shape == (3, 2000, 6)
    offsets = (on - z[:, None]) / scale[:, None]
    torch.testing.assert_close(offsets.norm(dim=2), torch.full((3, 2000), 1.5))
    assert float(offsets.mean(1).abs().max()) < 0.06  # standard error 1.5 / sqrt(6 * 2000) = 0.014
    distances = (in_ball(z, 2.0, 4000, seed=0) - z[:, None]).norm(dim=2)
    assert float(distances.max()) <= 2.0 + 1e-5
    # The share within radius r is (r / 2)^6.
    assert float((distances < 1.6).double().mean()) == pytest.approx(0.8**6, abs=0.02)


def test_random_planes_are_orthonormal_in_the_scale() -> None:
    scale = torch.tensor([0.5, 1, 2, 4])
    plane = random_plane(scale, seed=0) / scale
    torch.testing.assert_close(plane @ plane.T, torch.eye(2))
    assert not torch.equal(plane, random_plane(scale, seed=1) / scale)


def test_the_plane_through_three_points_holds_them() -> None:
    z, a, b = points(3)
    scale = torch.tensor([0.5, 1, 2, 4, 1, 1])
    first, second = plane = plane_through(z, a, b, scale)
    torch.testing.assert_close((plane / scale) @ (plane / scale).T, torch.eye(2))
    reach = ((a - z) / scale).norm()
    torch.testing.assert_close(z + reach * first, a)
    x, y = (plane / scale) @ ((b - z) / scale)
    torch.testing.assert_close(z + x * first + y * second, b)
    assert float(y) > 0


def test_grids_go_right_and_up() -> None:
    grid = plane_grid(torch.tensor([10.0, 20.0, 7.0]), torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]), 3, 0.5)
    assert grid[..., 0].tolist() == [[9.5, 10, 10.5]] * 3
    assert grid[..., 1].tolist() == [[21] * 3, [20] * 3, [19] * 3]
    assert bool((grid[..., 2] == 7).all())


def test_analogy_adds_the_difference() -> None:
    found = analogy(torch.tensor([[1.0, 5.0]]), torch.tensor([[1.0, 2.0]]), torch.tensor([[7.0, 0.0]]))
    assert found.tolist() == [[7, 3]]


def test_stretches_of_a_path() -> None:
    found = stretches(["a", "a", "b", "a", "a"], ["A1", "A2", "B", "A3", "A4"])
    assert found == [
        Stretch(0, 1, 0.0, 0.25, "a", "A1"),
        Stretch(2, 2, 0.5, 0.5, "b", "B"),
        Stretch(3, 4, 0.75, 1.0, "a", "A3"),
    ]
    assert stretches(["a"], ["A"]) == [Stretch(0, 0, 0.0, 0.0, "a", "A")]
    assert stretches([], []) == []
    with pytest.raises(InvalidCodeError, match="2 keys and 1 texts"):
        stretches(["a", "b"], ["A"])


def test_empty_batches() -> None:
    none = torch.empty(0, 3)
    assert interpolate(none, none, 4).shape == slerp(none, none, 4).shape == (0, 4, 3)
    assert great_circle(none, 4).shape == (0, 5, 3)
    assert on_sphere(none, 1.0, 7).shape == (0, 7, 3)


ONE, TWO = torch.ones(1, 2), torch.tensor([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: interpolate(ONE, TWO, 1), ConfigError, "interpolate: steps must be at least 2, got 1"),
        (lambda: interpolate(ONE, torch.ones(1, 3), 3), InvalidCodeError, r"one shape, got \[1, 2\] and \[1, 3\]"),
        (lambda: interpolate(ONE.long(), TWO, 3), InvalidCodeError, "finite floats .* got torch.int64"),
        (lambda: slerp(ONE * torch.nan, TWO, 3), InvalidCodeError, "slerp: expected finite floats"),
        (lambda: slerp(ONE * 0, TWO, 3), InvalidCodeError, "the origin has no direction"),
        (lambda: slerp(ONE, -2 * ONE, 3), InvalidCodeError, r"a\[0\] and b\[0\] lie in opposite directions"),
        (lambda: great_circle(ONE * 0, 9), InvalidCodeError, "through the origin"),
        (lambda: great_circle(torch.ones(1, 1), 9), ConfigError, "dimensions must be at least 2, got 1"),
        (lambda: random_line(ONE, 0.0, 3), ConfigError, "reach must be a positive number, got 0.0"),
        (lambda: random_line(ONE, 1.0, 0), ConfigError, "steps must be at least 1, got 0"),
        (lambda: on_sphere(ONE, math.inf, 3), ConfigError, "radius must be a positive number, got inf"),
        (lambda: in_ball(ONE, 1.0, 0), ConfigError, "in_ball: n must be at least 1, got 0"),
        (lambda: on_sphere(ONE, 1.0, 3, scale=ONE[0] * 0), InvalidCodeError, "scale must be positive"),
        (lambda: on_sphere(ONE, 1.0, 3, scale=torch.ones(3)), InvalidCodeError, r"\[2\] or \[1, 2\], got \[3\]"),
        (lambda: plane_through(ONE[0], TWO[0], ONE[0], ONE[0]), InvalidCodeError, "lie on one line"),
        (lambda: plane_through(ONE[0], ONE[0], TWO[0], ONE[0]), InvalidCodeError, "lie on one line"),
        (lambda: plane_grid(ONE[0], torch.eye(2), 4, 1.0), ConfigError, "size must be an odd number, .* got 4"),
        (lambda: plane_grid(ONE[0], torch.eye(2), 3, -1.0), ConfigError, "step must be a positive number, got -1"),
        (lambda: plane_grid(ONE[0], torch.eye(3), 3, 1.0), InvalidCodeError, "one shape"),
    ],
)
def test_errors_name_the_value(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
