"""latentnas/evaluation/training.py: real trainings of tiny networks, and every way to fail."""

from __future__ import annotations

import time
import weakref
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from latentnas.errors import ConfigError, DataFileError
from latentnas.evaluation import Evaluation, TrainingEvaluator
from latentnas.evaluation.networks import NASBench201Network
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
GOOD = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
QUICK: dict[str, Any] = {"channels": 4, "stages": 1, "epochs": 1}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def train(text: str, **options: Any) -> Evaluation:
    return next(TrainingEvaluator(**{**QUICK, **options}).evaluate(SPACE.parse(text)))


@pytest.mark.parametrize("device", DEVICES)
def test_digits_are_learned(device: str) -> None:
    result = train(GOOD, channels=8, stages=2, epochs=3, device=device)
    assert result.failure is None
    assert result.value is not None
    assert result.value > 85  # chance is 10
    assert result.metrics["accuracy"] == result.value
    assert result.metrics["epochs"] == 3
    assert 0 < result.metrics["train_loss"] < 1
    assert 0 < result.seconds < 60


def test_costs_by_hand() -> None:
    """One stage of one cell, 4 channels, 8 x 8 grey images, 10 classes."""
    metrics = train(GOOD).metrics
    assert metrics["parameters"] == (36 + 8) + (144 + 8) + (16 + 8) + 8 + (40 + 10)
    assert metrics["macs"] == (36 + 144 + 16) * 64 + 40


def test_a_cell_that_returns_zero_is_at_chance() -> None:
    for text in (DEAD, "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"):
        result = train(text)
        assert result.failure is None
        assert result.value is not None
        assert 5 < result.value < 15


def test_the_seed_decides_the_value() -> None:
    first, again, other = (train(GOOD, seed=seed) for seed in (1, 1, 2))
    assert first.metrics == again.metrics
    assert first.metrics["train_loss"] != other.metrics["train_loss"]


def test_trainings_are_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = TrainingEvaluator(**QUICK)
    trained: list[list[int]] = []

    def record(code: torch.Tensor, started: float, metrics: dict[str, float]) -> None:
        trained.append(code.tolist())
        metrics["accuracy"] = 1.0

    monkeypatch.setattr(evaluator, "_train", record)
    codes = SPACE.sample(5, seed=0)
    stream = evaluator.evaluate(codes)
    assert trained == []
    next(stream)
    next(stream)
    assert trained == codes[:2].tolist()


def test_divergence_is_a_failure_with_its_reason() -> None:
    result = train(GOOD, learning_rate=1e30, epochs=3)
    assert result.value is None
    assert result.failure is not None
    assert "diverged: the loss is" in result.failure
    assert "in epoch 1" in result.failure
    assert result.metrics["parameters"] == 278
    assert result.metrics["epochs"] == 0


def test_scores_that_are_not_finite_after_the_last_step_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = NASBench201Network.forward

    def failing(self: NASBench201Network, images: torch.Tensor) -> torch.Tensor:
        scores = forward(self, images)
        return scores if self.training else scores * float("nan")

    monkeypatch.setattr(NASBench201Network, "forward", failing)
    result = train(GOOD)
    assert result.value is None
    assert result.failure == "the training diverged: the trained network's scores are not finite"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore"), "CUDA out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "can't allocate memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "ALLOC_FAILED"),
        (MemoryError(), "out of memory"),
    ],
)
def test_out_of_memory_is_a_failure_and_the_next_cell_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    calls = 0
    forward = NASBench201Network.forward

    def failing(self: NASBench201Network, images: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise error
        return forward(self, images)

    monkeypatch.setattr(NASBench201Network, "forward", failing)
    evaluator = TrainingEvaluator(**QUICK)
    first, second = evaluator.evaluate(SPACE.parse([GOOD, DEAD]))
    assert first.value is None
    assert first.failure is not None
    assert first.failure.startswith("out of memory")
    assert reason in first.failure
    assert "\n" not in first.failure
    assert first.metrics["epochs"] == 0
    assert second.failure is None


def test_memory_is_released_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[weakref.ref[NASBench201Network]] = []

    def failing(self: NASBench201Network, images: torch.Tensor) -> NoReturn:
        networks.append(weakref.ref(self))
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(NASBench201Network, "forward", failing)
    assert train(GOOD).failure == "out of memory: out of memory"
    assert [reference() for reference in networks] == [None]


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: NASBench201Network, images: torch.Tensor) -> NoReturn:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(NASBench201Network, "forward", failing)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        train(GOOD)


def test_time_limit() -> None:
    result = train(GOOD, time_limit=1e-9, epochs=7)
    assert result.value is None
    assert result.failure == "the time limit of 1e-09 s was passed after 0 of 7 epochs"


def test_time_limit_in_the_middle() -> None:
    started = time.perf_counter()
    result = train(GOOD, time_limit=5, epochs=10_000)
    assert time.perf_counter() - started < 60
    assert result.failure is not None
    assert "5 s" in result.failure
    assert result.metrics["epochs"] >= 1
    assert result.seconds >= 5


def test_npz_with_fewer_images_than_a_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = rng.normal(size=(12, 2, 5, 5)) + 3 * labels[:, None, None, None]
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_valid=images, y_valid=labels)
    evaluator = TrainingEvaluator(**{**QUICK, "epochs": 30, "data": str(tmp_path / "a.npz"), "stages": 3})
    result = next(evaluator.evaluate(SPACE.parse(GOOD)))
    assert result.value == 100
    assert evaluator.config()["data"] == "a.npz"
    assert evaluator.config()["data_sha256"] == evaluator.data.sha256


def test_missing_data_file(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        TrainingEvaluator(data=tmp_path / "none.npz")


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        TrainingEvaluator(
            channels=0,
            epochs=1.5,  # type: ignore[arg-type]
            batch_size=1,
            learning_rate=float("nan"),
            weight_decay=-1,
            time_limit=-3,
            seed=True,
        )
    for part in (
        "channels must be an integer of at least 1, got 0",
        "epochs must be an integer of at least 1, got 1.5",
        "batch_size must be an integer of at least 2, got 1",
        "learning_rate must be a number above 0, got nan",
        "weight_decay must be a number of at least 0, got -1",
        "time_limit must be seconds (above 0) or None, got -3",
        "seed must be an integer of at least 0, got True",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("time_limit", [0, 0.0, -1, float("inf"), "3", True])
def test_time_limits_that_are_none(time_limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"time_limit must be seconds \(above 0\) or None, got "):
        TrainingEvaluator(time_limit=time_limit)


def test_stages_are_bounded_by_the_images(tmp_path: Path) -> None:
    """Digits are 8 x 8: stages of 8, 4, 2 and 1. Images of 5 x 9: 5, 2 and 1 by whole halves."""
    assert next(TrainingEvaluator(**{**QUICK, "stages": 4}).evaluate(SPACE.parse(DEAD))).failure is None
    for stages in (5, 10**9):
        with pytest.raises(ConfigError, match=rf"stages must be in 1\.\.4 for images of 8 x 8, .* got {stages}"):
            TrainingEvaluator(stages=stages)
    images, labels = np.random.default_rng(0).normal(size=(12, 5, 9)), np.arange(12) % 2
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_valid=images, y_valid=labels)
    assert TrainingEvaluator(data=tmp_path / "a.npz", stages=3).stages == 3
    with pytest.raises(ConfigError, match=r"stages must be in 1\.\.3 for images of 5 x 9"):
        TrainingEvaluator(data=tmp_path / "a.npz", stages=4)


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", 1.5])
def test_devices_that_cannot_be_used(device: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        TrainingEvaluator(device=device)


def test_config_tells_evaluators_apart() -> None:
    base = TrainingEvaluator(**QUICK).config()
    assert TrainingEvaluator(**QUICK, device="cpu").config() == base, "the device is no part of what is measured"
    for change in ({"epochs": 2}, {"channels": 5}, {"learning_rate": 0.3}, {"seed": 1}, {"time_limit": 5.0}):
        assert TrainingEvaluator(**{**QUICK, **change}).config() != base
