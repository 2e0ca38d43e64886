from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from latentnas.errors import ConfigError
from latentnas.models import ENCODERS, GraphVAE, VAEConfig
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


@pytest.mark.parametrize("encoder", ENCODERS)
def test_readout_of_another_model(encoder: str) -> None:
    wrong = "ends" if encoder.startswith("gcn") else "sum"
    right = {"adjacency": "all", "gcn": "all, sum", "gcn-pyg": "all, sum"}.get(encoder, "all, ends")
    with pytest.raises(ConfigError, match=f"readout must be one of {right}, got '{wrong}'"):
        VAEConfig(num_types=4, num_nodes=5, encoder=encoder, readout=wrong)


@pytest.mark.parametrize(
    ("encoder", "bidirectional", "parameters"),
    [
        # the public code's 6.94 million (bidirectional, its unused layer of 1002 x 501 + 501 left out)
        ("dvae", True, 6_440_000),
        # GRU 516 -> 501 and 501 -> 501, heads, f_type 501-501-8, f_edge 501-501-7
        (
            "svae",
            False,
            3 * 501 * (15 + 501 + 2)
            + 3 * 501 * (501 + 501 + 2)
            + 2 * (501 * 56 + 56)
            + (56 * 501 + 501)
            + 2 * (501 * 501 + 501)
            + (501 * 8 + 8)
            + (501 * 7 + 7),
        ),
        (
            "graphrnn",
            False,
            2 * 3 * 501 * (15 + 501 + 2)
            + 3 * 501 * (1 + 501 + 2)
            + 2 * (501 * 56 + 56)
            + (56 * 501 + 501)
            + 2 * (501 * 501 + 501)
            + (501 * 8 + 8)
            + (501 + 1),
        ),
    ],
)
def test_published_size(encoder: str, bidirectional: bool, parameters: int) -> None:
    config = VAEConfig.published(encoder, num_types=8, num_nodes=8, bidirectional=bidirectional)
    assert (config.beta, config.noise, config.op_embedding, config.latent_input) == (0.005, 0.01, None, False)
    with torch.device("meta"):
        count = sum(p.numel() for p in GraphVAE(config).parameters())
    assert count == pytest.approx(parameters, rel=2e-3 if encoder == "dvae" else 0)


def test_published_config_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"encoder must be one of .*, got 'nope'.*hidden"):
        VAEConfig.published("nope", num_types=8, num_nodes=8, hidden=0)


@pytest.mark.parametrize(
    ("op_embedding", "embeddings", "message"),
    [
        (None, torch.zeros(4, 3), "one-hot"),
        (3, torch.zeros(4, 2), r"shape \[4, 3\]; got shape \[4, 2\]"),
        (3, torch.full((4, 3), float("nan")), "12 values not finite"),
    ],
)
def test_wrong_embeddings(op_embedding: int | None, embeddings: torch.Tensor, message: str) -> None:
    config = VAEConfig(num_types=4, num_nodes=5, op_embedding=op_embedding)
    with pytest.raises(ConfigError, match=message):
        GraphVAE(config, embeddings=embeddings)


def test_one_hot_models_have_no_embeddings() -> None:
    assert vae("enas_macro6", op_embedding=None).embeddings is None
    embeddings = vae("enas_macro6", op_embedding=3).embeddings
    assert embeddings is not None
    assert embeddings.shape == (8, 3)
    assert not embeddings.requires_grad


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_model_loses_finitely_on_the_widest_space(encoder: str) -> None:
    options: dict[str, Any] = {"encoder": encoder, "dtype": torch.float}
    space = get_space("random_wired32")
    loss = vae("random_wired32", **options).loss(space.node_graphs(space.sample(2, seed=0))).loss
    assert bool(loss.isfinite())


@pytest.mark.slow
def test_torch_geometric_is_loaded_by_its_encoder_alone() -> None:
    code = """
import sys
from latentnas.models import GraphVAE, VAEConfig
GraphVAE(VAEConfig(num_types=3, num_nodes=4, encoder="gcn"))
assert "torch_geometric" not in sys.modules
GraphVAE(VAEConfig(num_types=3, num_nodes=4, encoder="gcn-pyg"))
assert "torch_geometric" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_cells_decoded_from_their_mean_weigh_more() -> None:
    """With noise that no posterior has, the cells without it are told apart by their likelihood."""
    settings = {"encoder": "adjacency", "latent_dim": 5, "beta": 0.0, "noise": 0.0}
    graphs = get_space("enas_macro6").node_graphs(get_space("enas_macro6").sample(400, seed=0))
    plain = vae("enas_macro6", **settings).train().loss(graphs)
    torch.manual_seed(0)
    every = vae("enas_macro6", at_mean=1.0, mean_weight=3.0, **settings).train().loss(graphs)
    torch.testing.assert_close(every.loss, 3 * plain.loss)
    torch.testing.assert_close(every.reconstruction, plain.reconstruction)
    some = vae("enas_macro6", at_mean=0.25, mean_weight=3.0, **settings).train().loss(graphs)
    assert float((some.loss / plain.loss).detach()) == pytest.approx(1.5, abs=0.15), "3/4 + 3 * 1/4"
    noisy = vae("enas_macro6", at_mean=1.0, **{**settings, "noise": 100.0}).train().loss(graphs)
    torch.testing.assert_close(noisy.loss, plain.loss)
