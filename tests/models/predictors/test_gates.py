"""latentnas/models/predictors/gates.py, against the paper's formulas vertex by vertex."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError
from latentnas.models.predictors import CellInputs, get_encoder
from latentnas.models.predictors.gates import GATESEncoder

from .cells import DARTS, MICRO, NB101, NB201, encoder, facts, inputs, reordered, swapped


def gate(model: GATESEncoder, k: int, op: int, feature: Tensor | None = None) -> Tensor:
    """sigma(W_o EMB(o)), written out."""
    embedding = model.operations.embedding.weight[op]
    if feature is not None:
        embedding = torch.cat([embedding, feature])
    layer = model.operations.layers[k]
    return torch.sigmoid(layer.weight @ embedding + layer.bias)  # type: ignore[operator]


def plain_edges(model: GATESEncoder, ops: Tensor, inputs: int, features: Tensor | None = None) -> list[Tensor]:
    """States of the vertices of one cell after the last layer, eq. 5."""
    size = len(ops)
    state = [model.start[v] if v < inputs else torch.zeros_like(model.start[0]) for v in range(size)]
    for k, carry in enumerate(model.carry):
        sent = [carry.weight @ x for x in state]  # type: ignore[operator]
        new = []
        for v in range(size):
            if v < inputs:
                new.append(sent[v])
                continue
            total = torch.zeros_like(sent[0])
            for u in range(v):
                for plain in model.facts.edge_parts[int(ops[u, v])]:
                    feature = None if features is None else features[u, v]
                    total = total + gate(model, k, plain, feature) * sent[u]
            new.append(total)
        state = [x.clamp_min(0) for x in new] if k < len(model.carry) - 1 else new
    return state


def plain_nodes(model: GATESEncoder, cells: CellInputs, b: int) -> Tensor:
    """The embedding of one cell with operations on vertices, eq. 4."""
    n = int(cells.nodes.mask[b].sum())
    loops = cells.nodes.adj[b, :n, :n].double() + torch.eye(n, dtype=torch.double)
    state = torch.zeros(n, model.start.shape[1], dtype=torch.double)
    state[0] = model.start[0]
    for k, carry in enumerate(model.carry):
        weights = torch.stack([gate(model, k, int(op)) for op in cells.nodes.ops[b, :n]])
        state = weights * (loops.T @ state @ carry.weight.T)  # type: ignore[operator]
        if k < len(model.carry) - 1:
            state = state.clamp_min(0)
    return state.mean(0)


def test_operations_on_edges() -> None:
    codes = NB201.sample(12, seed=0)
    cells = inputs("nasbench201", codes)
    model = encoder("gates", "nasbench201", layers=3, hidden=10, op_embedding=5, input_embedding=6)
    assert isinstance(model, GATESEncoder)
    assert cells.edges is not None
    found = model(cells)
    expected = torch.stack([plain_edges(model, cells.edges.ops[b], 1)[-1] for b in range(12)])
    assert torch.allclose(found, expected)
    assert model.dim == found.shape[1] == 10


@pytest.mark.parametrize(("name", "space"), [("darts", DARTS), ("enas_micro", MICRO)])
def test_several_cells_are_put_side_by_side(name: str, space: object) -> None:
    codes = space.sample(4, seed=1)  # type: ignore[attr-defined]
    cells = inputs(name, codes)
    model = encoder("gates", name, layers=2, hidden=7, op_embedding=3, input_embedding=4)
    assert isinstance(model, GATESEncoder)
    assert cells.edges is not None
    found = model(cells)
    assert found.shape == (4, model.dim) == (4, 14)
    width = cells.edges.mask.shape[1] // 2
    for b in range(4):
        halves = [cells.edges.ops[b, i : i + width, i : i + width] for i in (0, width)]
        means = [torch.stack(plain_edges(model, half, 2)[2:]).mean(0) for half in halves]
        assert torch.allclose(found[b], torch.cat(means))


def test_operations_on_vertices() -> None:
    codes = NB101.sample(20, seed=0)
    cells = inputs("nasbench101", codes)
    model = encoder("gates", "nasbench101", layers=3, hidden=10, op_embedding=5, input_embedding=6)
    assert isinstance(model, GATESEncoder)
    expected = torch.stack([plain_nodes(model, cells, b) for b in range(20)])
    assert torch.allclose(model(cells), expected)


def test_measures_of_operations_join_their_embeddings() -> None:
    codes = NB201.sample(5, seed=0)
    cells = inputs("nasbench201", codes)
    assert cells.edges is not None
    features = torch.randn(5, 4, 4, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    cells = CellInputs(codes, cells.nodes, cells.edges, edge_features=features)
    model = encoder("gates", "nasbench201", op_features=2, layers=2, hidden=6)
    assert isinstance(model, GATESEncoder)
    expected = [plain_edges(model, cells.edges.ops[b], 1, features[b])[-1] for b in range(5)]  # type: ignore[union-attr]
    assert torch.allclose(model(cells), torch.stack(expected))


def test_isomorphic_cells_get_equal_embeddings() -> None:
    codes = NB201.sample(3000, seed=0)
    codes[:, 2] = 0  # no edge between the inner vertices
    cells = inputs("nasbench201", codes)
    model = encoder("gates", "nasbench201", layers=3, hidden=8)
    assert torch.allclose(model(cells), model(swapped(cells)), atol=1e-12)
    cells = inputs("nasbench101", NB101.sample(3000, seed=1))
    model = encoder("gates", "nasbench101", layers=3, hidden=8)
    first, second = model(cells), model(reordered(cells, 0))
    assert torch.allclose(first, second, atol=1e-12)
    assert len(torch.unique(first.round(decimals=8), dim=0)) > 2500


def test_a_cell_does_not_depend_on_its_batch() -> None:
    codes = NB201.sample(50, seed=0)
    cells = inputs("nasbench201", codes)
    model = encoder("gates", "nasbench201")
    assert torch.allclose(model(cells)[7:8], model(cells[7:8]), atol=1e-12)
    assert model(cells[:0]).shape == (0, 128)


def test_views_and_readouts_are_options() -> None:
    cells = inputs("nasbench201", NB201.sample(4, seed=0))
    shapes = [
        encoder("gates", "nasbench201", view=v, readout=r)(cells).shape
        for v, r in (("nodes", "output"), ("edges", "mean"))
    ]
    assert shapes == [(4, 128)] * 2
    without = encoder("gates", "nasbench101", self_loop=False, readout="output")(
        inputs("nasbench101", NB101.sample(4, seed=0))
    )
    assert without.shape == (4, 128)


def test_wrong_options_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'depth'.*layers.*got 0.*view 'edges'"):
        get_encoder("gates", facts("nasbench101"), depth=3, layers=0, view="edges")
