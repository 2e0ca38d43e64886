"""Geometry of latents: lines, great circles, neighbourhoods, planes, arithmetic.

Pure functions on points; nothing here knows of cells, but :func:`stretches`, which cuts a decoded path into
its distinct cells. Points are FloatTensors [B, d] on any device. Where a function takes ``scale`` [d],
distances are measured in it per dimension, ``|(x - y) / scale|``: the standard deviation of the training
cells (``LatentSpace.scale``) or of a cell's posterior; without it they are Euclidean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, InvalidCodeError
from ..seeding import Seed, as_generator


def _points(name: str, *tensors: Tensor) -> None:
    """Raise InvalidCodeError unless all are finite floats of one shape [B, d]."""
    for z in tensors:
        if z.ndim != 2 or not z.is_floating_point() or not bool(z.isfinite().all()):
            raise InvalidCodeError(f"{name}: expected finite floats [B, d], got {z.dtype} {list(z.shape)}")
        if z.shape != tensors[0].shape:
            raise InvalidCodeError(
                f"{name}: points must have one shape, got {list(tensors[0].shape)} and {list(z.shape)}"
            )


def _at_least(name: str, what: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name}: {what} must be at least {least}, got {value}")


def _positive(name: str, what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name}: {what} must be a positive number, got {value}")


def _scale(name: str, scale: Tensor | None, z: Tensor) -> Tensor:
    """``scale`` like ``z``, ones where it is None."""
    if scale is None:
        return z.new_ones(z.shape[1])
    if scale.shape not in ((z.shape[1],), z.shape) or not bool((scale > 0).all()):
        raise InvalidCodeError(
            f"{name}: scale must be positive, [{z.shape[1]}] or {list(z.shape)}, got {list(scale.shape)}"
        )
    return scale.to(z)


def _directions(rows: int, dim: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Uniform unit vectors: [rows, dim]."""
    noise = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    return (noise / noise.norm(dim=1, keepdim=True)).to(like)


# --- paths ----------------------------------------------------------------------------------------


def interpolate(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Points at equal distances on the straight lines from ``a`` to ``b``: [B, steps, d].

    Args:
        a, b: [B, d]; the first and the last point of every line, exactly.
        steps: how many points, at least 2, ends included.

    Raises:
        InvalidCodeError: wrong shapes, or a value that is not finite.
        ConfigError: fewer than 2 steps.
    """
    _points("interpolate", a, b)
    _at_least("interpolate", "steps", steps, 2)
    t = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    return torch.lerp(a[:, None], b[:, None], t)


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Points on the arcs from ``a`` to ``b`` around the origin: [B, steps, d].

    Spherical linear interpolation (Shoemake, 1985) of the directions, at equal angles; the length goes
    linearly from that of ``a`` to that of ``b``, so between points of one length it stays. Latents of
    trained cells lie near a sphere: an arc stays among them where a line passes through the empty middle.

    Args:
        a, b: [B, d]; the first and the last point of every arc.
        steps: how many points, at least 2, ends included.

    Raises:
        InvalidCodeError: wrong shapes; a value that is not finite; a point that is the origin; or points in
            opposite directions, which many arcs join.
        ConfigError: fewer than 2 steps.
    """
    _points("slerp", a, b)
    _at_least("slerp", "steps", steps, 2)
    x, y = a.double(), b.double()
    lengths = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    if bool((lengths[0] == 0).any() or (lengths[1] == 0).any()):
        raise InvalidCodeError("slerp: the origin has no direction; give points that are not zero")
    x, y = x / lengths[0], y / lengths[1]
    # Exact near 0 and pi, where the arc cosine of the product is not.
    angle = 2 * torch.atan2((x - y).norm(dim=1, keepdim=True), (x + y).norm(dim=1, keepdim=True))
    opposite = angle > math.pi - 1e-6
    if bool(opposite.any()):
        row = int(opposite[:, 0].nonzero()[0])
        raise InvalidCodeError(f"slerp: a[{row}] and b[{row}] lie in opposite directions: no arc is the shortest")
    t = torch.linspace(0, 1, steps, device=a.device, dtype=torch.float64)[:, None]
    tangent = y - (x * y).sum(1, keepdim=True) * x
    tangent = torch.nn.functional.normalize(tangent, dim=1)
    turn = t * angle[:, None]
    directions = turn.cos() * x[:, None] + turn.sin() * tangent[:, None]
    path = (directions * torch.lerp(lengths[0][:, None], lengths[1][:, None], t)).to(a)
    path[:, 0], path[:, -1] = a, b
    return path


def great_circle(z: Tensor, steps: int, *, seed: Seed = None) -> Tensor:
    """Once around the origin through every point, in a random direction: [B, steps + 1, d].

    The walk of D-VAE's figures (Zhang et al., NeurIPS 2019: 35 steps): point k lies 360 k / ``steps``
    degrees from the start, all at its distance from the origin; the last point is the first.

    Args:
        z: [B, d], d at least 2.
        steps: at least 2.
        seed: of the directions, uniform among those at right angles to ``z``.

    Raises:
        InvalidCodeError: wrong shape, a value that is not finite, or a point that is the origin.
        ConfigError: fewer than 2 steps.
    """
    _points("great_circle", z)
    _at_least("great_circle", "steps", steps, 2)
    _at_least("great_circle", "the number of dimensions", z.shape[1], 2)
    start = z.double()
    length = start.norm(dim=1, keepdim=True)
    if bool((length == 0).any()):
        raise InvalidCodeError("great_circle: no circle around the origin passes through the origin")
    start = start / length
    noise = _directions(len(z), z.shape[1], as_generator(seed), start)
    tangent = torch.nn.functional.normalize(noise - (noise * start).sum(1, keepdim=True) * start, dim=1)
    turn = torch.linspace(0, 2 * math.pi, steps + 1, device=z.device, dtype=torch.float64)[:, None]
    path = (length[:, None] * (turn.cos() * start[:, None] + turn.sin() * tangent[:, None])).to(z)
    path[:, 0] = path[:, -1] = z
    return path


def random_line(z: Tensor, reach: float, steps: int, *, scale: Tensor | None = None, seed: Seed = None) -> Tensor:
    """Straight lines through points in random directions, ``reach`` to either side: [B, 2 * steps + 1, d].

    Args:
        z: [B, d]; the middle of every line, row ``steps`` of the result, exactly.
        reach: distance of the ends from the middle, above 0, in ``scale``.
        steps: points on either side, at least 1.
        scale: [d] or [B, d], see the module; directions are uniform in these units.
        seed: of the directions.

    Raises:
        InvalidCodeError: wrong shapes, a value that is not finite, or a scale that is not positive.
        ConfigError: ``reach`` or ``steps`` out of range.
    """
    _points("random_line", z)
    _positive("random_line", "reach", reach)
    _at_least("random_line", "steps", steps, 1)
    direction = _directions(len(z), z.shape[1], as_generator(seed), z) * _scale("random_line", scale, z)
    t = torch.arange(-steps, steps + 1, device=z.device).to(z) * (reach / steps)
    return z[:, None] + t[:, None] * direction[:, None]


# --- neighbourhoods and planes --------------------------------------------------------------------


def on_sphere(z: Tensor, radius: float, n: int, *, scale: Tensor | None = None, seed: Seed = None) -> Tensor:
    """Points at distance ``radius`` from every point, in uniform directions: [B, n, d].

    Args:
        z: [B, d].
        radius: above 0, in ``scale``.
        n: how many around every point, at least 1.
        scale: [d] or [B, d], see the module.
        seed: of the directions.

    Raises:
        InvalidCodeError: wrong shapes, a value that is not finite, or a scale that is not positive.
        ConfigError: ``radius`` or ``n`` out of range.
    """
    return _around("on_sphere", z, radius, n, scale, as_generator(seed), ball=False)


def in_ball(z: Tensor, radius: float, n: int, *, scale: Tensor | None = None, seed: Seed = None) -> Tensor:
    """Points uniform in the ball of ``radius`` around every point: [B, n, d].

    In many dimensions nearly all of a ball is near its surface. Arguments and errors: :func:`on_sphere`.
    """
    return _around("in_ball", z, radius, n, scale, as_generator(seed), ball=True)


def _around(
    name: str, z: Tensor, radius: float, n: int, scale: Tensor | None, generator: torch.Generator, *, ball: bool
) -> Tensor:
    _points(name, z)
    _positive(name, "radius", radius)
    _at_least(name, "n", n, 1)
    rows, dim = z.shape
    offsets = radius * _directions(rows * n, dim, generator, z).reshape(rows, n, dim)
    if ball:
        share = torch.rand(rows, n, 1, generator=generator, dtype=torch.float64)
        offsets = offsets * (share ** (1 / dim)).to(z)
    return z[:, None] + offsets * _scale(name, scale, z).expand(rows, dim)[:, None]


def random_plane(scale: Tensor, *, seed: Seed = None) -> Tensor:
    """Two random directions of length 1 at right angles, in units of ``scale`` [d]: [2, d].

    Raises:
        InvalidCodeError: the scale is not positive.
        ConfigError: fewer than 2 dimensions.
    """
    _at_least("random_plane", "the number of dimensions", len(scale), 2)
    noise = torch.randn(len(scale), 2, generator=as_generator(seed), dtype=torch.float64)
    return torch.linalg.qr(noise).Q.T.to(scale) * _scale("random_plane", scale, scale[None])


def plane_through(z: Tensor, a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """The plane through three points, as directions of length 1 at right angles in units of ``scale``: [2, d].

    The first points from ``z`` to ``a``, the second from that line to ``b`` (Gram and Schmidt).

    Args:
        z, a, b: [d].
        scale: [d].

    Raises:
        InvalidCodeError: wrong shapes, values that are not finite, or points on one line.
    """
    _points("plane_through", z[None], a[None], b[None])
    scale = _scale("plane_through", scale, z[None])
    first, second = (a - z).double() / scale, (b - z).double() / scale
    along = torch.nn.functional.normalize(first, dim=0)
    across = second - (second @ along) * along
    if float(first.norm()) == 0 or float(across.norm()) <= 1e-6 * float(second.norm()):
        raise InvalidCodeError("plane_through: the three points lie on one line; give three that span a plane")
    return torch.stack([along, torch.nn.functional.normalize(across, dim=0)]).to(z) * scale


def plane_grid(z: Tensor, directions: Tensor, size: int, step: float) -> Tensor:
    """A square grid of points around ``z``: [size, size, d].

    ``grid[i, j]`` is ``z + step * ((j - h) * directions[0] + (h - i) * directions[1])``, h the middle: as in a
    picture, the first direction goes right and the second up.

    Args:
        z: [d].
        directions: [2, d].
        size: points along each side, odd, at least 3.
        step: distance of neighbours in lengths of the directions, above 0.

    Raises:
        InvalidCodeError: wrong shapes, or values that are not finite.
        ConfigError: ``size`` or ``step`` out of range.
    """
    _points("plane_grid", z[None].expand(2, -1), directions)
    if size < 3 or size % 2 == 0:
        raise ConfigError(f"plane_grid: size must be an odd number, at least 3, got {size}")
    _positive("plane_grid", "step", step)
    t = torch.arange(size, device=z.device).to(z).sub_(size // 2) * step
    return z + t[None, :, None] * directions[0] + t.flip(0)[:, None, None] * directions[1]


def analogy(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``a - b + c``: what ``a`` has and ``b`` has not, added to ``c``; [B, d] each.

    Raises:
        InvalidCodeError: wrong shapes, or a value that is not finite.
    """
    _points("analogy", a, b, c)
    return a - b + c


# --- what a path decodes to -----------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Consecutive points of a path that are the same network.

    Attributes:
        first, last: numbers of its first and last point.
        start, end: their parameters, 0 at the start of the path and 1 at its end. The border to the next
            stretch lies between ``end`` and the next ``start``.
        key: of the network.
        text: the cell at the first point.
    """

    first: int
    last: int
    start: float
    end: float
    key: str
    text: str


def stretches(keys: Sequence[str], texts: Sequence[str]) -> list[Stretch]:
    """Cut a path of decoded cells into stretches of equal keys, in order; a network that returns has several.

    Args:
        keys, texts: one a point, in order.

    Raises:
        InvalidCodeError: not as many texts as keys.
    """
    if len(keys) != len(texts):
        raise InvalidCodeError(f"stretches: {len(keys)} keys and {len(texts)} texts; give one each for every point")
    borders = [k for k in range(len(keys)) if k == 0 or keys[k] != keys[k - 1]]
    whole = max(len(keys) - 1, 1)
    found = []
    for first, following in zip(borders, [*borders, len(keys)][1:], strict=True):
        last = following - 1
        found.append(Stretch(first, last, first / whole, last / whole, keys[first], texts[first]))
    return found


__all__ = [
    "Stretch",
    "analogy",
    "great_circle",
    "in_ball",
    "interpolate",
    "on_sphere",
    "plane_grid",
    "plane_through",
    "random_line",
    "random_plane",
    "slerp",
    "stretches",
]
