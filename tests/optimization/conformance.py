"""What every strategy must do; ``test_conformance.py`` runs the suite on every registered one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentnas.errors import ExhaustedError, ObservationError
from latentnas.optimization import Proposals, Strategy

Build = Callable[..., Strategy]
NAN = float("nan")


def objective(codes: Tensor) -> Tensor:
    """A quick stand-in for an accuracy: larger operation indices are better, early columns count most."""
    weights = torch.linspace(2, 1, codes.shape[1], dtype=torch.double)
    return (codes.double() @ weights).sin() + 0.1 * codes.sum(1).double()


def run(strategy: Strategy, batches: list[int]) -> list[str]:
    """Ask for batches of these sizes, tell their values; returns the keys in order."""
    keys = []
    for n in batches:
        proposals = strategy.ask(n)
        check(strategy, proposals, n)
        keys += strategy.space.keys(proposals.codes)
        strategy.tell(proposals.codes, objective(proposals.codes))
    return keys


def check(strategy: Strategy, proposals: Proposals, n: int) -> None:
    """Shapes, types and values of proposals."""
    count = len(proposals)
    assert 1 <= count <= n
    strategy.space.check_codes(proposals.codes)
    assert proposals.codes.dtype == torch.long
    assert len(proposals.sources) == count
    assert all(source and source == source.strip() for source in proposals.sources)
    assert all(isinstance(note, str) and note for note in proposals.notes)
    if proposals.latents is not None:
        assert proposals.latents.shape[0] == count
        assert proposals.latents.ndim == 2
    for values in (proposals.latents, proposals.acquisition, proposals.mean, proposals.std):
        if values is not None:
            assert values.dtype == torch.double
            assert len(values) == count
            assert not values.requires_grad
            assert bool(values.isfinite().all())
    assert proposals.std is None or bool((proposals.std >= 0).all())
    assert (proposals.mean is None) == (proposals.std is None)


class StrategyConformance:
    """Inherit, and define the fixtures ``build`` (a large space) and ``build_tiny`` (72 networks)."""

    def test_proposes_distinct_new_networks(self, build: Build) -> None:
        keys = run(build(), [6, 4, 2, 1])
        assert len(keys) == 13
        assert len(set(keys)) == 13

    def test_a_strategy_told_the_same_history_goes_on_identically(self, build: Build) -> None:
        first = build(seed=3)
        run(first, [6, 3])
        second = build(seed=3)
        second.tell(first.codes, first.values)
        one, two = first.ask(2), second.ask(2)
        assert torch.equal(one.codes, two.codes)
        assert one.sources == two.sources
        for a, b in ((one.latents, two.latents), (one.acquisition, two.acquisition), (one.mean, two.mean)):
            assert (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))

    def test_pending_counts_as_history(self, build: Build) -> None:
        first = build(seed=4)
        run(first, [6, 3])
        waiting = first.ask(2)
        second = build(seed=4)
        second.tell(first.codes, first.values)
        second.pend(waiting.codes)
        one, two = first.ask(2), second.ask(2)
        assert torch.equal(one.codes, two.codes)
        assert set(first.space.keys(one.codes)).isdisjoint(first.space.keys(waiting.codes))

    def test_seeds_matter(self, build: Build) -> None:
        assert run(build(seed=1), [6, 1]) != run(build(seed=2), [6, 1])

    def test_callers_random_state_is_neither_used_nor_changed(self, build: Build) -> None:
        one = run(build(seed=5), [6, 3])
        torch.manual_seed(99)
        before = torch.get_rng_state()
        assert run(build(seed=5), [6, 3]) == one
        assert torch.equal(torch.get_rng_state(), before)

    def test_told_cells_are_never_proposed(self, build: Build) -> None:
        strategy = build()
        known = strategy.space.sample(40, seed=0)
        known = known[strategy.new_only(known)[0]]
        strategy.tell(known, objective(known))
        keys = strategy.space.keys(known)
        assert set(run(strategy, [2, 2])).isdisjoint(keys)

    def test_failed_evaluations_are_not_repeated_and_break_nothing(self, build: Build) -> None:
        strategy = build()
        failed: set[str] = set()
        for n in (6, 5, 3, 3):
            proposals = strategy.ask(n)
            check(strategy, proposals, n)
            keys = strategy.space.keys(proposals.codes)
            assert failed.isdisjoint(keys)
            values = objective(proposals.codes)
            values[::2] = NAN
            failed.update(keys[::2])
            strategy.tell(proposals.codes, values)

    def test_nothing_but_failures(self, build: Build) -> None:
        strategy = build()
        seen: set[str] = set()
        for _ in range(4):
            proposals = strategy.ask(4)
            keys = strategy.space.keys(proposals.codes)
            assert seen.isdisjoint(keys)
            seen.update(keys)
            strategy.tell(proposals.codes, [NAN] * len(proposals))

    def test_asking_on_while_evaluations_are_pending(self, build: Build) -> None:
        strategy = build()
        run(strategy, [6, 3])
        waiting = [strategy.ask(2) for _ in range(3)]
        codes = torch.cat([proposals.codes for proposals in waiting])
        assert len(set(strategy.space.keys(codes))) == 6
        assert torch.equal(strategy.pending, codes)
        strategy.tell(codes.flip(0), objective(codes.flip(0)))
        assert len(strategy.pending) == 0

    def test_equal_values(self, build: Build) -> None:
        strategy = build()
        for n in (6, 3):
            proposals = strategy.ask(n)
            check(strategy, proposals, n)
            strategy.tell(proposals.codes, [0.5] * len(proposals))

    def test_exhausts_a_tiny_space_then_says_so(self, build_tiny: Build) -> None:
        strategy = build_tiny()
        keys: list[str] = []
        for _ in range(40):
            try:
                proposals = strategy.ask(9)
            except ExhaustedError:
                break
            check(strategy, proposals, 9)
            keys += strategy.space.keys(proposals.codes)
            strategy.tell(proposals.codes, objective(proposals.codes))
        assert len(keys) == 72
        assert set(keys) == set(strategy.space.keys(strategy.space.enumerate()))
        with pytest.raises(ExhaustedError, match=strategy.name):
            strategy.ask(1)

    def test_more_asked_than_left(self, build_tiny: Build) -> None:
        strategy = build_tiny()
        cells = strategy.space.enumerate()[torch.randperm(72, generator=torch.Generator().manual_seed(0))]
        strategy.tell(cells[:69], objective(cells[:69]))
        proposals = strategy.ask(10)
        check(strategy, proposals, 10)
        assert sorted(strategy.space.keys(proposals.codes)) == sorted(strategy.space.keys(cells[69:]))

    def test_everything_pending(self, build_tiny: Build) -> None:
        strategy = build_tiny()
        strategy.pend(strategy.space.enumerate())
        with pytest.raises(ExhaustedError):
            strategy.ask(2)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([1.0, float("inf")], "NaN for a failed"),
            ([float("-inf"), 1.0], "NaN for a failed"),
            ([1.0], r"expected 2 values, got shape \[1\]"),
            ([[1.0, 2.0]], "got shape"),
        ],
    )
    def test_values_that_are_refused(self, build: Build, values: list[float], message: str) -> None:
        strategy = build()
        with pytest.raises(ObservationError, match=message):
            strategy.tell(strategy.space.sample(2, seed=0), values)
        assert len(strategy.codes) == len(strategy.values) == 0

    def test_networks_told_twice_are_refused(self, build: Build) -> None:
        strategy = build()
        codes = strategy.space.sample(2, seed=0)
        strategy.tell(codes, [1.0, NAN])
        for again in (codes[:1], codes[1:]):
            with pytest.raises(ObservationError, match="told before"):
                strategy.tell(again, [2.0])
        with pytest.raises(ObservationError, match="told before"):
            strategy.tell(strategy.space.sample(1, seed=5).repeat(2, 1), [1.0, 1.0])
        assert len(strategy.codes) == 2

    @pytest.mark.parametrize("n", [0, -1])
    def test_asking_for_nothing_is_refused(self, build: Build, n: int) -> None:
        with pytest.raises(ObservationError, match="at least 1"):
            build().ask(n)
