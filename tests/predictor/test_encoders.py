"""Encoders whose inputs, losses or weights a Predictor has to prepare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.latent import LatentSpace
from latentnas.models import GraphVAE, VAEConfig
from latentnas.models.predictors import LatentEncoder, NAREncoder
from latentnas.predictor import Predictor
from latentnas.spaces.costs.tensors import cost_tensor

SPACE = get_space("nasbench201")
CODES = SPACE.sample(40, seed=0)
WORTH = (SPACE.canonical(CODES) == 3).sum(1) + 0.1 * (SPACE.canonical(CODES) == 1).sum(1).double()
NAR = {"layers": 1, "dim": 16, "heads": 2, "feed_forward": 16, "tiers": 3}


def tiny_latent() -> LatentSpace:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GraphVAE(VAEConfig(num_types=7, num_nodes=8, hidden=6, latent_dim=4, type_hidden=6, edge_hidden=6))
    statistics = {"center": torch.ones(4), "scale": torch.full((4,), 2.0), "low": torch.zeros(4), "high": torch.ones(4)}
    return LatentSpace(SPACE, model, statistics)


@pytest.mark.parametrize("loss", ["nar", "hinge"])
def test_nar_learns_and_gives_tier_probabilities(loss: str, tmp_path: Path) -> None:
    settings = {"encoder": "nar", "loss": loss, "options": NAR, "epochs": 100, "learning_rate": 1e-2, "head": (16,)}
    model = Predictor(**settings).fit(CODES, WORTH)  # type: ignore[arg-type]
    assert model.score(CODES, WORTH) > 0.6
    tiers = model.explain(CODES)["tiers"]
    assert tiers.shape == (40, 3)
    torch.testing.assert_close(tiers.sum(1), torch.ones(40))
    if loss == "nar":
        order = WORTH.argsort(descending=True)
        best, worst = tiers[order[:10], 0].mean(), tiers[order[-10:], 0].mean()
        assert float(best) > 0.5 and float(worst) < 0.2, "the probability of the best tier"
    encoder = model.members_[0].encoder
    assert isinstance(encoder, NAREncoder)
    assert int(encoder.memory.counts.sum()) == (100 * len(model.labels_) if loss == "nar" else 0)
    again = Predictor.load(model.save(tmp_path / "nar"))
    assert np.array_equal(again.predict(CODES), model.predict(CODES))
    assert torch.equal(again.explain(CODES)["tiers"], tiers)


def test_weights_averaged_over_epochs_have_the_latest_memory() -> None:
    model = Predictor("nar", loss="nar", options=NAR, epochs=4, average=0.5).fit(CODES, WORTH)
    encoder = model.members_[0].encoder
    assert isinstance(encoder, NAREncoder)
    assert int(encoder.memory.counts.sum()) == 4 * len(model.labels_)


def test_costs_reach_the_encoder() -> None:
    inputs = Predictor("renas", epochs=1).fit(CODES, WORTH)._inputs(CODES)
    assert inputs.op_costs is not None and inputs.vertex_edges is not None
    assert torch.equal(inputs.op_costs, cost_tensor(SPACE, CODES))
    assert Predictor("gcn", epochs=1).fit(CODES, WORTH)._inputs(CODES).op_costs is None


def test_gpnas_with_its_head_and_loss() -> None:
    options = {"hidden": 16, "op_embedding": 8}
    model = Predictor("gpnas-gcn", loss="mse", head=(16, 16), batch_norm=True, options=options, epochs=80)
    assert model.fit(CODES, WORTH).score(CODES, WORTH) > 0.6
    kinds = [type(layer).__name__ for layer in model.members_[0].head]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]


@pytest.mark.parametrize("frozen", [True, False])
def test_the_encoder_of_a_latent_space(frozen: bool, tmp_path: Path) -> None:
    latent = tiny_latent()
    model = Predictor("latent", latent=latent, options={"frozen": frozen}, epochs=20, head=(16,)).fit(CODES, WORTH)
    encoder = model.members_[0].encoder
    assert isinstance(encoder, LatentEncoder)
    codes = SPACE.canonical(CODES)
    latents = (latent.encode(codes) - 1) / 2
    same = torch.allclose(encoder(model._inputs(codes)), latents, atol=1e-5)
    assert same == frozen
    again = Predictor.load(model.save(tmp_path / "latent"))
    assert np.array_equal(again.predict(CODES), model.predict(CODES))
    fresh = Predictor("latent", options={"hidden": 6, "latent_dim": 4}, epochs=2, head=(16,)).fit(CODES, WORTH)
    assert fresh.members_[0].encoder.dim == 4


def test_faults_are_reported_together() -> None:
    with pytest.raises(ConfigError) as error:
        Predictor("gcn", loss="nar", latent=tiny_latent(), options={"hidden": 8}).fit(CODES, WORTH)
    for part in ("the loss 'nar' classifies", "latent is for the encoder 'latent'", "only option is 'frozen'"):
        assert part in str(error.value)
    with pytest.raises(ConfigError, match="belongs to 'nasbench201', the search to 'nasbench101'"):
        Predictor("latent", space="nasbench101", latent=tiny_latent()).fit(CODES, WORTH)
    with pytest.raises(ConfigError, match="batch_norm is for heads that score cells"):
        Predictor("gcn", loss="comparator", batch_norm=True).fit(CODES, WORTH)
    graphs = get_space("nas_bench_graph").sample(4, seed=0)
    with pytest.raises(ConfigError, match="reads FLOPs and parameters"):
        Predictor("nar", space="nas_bench_graph").fit(graphs, [1, 2, 3, 4])
