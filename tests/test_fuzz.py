"""A few hundred hostile inputs to every parser and reader; ``python -m tests.fuzz`` gives each 100,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fuzz import fuzz, input_of, targets

INPUTS = 300


def test_every_target_raises_only_what_it_documents(tmp_path: Path) -> None:
    for target in targets(tmp_path):
        outcome = fuzz(target, INPUTS)
        assert not outcome.failures, f"{target.name}: {outcome.failures[0]}"
        assert outcome.read + outcome.refused == INPUTS
        assert outcome.refused > INPUTS / 2, f"{target.name}: the inputs are not hostile enough"


@pytest.mark.parametrize("index", [0, 17])
def test_inputs_are_a_function_of_their_number(tmp_path: Path, index: int) -> None:
    for target in targets(tmp_path):
        assert input_of(target, index) == input_of(target, index)
        assert input_of(target, index) != input_of(target, index + 1)
