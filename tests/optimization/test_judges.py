from __future__ import annotations

from typing import Any

import pytest
import torch

from latentnas.errors import ConfigError, ObservationError, UnknownNameError
from latentnas.latent import LatentSpace
from latentnas.models.gaussian_process import MIN_NOISE
from latentnas.models.predictors import list_encoders
from latentnas.models.targets import NormalScores
from latentnas.optimization import list_surrogates
from latentnas.optimization.judges import checked_options, fit_judge

from .conformance import objective

QUICK: dict[str, dict[str, Any]] = {
    "auto": {"members": ["gp", "forest"], "least": 99},
    "forest": {"trees": 5},
    **{name: {"epochs": 1, "ensemble": 2, "head": [8]} for name in list_encoders()},
    "gates++": {"epochs": 1, "ensemble": 2, "head": [8], "op_features": "costs", "targets": "costs"},
}


def test_names() -> None:
    assert list_surrogates()[:3] == ["gp", "auto", "forest"]
    assert set(list_surrogates()[3:]) == set(list_encoders())


@pytest.mark.parametrize("name", list_surrogates()[1:])
def test_every_predictor_judges(shipped_latent: LatentSpace, name: str) -> None:
    codes = shipped_latent.space.sample(16, seed=0).unique(dim=0)
    options = checked_options("latent-bo", name, shipped_latent, QUICK[name])
    judge = fit_judge(name, shipped_latent, codes, objective(codes), options=options, target="rank", seed=3)
    cells = shipped_latent.space.sample(9, seed=1)
    mean, std = judge.marginals(cells)
    joint, covariance = judge.joint(cells)
    assert mean.dtype == covariance.dtype == torch.double
    torch.testing.assert_close(joint, mean)
    torch.testing.assert_close(covariance.diagonal().sqrt(), std, rtol=1e-3, atol=1e-6)
    assert float(std.min()) >= MIN_NOISE**0.5
    assert float(torch.linalg.eigvalsh(covariance)[0]) > 0


def test_noise_and_best_are_those_of_what_was_learned(shipped_latent: LatentSpace) -> None:
    codes = shipped_latent.space.sample(16, seed=0).unique(dim=0)
    values = objective(codes)
    judge = fit_judge("mlp", shipped_latent, codes, values, options=QUICK["mlp"], target="rank", seed=3)
    learned = judge.marginals(codes)[0]
    targets = NormalScores(values).forward()
    assert judge.best == pytest.approx(float(learned.max()))
    assert judge.noise == pytest.approx(float((learned - targets).square().mean()))
    torch.testing.assert_close(judge.transform.forward(), targets)


def test_a_fit_is_a_function_of_the_seed(shipped_latent: LatentSpace) -> None:
    codes = shipped_latent.space.sample(16, seed=0).unique(dim=0)

    def means(seed: int) -> torch.Tensor:
        options = {**QUICK["gates"], "device": "cpu"}
        judge = fit_judge("gates", shipped_latent, codes, objective(codes), options=options, target="rank", seed=seed)
        return judge.marginals(codes)[0]

    assert torch.equal(means(1), means(1))
    assert not torch.equal(means(1), means(2))


def test_the_latent_encoder_starts_from_the_latent_space_and_leaves_it_alone(shipped_latent: LatentSpace) -> None:
    before = shipped_latent.fingerprint()
    codes = shipped_latent.space.sample(16, seed=0).unique(dim=0)
    judge = fit_judge("latent", shipped_latent, codes, objective(codes), options=QUICK["latent"], target="rank", seed=0)
    assert judge.predictor.latent is shipped_latent  # type: ignore[union-attr]
    assert shipped_latent.fingerprint() == before


def test_labels_without_an_order_are_refused(shipped_latent: LatentSpace) -> None:
    codes = shipped_latent.space.sample(4, seed=0)
    with pytest.raises(ObservationError, match="no order to learn"):
        fit_judge(
            "forest", shipped_latent, codes, torch.ones(4).double(), options=QUICK["forest"], target="rank", seed=0
        )


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gates", {"epoch": 3, "seed": 1}, "unknown option 'epoch', 'seed'; known: average,"),
        ("gates", {"epochs": 0, "options": {"x": 1}}, "epochs must be a positive integer, got 0; unknown option 'x'"),
        ("gates", {"ensemble": 1}, "ensemble must be at least 2, as deviations are those of its members, got 1"),
        ("gates", {"loss": "comparator", "ensemble": 1}, "depends on the cells it is asked with; ensemble must be"),
        ("gates", {"targets": len}, "plain values that JSON can hold"),
        ("gates", [1], r"surrogate_options must be a mapping, got \[1\]"),
        ("forest", {"trees": 1}, "trees must be at least 2"),
        ("forest", {"trees": "many"}, "trees must be a positive integer, got 'many'"),
        ("auto", {"members": ["gates"], "ensemble": 1}, "ensemble must be at least 2"),
        (
            "auto",
            {"members": ["oracle"]},
            "members must be None or list some of gp, gates-simplified, gates",
        ),
        ("gp", {"epochs": 3}, "surrogate_options are for predictors"),
    ],
)
def test_options_that_are_refused(shipped_latent: LatentSpace, name: str, options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^latent-bo: .*{words}"):
        checked_options("latent-bo", name, shipped_latent, options)


def test_the_default_members_of_auto_have_deviations(shipped_latent: LatentSpace) -> None:
    """Networks alone would have none."""
    options = {"members": None, "ensemble": 1}
    assert checked_options("latent-bo", "auto", shipped_latent, options) == options


def test_a_predictor_that_the_space_has_not_names_those_it_has(tiny_latent: LatentSpace) -> None:
    with pytest.raises(
        ConfigError, match=r"has no edge view.*; surrogates of enas_macro2: gp, auto, forest, gates,"
    ) as e:
        checked_options("latent-bo", "line-graph-gcn", tiny_latent, None)
    assert "line-graph-gcn" not in str(e.value).partition("surrogates of")[2]


@pytest.mark.parametrize("name", ["gatez", "", 3, {"encoder": "gates"}])
def test_unknown_names_list_the_known(shipped_latent: LatentSpace, name: Any) -> None:
    with pytest.raises(
        UnknownNameError,
        match=r"unknown surrogate .* Known: auto, forest, gates, gates\+\+, gates-simplif",
    ):
        checked_options("latent-bo", name, shipped_latent, None)
