r"""Vertices that compute the same thing, computed once: the sparse form in which GATES and HOP read a batch.

The state of a vertex is a function of its operation and of the multiset of its predecessors' states, so of the tree
that unfolds from it towards the inputs. Vertices of one cell or of different cells whose trees are equal have equal
states in every layer; NAS-Bench-201's 15,625 cells of 4 vertices have fewer than 6,000 different trees instead of
62,500. Trees are told apart by 64-bit hashes, sums over predecessors of mixed hashes: two different trees among n
collide with a probability of about :math:`n^2 / 2^{65}`, one in 10^7 for a million of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...spaces.graphs import NO_EDGE, EdgeGraphs, NodeGraphs


@dataclass(frozen=True, eq=False)
class Unfolding:
    """R different computations, and the L links between them.

    Rows that are a source of some link come first. The links into row r are ``offsets[r]..offsets[r + 1]-1``.

    Attributes:
        types: [R] long, the vertex type of every row (node view); zeros in the edge view.
        inputs: [R] long, which input vertex of its cell a row is, -1 where it is none.
        sources: [L] long, the row that each link leads from.
        link_ops: [L] long, the edge type of each link (edge view); zeros in the node view.
        offsets: [R + 1] long.
        num_sources: rows 0..num_sources-1 are sources.
        rows: [B, V] long, the row of every vertex.
        row_cells, row_vertices: [R] long, one vertex that stands for each row.
        link_vertices: [L] long, the vertex, in the cell of its target's row, that each link leads from.
    """

    types: Tensor
    inputs: Tensor
    sources: Tensor
    link_ops: Tensor
    offsets: Tensor
    num_sources: int
    rows: Tensor
    row_cells: Tensor
    row_vertices: Tensor
    link_vertices: Tensor

    def __len__(self) -> int:
        return self.types.shape[0]

    @property
    def targets(self) -> Tensor:
        """The row that each link leads to: [L] long."""
        return torch.repeat_interleave(self.offsets.diff())


def unfold_nodes(graphs: NodeGraphs, *, merge: bool = True) -> Unfolding:
    """The different computations of cells with operations on vertices; vertex 0 of each is its input.

    Args:
        graphs: B graphs of N vertices.
        merge: whether equal computations are merged; without it every vertex is a row.
    """
    adj, types = graphs.adj, graphs.ops
    inputs = torch.full_like(types, -1)
    inputs[:, 0] = 0
    if not merge:
        return _build(adj, adj.long() * 0, types, inputs, None)
    kinds = _mix(types * 2 + graphs.mask)
    keys: list[Tensor] = [kinds[:, 0]]
    for v in range(1, graphs.num_nodes):
        links = _mix(torch.stack(keys, 1)) * adj[:, :v, v]
        keys.append(_mix(links.sum(1) + kinds[:, v]))
    return _build(adj, adj.long() * 0, types, inputs, torch.stack(keys, 1))


def unfold_edges(
    graphs: EdgeGraphs, *, cells: int, inputs: int, with_none: bool = False, merge: bool = True
) -> Unfolding:
    """The different computations of cells with operations on edges.

    Args:
        graphs: B graphs of V vertices.
        cells: how many cells the vertices are, in blocks of equal width.
        inputs: how many vertices of each cell are inputs, its first ones.
        with_none: whether 'no edge' from an earlier vertex of the same cell is a link, too.
        merge: whether equal computations are merged; without it every vertex is a row.
    """
    ops, (batch, vertices) = graphs.ops, graphs.mask.shape
    width = vertices // cells
    place = torch.arange(vertices, device=ops.device)
    number = torch.where(place % width < inputs, place % width, -1)
    earlier = (place[:, None] < place) & (place[:, None] // width == place // width) & (number < 0)
    links = earlier & graphs.mask[:, :, None] & graphs.mask[:, None, :] & (with_none | (ops != NO_EDGE))
    ranks = number.expand(batch, -1)
    types = torch.zeros_like(ranks)
    if not merge:
        return _build(links, ops, types, ranks, None)
    keys: list[Tensor] = []
    for v, rank in enumerate(number.tolist()):
        if rank >= 0:
            keys.append(_mix(torch.full_like(ops[:, 0, 0], -1 - rank)))
            continue
        first = v - v % width
        messages = _mix(torch.stack(keys[first:], 1) + _mix(ops[:, first:v, v])) * links[:, first:v, v]
        keys.append(_mix(messages.sum(1)))
    return _build(links, ops, types, ranks, torch.stack(keys, 1))


def _build(links: Tensor, ops: Tensor, types: Tensor, inputs: Tensor, keys: Tensor | None) -> Unfolding:
    """Number the rows and list the links.

    Args:
        links: [B, V, V] bool.
        ops: [B, V, V] long, types of the links.
        types, inputs: [B, V] long.
        keys: [B, V] long, equal where computations are; None where every vertex is a row of its own.
    """
    batch, vertices = types.shape
    count = batch * vertices
    places = torch.arange(count, device=types.device)
    if keys is None:
        number, total = places, count
    else:
        distinct, number = torch.unique(keys.flatten(), return_inverse=True)
        total = len(distinct)
    is_source = links.any(2).flatten()
    used = torch.zeros(total, dtype=torch.bool, device=types.device)
    used[number[is_source]] = True
    rank = torch.empty(total, dtype=torch.long, device=types.device)
    rank[torch.argsort((~used).byte(), stable=True)] = torch.arange(total, device=types.device)
    number = rank[number]
    stands = _first_of(number, total)
    cell, vertex = stands // vertices if vertices else stands, stands % vertices if vertices else stands
    into = links[cell, :, vertex]  # [R, V]
    target, source = into.nonzero(as_tuple=True)  # ordered by target
    rows = number.reshape(batch, vertices)
    offsets = F.pad(into.sum(1).cumsum(0), (1, 0))
    return Unfolding(
        types=types[cell, vertex],
        inputs=inputs[cell, vertex],
        sources=rows[cell[target], source],
        link_ops=ops[cell[target], source, vertex[target]],
        offsets=offsets,
        num_sources=int(used.sum()),
        rows=rows,
        row_cells=cell,
        row_vertices=vertex,
        link_vertices=source,
    )


# --- layer by layer ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Level:
    """The different states after a layer, S of them.

    Attributes:
        types: [S] long, the vertex type of each.
        sources: [L] long, the states after the layer before that arrive, one bag a state after the other.
        offsets: [S + 1] long, where each bag begins, and L.
    """

    types: Tensor
    sources: Tensor
    offsets: Tensor


def layer_plans(
    plan: Unfolding, sources: Tensor, offsets: Tensor, depth: int, *, merge: bool
) -> tuple[Tensor, list[Level]]:
    """What each of ``depth`` layers computes, of rows whose state depends on their links alone.

    After k layers a state depends on the tree k steps deep that unfolds from its row, and there are fewer shallow trees
    than deep ones: of 8192 cells of NAS-Bench-101 31 one step deep, 715 two steps deep, 10,746 in all. Layers are
    merged as long as that halves them; the last level has one state a row.

    Args:
        plan: R rows, of a node view.
        sources, offsets: [L] and [R + 1] long, the links into every row, loops included.
        depth: number of layers, at least 1.
        merge: whether to merge at all.

    Returns:
        inputs: [S] long, which input vertex each state before the first layer is of, -1 for none.
        levels: of every layer.
    """
    whole = Level(plan.types, sources, offsets)
    if not merge:
        return plan.inputs, [whole] * depth
    begin, number = torch.unique(plan.inputs, return_inverse=True)
    keys, kinds = _mix(plan.inputs), _mix(plan.types)
    found: list[Level] = []
    for _ in range(depth - 1):
        total = F.pad(_mix(keys)[sources].cumsum(0), (1, 0))
        keys = _mix(total[offsets[1:]] - total[offsets[:-1]] + kinds)
        distinct, later = torch.unique(keys, return_inverse=True)
        if 2 * len(distinct) > len(plan):
            break
        stands = _first_of(later, len(distinct))
        sizes = offsets.diff()[stands]
        ends = F.pad(sizes.cumsum(0), (1, 0))
        links = torch.repeat_interleave(offsets[stands] - ends[:-1], sizes)
        links = links + torch.arange(len(links), device=links.device)
        found.append(Level(plan.types[stands], number[sources[links]], ends))
        number = later
    found.append(Level(plan.types, number[sources], offsets))
    return begin, found + [whole] * (depth - len(found))


def _first_of(number: Tensor, count: int) -> Tensor:
    """Where each of 0..count-1 stands first in ``number``, in which all are: [count] long."""
    places = torch.arange(len(number), device=number.device)
    return torch.full((count,), len(number), device=number.device).scatter_reduce(0, number, places, "amin")


def sum_into(
    values: Tensor, index: Tensor, offsets: Tensor, *, count: int | None = None, weights: Tensor | None = None
) -> Tensor:
    """Sums of rows of ``values``, bag by bag: [R, H] -> [``count``, H].

    Args:
        values: [M, H] float.
        index: [L] long, the rows in the bags, one bag after the other.
        offsets: [R + 1] long, where each bag begins, and L.
        count: how many of the bags, the first ones; all by default.
        weights: [L] float, a factor for each row in a bag; 1 by default.
    """
    count = len(offsets) - 1 if count is None else count
    end = int(offsets[count])
    weights = None if weights is None else weights[:end]
    return F.embedding_bag(
        index[:end], values, offsets[: count + 1], mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


_STEPS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def _mix(values: Tensor) -> Tensor:
    """A bijection of 64-bit integers that mixes all bits (the finaliser of SplitMix64)."""
    values = values + _signed(0x9E3779B97F4A7C15)
    for shift, factor in _STEPS:
        values = (values ^ _shifted(values, shift)) * factor
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, by: int) -> Tensor:
    """Logical shift to the right."""
    return (values >> by) & ((1 << (64 - by)) - 1)
