"""What the NAS-Bench-101 space is computed with: edge masks, pruning, relabelling of the operation vertices.

An *edge mask* is an integer of 21 bits: the first edge of ``EDGES`` is the most significant bit, so that
masks in ascending order are rows of edge bits in lexicographic order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import torch
from torch import Tensor

MAX_VERTICES = 7
MAX_EDGES = 9
SLOTS = MAX_VERTICES - 2
NUM_OPERATIONS = 3
EDGES = tuple((i, j) for j in range(MAX_VERTICES) for i in range(j))
"""The 21 possible edges i -> j, in the order of the code's columns; those among n vertices are the first n(n-1)/2."""

MASKS = 2 ** len(EDGES)
OP_CODES = NUM_OPERATIONS**SLOTS
_BIT = {edge: 1 << (len(EDGES) - 1 - q) for q, edge in enumerate(EDGES)}
_CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class MaskTables:
    """Facts about all 2^21 edge masks.

    Attributes:
        vertices: [2^21] uint8, n where the mask is the adjacency of a pruned cell of n vertices (it
            determines n) with at most 9 edges, else 0.
        reach: [2^21] uint8, bit v says that a path leads from the input to vertex v.
        valid: for n = 2..7 the masks with ``vertices == n``, ascending.
    """

    vertices: Tensor
    reach: Tensor
    valid: dict[int, Tensor]

    @property
    def sizes(self) -> dict[int, int]:
        """Number of valid codes of n vertices, for n = 2..7."""
        return {n: len(masks) * NUM_OPERATIONS ** (n - 2) for n, masks in self.valid.items()}


@lru_cache(maxsize=1)
def mask_tables() -> MaskTables:
    """The tables of all edge masks, computed once."""
    masks = torch.arange(MASKS, dtype=torch.int32)
    count = torch.zeros(MASKS, dtype=torch.uint8)
    entered = torch.zeros(MASKS, dtype=torch.uint8)  # bit v: vertex v has an incoming edge
    left = torch.zeros(MASKS, dtype=torch.uint8)  # bit v: vertex v has an outgoing edge
    reach = torch.ones(MASKS, dtype=torch.uint8)
    for i, j in EDGES:
        present = (masks & _BIT[i, j]).ne(0).byte()
        count += present
        entered |= present << j
        left |= present << i
        reach |= (present & (reach >> i)) << j  # edges come target by target, so ``reach`` of i is final
    vertices = torch.zeros(MASKS, dtype=torch.uint8)
    for n in range(2, MAX_VERTICES + 1):
        whole = (entered == 2**n - 2) & (left == 2 ** (n - 1) - 1) & (count <= MAX_EDGES)
        vertices[whole] = n
    valid = {n: (vertices == n).nonzero()[:, 0] for n in range(2, MAX_VERTICES + 1)}
    return MaskTables(vertices, reach, valid)


def mask_of(bits: Tensor) -> Tensor:
    """Edge masks of rows of edge bits: [..., 21] -> [...] long."""
    shifts = torch.arange(len(EDGES) - 1, -1, -1, device=bits.device)
    return (bits.long() << shifts).sum(-1)


def adjacency_of(bits: Tensor) -> Tensor:
    """Adjacency matrices of rows of edge bits: [B, 21] -> [B, 7, 7] bool."""
    adj = torch.zeros(len(bits), MAX_VERTICES, MAX_VERTICES, dtype=torch.bool, device=bits.device)
    source, target = torch.tensor(EDGES, device=bits.device).T
    adj[:, source, target] = bits.bool()
    return adj


def prune_batch(adj: Tensor, ops: Tensor, num_vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Drop the vertices that lie on no path from input to output, keeping the order of the others.

    Args:
        adj: [B, N, N] bool, upper triangular.
        ops: [B, N] long, the operation of every vertex.
        num_vertices: [B] long; the output is vertex ``num_vertices - 1``.

    Returns:
        adj [B, N, N], ops [B, N] and num_vertices [B] of the pruned cells; the number is 0 where no
        path leads from the input to the output.
    """
    batch, nodes = ops.shape
    rows, output = torch.arange(batch, device=ops.device), num_vertices - 1
    forward = torch.zeros(batch, nodes, dtype=torch.bool, device=ops.device)
    backward = forward.clone()
    forward[:, 0] = True
    backward[rows, output] = True
    for v in range(1, nodes):
        forward[:, v] = (adj[:, :, v] & forward).any(1)
    for v in range(nodes - 2, -1, -1):
        backward[:, v] |= (adj[:, v, :] & backward).any(1)
    kept = forward & backward  # the input and the output are both kept, or nothing is
    order = (~kept).long().argsort(dim=1, stable=True)
    kept = kept.gather(1, order)
    adj = adj[rows[:, None, None], order[:, :, None], order[:, None, :]] & kept[:, :, None] & kept[:, None, :]
    return adj, ops.gather(1, order), kept.sum(1)


@lru_cache(maxsize=MAX_VERTICES)
def _relabellings(n: int) -> Tensor:
    """What each feature of a cell of n vertices adds to the position of the relabelled cell: [5 + 21, (n-2)!] double.

    Features are the five operations and the 21 edge bits; columns are the orders of the n-2 operation
    vertices. An edge that would run backwards adds 2^40, more than any position. Every sum is an
    integer below 2^53, hence exact.
    """
    columns = []
    for inner in permutations(range(1, n - 1)):
        new = (0, *inner, *range(n - 1, MAX_VERTICES))
        ops = [MASKS * NUM_OPERATIONS ** (SLOTS - new[v]) if v < n - 1 else 0 for v in range(1, SLOTS + 1)]
        edges = [_BIT.get((new[i], new[j]), 2**40) if j < n else 0 for i, j in EDGES]
        columns.append(ops + edges)
    return torch.tensor(columns, dtype=torch.float64).T.contiguous()


def canonical_positions(codes: Tensor) -> Tensor:
    """The least position (see ``SearchSpace.positions``) among the valid codes of the same network: [B, 27] -> [B].

    All (n-2)! orders of the operation vertices are tried, as one matrix product for every n; the
    orders that are topological are the valid ones.
    """
    best = torch.empty(len(codes), dtype=torch.long, device=codes.device)
    for n in range(2, MAX_VERTICES + 1):
        rows = (codes[:, 0] == n - 2).nonzero()[:, 0]
        weights = _relabellings(n).to(codes.device)
        for part in rows.split(_CHUNK):
            least = (codes[part, 1:].double() @ weights).amin(1).long()
            best[part] = least + (n - 2) * OP_CODES * MASKS
    return best


def codes_at(positions: Tensor) -> Tensor:
    """Codes of positions: [B] -> [B, 27] uint8."""
    codes = torch.empty(len(positions), 1 + SLOTS + len(EDGES), dtype=torch.uint8, device=positions.device)
    codes[:, 0] = positions // (OP_CODES * MASKS)
    ops = positions // MASKS % OP_CODES
    for slot in range(SLOTS):
        codes[:, 1 + slot] = ops // NUM_OPERATIONS ** (SLOTS - 1 - slot) % NUM_OPERATIONS
    for q, edge in enumerate(EDGES):
        codes[:, 1 + SLOTS + q] = (positions & _BIT[edge]).ne(0)
    return codes


def positions_at(ranks: Tensor) -> Tensor:
    """Positions of the valid codes with the given ranks in lexicographic order: [B] -> [B] long."""
    tables = mask_tables()
    positions = torch.empty_like(ranks)
    first = 0
    for n, size in tables.sizes.items():
        here = ((ranks >= first) & (ranks < first + size)).nonzero()[:, 0]
        masks = tables.valid[n]
        rank = ranks[here] - first
        ops = torch.div(rank, len(masks), rounding_mode="floor") * NUM_OPERATIONS ** (MAX_VERTICES - n)
        positions[here] = ((n - 2) * OP_CODES + ops) * MASKS + masks[rank % len(masks)]
        first += size
    return positions
