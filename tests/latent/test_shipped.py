"""The latent spaces that come with the package are as good as their config.json says."""

from __future__ import annotations

import json

import pytest

from latentnas.latent import LatentSpace, generation_quality, list_latent_spaces, reconstruction_accuracy
from latentnas.latent.storage import SHIPPED


@pytest.fixture(scope="module", params=list_latent_spaces())
def shipped(request: pytest.FixtureRequest) -> LatentSpace:
    return LatentSpace.load(request.param, device="cpu")


def test_what_is_shipped() -> None:
    assert list_latent_spaces() == [
        "darts",
        "enas_macro12",
        "enas_macro6",
        "nasbench101",
        "nasbench1shot1-3",
        "nasbench201",
        "nasbench201-dvae-emb",
    ]


@pytest.mark.parametrize("name", list_latent_spaces())
def test_at_most_5_mb(name: str) -> None:
    assert sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) <= 5_000_000


@pytest.mark.parametrize("name", list_latent_spaces())
def test_folder_holds_weights_and_config_alone(name: str) -> None:
    assert sorted(path.name for path in (SHIPPED / name).iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.slow
def test_every_cell_is_reconstructed(shipped: LatentSpace) -> None:
    codes = shipped.space.enumerate() if shipped.space.size <= 100_000 else shipped.space.sample(10_000, seed=0)
    accuracy = reconstruction_accuracy(shipped, codes)
    assert accuracy >= 0.999
    assert accuracy >= shipped.info["metrics"]["reconstruction_accuracy"] - 1e-3


def test_prior_samples_decode_freely_as_well_as_said(shipped: LatentSpace) -> None:
    quality = generation_quality(shipped, 4000, seed=1)
    said = shipped.info["metrics"]["prior_validity_free"]
    assert quality.validity == pytest.approx(said, abs=0.02)
    if shipped.space.name not in (
        "darts",
        "nasbench1shot1-3",
    ):  # their in-degrees are fixed, which only a grammar keeps
        assert said >= 0.98


def test_prior_samples_decode_to_different_cells(shipped: LatentSpace) -> None:
    quality = generation_quality(shipped, 2000, seed=1, constrained=True)
    assert quality.validity == 1
    assert quality.uniqueness > 0.5


def test_config_says_how_it_was_made(shipped: LatentSpace) -> None:
    config = json.loads((SHIPPED / str(shipped.name) / "config.json").read_text())
    assert config["fit"] == shipped.info["fit"]
    assert {"seed", "epochs", "train_cells"} <= config["fit"].keys()
    assert len(config["history"]) == config["metrics"]["epochs_done"]
    assert min(record["valid_loss"] for record in config["history"]) == config["metrics"]["valid_loss"]
    assert config["provenance"]


def test_statistics_hold(shipped: LatentSpace) -> None:
    codes = shipped.space.sample(1000, seed=2)
    z = shipped.encode(codes)
    slack = 1e-3 * (shipped.high - shipped.low)
    assert bool(((z >= shipped.low - slack) & (z <= shipped.high + slack)).all())
    assert bool((((z.mean(0) - shipped.center) / shipped.scale).abs() < 0.2).all())
