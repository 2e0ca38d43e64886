from __future__ import annotations

import json
import time

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.latent import benchmark
from latentnas.latent.benchmark import measure_model, untrained
from latentnas.models import ENCODERS, GraphVAE, VAEConfig
from latentnas.models.vae import VAELoss
from latentnas.spaces import NodeGraphs, get_space


def tiny(encoder: str = "dvae") -> VAEConfig:
    return VAEConfig(num_types=8, num_nodes=5, encoder=encoder, hidden=4, latent_dim=3, type_hidden=4, edge_hidden=4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_model_is_measured_and_stays_as_it_was(encoder: str) -> None:
    latent = untrained(get_space("enas_macro3"), tiny(encoder), device="cpu")
    before = latent.fingerprint()
    speed = measure_model(latent, batch=3, cells=5, repeats=1)
    assert latent.fingerprint() == before
    assert not latent.model.training
    for timing in (speed.step, speed.encode, speed.decode, speed.decode_free):
        assert 0 < timing.seconds < 5
        assert 0 < timing.cpu_seconds < 5
    assert speed.parameters == sum(p.numel() for p in latent.model.parameters())
    assert 1e8 < speed.flops < 1e14
    assert speed.peak_memory > 2**20
    assert speed.reference_ratio is None
    assert json.loads(json.dumps(speed.to_dict()))["model"]["encoder"] == encoder


def test_the_ratio_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 0.38 CPU-seconds at 39 GFLOP/s is 0.76 * 78 / (0.38 * 39) = 4 times cheaper."""
    space = get_space("enas_macro6")
    config = VAEConfig.published(num_types=8, num_nodes=8, hidden=6, latent_dim=2, bidirectional=True)
    monkeypatch.setattr(benchmark, "REFERENCE_MODEL", ("dvae", 6, 2, True, 4))
    monkeypatch.setattr(benchmark.Clock, "time", lambda *_, **__: benchmark.Timing(0.5, 0.38))
    monkeypatch.setattr(benchmark, "median", lambda _: 39e9)
    latent = untrained(space, config, device="cpu")
    assert measure_model(latent, batch=4, cells=2).reference_ratio == pytest.approx(4)
    medium = measure_model(latent, batch=4, cells=2, precision="medium")
    assert (medium.matmul_precision, medium.reference_ratio) == ("medium", pytest.approx(4))
    assert measure_model(latent, batch=5, cells=2).reference_ratio is None
    assert measure_model(latent, batch=4, cells=2, threads=2).reference_ratio is None


def test_the_clock_measures_both_times() -> None:
    found = benchmark.Clock(torch.device("cpu")).time(lambda: time.sleep(0.02), 3)
    assert found.seconds >= 0.02
    assert found.cpu_seconds < 0.02


def test_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    measure_model(untrained(get_space("enas_macro3"), tiny(), device="cpu"), batch=2, cells=2, threads=2, repeats=1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["batch", "cells", "threads", "repeats"])
def test_numbers_below_one(name: str) -> None:
    latent = untrained(get_space("enas_macro3"), tiny(), device="cpu")
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        measure_model(latent, **{name: 0})


def test_the_precision_is_that_of_the_training_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, products, before = set(), set(), torch.get_float32_matmul_precision()
    loss, product = GraphVAE.loss, benchmark.Clock.matrix_product

    def spied_loss(self: GraphVAE, graphs: NodeGraphs) -> VAELoss:
        steps.add(torch.get_float32_matmul_precision())
        return loss(self, graphs)

    def spied_product(self: benchmark.Clock) -> float:
        products.add(torch.get_float32_matmul_precision())
        return product(self)

    monkeypatch.setattr(GraphVAE, "loss", spied_loss)
    monkeypatch.setattr(benchmark.Clock, "matrix_product", spied_product)
    latent = untrained(get_space("enas_macro3"), tiny(), device="cpu")
    measure_model(latent, batch=2, cells=2, repeats=1, precision="medium")
    assert (steps, products) == ({"medium"}, {"highest"})
    assert torch.get_float32_matmul_precision() == before


def test_unknown_precision() -> None:
    latent = untrained(get_space("enas_macro3"), tiny(), device="cpu")
    with pytest.raises(ConfigError, match="precision must be one of highest, high, medium, got 'low'"):
        measure_model(latent, precision="low")
