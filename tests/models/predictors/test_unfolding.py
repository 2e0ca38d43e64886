"""latentnas/models/predictors/unfolding.py."""

from __future__ import annotations

import torch

from latentnas.models.predictors.unfolding import sum_into, unfold_edges, unfold_nodes

from .cells import NB101, NB201


def tree(ops: torch.Tensor, v: int) -> str:
    """What unfolds from a vertex of an NB201 cell, as a text."""
    return "input" if v == 0 else str(sorted((int(ops[u, v]), tree(ops, u)) for u in range(v) if ops[u, v]))


def test_rows_are_the_different_trees() -> None:
    graphs = NB201.edge_graphs(NB201.sample(300, seed=0))
    plan = unfold_edges(graphs, cells=1, inputs=1)
    trees = [[tree(graphs.ops[b], v) for v in range(4)] for b in range(300)]
    flat = [t for row in trees for t in row]
    assert len(plan) == len(set(flat))
    number: dict[str, int] = {}
    for text, row in zip(flat, plan.rows.flatten().tolist(), strict=True):
        assert number.setdefault(text, row) == row
    linked = set(plan.sources.tolist())
    assert linked == set(range(plan.num_sources))


def test_without_merging_every_vertex_is_a_row() -> None:
    graphs = NB101.node_graphs(NB101.sample(30, seed=0))
    plan = unfold_nodes(graphs, merge=False)
    assert len(plan) == 30 * 7
    assert len(plan.sources) == int(graphs.adj.sum())
    assert len(unfold_nodes(graphs)) < 30 * 7
    assert sorted(plan.rows.flatten().tolist()) == list(range(210))


def test_sum_into() -> None:
    values = torch.arange(8.0).reshape(4, 2)
    index, offsets = torch.tensor([3, 0, 1]), torch.tensor([0, 2, 2, 3])
    assert sum_into(values, index, offsets).tolist() == [[6, 8], [0, 0], [2, 3]]
    weights = torch.tensor([0.5, 2.0, 3.0])
    assert sum_into(values, index, offsets, count=2, weights=weights).tolist() == [[3, 5.5], [0, 0]]
