"""latentnas/spaces/_count_cells.py: against lists of cells, and canonical codes of the spaces."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import pytest

from latentnas.spaces import ENASMicro, get_space
from latentnas.spaces._count_cells import count_cells


def all_cells(nodes: int, operations: int, same_source: bool) -> list[nx.DiGraph]:
    """Every numbered cell, an operation being a vertex between its source and its node."""
    choices = [
        [
            ((s, a), (t, b))
            for s, t in itertools.product(range(k + 2), repeat=2)
            for a, b in itertools.product(range(operations), repeat=2)
            if (s, a) <= (t, b) and (same_source or s != t)
        ]
        for k in range(nodes)
    ]
    cells = []
    for cell in itertools.product(*choices):
        graph = nx.DiGraph()
        graph.add_nodes_from([(0, {"kind": "x"}), (1, {"kind": "y"})])
        for node, pair in enumerate(cell, start=2):
            graph.add_node(node, kind="node")
            for slot, (source, operation) in enumerate(pair):
                graph.add_node((node, slot), kind=operation)
                graph.add_edges_from([(source, (node, slot)), ((node, slot), node)])
        cells.append(graph)
    return cells


@pytest.mark.parametrize(
    ("nodes", "operations", "same_source"), [(1, 3, True), (1, 3, False), (2, 1, True), (2, 2, False), (3, 1, False)]
)
def test_against_networkx(nodes: int, operations: int, same_source: bool) -> None:
    classes: dict[tuple[object, ...], list[nx.DiGraph]] = {}
    for cell in all_cells(nodes, operations, same_source):
        kinds = cell.nodes(data="kind")
        invariant = sorted((str(kind), cell.in_degree(v), cell.out_degree(v)) for v, kind in kinds)
        alike = classes.setdefault(tuple(invariant), [])
        if not any(nx.is_isomorphic(cell, other, node_match=lambda a, b: a == b) for other in alike):
            alike.append(cell)
    assert count_cells(nodes, operations, same_source=same_source) == sum(map(len, classes.values()))


def test_one_node() -> None:
    # two different inputs: 7^2 pairs; or any multiset of two of the 2 x 5 (source, operation) choices
    assert count_cells(1, 7, same_source=False) == 49
    assert count_cells(1, 5, same_source=True) == math.comb(11, 2)


def test_spaces_of_two_cells() -> None:
    small = ENASMicro(nodes=1)
    assert small.num_networks == len(small.networks()) == 55**2
    for name in ("darts", "enas_micro"):
        space = get_space(name)
        root = math.isqrt(space.num_networks)
        assert root**2 == space.num_networks
        cells = math.isqrt(space.size)
        assert cells / (math.factorial(5) * 2**5) < root < cells  # no class is larger than all orders and swaps
