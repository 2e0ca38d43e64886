from __future__ import annotations

import pytest
import torch

from latentnas.models import GatedSum
from latentnas.spaces import NodeGraphs, get_space

from . import reference
from .conformance import ModelConformance
from .reference import SMALL_GRAPHS, as_lists, batch_of, vae

SPACES = ["nasbench201", "enas_macro6"]


class TestDVAE(ModelConformance):
    encoder = "dvae"
    published = "ends"


@pytest.mark.parametrize("readout", ["ends", "all"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("op_embedding", [None, 3])
@pytest.mark.parametrize("space", SPACES)
def test_agrees_with_the_plain_encoder(space: str, op_embedding: int | None, bidirectional: bool, readout: str) -> None:
    model = vae(space, op_embedding=op_embedding, bidirectional=bidirectional, readout=readout)
    graphs = get_space(space).node_graphs(get_space(space).sample(6, seed=1))
    mean, logvar = model.encode(graphs)
    expected = [reference.encode(model, graph) for graph in as_lists(graphs)]
    torch.testing.assert_close(mean, torch.stack([m for m, _ in expected]), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(logvar, torch.stack([s for _, s in expected]), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("space", SPACES)
def test_single_precision_agrees_with_the_plain_encoder(space: str) -> None:
    model = vae(space)
    graphs = get_space(space).node_graphs(get_space(space).sample(4, seed=2))
    expected = torch.stack([reference.encode(model, graph)[0] for graph in as_lists(graphs)])
    mean = model.float().encode(graphs)[0]
    assert mean.dtype == torch.float
    torch.testing.assert_close(mean.double(), expected, rtol=1e-4, atol=1e-6)


def test_gradients_agree_with_the_plain_encoder() -> None:
    model = vae("enas_macro6")
    graphs = get_space("enas_macro6").node_graphs(get_space("enas_macro6").sample(3, seed=3))
    parameters = dict(model.encoder.named_parameters())
    weight = torch.linspace(-1, 1, 5, dtype=torch.double)

    def gradients(loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(loss, list(parameters.values()))

    mean, logvar = model.encode(graphs)
    ours = gradients((mean @ weight + logvar.square() @ weight).sum())
    plain = [reference.encode(model, graph) for graph in as_lists(graphs)]
    theirs = gradients(torch.stack([m @ weight + s.square() @ weight for m, s in plain]).sum())
    for name, a, b in zip(parameters, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-10, msg=name)
        assert bool(a.abs().sum() > 0), name


def test_padding_changes_nothing() -> None:
    model = vae("nasbench201")
    padded = model.encode(batch_of(SMALL_GRAPHS, 8))
    for i, graph in enumerate(SMALL_GRAPHS):
        alone = model.encode(batch_of([graph], len(graph[0])))
        expected = reference.encode(model, graph)
        for part in (0, 1):
            torch.testing.assert_close(padded[part][i], expected[part], rtol=1e-8, atol=1e-10)
            torch.testing.assert_close(alone[part][0], expected[part], rtol=1e-8, atol=1e-10)


def test_types_of_padding_vertices_do_not_matter() -> None:
    model = vae("nasbench201")
    graphs = batch_of(SMALL_GRAPHS, 8)
    other = NodeGraphs(torch.where(graphs.mask, graphs.ops, torch.full_like(graphs.ops, 4)), graphs.adj, graphs.mask)
    assert torch.equal(model.encode(graphs)[0], model.encode(other)[0])


def test_a_row_does_not_depend_on_its_batch() -> None:
    model = vae("enas_macro6")
    graphs = get_space("enas_macro6").node_graphs(get_space("enas_macro6").sample(9, seed=4))
    together = model.encode(graphs)[0]
    alone = torch.cat([model.encode(graphs[i : i + 1])[0] for i in range(9)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)


def test_distinct_cells_have_distinct_latents() -> None:
    model = vae("enas_macro6", hidden=16)
    space = get_space("enas_macro6")
    codes = space.sample(300, seed=5).unique(dim=0)
    mean = model.encode(space.node_graphs(codes))[0].detach()
    distance = torch.cdist(mean, mean) + torch.eye(len(mean), dtype=torch.double)
    assert float(distance.min()) > 1e-9


def test_message_is_gate_times_mapper_of_state_and_identity() -> None:
    send = GatedSum(hidden=2, num_nodes=3).double()
    with torch.no_grad():
        send.gate.weight.zero_()
        send.gate.weight[0, 3] = 2.0  # vertex 1 opens the gate of unit 0
        send.gate.bias.zero_()
        send.mapper.weight.zero_()
        send.mapper.weight[0, 0] = 3.0
        send.mapper.weight[1, 4] = 5.0  # vertex 2 sends 5 in unit 1
    state = torch.tensor([[1.0, 7.0]], dtype=torch.double)
    opened = 1 / (1 + torch.tensor(-2.0, dtype=torch.double).exp())
    torch.testing.assert_close(send.message(state, 0), torch.tensor([[1.5, 0.0]], dtype=torch.double))
    torch.testing.assert_close(send.message(state, 1), torch.stack([3 * opened, opened * 0])[None])
    torch.testing.assert_close(send.message(state, 2), torch.tensor([[1.5, 2.5]], dtype=torch.double))
