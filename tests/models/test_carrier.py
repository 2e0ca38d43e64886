from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.models import GraphVAE, VAEConfig
from latentnas.spaces import get_space

H = 32


def built(encoder: str, carry: bool) -> GraphVAE:
    space = get_space("enas_macro6")
    config = VAEConfig.published(
        encoder, num_types=len(space.node_types), num_nodes=space.max_nodes, hidden=H, bidirectional=encoder == "dvae"
    )
    torch.manual_seed(0)
    return GraphVAE(replace(config, carry=carry))


def test_messages_and_update_gates_of_dvae() -> None:
    plain, carrier = built("dvae", False).state_dict(), built("dvae", True).state_dict()
    changed = {name for name, weight in carrier.items() if not torch.equal(weight, plain[name])}
    grus = {"encoder.gru_forward.bias_hh", "encoder.gru_backward.bias_hh", "decoder.gru.bias_hh"}
    mappers = {"encoder.sum_forward.mapper.weight", "encoder.sum_backward.mapper.weight"}
    assert changed == grus | mappers | {"decoder.messages.mapper.weight"}  # the last one is the encoder's, set once
    for name in grus:
        torch.testing.assert_close(carrier[name] - plain[name], torch.tensor([0.0, 2.0, 0.0]).repeat_interleave(H))
    for name in mappers:
        expected = torch.cat([2.5 * torch.eye(H), torch.zeros(H, 8)], 1)
        torch.testing.assert_close(carrier[name] - plain[name], expected)


def test_strings_have_orthogonal_recurrence_and_louder_inputs() -> None:
    plain, carrier = built("graphrnn", False), built("graphrnn", True)
    for name, gru in carrier.named_modules():
        if not isinstance(gru, torch.nn.GRU):
            continue
        torch.testing.assert_close(gru.weight_ih_l0, 5 * plain.get_parameter(f"{name}.weight_ih_l0"))
        for weight in gru.weight_hh_l0.unflatten(0, (3, H)):
            torch.testing.assert_close(weight @ weight.t(), torch.eye(H), atol=1e-5, rtol=0)
    for name in ("encoder.mean.weight", "encoder.mean.bias", "decoder.initial.weight"):
        torch.testing.assert_close(carrier.get_parameter(name), 3 * plain.get_parameter(name))


@pytest.mark.parametrize("encoder", ["dvae", "gcn", "svae", "graphrnn"])
def test_the_graph_reaches_the_latent_and_the_latent_the_last_vertex(encoder: str) -> None:
    space = get_space("enas_macro6")
    graphs = space.node_graphs(space.sample(64, seed=0))
    other = graphs.ops.clone()
    other[:, 1] = torch.where(other[:, 1] == 2, 3, 2)  # the first layer's operation
    reached = []
    for carry in (False, True):
        model = built(encoder, carry).eval()
        mean = model.encode(graphs)[0]
        moved = (model.encode(replace(graphs, ops=other))[0] - mean).norm() / mean.std()
        z = mean.detach().requires_grad_()
        last_type = model.decoder.logits(z, graphs)[0][:, 5]  # of vertex 6
        (slope,) = torch.autograd.grad(last_type.square().sum().sqrt(), z)
        reached.append((float(moved.detach()), float(slope.norm())))
    (plain_moved, plain_slope), (moved, slope) = reached
    assert moved * slope > 3 * plain_moved * plain_slope


def test_it_is_an_option_that_is_off() -> None:
    assert not VAEConfig.published(num_types=4, num_nodes=4).carry
    with pytest.raises(ConfigError, match="carry must be true or false, got 1"):
        VAEConfig(num_types=4, num_nodes=4, carry=1)  # type: ignore[arg-type]
