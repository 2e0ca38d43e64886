"""latentnas/evaluation/zero_cost/evaluator.py; the conformance suite holds the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentnas.errors import ConfigError, UnknownNameError
from latentnas.evaluation import ZeroCostEvaluator, zero_cost_metrics
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
TINY = {"channels": 3, "layers": 1, "stages": 1, "batch": 4, "image_size": 4, "device": "cpu"}


@pytest.mark.parametrize("metric", ["relu_logdet", "params"])
def test_values_are_the_metric(metric: str) -> None:
    codes = SPACE.sample(3, seed=0)
    results = list(ZeroCostEvaluator(metric=metric, seed=2, **TINY).evaluate(codes))
    expected = zero_cost_metrics(SPACE, codes, seed=2, cache=False, **TINY)
    assert [result.value for result in results] == pytest.approx(expected[metric].tolist())
    assert [result.metrics["flops"] for result in results] == expected["flops"].tolist()
    assert set(results[0].metrics) == {metric, "params", "flops"}


def test_images_of_a_file(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {f"x_{part}": generator.integers(0, 256, (6, 5, 5), dtype=np.uint8) for part in ("train", "valid")}
    arrays |= {f"y_{part}": np.arange(6) % 3 for part in ("train", "valid")}
    np.savez(tmp_path / "small.npz", **arrays)
    evaluator = ZeroCostEvaluator(metric="snip", data=tmp_path / "small.npz", **TINY)
    assert evaluator.measure.batch.images.shape == (4, 1, 5, 5)
    assert evaluator.measure.size.classes == 3
    assert next(evaluator.evaluate(torch.tensor([[3] * 6]))).value > 0
    assert evaluator.config() != ZeroCostEvaluator(metric="snip", **TINY).config()
    with pytest.raises(ConfigError, match=r"batch must be an integer in 2..6"):
        ZeroCostEvaluator(data=tmp_path / "small.npz", batch=7)


def test_settings_tell_evaluators_apart() -> None:
    configs = [
        ZeroCostEvaluator(**TINY, seed=seed, metric=metric).config() for seed in (0, 1) for metric in ("snip", "plain")
    ]
    assert len({str(config) for config in configs}) == 4


def test_wrong_arguments() -> None:
    with pytest.raises(UnknownNameError, match="zero-cost metric"):
        ZeroCostEvaluator(metric="accuracy")
    with pytest.raises(ConfigError, match="cannot be built"):
        ZeroCostEvaluator("enas_macro6")
