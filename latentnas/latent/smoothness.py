"""How smoothly a value (an accuracy) varies over points that stand for cells: along paths, among neighbours.

Pure functions on values and points, so the same numbers can be had for any representation of cells: latents,
one-hot codes, embeddings. :func:`smoothness` takes them all for a latent space, :func:`one_hot_smoothness`
for the one-hot codes of the same cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ObservationError
from ..seeding import Seed, as_generator
from ..spaces import SearchSpace
from .space import LatentSpace

Values = Callable[[Tensor], Tensor]
"""Codes [B, D] -> their values [B], finite floats."""


@dataclass(frozen=True)
class PathSmoothness:
    """Values along paths between cells, means over the paths, in the unit of the values.

    Attributes:
        between_ends: |last - first|; no path varies less.
        variation: total variation, the sum of |v[k + 1] - v[k]|.
        largest_step: the largest |v[k + 1] - v[k]|.
        monotone: share of paths that never both rise and fall, in [0, 1].
        cells: stretches of equal values, one more than there are changes.
    """

    between_ends: float
    variation: float
    largest_step: float
    monotone: float
    cells: float


def along_paths(values: Tensor) -> PathSmoothness:
    """Measure paths by the values [P, S] of their cells, P at least 1, S at least 2.

    Raises:
        ObservationError: wrong shape, or values that are not finite.
    """
    values = _finite("along_paths", values, 2)
    if len(values) == 0 or values.shape[1] < 2:
        raise ObservationError(f"along_paths: values must be [P, S] with S at least 2, got {list(values.shape)}")
    steps = values.diff(dim=1)
    rises, falls = (steps > 0).any(1), (steps < 0).any(1)
    return PathSmoothness(
        between_ends=float((values[:, -1] - values[:, 0]).abs().mean()),
        variation=float(steps.abs().sum(1).mean()),
        largest_step=float(steps.abs().amax(1).mean()),
        monotone=float((~(rises & falls)).double().mean()),
        cells=float(1 + (steps != 0).sum(1).double().mean()),
    )


@dataclass(frozen=True)
class PairSmoothness:
    """Differences of values against distances of points, over random pairs of cells.

    Attributes:
        distances: upper ends of the bins, quantiles of the distances; equal distances share a bin.
        differences: mean |difference of values| of the pairs in each bin.
        pearson, spearman: correlations of distance and |difference|, in [-1, 1].
    """

    distances: tuple[float, ...]
    differences: tuple[float, ...]
    pearson: float
    spearman: float


def by_distance(
    points: Tensor, values: Tensor, *, pairs: int = 20_000, bins: int = 10, seed: Seed = None
) -> PairSmoothness:
    """Compare distances of random pairs of points [n, d] with the differences of their values [n].

    Args:
        points: Euclidean distances are taken between them.
        values: of the same cells.
        pairs: how many pairs of two different rows, drawn with replacement.
        bins: how many quantile bins; fewer come back where distances are equal.
        seed: of the pairs.

    Raises:
        ObservationError: wrong shapes, values that are not finite, or fewer than 3 rows.
        ConfigError: ``pairs`` below 2 or ``bins`` below 1.
    """
    points, values = _same_rows("by_distance", points, values, 3)
    if pairs < 2 or bins < 1:
        raise ConfigError(f"by_distance: needs at least 2 pairs and 1 bin, got {pairs} and {bins}")
    generator, n = as_generator(seed), len(points)
    i = torch.randint(n, (pairs,), generator=generator)
    j = (i + torch.randint(1, n, (pairs,), generator=generator)) % n
    distance, difference = (points[i] - points[j]).norm(dim=1), (values[i] - values[j]).abs()
    # Rounding must not part equal distances of one-hot codes.
    distance = (distance * 1e9).round() / 1e9
    edges = distance.quantile(torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:]).unique()
    where = torch.searchsorted(edges, distance).clamp_max(len(edges) - 1)
    count = torch.bincount(where, minlength=len(edges))
    total = torch.zeros(len(edges), dtype=torch.float64).index_add_(0, where, difference)
    used = count > 0
    return PairSmoothness(
        tuple(edges[used].tolist()),
        tuple((total[used] / count[used]).tolist()),
        _pearson(distance, difference),
        _pearson(_ranks(distance), _ranks(difference)),
    )


@dataclass(frozen=True)
class NeighbourSmoothness:
    """Values of cells against those of their nearest cells.

    Attributes:
        difference: mean |value - value of a neighbour|, over cells and their neighbours.
        random: the same over random pairs, what a representation without meaning gives.
        error: root mean square of (value - mean of the neighbours' values): how well a local average predicts.
        spread: standard deviation of the values, the error of the overall mean.
    """

    difference: float
    random: float
    error: float
    spread: float


def among_nearest(
    points: Tensor, values: Tensor, *, k: int = 10, cells: int = 1000, seed: Seed = None
) -> NeighbourSmoothness:
    """Compare the values [n] of random cells with those of the ``k`` nearest other points [n, d].

    Args:
        points: Euclidean distances; which of equally distant points are taken is random, so that one-hot codes,
            whose distances are nearly all equal, are not favoured by the order of rows.
        values: of the same cells.
        k: neighbours, 1..n-1.
        cells: how many rows are looked at, all where n is smaller.
        seed: of the cells and among equally distant neighbours.

    Raises:
        ObservationError: wrong shapes, values that are not finite, or fewer than 2 rows.
        ConfigError: ``k`` or ``cells`` out of range.
    """
    points, values = _same_rows("among_nearest", points, values, 2)
    n = len(points)
    if not 1 <= k < n or cells < 1:
        raise ConfigError(f"among_nearest: k must be in 1..{n - 1} and cells at least 1, got {k} and {cells}")
    generator = as_generator(seed)
    rows, nearest = _nearest(points, k, cells, generator)
    near = values[nearest]
    own = values[rows]
    others = (rows + torch.randint(1, n, (len(rows),), generator=generator)) % n
    return NeighbourSmoothness(
        difference=float((near - own[:, None]).abs().mean()),
        random=float((own - values[others]).abs().mean()),
        error=float((near.mean(1) - own).square().mean().sqrt()),
        spread=float(own.std(correction=0)),
    )


def differences_to_nearest(
    points: Tensor, values: Tensor, *, k: int = 100, cells: int = 1000, seed: Seed = None
) -> Tensor:
    """Mean |value - value of a neighbour| to the j nearest cells, for j = 1..k: [k] double.

    Element k - 1 is the ``difference`` of :func:`among_nearest`; arguments and errors are the same.
    """
    points, values = _same_rows("differences_to_nearest", points, values, 2)
    if not 1 <= k < len(points) or cells < 1:
        raise ConfigError(
            f"differences_to_nearest: k must be in 1..{len(points) - 1} and cells at least 1, got {k} and {cells}"
        )
    rows, nearest = _nearest(points, k, cells, as_generator(seed))
    by_rank = (values[nearest] - values[rows][:, None]).abs().mean(0)
    return by_rank.cumsum(0) / torch.arange(1, k + 1)


def _nearest(points: Tensor, k: int, cells: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random rows [c], at most ``cells``, and the ``k`` nearest other rows of each [c, k], the nearest first."""
    n = len(points)
    rows = torch.randperm(n, generator=generator)[:cells]
    order = torch.randperm(n, generator=generator)
    nearest = []
    for chunk in rows.split(max(1, 4_000_000 // n)):
        distance = torch.cdist(points[chunk], points[order], compute_mode="donot_use_mm_for_euclid_dist")
        distance = (distance * 1e9).round()
        distance[chunk[:, None] == order[None]] = torch.inf
        # A stable sort keeps the random order of equal distances.
        nearest.append(order[distance.sort(dim=1, stable=True).indices[:, :k]])
    return rows, torch.cat(nearest)


@dataclass(frozen=True)
class Smoothness:
    """A representation's figures.

    Attributes:
        paths: by the kind of path between random cells: "line" and "arc" in a latent space, "edits" of codes.
        pairs: over random pairs of cells.
        nearest: among nearest cells.
    """

    paths: dict[str, PathSmoothness]
    pairs: PairSmoothness
    nearest: NeighbourSmoothness

    def to_dict(self) -> dict[str, Any]:
        """Plain types by name."""
        return asdict(self)


def smoothness(
    latent: LatentSpace, values: Values, codes: Tensor, *, lines: int = 200, steps: int = 65, k: int = 10, seed: int = 0
) -> Smoothness:
    """How smooth ``values`` are over a latent space.

    Lines lead straight from the latent of one random cell to that of another, arcs around the origin
    (:func:`~latentnas.latent.tools.slerp`); the value at a point is that of the cell it decodes to. Pairs and
    nearest cells are taken among ``codes`` by the distances of their latents.

    Args:
        latent: the latent space.
        values: the value of any cell of the space, such as a table's ``query``.
        codes: [n, D] long, the cells that count, n above ``k``.
        lines, steps: how many lines and arcs, and points on each.
        k: nearest cells.
        seed: of lines, pairs and cells; :func:`one_hot_smoothness` with the same seed takes the same ones.

    Raises:
        InvalidCodeError: a row is no cell.
        ObservationError: values that are not finite, or too few cells.
        ConfigError: a number out of range.
    """
    starts, ends = _line_ends(codes, lines, seed)
    paths = {"line": latent.interpolate(starts, ends, steps), "arc": latent.slerp(starts, ends, steps)}
    found = {
        name: along_paths(values(latent.decode(path.flatten(0, 1))).reshape(lines, steps))
        for name, path in paths.items()
    }
    points, known = latent.encode(codes), values(codes)
    return Smoothness(found, by_distance(points, known, seed=seed), among_nearest(points, known, k=k, seed=seed))


def one_hot_smoothness(
    space: SearchSpace, values: Values, codes: Tensor, *, lines: int = 200, k: int = 10, seed: int = 0
) -> Smoothness:
    """The same for one-hot codes, between and among the same cells as :func:`smoothness`.

    A straight line between two one-hot codes has the nearest codes ``a`` up to its middle and ``b`` from there: a
    single jump. Paths here ("edits") instead exchange one differing column after the other, in random order: the
    shortest walks of single edits, which is what moving in small steps means for codes.

    Raises:
        ConfigError: in the space not every row is a cell, so that single columns cannot be exchanged; or a number
            out of range.
        InvalidCodeError, ObservationError: as :func:`smoothness`.
    """
    if not space.is_product:
        raise ConfigError(
            f"one_hot_smoothness: in {space.name} not every row is a cell, so columns cannot be exchanged one by one; "
            "use by_distance and among_nearest on one_hot(space, codes)"
        )
    starts, ends = _line_ends(codes, lines, seed)
    order = torch.rand(lines, space.dim, generator=as_generator(seed)).argsort(1)
    # Column c of a line is exchanged at step order[c] + 1.
    exchanged = torch.arange(space.dim + 1)[None, :, None] > order[:, None]
    path = torch.where(exchanged, ends[:, None], starts[:, None])
    found = {"edits": along_paths(values(path.flatten(0, 1)).reshape(lines, space.dim + 1))}
    points, known = one_hot(space, codes), values(codes)
    return Smoothness(found, by_distance(points, known, seed=seed), among_nearest(points, known, k=k, seed=seed))


def one_hot(space: SearchSpace, codes: Tensor) -> Tensor:
    """One-hot codes: [B, D] long -> [B, sum of the cardinalities] double.

    Raises:
        InvalidCodeError: a row is no cell.
    """
    codes = space.check_codes(codes)
    wide = torch.zeros(len(codes), sum(space.cardinalities), dtype=torch.double, device=codes.device)
    first = torch.tensor([0, *space.cardinalities[:-1]], device=codes.device).cumsum(0)
    return wide.scatter_(1, codes + first, 1.0)


def _line_ends(codes: Tensor, lines: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of two different rows."""
    if lines < 1 or len(codes) < 2:
        raise ConfigError(f"smoothness: needs at least 1 line and 2 cells, got {lines} and {len(codes)}")
    generator = as_generator(seed)
    i = torch.randint(len(codes), (lines,), generator=generator)
    j = (i + torch.randint(1, len(codes), (lines,), generator=generator)) % len(codes)
    return codes[i], codes[j]


def _finite(name: str, values: Tensor, ndim: int) -> Tensor:
    values = values.detach().cpu().double()
    if values.ndim != ndim or not bool(values.isfinite().all()):
        raise ObservationError(f"{name}: values must be finite, {ndim}-dimensional; got shape {list(values.shape)}")
    return values


def _same_rows(name: str, points: Tensor, values: Tensor, least: int) -> tuple[Tensor, Tensor]:
    points, values = _finite(name, points, 2), _finite(name, values, 1)
    if len(points) != len(values) or len(points) < least:
        raise ObservationError(
            f"{name}: needs points [n, d] and values [n] of at least {least} cells, "
            f"got {list(points.shape)} and {list(values.shape)}"
        )
    return points, values


def _pearson(x: Tensor, y: Tensor) -> float:
    """Correlation, 0 where one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    length = x.norm() * y.norm()
    return float((x @ y) / length) if float(length) > 0 else 0.0


def _ranks(x: Tensor) -> Tensor:
    """Ranks from 0; equal values share the mean of theirs."""
    _, where, count = x.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    return (last - (count + 1) / 2)[where]


__all__ = [
    "NeighbourSmoothness",
    "PairSmoothness",
    "PathSmoothness",
    "Smoothness",
    "along_paths",
    "among_nearest",
    "by_distance",
    "differences_to_nearest",
    "one_hot",
    "one_hot_smoothness",
    "smoothness",
]
