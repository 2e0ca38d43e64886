"""Feature vectors of cells: operations, paths from input to output, links between operations, depth and width."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import SearchSpace
from .contraction import simplified
from .graphs import INPUT, OUTPUT

PATH_LENGTH = 3
MAX_PATHS = 1000
"""Columns that path counts may have; vocabularies too large for it get shorter paths."""


def one_hot_features(space: SearchSpace, codes: Tensor) -> Tensor:
    """One-hot encoding of every code column: [B, D] long -> [B, sum of cardinalities] double."""
    columns = [F.one_hot(codes[:, d], c) for d, c in enumerate(space.cardinalities)]
    return torch.cat(columns, 1).double()


def path_length(space: SearchSpace) -> int:
    """How many last operations of a path are told apart: 3, or fewer in spaces with many operations."""
    proper = len(_proper_types(space))
    return max(k for k in range(PATH_LENGTH + 1) if k <= 1 or sum(proper**j for j in range(k + 1)) <= MAX_PATHS)


def path_counts(space: SearchSpace, codes: Tensor, length: int | None = None) -> Tensor:
    """How many input-to-output paths end in each sequence of at most ``length`` operations.

    The path encoding of BANANAS (White et al., AAAI 2021), truncated, on what a cell computes:
    operations of ``space.identity_types`` are passed over, paths through ``space.zero_types`` do
    not count. All graphs and all sequences are propagated together, vertex by vertex.

    Args:
        space: the search space.
        codes: [B, D] long.
        length: the number of last operations of a path that are told apart; None for
            :func:`path_length`.

    Returns:
        [B, P] double with P = 1 + S + ... + S^length for S proper operations; column 0 counts paths
        without any.
    """
    length = path_length(space) if length is None else length
    graphs = space.node_graphs(codes)
    batch, nodes = graphs.ops.shape
    proper = _proper_types(space)
    append = _append_table(len(proper), length).to(codes.device)  # [S, P]
    size = append.shape[1]
    slot = torch.full((len(space.node_types),), -1, device=codes.device)
    slot[list(proper)] = torch.arange(len(proper), device=codes.device)
    passes = torch.zeros(len(space.node_types), dtype=torch.bool, device=codes.device)
    passes[[OUTPUT, *space.identity_types]] = True
    paths = torch.zeros(batch, nodes, size, dtype=torch.double, device=codes.device)
    paths[:, 0, 0] = 1
    for v in range(1, nodes):
        incoming = torch.einsum("bu,bup->bp", graphs.adj[:, :v, v].double(), paths[:, :v])
        op = graphs.ops[:, v]
        is_proper = slot[op] >= 0
        extended = torch.zeros_like(incoming).scatter_add_(1, append[slot[op].clamp_min(0)], incoming)
        kept = torch.where(passes[op][:, None], incoming, torch.zeros_like(incoming))
        paths[:, v] = torch.where(is_proper[:, None], extended, kept)
    last = graphs.mask.sum(1) - 1
    return paths[torch.arange(batch, device=codes.device), last]


def flow_statistics(space: SearchSpace, codes: Tensor) -> Tensor:
    """Depth and width of what a cell computes, for each proper operation and for all of them together.

    Paths are counted as in :func:`path_counts`: identities are passed over, paths through 'none' do not count.

    Args:
        space: the search space.
        codes: [B, D] long.

    Returns:
        [B, 3 (S + 1) + 1 + 2 (T - 1)] double for S proper operations and T node types: most, fewest and mean number of
        each operation, and of all operations, on a path from input to output (-1, -1 and 0 without a path); the
        logarithm of 1 + the number of paths; how many vertices of each type but the input there are, and whether any.
    """
    graphs = space.node_graphs(codes)
    batch, nodes = graphs.ops.shape
    types, proper = len(space.node_types), _proper_types(space)
    weight = torch.zeros(types, len(proper) + 1, dtype=torch.double, device=codes.device)
    weight[list(proper), torch.arange(len(proper))] = 1
    weight[list(proper), -1] = 1
    carries = torch.ones(types, dtype=torch.bool, device=codes.device)
    carries[list(space.zero_types)] = False
    own, open_ = weight[graphs.ops], carries[graphs.ops]  # [B, N, S + 1], [B, N]
    most = torch.full_like(own, -math.inf)
    fewest, total, count = -most, torch.zeros_like(own), torch.zeros_like(own[:, :, 0])
    most[:, 0], fewest[:, 0], count[:, 0] = 0, 0, 1
    for v in range(1, nodes):
        edge = (graphs.adj[:, :v, v] > 0) & open_[:, v, None]  # [B, v]
        most[:, v] = torch.where(edge[:, :, None], most[:, :v], -math.inf).amax(1) + own[:, v]
        fewest[:, v] = torch.where(edge[:, :, None], fewest[:, :v], math.inf).amin(1) + own[:, v]
        count[:, v] = (edge * count[:, :v]).sum(1)
        total[:, v] = (edge[:, :, None] * total[:, :v]).sum(1) + count[:, v, None] * own[:, v]
    rows, last = torch.arange(batch, device=codes.device), graphs.mask.sum(1) - 1
    paths = count[rows, last, None]  # [B, 1]
    most = torch.where(paths > 0, most[rows, last], -1.0)
    fewest = torch.where(paths > 0, fewest[rows, last], -1.0)
    mean = total[rows, last] / paths.clamp_min(1)
    number = (F.one_hot(graphs.ops, types) * graphs.mask[:, :, None]).sum(1)[:, 1:].double()  # [B, T - 1]
    return torch.cat([most, fewest, mean, paths.log1p(), number, (number > 0).double()], 1)


def link_counts(space: SearchSpace, codes: Tensor) -> Tensor:
    """How many links lead from operations of each type to operations of each type, in what a cell computes.

    Identities are passed over and dead ends dropped, see :mod:`.contraction`; parallel paths along identities are as
    many links. Input and output are types of their own.

    Args:
        space: the search space.
        codes: [B, D] long.

    Returns:
        [B, T^2] double for T node types; links from type s to type t stand in column s T + t.
    """
    graphs = space.node_graphs(codes)
    ops, mask = graphs.ops, graphs.mask
    paths, present = simplified(
        ops,
        graphs.adj,
        (ops == INPUT) & mask,
        (ops == OUTPUT) & mask,
        identity_types=space.identity_types,
        zero_types=space.zero_types,
    )
    types = F.one_hot(ops, len(space.node_types)).double() * present[:, :, None]  # [B, N, T]
    return (types.transpose(1, 2) @ paths.double() @ types).flatten(1)


def _proper_types(space: SearchSpace) -> tuple[int, ...]:
    special = {0, OUTPUT, *space.identity_types, *space.zero_types}
    return tuple(t for t in range(len(space.node_types)) if t not in special)


@lru_cache(maxsize=16)
def _append_table(num_ops: int, length: int) -> Tensor:
    """Index of each sequence after one more operation: [S, P] long.

    Sequences of l operations are numbered from 1 + S + ... + S^(l-1) on, as numbers in base S.
    """
    offsets = [sum(num_ops**k for k in range(level)) for level in range(length + 2)]
    table = torch.empty(num_ops, offsets[length + 1], dtype=torch.long)
    for level in range(length + 1):
        number = torch.arange(num_ops**level)
        for op in range(num_ops):
            if level < length:
                target = offsets[level + 1] + number * num_ops + op
            else:  # the oldest operation is forgotten
                target = offsets[level] + (number * num_ops + op) % num_ops**level
            table[op, offsets[level] : offsets[level + 1]] = target
    return table
