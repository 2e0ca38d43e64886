"""How many different cells of summed pairs of operations there are, counted without listing them."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=16)
def count_cells(nodes: int, operations: int, *, same_source: bool) -> int:
    r"""The number of cells that are not isomorphic.

    A cell has two distinct inputs (0, 1) and ``nodes`` nodes (2, 3, ...); a node is the sum of two
    operations on earlier vertices, in no order. Let a wiring be the sources of all nodes, without
    the operations. A class of isomorphic cells with automorphism group A is found e / |A| times
    among the numbered cells, where e is the number of orders of the nodes in which sources come
    before their users; it depends on the wiring w alone. Hence the number of classes is

    .. math:: \sum_w \frac{1}{e(w)} \sum_{\sigma \in \mathrm{Aut}(w)}
              |\{\text{operations of } w \text{ that } \sigma \text{ leaves as they are}\}|

    Args:
        nodes: at least 1; the work grows with nodes! squared.
        operations: how many operations there are.
        same_source: whether both operations of a node may read the same vertex.
    """
    pairs = [
        [(s, t) for s in range(k + 2) for t in range(s, k + 2) if same_source or s != t] for k in range(nodes)
    ]  # fmt: skip
    wirings = np.array([list(wiring) for wiring in itertools.product(*pairs)])  # [W, nodes, 2], sources ascending
    orders = np.zeros(len(wirings), dtype=np.int64)
    fixed = np.zeros(len(wirings), dtype=np.int64)
    targets = np.arange(2, nodes + 2)
    for permutation in itertools.permutations(range(2, nodes + 2)):
        sigma = np.array([0, 1, *permutation])
        image = np.sort(sigma[wirings], axis=2)  # sources of node sigma(k)
        orders += (image < sigma[targets][:, None]).all((1, 2))
        automorphism = (image == wirings[:, sigma[targets] - 2]).all((1, 2))
        fixed += automorphism * _unchanged(wirings, sigma, operations)
    total = sum(
        (Fraction(count * int(f), int(e)) for (f, e), count in Counter(zip(fixed, orders, strict=True)).items())
    )
    assert total.denominator == 1
    return int(total)


def _unchanged(wirings: np.ndarray, sigma: np.ndarray, operations: int) -> np.ndarray:
    """How many choices of operations an automorphism ``sigma`` leaves as they are: [W]."""
    counts = np.ones(len(wirings), dtype=np.int64)
    seen: set[int] = set()
    for node in range(2, len(sigma)):
        if node in seen:
            continue
        power, vertex = sigma, int(sigma[node])
        seen.add(node)
        while vertex != node:  # once around the cycle; the other nodes' operations follow from this one's
            seen.add(vertex)
            power, vertex = sigma[power], int(sigma[vertex])
        first, second = wirings[:, node - 2, 0], wirings[:, node - 2, 1]
        swapped = (first != second) & (power[first] != first)
        unordered = operations * (operations + 1) // 2
        counts *= np.where(first == second, unordered, np.where(swapped, operations, operations**2))
    return counts
