from __future__ import annotations

import pytest

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.predictor import Predictor
from latentnas.predictor.benchmark import measure_predictor


def small(encoder: str = "gates", **settings: object) -> Predictor:
    return Predictor(encoder, epochs=1, head=(8,), device="cpu", **settings)  # type: ignore[arg-type]


def test_what_is_measured() -> None:
    space = get_space("nasbench201")
    found = measure_predictor(small(options={"hidden": 8}), labels=12, cells=30, repeats=1)
    assert (found.space, found.device, found.cells) == ("nasbench201", "cpu", 30)
    assert found.labels <= 12
    assert found.networks == space.num_networks
    assert found.ranking is not None
    assert found.ranking.seconds > 0
    assert found.peak_memory > 50 * 2**20  # PyTorch alone takes more


def test_spaces_that_cannot_be_listed_are_not_ranked() -> None:
    found = measure_predictor(small("mlp", space="darts", options={"widths": (8,)}), labels=5, cells=5, repeats=1)
    assert found.networks is found.listing is found.ranking is None
    assert found.to_dict()["settings"]["options"] == {"widths": (8,)}  # type: ignore[index]


@pytest.mark.parametrize("name", ["labels", "cells", "threads", "repeats"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        measure_predictor(small(), **{name: 0})  # type: ignore[arg-type]
