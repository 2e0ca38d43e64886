"""Some hostile inputs to every parser and reader; ``python -m tests.fuzz`` gives each 100,000."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fuzz import Target, fuzz, input_of, targets

INPUTS = 150
SLOW = {"tfrecord": 60, "nats-simple": 60, "nasbench301-folder": 60}
"""Fewer inputs for readers of many files, or of checksums that the test computes in Python."""
SECONDS = 5.0
"""An input that takes so long is a hang, not a slow machine."""


@pytest.fixture
def all_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Target]]:
    monkeypatch.setenv("LATENTNAS_CACHE", str(tmp_path / "cache"))
    yield targets(tmp_path)


def test_every_target_raises_only_what_it_documents(all_targets: list[Target]) -> None:
    for target in all_targets:
        inputs = SLOW.get(target.name, INPUTS)
        outcome = fuzz(target, inputs)
        assert not outcome.failures, f"{target.name}: {outcome.failures[0]}"
        assert outcome.read + outcome.refused == inputs
        # Damage to packed contents often leaves them readable: a curve, a note, a value in its range.
        assert outcome.refused > inputs / 3, f"{target.name}: the inputs are not hostile enough"
        assert outcome.slowest < SECONDS, f"{target.name}: input {outcome.slowest_index} took {outcome.slowest:.1f} s"


@pytest.mark.parametrize("index", [0, 17])
def test_inputs_are_a_function_of_their_number(all_targets: list[Target], index: int) -> None:
    for target in all_targets:
        assert repr(input_of(target, index)) == repr(input_of(target, index))  # NaN differs from itself
        assert repr(input_of(target, index)) != repr(input_of(target, index + 1))
