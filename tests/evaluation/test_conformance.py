"""The conformance suite on every registered evaluator."""

from __future__ import annotations

import pytest
import torch

from latentnas.evaluation import Evaluator, get_evaluator, list_evaluators

from .conformance import EvaluatorConformance

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
QUICK: dict[str, list[dict[str, object]]] = {
    "tabular": [{}],
    "train": [{"epochs": 1, "channels": 4, "stages": 1, "device": device} for device in DEVICES],
    "zero-cost": [{"channels": 4, "layers": 1, "stages": 1, "batch": 4, "image_size": 4, "device": d} for d in DEVICES],
}
"""Options that make an evaluation take a moment only."""

CASES = [(name, options) for name in list_evaluators() for options in QUICK[name]]


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def evaluator(request: pytest.FixtureRequest) -> Evaluator:
    name, options = request.param
    return get_evaluator(name, "nasbench201", **options)


class TestEveryEvaluator(EvaluatorConformance):
    pass
