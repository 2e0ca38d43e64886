"""Figures of smoothness, against values worked out by hand and spaces whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor

from latentnas.errors import ConfigError, ObservationError
from latentnas.latent import LatentSpace
from latentnas.latent.smoothness import (
    PathSmoothness,
    along_paths,
    among_nearest,
    by_distance,
    differences_to_nearest,
    one_hot,
    one_hot_smoothness,
    smoothness,
)
from latentnas.spaces import get_space


def skips(codes: Tensor) -> Tensor:
    """A value that every edit changes by at most one: the number of skip connections."""
    return (codes == 1).sum(1).double()


def test_paths_by_hand() -> None:
    values = torch.tensor([[0.0, 2.0, 1.0, 1.0], [3.0, 3.0, 2.0, 0.0]])
    assert along_paths(values) == PathSmoothness(
        between_ends=(1 + 3) / 2, variation=(3 + 3) / 2, largest_step=(2 + 2) / 2, monotone=0.5, cells=3.0
    )
    assert along_paths(torch.ones(1, 5)) == PathSmoothness(0.0, 0.0, 0.0, 1.0, 1.0)


def test_points_on_a_line_whose_values_are_their_places() -> None:
    x = torch.rand(300, generator=torch.Generator().manual_seed(0))
    found = by_distance(x[:, None], x, pairs=4000, bins=4, seed=0)
    assert found.pearson == pytest.approx(1)
    assert found.spearman == pytest.approx(1)
    assert len(found.distances) == len(found.differences) == 4
    # A bin's mean difference lies between its ends.
    lower = (0.0, *found.distances[:-1])
    assert all(a < d < b for a, d, b in zip(lower, found.differences, found.distances, strict=True))


def test_correlations_are_scipys_with_equal_distances_too() -> None:
    space = get_space("nasbench201")
    codes = space.sample(60, seed=0)
    points = one_hot(space, codes)
    values = torch.rand(60, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    found = by_distance(points, values, pairs=500, seed=3)
    generator = torch.Generator().manual_seed(3)
    i = torch.randint(60, (500,), generator=generator)
    j = (i + torch.randint(1, 60, (500,), generator=generator)) % 60
    edits = (codes[i] != codes[j]).sum(1).double()
    difference = (values[i] - values[j]).abs()
    assert found.pearson == pytest.approx(pearsonr(edits.sqrt(), difference).statistic)
    assert found.spearman == pytest.approx(spearmanr(edits, difference).statistic)
    # Distances of one-hot codes are sqrt(2 x edits): bins end there.
    assert all((d**2 / 2) == pytest.approx(round(d**2 / 2), abs=1e-6) for d in found.distances)
    nearest = difference[edits <= round(found.distances[0] ** 2 / 2)]
    assert found.differences[0] == pytest.approx(float(nearest.mean()))


def test_nearest_by_hand() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    found = among_nearest(points, torch.tensor([1.0, 2.0, 5.0, 9.0]), k=1, cells=4, seed=0)
    assert found.difference == (1 + 1 + 4 + 4) / 4
    assert found.error == pytest.approx(((1 + 1 + 16 + 16) / 4) ** 0.5)
    assert found.spread == pytest.approx(float(torch.tensor([1.0, 2, 5, 9]).std(correction=0)))


def test_all_others_as_neighbours() -> None:
    values = torch.tensor([0.0, 3.0, 6.0])
    found = among_nearest(torch.tensor([[0.0], [1.0], [2.0]]), values, k=2, seed=0)
    assert found.difference == pytest.approx((3 + 6 + 3 + 3 + 6 + 3) / 6)
    assert found.error == pytest.approx(((4.5**2 + 0 + 4.5**2) / 3) ** 0.5)


def test_differences_by_rank() -> None:
    points, values = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0.0, 4.0, 5.0])
    found = differences_to_nearest(points, values, k=2, cells=3, seed=0)
    # nearest: 0-1, 1-0, 2-1; second nearest: 0-2, 1-2, 2-0
    assert found.tolist() == pytest.approx([(4 + 4 + 1) / 3, (4 + 4 + 1 + 5 + 1 + 5) / 6])
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    several = differences_to_nearest(x, x[:, 0], k=7, cells=20, seed=3)
    assert float(several[-1]) == pytest.approx(among_nearest(x, x[:, 0], k=7, cells=20, seed=3).difference)
    with pytest.raises(ConfigError, match="differences_to_nearest"):
        differences_to_nearest(points, values, k=3)


def test_equally_distant_neighbours_are_drawn() -> None:
    """Row 0 has 8 neighbours at distance 1, with values 1 to 8; which is taken depends on the seed alone."""
    points = torch.cat([torch.zeros(1, 8), torch.eye(8)])
    values = torch.arange(9.0)
    taken = {among_nearest(points, values, k=1, cells=9, seed=seed).difference for seed in range(10)}
    assert len(taken) > 1
    assert among_nearest(points, values, k=1, seed=4) == among_nearest(points, values, k=1, seed=4)


def test_one_hot_codes() -> None:
    space = get_space("nasbench201")
    wide = one_hot(space, torch.tensor([[0, 1, 2, 3, 4, 0]]))
    assert wide.shape == (1, 30)
    assert wide[0].nonzero()[:, 0].tolist() == [0, 6, 12, 18, 24, 25]


def test_one_hot_paths_change_one_column_at_a_time() -> None:
    space = get_space("nasbench201")
    seen: list[Tensor] = []

    def values(codes: Tensor) -> Tensor:
        seen.append(codes)
        return skips(codes)

    found = one_hot_smoothness(space, values, space.sample(200, seed=0), lines=30, seed=0)
    path = seen[0].reshape(30, 7, 6)
    assert int((path.diff(dim=1) != 0).sum(2).max()) == 1
    assert found.paths.keys() == {"edits"}
    assert found.paths["edits"].largest_step <= 1
    assert found.paths["edits"] == along_paths(skips(seen[0]).reshape(30, 7))
    assert found.to_dict()["pairs"]["pearson"] == found.pairs.pearson


def test_latent_space_figures() -> None:
    latent = LatentSpace.load("nasbench201-dvae-emb", device="cpu")
    codes = latent.space.sample(300, seed=0)
    found = smoothness(latent, skips, codes, lines=20, steps=17, seed=1)
    assert found.paths.keys() == {"line", "arc"}
    same = one_hot_smoothness(latent.space, skips, codes, lines=20, seed=1)
    # Both start and end at the same cells, and look at the same cells.
    for path in found.paths.values():
        assert path.between_ends == same.paths["edits"].between_ends
        assert path.variation >= path.largest_step
        assert path.variation >= path.between_ends
    assert (found.nearest.random, found.nearest.spread) == (same.nearest.random, same.nearest.spread)
    assert found == smoothness(latent, skips, codes, lines=20, steps=17, seed=1)


def test_spaces_with_rules_have_no_single_edits() -> None:
    space = get_space("nasbench101")
    with pytest.raises(ConfigError, match="in nasbench101 not every row is a cell"):
        one_hot_smoothness(space, skips, space.sample(20, seed=0))


X = torch.arange(4.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: along_paths(X), ObservationError, "2-dimensional; got shape"),
        (lambda: along_paths(X[:, None]), ObservationError, "S at least 2, got"),
        (lambda: along_paths(X[None] / 0), ObservationError, "must be finite"),
        (lambda: by_distance(X[:, None], X[:3]), ObservationError, "at least 3 cells"),
        (lambda: by_distance(X[:, None], X, pairs=1), ConfigError, "at least 2 pairs"),
        (lambda: by_distance(X[:, None], X, bins=0), ConfigError, "1 bin, got 20000 and 0"),
        (lambda: among_nearest(X[:, None], X, k=4), ConfigError, "k must be in 1..3"),
        (lambda: one_hot_smoothness(get_space("nasbench201"), skips, torch.zeros(1, 6).long()), ConfigError, "2 cells"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
