"""The module hash by which NAS-Bench-101 names its cells (Ying et al., ICML 2019)."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache

from torch import Tensor

from ._nasbench101_cells import EDGES

_INPUT_LABEL, _OUTPUT_LABEL = -1, -2


def module_hash(num_vertices: Tensor, ops: Tensor, masks: Tensor) -> list[str]:
    """MD5 graph hashes of pruned cells.

    Each vertex starts with the MD5 of its (out-degree, in-degree, label); then, once for each vertex of
    the cell, every vertex takes the MD5 of the sorted hashes of its sources, of its targets, and its own.
    The cell's hash is the MD5 of the sorted list.

    Args:
        num_vertices: [B] in 2..7.
        ops: [B, 5] long, operations of vertices 1..5, which are their labels.
        masks: [B] long, edge masks.

    Returns:
        B texts of 32 hexadecimal digits.
    """
    hashes = []
    for n, labels, mask in zip(num_vertices.tolist(), ops.tolist(), masks.tolist(), strict=True):
        neighbours, degrees = _neighbours(mask, n)
        current = [
            _start(out, into, label)
            for (out, into), label in zip(degrees, (_INPUT_LABEL, *labels[: n - 2], _OUTPUT_LABEL), strict=True)
        ]
        for _ in range(n):
            current = [
                _md5(f"{_joined(current, sources)}|{_joined(current, targets)}|{own}")
                for own, (sources, targets) in zip(current, neighbours, strict=True)
            ]
        hashes.append(_md5(str(sorted(current))))
    return hashes


def _joined(hashes: list[str], vertices: tuple[int, ...]) -> str:
    """The sorted hashes of some vertices in one text; most vertices have one neighbour on a side, or none."""
    if len(vertices) == 1:
        return hashes[vertices[0]]
    return "".join(sorted([hashes[v] for v in vertices])) if vertices else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@cache
def _start(out: int, into: int, label: int) -> str:
    """The first hash of a vertex; a few hundred different ones exist."""
    return _md5(str((out, into, label)))


_Neighbours = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


@lru_cache(maxsize=4096)
def _neighbours(mask: int, n: int) -> tuple[_Neighbours, tuple[tuple[int, int], ...]]:
    """Sources and targets of every vertex, and their numbers (targets, sources)."""
    edges = [edge for q, edge in enumerate(EDGES) if mask >> (len(EDGES) - 1 - q) & 1]
    neighbours = tuple((tuple(i for i, j in edges if j == v), tuple(j for i, j in edges if i == v)) for v in range(n))
    return neighbours, tuple((len(targets), len(sources)) for sources, targets in neighbours)
