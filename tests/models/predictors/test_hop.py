"""latentnas/models/predictors/hop.py, against the paper's formulas vertex by vertex."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.models.predictors.hop import HOPEncoder

from .cells import DARTS, NB101, NB201, encoder, inputs, reordered, swapped
from .test_gates import gate


def attention(model: HOPEncoder, k: int, target: Tensor, others: list[Tensor]) -> Tensor:
    """Softmax of LeakyReLU(W_a [target || other])."""
    weights = torch.cat([model.from_target[k].weight[0], model.from_source[k].weight[0]])  # type: ignore[arg-type, index]
    m = torch.stack([weights @ torch.cat([target, other]) for other in others])
    return torch.where(m > 0, m, 0.2 * m).softmax(0)


def plain_edges(model: HOPEncoder, ops: Tensor) -> tuple[Tensor, Tensor]:
    """Embedding and attention [K, V, V] of one NB201 cell, eq. 4-10."""
    size = len(ops)
    state = [model.start[0], *(torch.zeros_like(model.start[0]) for _ in range(size - 1))]
    read, found = [], torch.zeros(len(model.carry), size, size, dtype=torch.double)
    for k, carry in enumerate(model.carry):
        sent = [carry.weight @ x for x in state]  # type: ignore[operator]
        new = [sent[0]]
        for v in range(1, size):
            sources = [u for u in range(v) if model.with_none or ops[u, v] > 0]
            total = torch.zeros_like(sent[0])
            if sources:
                z = [gate(model, k, int(ops[u, v])) * sent[u] for u in sources]  # type: ignore[arg-type]
                a = attention(model, k, state[v], z)
                found[k, sources, v] = a
                total = (a[:, None] * torch.stack(z)).sum(0) * (len(sources) if model.sums else 1)
            new.append(total + sent[v] if model.residual == "linear" else total)
        read.append(new[-1] if model.readout == "output" else torch.stack(new).mean(0))
        state = [x.clamp_min(0) for x in new]
    if model.fuse is None:
        return (torch.stack(read).mean(0) if model.fusion == "mean" else read[-1]), found
    beta = torch.sigmoid(model.fuse(torch.cat(read)[None]))[0]
    return sum((b * h for b, h in zip(beta, read, strict=True)), torch.zeros_like(read[0])), found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"none": "skip", "residual": "none", "readout": "mean", "aggregate": "mean"},
        {"none": "skip", "residual": "linear", "readout": "output", "aggregate": "sum", "fusion": "last"},
        {"aggregate": "mean"},
        {"none": "embed", "residual": "none", "readout": "mean"},
        {"fusion": "mean"},
    ],
)
def test_operations_on_edges(options: dict[str, object]) -> None:
    cells = inputs("nasbench201", NB201.sample(12, seed=0))
    model = encoder("hop", "nasbench201", layers=3, hidden=10, op_embedding=5, input_embedding=6, **options)
    assert isinstance(model, HOPEncoder)
    assert cells.edges is not None
    plain = [plain_edges(model, cells.edges.ops[b]) for b in range(12)]
    assert torch.allclose(model(cells), torch.stack([embedding for embedding, _ in plain]))
    assert torch.allclose(model.explain(cells)["attention"], torch.stack([weights for _, weights in plain]))


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_operations_on_vertices(aggregate: str) -> None:
    cells = inputs("nasbench101", NB101.sample(15, seed=0))
    sizes = {"layers": 2, "hidden": 8, "op_embedding": 5, "input_embedding": 6}
    model = encoder("hop", "nasbench101", residual="linear", aggregate=aggregate, **sizes)
    assert isinstance(model, HOPEncoder)
    found, weights = model(cells), model.explain(cells)["attention"]
    for b in range(15):
        n = int(cells.nodes.mask[b].sum())
        state = [model.start[0], *(torch.zeros_like(model.start[0]) for _ in range(n - 1))]
        read = []
        for k, carry in enumerate(model.carry):
            sent = [carry.weight @ x for x in state]  # type: ignore[operator]
            new = [sent[0]]
            for v in range(1, n):
                sources = [u for u in range(v) if cells.nodes.adj[b, u, v]] + [v]
                a = attention(model, k, sent[v], [sent[u] for u in sources])
                assert torch.allclose(weights[b, k, sources, v], a)
                total = (a[:, None] * torch.stack([sent[u] for u in sources])).sum(0)
                total = total * (len(sources) if aggregate == "sum" else 1)
                new.append(gate(model, k, int(cells.nodes.ops[b, v])) * total + sent[v])  # type: ignore[arg-type]
            read.append(torch.stack(new).mean(0))
            state = [x.clamp_min(0) for x in new]
        assert model.fuse is not None
        beta = torch.sigmoid(model.fuse(torch.cat(read)[None]))[0]
        assert torch.allclose(found[b], sum(w * h for w, h in zip(beta, read, strict=True)))


def test_attention_sums_to_one_and_gates_are_returned() -> None:
    cells = inputs("darts", DARTS.sample(6, seed=0))
    model = encoder("hop", "darts", layers=2, hidden=8)
    found = model.explain(cells)
    assert found["layer_gates"].shape == (6, 4)  # two cells of two layers
    sums = found["attention"].sum(2)  # over sources
    assert torch.allclose(sums[:, :, [2, 3, 4, 5, 8, 9, 10, 11]], torch.ones(6, 2, 8, dtype=torch.double))
    assert not found["attention"][:, :, :6, 6:].any()


def test_isomorphic_cells_get_equal_embeddings() -> None:
    codes = NB201.sample(3000, seed=0)
    codes[:, 2] = 0
    cells = inputs("nasbench201", codes)
    model = encoder("hop", "nasbench201", layers=2, hidden=8, none="skip")
    assert torch.allclose(model(cells), model(swapped(cells)), atol=1e-12)
    cells = inputs("nasbench101", NB101.sample(3000, seed=1))
    model = encoder("hop", "nasbench101", layers=2, hidden=8)
    assert torch.allclose(model(cells), model(reordered(cells, 0)), atol=1e-12)
