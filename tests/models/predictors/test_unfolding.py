"""latentnas/models/predictors/unfolding.py."""

from __future__ import annotations

import torch

from latentnas.models.predictors.flow import with_self_loops
from latentnas.models.predictors.unfolding import layer_plans, sum_into, unfold_edges, unfold_nodes

from .cells import NB101, NB201, encoder, inputs


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


def test_merged_layers_compute_what_whole_ones_do() -> None:
    cells = inputs("nasbench101", NB101.canonical(NB101.sample(600, seed=0)))
    for options in ({}, {"self_loop": False}, {"readout": "output"}, {"layers": 1}):
        model = encoder("gates", "nasbench101", **options)
        with torch.no_grad():
            merged, whole = model.eval()(cells), model.train()(cells)
        assert torch.allclose(merged, whole, rtol=1e-12, atol=1e-14)


def test_shallow_layers_have_few_states() -> None:
    plan = unfold_nodes(inputs("nasbench101", NB101.sample(600, seed=0)).nodes)
    sources, offsets = with_self_loops(plan)
    begin, levels = layer_plans(plan, sources, offsets, 5, merge=True)
    sizes = [len(begin), *(len(level.types) for level in levels)]
    assert sizes[0] == 2
    assert sizes[1] < 60
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(plan)
    for before, level in zip(sizes, levels, strict=False):
        assert int(level.sources.max()) < before
        assert int(level.offsets[-1]) == len(level.sources)
    none, same = layer_plans(plan, sources, offsets, 3, merge=False)
    assert none is plan.inputs
    assert all(level.sources is sources for level in same)
