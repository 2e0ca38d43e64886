from __future__ import annotations

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.optimization import RegularizedEvolution
from latentnas.spaces import ENASMacro, get_space

# Five cells far apart in every operation, in the order of their evaluation.
CODES = torch.cat([torch.arange(5)[:, None].repeat(1, 6), torch.zeros(5, 15, dtype=torch.long)], 1)
NAN = float("nan")


def parents(values: list[float], *, population: int, tournament: int, seeds: int = 60) -> set[int]:
    """Which of CODES are parents of the first child, over many seeds: a child is one edit away."""
    found = set()
    for seed in range(seeds):
        strategy = RegularizedEvolution(
            "enas_macro6", population_size=population, tournament_size=tournament, seed=seed
        )
        strategy.tell(CODES[: len(values)], values)
        proposals = strategy.ask(1)
        assert proposals.sources == ["mutation"]
        distance = (proposals.codes != CODES).sum(1)
        assert int(distance.min()) == 1
        found.add(int(distance.argmin()))
    return found


def test_parent_is_the_best_of_the_youngest() -> None:
    """The best cell of all is too old; of the last three the second is the best."""
    assert parents([9.0, 8.0, 1.0, 3.0, 2.0], population=3, tournament=3) == {3}


def test_tournament_of_two_never_picks_the_worst() -> None:
    assert parents([9.0, 8.0, 1.0, 3.0, 2.0], population=3, tournament=2) == {3, 4}


def test_tournament_of_one_picks_anyone_of_the_population() -> None:
    assert parents([9.0, 8.0, 1.0, 3.0, 2.0], population=3, tournament=1) == {2, 3, 4}


def test_failures_are_no_parents() -> None:
    assert parents([9.0, 8.0, NAN, 3.0, NAN], population=3, tournament=1) == {0, 1, 3}


def test_random_until_the_population_is_full() -> None:
    strategy = RegularizedEvolution("enas_macro6", population_size=7, tournament_size=2, seed=0)
    first = strategy.ask(5)
    assert first.sources == ["initial"] * 5
    strategy.tell(first.codes, [0.0, 1.0, 2.0, 3.0, 4.0])
    assert strategy.ask(4).sources == ["initial"] * 2 + ["mutation"] * 2


def test_a_child_whose_network_is_known_is_mutated_further() -> None:
    """All neighbours of the only parent are known, so the child is two edits away."""
    space = ENASMacro(layers=2)
    strategy = RegularizedEvolution(space, population_size=1, tournament_size=1, seed=0)
    cells = space.enumerate()
    parent = torch.tensor([[2, 2, 0]])
    near = cells[(cells != parent).sum(1) == 1]
    strategy.tell(near, [0.0] * len(near))
    strategy.tell(parent, [1.0])
    proposals = strategy.ask(1)
    assert proposals.sources == ["mutation"]
    assert int((proposals.codes != parent).sum()) >= 2


def test_batch_holds_different_networks() -> None:
    strategy = RegularizedEvolution("nasbench201", population_size=2, tournament_size=2, seed=0)
    first = strategy.ask(2)
    strategy.tell(first.codes, [0.0, 1.0])
    assert len(set(get_space("nasbench201").keys(strategy.ask(40).codes))) == 40


def test_initial_cells_are_returned_where_the_space_ends() -> None:
    space = ENASMacro(layers=2)
    strategy = RegularizedEvolution(space, population_size=200, tournament_size=2, seed=0)
    cells = space.enumerate()
    strategy.tell(cells[:70], [float(i) for i in range(70)])
    assert sorted(strategy.ask(20).codes.tolist()) == cells[70:].tolist()


def test_it_climbs() -> None:
    """The sum of the operations, 30 at best; random cells have 15 on average."""
    strategy = RegularizedEvolution("enas_macro6", population_size=20, tournament_size=8, seed=0)
    for _ in range(30):
        proposals = strategy.ask(10)
        strategy.tell(proposals.codes, proposals.codes[:, :6].sum(1).double())
    assert float(strategy.values[-50:].mean()) > 24


@pytest.mark.parametrize(("population", "tournament"), [(5, 6), (1, 2)])
def test_sizes_that_make_no_sense(population: int, tournament: int) -> None:
    with pytest.raises(ConfigError, match=f"in 1..population_size={population}, got {tournament}"):
        RegularizedEvolution("nasbench201", population_size=population, tournament_size=tournament)


@pytest.mark.parametrize("size", [0, -3, "abc", True, 2.5, None])
@pytest.mark.parametrize("option", ["population_size", "tournament_size"])
def test_sizes_must_be_integers_of_at_least_one(option: str, size: object) -> None:
    with pytest.raises(ConfigError, match=f"{option} must be an integer of at least 1, got {size!r}"):
        RegularizedEvolution("nasbench201", **{option: size})  # type: ignore[arg-type]
