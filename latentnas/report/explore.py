"""Pictures of what a latent space decodes to: the cells on a plane around a cell, and along a line between two.

A :class:`Plane` or :class:`Line` holds the decoded cells as plain values; :func:`draw_plane`,
:func:`draw_plane_map` and :func:`draw_line` make pictures of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InvalidCodeError
from ..latent import LatentSpace
from ..latent.tools import Stretch, plane_grid, stretches
from ..spaces import SearchSpace


@dataclass(frozen=True)
class Measure:
    """A value that cells are coloured by.

    Attributes:
        name: what it is called.
        of: codes [B, D] -> [B] floats, NaN where it is not known.
        unit: its unit; empty where it has none.
    """

    name: str
    of: Callable[[Tensor], Tensor]
    unit: str = ""

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, eq=False)
class Plane:
    """Decoded cells on a square grid in a plane of a latent space; row 0 is the top.

    Attributes:
        space: their space.
        codes: [size, size, D] long.
        keys: size x size keys of their networks.
        step: distance of neighbours, in standard deviations of the training latents.
        values: [size, size] double, NaN where unknown; None without a measure.
        measure: what ``values`` are.
        marks: labels and grid coordinates (x to the right, y up, in steps from the middle) of points to mark.
    """

    space: SearchSpace
    codes: Tensor
    keys: list[list[str]]
    step: float
    values: Tensor | None = None
    measure: Measure | None = None
    marks: tuple[tuple[str, float, float], ...] = ()

    @property
    def size(self) -> int:
        """Points along each side."""
        return len(self.keys)

    @cached_property
    def networks(self) -> list[str]:
        """The distinct keys, that of the middle first, then by how many points they have."""
        middle = self.keys[self.size // 2][self.size // 2]
        flat = [key for row in self.keys for key in row]
        return sorted(dict.fromkeys(flat), key=lambda key: (key != middle, -flat.count(key)))

    @cached_property
    def regions(self) -> list[list[tuple[int, int]]]:
        """Tiles (row, column) of equal keys that touch along sides, in reading order of their first tile."""
        found: list[list[tuple[int, int]]] = []
        seen: set[tuple[int, int]] = set()
        for start in ((i, j) for i in range(self.size) for j in range(self.size)):
            if start in seen:
                continue
            seen.add(start)
            region = [start]
            for i, j in region:  # grows while it is walked through
                for near in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                    inside = 0 <= near[0] < self.size and 0 <= near[1] < self.size
                    if inside and near not in seen and self.keys[near[0]][near[1]] == self.keys[i][j]:
                        seen.add(near)
                        region.append(near)
            found.append(sorted(region))
        return found

    def representative(self, key: str) -> tuple[int, int]:
        """The tile (row, column) of ``key`` nearest to the middle."""
        half = self.size // 2
        tiles = [(i, j) for i in range(self.size) for j in range(self.size) if self.keys[i][j] == key]
        return min(tiles, key=lambda tile: (math.hypot(tile[0] - half, tile[1] - half), tile))


def explore_plane(
    latent: LatentSpace,
    code: Tensor,
    directions: Tensor,
    *,
    size: int = 7,
    step: float = 1.0,
    measure: Measure | None = None,
    marks: Sequence[tuple[str, Tensor]] = (),
) -> Plane:
    """Decode a grid of latents around a cell.

    Args:
        latent: the latent space.
        code: [D] or [1, D], the cell in the middle. The middle shows what its latent decodes to, which in a
            latent space that does not reconstruct it is another cell.
        directions: [2, d] to the right and up, see :func:`~latentnas.latent.tools.random_plane` and
            :func:`~latentnas.latent.tools.plane_through`.
        size: points along each side, odd, at least 3.
        step: distance of neighbours, in lengths of the directions.
        measure: a value to colour by.
        marks: labels and codes [D] or [1, D] of further cells, marked where their latents project to.

    Raises:
        InvalidCodeError: a code is not one cell of the space, or the directions have a wrong shape.
        ConfigError: ``size`` or ``step`` out of range.
    """
    space = latent.space
    z = latent.encode(_one(space, code))[0]
    grid = plane_grid(z, directions.to(z), size, step)
    codes = latent.decode(grid.flatten(0, 1))
    keys = space.keys(codes)
    placed = []
    for label, other in marks:
        offset = ((latent.encode(_one(space, other))[0] - z) / latent.scale).double()
        units = (directions / latent.scale).double()
        x, y = torch.linalg.lstsq(units.T, offset[:, None]).solution[:, 0].tolist()
        placed.append((label, x / step, y / step))
    return Plane(
        space,
        codes.reshape(size, size, -1),
        [keys[k * size : (k + 1) * size] for k in range(size)],
        step,
        None if measure is None else measure.of(codes).double().reshape(size, size),
        measure,
        tuple(placed),
    )


@dataclass(frozen=True, eq=False)
class Line:
    """Decoded cells along a path between two cells.

    Attributes:
        space: their space.
        codes: [S, D] long.
        parts: stretches of equal networks, in order.
        values: [S] double, NaN where unknown; None without a measure.
        measure: what ``values`` are.
    """

    space: SearchSpace
    codes: Tensor
    parts: list[Stretch]
    values: Tensor | None = None
    measure: Measure | None = None

    @cached_property
    def networks(self) -> list[str]:
        """The distinct keys in order of appearance."""
        return list(dict.fromkeys(part.key for part in self.parts))

    def parts_of(self, key: str) -> list[Stretch]:
        """The stretches of a network."""
        return [part for part in self.parts if part.key == key]


def explore_line(latent: LatentSpace, path: Tensor, *, measure: Measure | None = None) -> Line:
    """Decode a path of latents [S, d], such as a row of :meth:`LatentSpace.interpolate`.

    Args:
        latent: the latent space.
        path: S at least 2.
        measure: a value to plot along it.

    Raises:
        InvalidCodeError: wrong shape, fewer than 2 points, or a value that is not finite.
    """
    if path.ndim == 2 and len(path) < 2:
        raise InvalidCodeError(f"explore_line: a path needs at least 2 points, got {len(path)}")
    codes = latent.decode(path)
    parts = stretches(latent.space.keys(codes), latent.space.format(codes))
    return Line(latent.space, codes, parts, None if measure is None else measure.of(codes).double(), measure)


def _one(space: SearchSpace, code: Tensor) -> Tensor:
    """One cell as [1, D]."""
    rows = space.check_codes(code[None] if code.ndim == 1 else code)
    if len(rows) != 1:
        raise InvalidCodeError(f"{space.name}: expected one cell, got {len(rows)}")
    return rows


__all__ = ["Line", "Measure", "Plane", "explore_line", "explore_plane"]
