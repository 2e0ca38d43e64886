from __future__ import annotations

import pytest
import torch

from latentnas.errors import ExhaustedError, InvalidCodeError, ObservationError
from latentnas.optimization import RandomSearch
from latentnas.seeding import as_generator
from latentnas.spaces import ENASMacro

NAN = float("nan")


def tiny() -> RandomSearch:
    return RandomSearch(ENASMacro(layers=2), seed=0)


def test_observed_leaves_failures_out() -> None:
    strategy = tiny()
    codes = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    strategy.tell(codes, [0.5, NAN, 0.25])
    assert strategy.observed[0].tolist() == [[0, 0, 0], [2, 0, 0]]
    assert strategy.observed[1].tolist() == [0.5, 0.25]
    assert strategy.observed[1].dtype == torch.double
    assert all(strategy.is_known(key) for key in strategy.space.keys(codes))


def test_what_was_told_is_copied() -> None:
    strategy = tiny()
    codes, values = torch.tensor([[0, 0, 0]]), torch.tensor([0.5], dtype=torch.double)
    strategy.tell(codes, values)
    pending = torch.tensor([[1, 1, 1]])
    strategy.pend(pending)
    for tensor in (codes, values, pending):
        tensor.fill_(3)
    assert strategy.codes.tolist() == [[0, 0, 0]]
    assert strategy.values.tolist() == [0.5]
    assert strategy.pending.tolist() == [[1, 1, 1]]


def test_telling_ends_pending() -> None:
    strategy = tiny()
    asked = strategy.ask(3).codes
    assert torch.equal(strategy.pending, asked)
    strategy.tell(asked[1:2], [0.5])
    assert strategy.pending.tolist() == asked[[0, 2]].tolist()
    strategy.pend(asked[1:2])
    assert len(strategy.pending) == 2, "what was told does not become pending again"


def test_a_refused_tell_changes_nothing() -> None:
    strategy = tiny()
    asked = strategy.ask(2).codes
    with pytest.raises(ObservationError):
        strategy.tell(asked, [1.0, float("inf")])
    with pytest.raises(ObservationError):
        strategy.tell(asked[[0, 0]], [1.0, 1.0])
    with pytest.raises(InvalidCodeError):
        strategy.tell(torch.tensor([[9, 9, 9]]), [1.0])
    assert len(strategy.codes) == 0
    assert torch.equal(strategy.pending, asked)
    strategy.tell(asked, [1.0, 2.0])


def test_telling_nothing() -> None:
    strategy = tiny()
    strategy.tell(torch.empty(0, 3, dtype=torch.long), [])
    assert len(strategy.codes) == 0


def test_new_only_keeps_first_rows_of_unknown_networks() -> None:
    strategy = tiny()
    rows = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 0, 0], [2, 0, 0], [3, 0, 0], [1, 0, 0]])
    strategy.tell(rows[:1], [0.5])
    strategy.pend(rows[3:4])
    index, keys = strategy.new_only(rows)
    assert index.tolist() == [1, 4]
    assert keys == strategy.space.keys(rows[index])
    assert strategy.new_only(rows, set(keys[:1]))[0].tolist() == [4]


def test_sample_new_finds_the_last_networks() -> None:
    strategy = tiny()
    cells = strategy.space.enumerate()
    strategy.tell(cells[:70], [0.0] * 70)
    left = strategy.sample_new(5, as_generator(0))
    assert sorted(left.tolist()) == cells[70:].tolist()
    excluded = set(strategy.space.keys(cells[70:71]))
    assert strategy.sample_new(1, as_generator(0), excluded).tolist() == cells[71:].tolist()
    with pytest.raises(ExhaustedError, match="enas_macro2"):
        strategy.sample_new(1, as_generator(0), set(strategy.space.keys(cells)))
