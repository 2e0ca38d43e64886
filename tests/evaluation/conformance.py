"""What every evaluator must do; ``test_conformance.py`` runs the suite on every registered one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest
import torch

from latentnas.errors import InvalidCodeError
from latentnas.evaluation import Evaluation, Evaluator, list_evaluators


class EvaluatorConformance:
    """Inherit, and define the fixture ``evaluator``."""

    def test_facts(self, evaluator: Evaluator) -> None:
        assert evaluator.name in list_evaluators()
        assert evaluator.optimum is None or math.isfinite(evaluator.optimum)

    def test_config_is_plain_and_stable(self, evaluator: Evaluator) -> None:
        config = evaluator.config()
        assert config["name"] == evaluator.name
        assert json.loads(json.dumps(config)) == config
        assert evaluator.config() == config

    def test_one_evaluation_a_row_in_order(self, evaluator: Evaluator) -> None:
        codes = evaluator.space.sample(3, seed=0)
        results = list(evaluator.evaluate(codes))
        assert len(results) == 3
        for code, result in zip(codes, results, strict=True):
            assert isinstance(result, Evaluation)
            assert result.failure is None
            assert isinstance(result.value, float)
            assert math.isfinite(result.value)
            assert evaluator.optimum is None or result.value <= evaluator.optimum
            assert result.seconds >= 0
            assert all(isinstance(value, float) for value in result.metrics.values())
            assert next(evaluator.evaluate(code[None])).value == result.value

    def test_evaluations_come_one_by_one(self, evaluator: Evaluator) -> None:
        stream = evaluator.evaluate(evaluator.space.sample(1000, seed=0))
        assert isinstance(stream, Iterator)
        assert next(stream).failure is None

    def test_values_do_not_depend_on_what_came_before(self, evaluator: Evaluator) -> None:
        codes = evaluator.space.sample(3, seed=1)
        forward = [result.value for result in evaluator.evaluate(codes)]
        torch.rand(7)
        backward = [result.value for result in evaluator.evaluate(codes.flip(0))]
        assert backward == forward[::-1]

    def test_global_random_state_is_left_alone(self, evaluator: Evaluator) -> None:
        before = torch.get_rng_state()
        next(evaluator.evaluate(evaluator.space.sample(1, seed=0)))
        assert torch.equal(torch.get_rng_state(), before)

    def test_no_rows(self, evaluator: Evaluator) -> None:
        assert list(evaluator.evaluate(evaluator.space.sample(0, seed=0))) == []

    def test_wrong_codes_raise_at_once(self, evaluator: Evaluator) -> None:
        with pytest.raises(InvalidCodeError):
            evaluator.evaluate(torch.full((1, evaluator.space.dim), 99))
        with pytest.raises(InvalidCodeError):
            evaluator.evaluate(torch.zeros(2, evaluator.space.dim + 1, dtype=torch.long))
