from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from latentnas.errors import ConfigError
from latentnas.models import VAEConfig
from latentnas.spaces import get_space

from . import reference
from .reference import as_lists, vae


def batch(n: int = 6) -> reference.NodeGraphs:
    space = get_space("enas_macro6")
    return space.node_graphs(space.sample(n, seed=0))


def test_divergence_is_that_of_normal_distributions() -> None:
    model = vae("enas_macro6").eval()
    mean, logvar = model.encode(batch())
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(model.loss(batch()).kld, expected)


def test_loss_is_the_negative_evidence_lower_bound() -> None:
    model = vae("enas_macro6", beta=0.3).eval()
    graphs = batch()
    plain = torch.stack(
        [reference.log_likelihood(model, reference.encode(model, graph)[0], graph) for graph in as_lists(graphs)]
    )
    loss = model.loss(graphs)
    torch.testing.assert_close(loss.reconstruction, -plain.mean())
    torch.testing.assert_close(loss.loss, loss.reconstruction + 0.3 * loss.kld)
    torch.testing.assert_close(loss.mean, model.encode(graphs)[0])


def test_sampling_noise_is_scaled_in_training_and_absent_in_evaluation() -> None:
    mean, logvar = torch.zeros(20_000, 1), torch.full((20_000, 1), 2.0)
    model = vae("enas_macro6", noise=0.1)
    torch.manual_seed(0)
    spread = model.train().reparameterize(mean, logvar).std()
    assert float(spread) == pytest.approx(0.1 * torch.e, rel=0.03)
    assert torch.equal(model.eval().reparameterize(mean, logvar), mean)


def test_config_reports_every_fault() -> None:
    with pytest.raises(ConfigError) as error:
        VAEConfig(
            num_types=0,
            num_nodes=8,
            encoder="nope",
            hidden=1.5,  # type: ignore[arg-type]
            latent_dim=True,
            op_embedding=0,
            bidirectional="yes",  # type: ignore[arg-type]
            beta=float("nan"),
            noise=-1.0,
        )
    message = str(error.value)
    for name in ("num_types", "encoder", "hidden", "latent_dim", "op_embedding", "bidirectional", "beta", "noise"):
        assert name in message
    for value in ("'nope'", "1.5", "'yes'", "nan", "-1.0"):
        assert value in message
    assert "num_nodes" not in message


def test_config_survives_its_dictionary() -> None:
    config = VAEConfig(num_types=7, num_nodes=8, op_embedding=None, beta=0.5)
    assert VAEConfig(**config.to_dict()) == config  # type: ignore[arg-type]
