"""Layered layout: layers, crossings, places, and courses that keep clear of the boxes."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import networkx as nx
import pytest
from sklearn.isotonic import IsotonicRegression

from latentnas.spaces.drawing.layered import (
    CURVE4,
    LINETO,
    MOVETO,
    Layout,
    _crossings,
    _few_crossings,
    _neighbours,
    _Rooms,
    _settle,
    courses,
    layered,
    longest_path_layers,
)  # fmt: skip

Edges = list[tuple[int, int]]


def random_dag(rng: random.Random, count: int, share: float) -> Edges:
    """Every vertex but the first is fed by an earlier one, every one but the last feeds a later one."""
    edges = {(i, j) for i, j in combinations(range(count), 2) if rng.random() < share}
    edges |= {(rng.randrange(j), j) for j in range(1, count) if not any(b == j for _, b in edges)}
    edges |= {(i, rng.randrange(i + 1, count)) for i in range(count - 1) if not any(a == i for a, _ in edges)}
    return sorted(edges)


def lay_out(rng: random.Random, count: int, share: float) -> tuple[Edges, list[int], list[tuple[float, float]], Layout]:
    edges = random_dag(rng, count, share)
    layer = longest_path_layers(count, edges)
    sizes = [(20.0, rng.choice([30.0, 60.0])) for _ in range(count)]
    return edges, layer, sizes, layered(sizes, edges, layer, gaps=[18.0] * max(layer), apart=9.0, lane=5.0)


def points_of(course: tuple[list[tuple[float, float]], list[int]]) -> list[tuple[float, float]]:
    """A course as many points: cubic curves by de Casteljau's construction."""
    points, codes = course
    assert codes[0] == MOVETO
    found, k = [points[0]], 1
    while k < len(points):
        if codes[k] == LINETO:
            stops = [points[k - 1], points[k]]
            k += 1
        else:
            assert codes[k : k + 3] == [CURVE4] * 3
            stops = points[k - 1 : k + 3]
            k += 3
        for step in range(1, 21):
            t, row = step / 20, list(stops)
            while len(row) > 1:
                row = [(a + t * (c - a), b + t * (d - b)) for (a, b), (c, d) in pairwise(row)]
            found.append(row[0])
    return found


def test_layers_are_longest_paths() -> None:
    rng = random.Random(0)
    for _ in range(50):
        count = rng.randrange(2, 12)
        edges = random_dag(rng, count, 0.3)
        graph = nx.DiGraph(edges)
        expected = {v: max(len(path) - 1 for path in nx.all_simple_paths(graph, 0, v)) for v in range(1, count)}
        layer = longest_path_layers(count, edges)
        assert layer[0] == 0
        assert all(layer[v] == expected[v] for v in range(1, count))


def test_vertices_that_nothing_feeds_lie_before_what_they_feed() -> None:
    #  0 -> 1 -> 2 -> 4, 3 -> 4: vertex 3 belongs beside vertex 2
    assert longest_path_layers(5, [(0, 1), (1, 2), (2, 4), (3, 4)]) == [0, 1, 2, 2, 3]
    assert longest_path_layers(3, []) == [0, 1, 2]
    assert longest_path_layers(2, [(0, 1)]) == [0, 1]


@pytest.mark.parametrize(("count", "share"), [(4, 0.5), (7, 0.3), (7, 0.6), (14, 0.2)])
def test_nothing_overlaps_and_edges_keep_clear_of_boxes(count: int, share: float) -> None:
    rng = random.Random(count)
    for _ in range(8):
        edges, layer, sizes, layout = lay_out(rng, count, share)
        boxes = [(a - s / 2, a + s / 2, c - w / 2, c + w / 2)
                 for (a, c), (s, w) in zip(layout.centers, sizes, strict=True)]  # fmt: skip
        for (i, p), (j, q) in combinations(enumerate(boxes), 2):
            apart = max(p[0] - q[1], q[0] - p[1], p[2] - q[3], q[2] - p[3])
            assert apart >= (9.0 if layer[i] == layer[j] else 18.0) - 1e-6
        for (i, j), course in zip(edges, courses(layout, sizes, edges, layer, spread=0.7), strict=True):
            points = points_of(course)
            assert points[0][0] == pytest.approx(boxes[i][1])
            assert boxes[i][2] <= points[0][1] <= boxes[i][3]
            assert points[-1][0] == pytest.approx(boxes[j][0])
            assert boxes[j][2] <= points[-1][1] <= boxes[j][3]
            for along, across in points:
                assert layout.breadth[0] - 1e-6 <= across <= layout.breadth[1] + 1e-6
                for v, (a, b, c, d) in enumerate(boxes):
                    if v not in (i, j):
                        assert not (a < along < b and c < across < d)


def test_mirrored_layouts_are_upside_down() -> None:
    _, _, _, layout = lay_out(random.Random(1), 7, 0.4)
    other = layout.mirrored()
    assert other.centers == [(along, -across) for along, across in layout.centers]
    assert other.breadth == (-layout.breadth[1], -layout.breadth[0])
    assert other.mirrored() == layout
    assert other.length == layout.length


def test_crossings_are_counted() -> None:
    layers = [[0, 1, 2], [3, 4, 5]]
    _, after = _neighbours(6, [(0, 5), (1, 4), (2, 3), (0, 3)])
    # 0-5 crosses 1-4 and 2-3, 1-4 crosses 2-3; 0-3 and 2-3 meet, 0-3 and 0-5 start together
    assert _crossings(layers, after, [1]) == 3
    assert _crossings(layers, after, [4]) == 12


def test_trees_are_laid_out_without_crossings() -> None:
    rng = random.Random(0)
    for _ in range(20):
        tree = [(rng.randrange(j), j) for j in range(1, 12)]
        depth = [0] * 12
        for i, j in tree:
            depth[j] = depth[i] + 1
        layers = [[v for v in range(12) if depth[v] == d] for d in range(max(depth) + 1)]
        before, after = _neighbours(12, tree)
        ordered = _few_crossings(layers, before, after, [1] * len(layers))
        assert _crossings(ordered, after, [1] * len(layers)) == 0
        assert [sorted(members) for members in ordered] == layers


def test_places_are_the_nearest_that_keep_the_distances() -> None:
    rng = random.Random(0)
    for _ in range(20):
        wanted = [rng.uniform(0, 100) for _ in range(6)]
        breadths = [rng.uniform(5, 20) for _ in range(6)]
        place = [0.0] * 6
        _settle(range(6), wanted, place, _Rooms(breadths, 4, 3.0, 1.0))
        # neighbours 3 apart, the two lanes at the end (4 and 5) 1 apart
        shifts = [0.0]
        for k in range(1, 6):
            shifts.append(shifts[-1] + (breadths[k - 1] + breadths[k]) / 2 + (1.0 if k == 5 else 3.0))
        levels = IsotonicRegression().fit_transform(range(6), [w - s for w, s in zip(wanted, shifts, strict=True)])
        assert place == pytest.approx([float(level) + s for level, s in zip(levels, shifts, strict=True)])


def test_courses_have_no_kinks() -> None:
    """Where two parts of a course meet, they have the same direction."""
    rng = random.Random(3)
    sloped = 0
    for _ in range(6):
        edges, layer, sizes, layout = lay_out(rng, 8, 0.4)
        for points, codes in courses(layout, sizes, edges, layer, spread=0.7):
            place, parts = 1, []  # first and last direction of every part
            while place < len(points):
                step = 3 if codes[place] == 4 else 1
                part = points[place - 1 : place + step]
                parts.append([(b[1] - a[1]) / (b[0] - a[0]) for a, b in (part[:2], part[-2:])])
                place += step
            for (_, leaving), (entering, _) in pairwise(parts):
                assert leaving == pytest.approx(entering, abs=1e-9)
                sloped += abs(leaving) > 0.01
    assert sloped > 10


def test_sole_ends_stand_amid_what_they_are_joined_to() -> None:
    sizes = [(10.0, 20.0)] * 5
    layout = layered(
        sizes, [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4)], [0, 1, 1, 1, 2], gaps=[10.0] * 2, apart=5.0, lane=3.0
    )
    across = [place for _, place in layout.centers]
    assert across[0] == pytest.approx((min(across[1:4]) + max(across[1:4])) / 2)
    assert across[4] == pytest.approx((across[1] + across[2]) / 2)
