"""Layered layout of small DAGs: vertices in layers, edges in lanes of their own between them.

The method of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981): an edge that passes a layer gets
a lane there; the order of boxes and lanes in the layers is chosen for few crossings, and their places
for straight edges. As lanes and boxes of a layer do not overlap, no edge runs over a box.

Layers follow each other along the flow ("along"); within a layer things lie "across" it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[int, int]
Sequences = list[list[int]]


@dataclass(frozen=True)
class Layout:
    """Where everything lies, in points.

    Attributes:
        centers: (along, across) of every vertex.
        lanes: for every edge, (start, end, across) of its lane in each layer that it passes.
        spans: (start, end) of every layer, along the flow.
        breadth: (lowest, highest) place across the flow that a box or a lane takes.
        clear: how far an edge may leave the middle of its lane without touching anything.
    """

    centers: list[tuple[float, float]]
    lanes: list[list[tuple[float, float, float]]]
    spans: list[tuple[float, float]]
    breadth: tuple[float, float]
    clear: float = 0.0

    @property
    def length(self) -> float:
        """From the start of the first layer to the end of the last."""
        return self.spans[-1][1]

    def mirrored(self) -> Layout:
        """The same layout, upside down across the flow."""
        return Layout(
            [(along, -across) for along, across in self.centers],
            [[(start, end, -across) for start, end, across in lane] for lane in self.lanes],
            self.spans,
            (-self.breadth[1], -self.breadth[0]),
            self.clear,
        )


def longest_path_layers(count: int, edges: Sequence[Pair]) -> list[int]:
    """Layer of every vertex: vertex 0 in layer 0, others behind all their predecessors, the last behind all.

    Vertices that nothing feeds lie in front of what they feed.

    Args:
        count: n; vertices are 0..n-1, in topological order.
        edges: pairs (i, j), i < j.
    """
    layer = [0, *[1] * (count - 1)]
    for j in range(1, count):
        layer[j] = max((layer[i] + 1 for i, k in edges if k == j), default=1)
    fed = {j for _, j in edges}
    for i in range(count - 1, 0, -1):
        if i not in fed:
            layer[i] = max(1, min((layer[j] for k, j in edges if k == i), default=2) - 1)
    layer[-1] = max(layer[:-1], default=0) + 1 if count > 1 else 0
    return layer


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[Pair],
    layer: Sequence[int],
    *,
    gaps: Sequence[float],
    apart: float,
    lane: float,
    lanes_apart: float | None = None,
    weights: Sequence[int] = (),
) -> Layout:
    """Place vertices and lanes.

    Args:
        sizes: (along, across) of every vertex.
        edges: pairs of vertices; the layer of the first is below that of the second.
        layer: the layer of every vertex, 0.. without holes.
        gaps: room between layer k and layer k + 1, one number for each k.
        apart: least room between two things of a layer.
        lane: breadth of the lane of a passing edge.
        lanes_apart: least room between two lanes; by default ``apart``.
        weights: how much a crossing between layer k and layer k + 1 counts; by default 1.
    """
    layers: Sequences = [[] for _ in range(max(layer) + 1)]
    for vertex, place in enumerate(layer):
        layers[place].append(vertex)
    across = [size for _, size in sizes]
    segments: list[Pair] = []
    chains: Sequences = []  # for every edge its lanes, numbered on from the vertices
    for i, j in edges:
        chain = []
        for place in range(layer[i] + 1, layer[j]):
            layers[place].append(len(across))
            chain.append(len(across))
            across.append(lane)
        chains.append(chain)
        segments += zip([i, *chain], [*chain, j], strict=True)
    before, after = _neighbours(len(across), segments)
    layers = _few_crossings(layers, before, after, weights or [1] * len(layers))
    rooms = _Rooms(across, len(sizes), apart, apart if lanes_apart is None else lanes_apart)
    place_across = _straight(layers, before, after, rooms)

    spans, start = [], 0.0
    for k, members in enumerate(layers):
        thickness = max(sizes[v][0] for v in members if v < len(sizes))
        spans.append((start, start + thickness))
        start += thickness + (gaps[k] if k + 1 < len(layers) else 0.0)
    centers = [((spans[p][0] + spans[p][1]) / 2, place_across[v]) for v, p in enumerate(layer)]
    lanes = [
        [(*spans[layer[i] + 1 + k], place_across[item]) for k, item in enumerate(chain)]
        for (i, _), chain in zip(edges, chains, strict=True)
    ]
    low = min(p - b / 2 for p, b in zip(place_across, across, strict=True))
    high = max(p + b / 2 for p, b in zip(place_across, across, strict=True))
    return Layout(centers, lanes, spans, (low, high), 0.45 * (apart if lanes_apart is None else lanes_apart))


def _neighbours(count: int, segments: Sequence[Pair]) -> tuple[Sequences, Sequences]:
    before: Sequences = [[] for _ in range(count)]
    after: Sequences = [[] for _ in range(count)]
    for i, j in segments:
        after[i].append(j)
        before[j].append(i)
    return before, after


# --- order within layers --------------------------------------------------------------------------


def _few_crossings(
    layers: Sequences, before: Sequences, after: Sequences, weights: Sequence[int], sweeps: int = 8
) -> Sequences:
    """Orders with few crossings: sweeps by the mean place of neighbours, then exchanges of neighbours."""
    best = current = [list(members) for members in layers]
    least = _crossings(best, after, weights)
    for sweep in range(sweeps):
        down = sweep % 2 == 0
        current = [list(members) for members in current]
        for k in range(1, len(current)) if down else range(len(current) - 2, -1, -1):
            fixed = {v: p for p, v in enumerate(current[k - 1 if down else k + 1])}
            near = before if down else after
            keep = {v: p for p, v in enumerate(current[k])}
            scale = len(fixed) / max(len(keep), 1)
            current[k].sort(key=lambda v: _mean([fixed[u] for u in near[v]], keep[v] * scale))
        _exchange(current, before, after, weights)
        number = _crossings(current, after, weights)
        if number < least:
            best, least = [list(members) for members in current], number
        if least == 0:
            break
    return best


def _mean(values: Sequence[int], default: float) -> float:
    return sum(values) / len(values) if values else default


def _exchange(layers: Sequences, before: Sequences, after: Sequences, weights: Sequence[int]) -> None:
    """Exchange neighbours of a layer as long as that saves crossings."""
    for k, members in enumerate(layers):
        above = {v: p for p, v in enumerate(layers[k - 1])} if k else {}
        below = {v: p for p, v in enumerate(layers[k + 1])} if k + 1 < len(layers) else {}
        improved = True
        while improved:
            improved = False
            for p in range(len(members) - 1):
                u, v = members[p], members[p + 1]
                saved = 0
                for near, places, gap in ((before, above, k - 1), (after, below, k)):
                    mine, other = [places[w] for w in near[u]], [places[w] for w in near[v]]
                    saved += sum((a > b) - (a < b) for a in mine for b in other) * (weights[gap] if places else 0)
                if saved > 0:
                    members[p], members[p + 1] = v, u
                    improved = True


def _crossings(layers: Sequences, after: Sequences, weights: Sequence[int]) -> int:
    total = 0
    for k in range(len(layers) - 1):
        place = {v: p for p, v in enumerate(layers[k + 1])}
        seen: list[int] = []
        for v in layers[k]:
            ends = [place[w] for w in after[v]]
            total += weights[k] * sum(1 for end in ends for other in seen if other > end)
            seen += ends
    return total


# --- places within layers -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rooms:
    """What the things of a layer take: breadths, of vertices first, then of lanes, and room between them."""

    across: Sequence[float]
    vertices: int
    apart: float
    lanes_apart: float

    def distance(self, u: int, v: int) -> float:
        """Least distance of the middles of two neighbours."""
        gap = self.lanes_apart if min(u, v) >= self.vertices else self.apart
        return (self.across[u] + self.across[v]) / 2 + gap


def _straight(layers: Sequences, before: Sequences, after: Sequences, rooms: _Rooms) -> list[float]:
    """Places that keep the order and the distances and make edges, lanes above all, as straight as they can be."""
    place, vertices = [0.0] * len(rooms.across), rooms.vertices
    for members in layers:
        _settle(members, [float(k) for k in range(len(members))], place, rooms)
        middle = sum(place[v] for v in members) / len(members)
        for v in members:
            place[v] -= middle
    for sweep in range(24):
        for members in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for v in members:
                pulls = [(8.0 if v >= vertices and u >= vertices else 1.0, place[u]) for u in before[v] + after[v]]
                total = sum(weight for weight, _ in pulls)
                wanted.append(sum(weight * p for weight, p in pulls) / total if total else place[v])
            _settle(members, wanted, place, rooms)
    for members, near in ((layers[0], after), (layers[-1], before)):  # a sole end: amid all that it is joined to
        if len(members) == 1 and near[members[0]]:
            around = [place[u] for u in near[members[0]]]
            place[members[0]] = (min(around) + max(around)) / 2
    return place


def _settle(members: Sequence[int], wanted: Sequence[float], place: list[float], rooms: _Rooms) -> None:
    """Places nearest to ``wanted`` (least squares) that keep the order and distances: pool adjacent violators."""
    offsets, offset = [], 0.0
    for k, v in enumerate(members):
        if k:
            offset += rooms.distance(members[k - 1], v)
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # sum and number of the pooled values
    for value, shift in zip(wanted, offsets, strict=True):
        blocks.append((value - shift, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, number = blocks.pop()
            blocks[-1] = (blocks[-1][0] + total, blocks[-1][1] + number)
    levels = [total / number for total, number in blocks for _ in range(number)]
    for v, level, shift in zip(members, levels, offsets, strict=True):
        place[v] = level + shift


# --- courses of edges -----------------------------------------------------------------------------

MOVETO, LINETO, CURVE4 = 1, 2, 4
"""Codes of matplotlib's paths."""

Course = tuple[list[tuple[float, float]], list[int]]


def courses(
    layout: Layout, sizes: Sequence[tuple[float, float]], edges: Sequence[Pair], layer: Sequence[int], *, spread: float
) -> list[Course]:
    """The course of every edge: points (along, across) and codes of a path in matplotlib's form.

    Edges run straight through layers, and in curves between them. An edge that drifts to one side over
    several layers keeps its slope where it enters and leaves them, so that it has no shoulders.

    Args:
        layout: of the same vertices and edges.
        sizes, edges, layer: as in :func:`layered`.
        spread: the share of a vertex's breadth over which its edges are spread; 0 ends all in its middle.
    """
    leaving: Sequences = [[] for _ in sizes]
    entering: Sequences = [[] for _ in sizes]
    for k, (i, j) in enumerate(edges):
        leaving[i].append(k)
        entering[j].append(k)

    def shifts(items: list[int], breadth: float, far: dict[int, float]) -> dict[int, float]:
        order = sorted(items, key=far.__getitem__)
        return {k: spread * breadth * ((p + 1) / (len(order) + 1) - 0.5) for p, k in enumerate(order)}

    first = {k: (layout.lanes[k][0][2] if layout.lanes[k] else layout.centers[j][1]) for k, (_, j) in enumerate(edges)}
    final = {k: (layout.lanes[k][-1][2] if layout.lanes[k] else layout.centers[i][1]) for k, (i, _) in enumerate(edges)}
    out = [shifts(items, size[1], first) for items, size in zip(leaving, sizes, strict=True)]
    into = [shifts(items, size[1], final) for items, size in zip(entering, sizes, strict=True)]

    paths = []
    for k, (i, j) in enumerate(edges):
        start, end = layout.centers[i][1] + out[i][k], layout.centers[j][1] + into[j][k]
        stops = [
            (layout.centers[i][0] + sizes[i][0] / 2, layout.spans[layer[i]][1], start),
            *layout.lanes[k],
            (layout.spans[layer[j]][0], layout.centers[j][0] - sizes[j][0] / 2, end),
        ]
        slopes = [
            0.0,
            *(_slope(stops[n - 1], stops[n], stops[n + 1], layout.clear) for n in range(1, len(stops) - 1)),
            0.0,
        ]
        points, codes = [(stops[0][0], start)], [MOVETO]
        for n, ((enter, leave, across), slope) in enumerate(zip(stops, slopes, strict=True)):
            half = slope * (leave - enter) / 2
            if n:
                (x0, y0), before, x1, y1 = points[-1], slopes[n - 1], enter, across - half
                middle = (x1 - x0) / 2
                points += [(x0 + middle, y0 + before * middle), (x1 - middle, y1 - slope * middle), (x1, y1)]
                codes += [CURVE4] * 3
            if leave > enter:
                points.append((leave, across + half))
                codes.append(LINETO)
        paths.append((points, codes))
    return paths


def _slope(
    before: tuple[float, float, float],
    here: tuple[float, float, float],
    after: tuple[float, float, float],
    clear: float,
) -> float:
    """The slope of an edge in a lane, between the lanes (start, end, across) before and after it.

    Zero where the edge turns back; so small that the curves beside the lane never overshoot (the lanes'
    halves and the curves' handles together are at most as high as the step from lane to lane).
    """
    first, second = here[2] - before[2], after[2] - here[2]
    if first * second <= 0:
        return 0.0
    step = min(abs(first), abs(second))
    steepest = 0.5 * step / max(here[0] - before[1], after[0] - here[1])
    half = (here[1] - here[0]) / 2
    if half > 0:
        steepest = min(steepest, min(clear, 0.25 * step) / half)
    return steepest if first > 0 else -steepest
