"""examples/branch_cell.py: a space of one's own passes every test that the package's spaces pass, and works in it."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import latentnas as ln
from latentnas import spaces
from latentnas.spaces import SearchSpace

from ..spaces.conformance import SpaceConformance

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "branch_cell.py"


@pytest.fixture(scope="module")
def space() -> Iterator[SearchSpace]:
    runpy.run_path(str(EXAMPLE))
    yield ln.get_space("branch_cell")
    del spaces._SPACES["branch_cell"], spaces._BUILT["branch_cell"]


class TestBranchCell(SpaceConformance):
    pass


def test_it_is_as_short_as_the_guide_says() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60


def test_check_space_finds_nothing(space: SearchSpace) -> None:
    ln.check_space(space)


def test_networks_are_multisets_of_branches(space: SearchSpace) -> None:
    # 16 different branches; multisets of 3 of them: C(18, 3) = 816
    assert (space.size, space.num_networks) == (4**6, 816)
    codes = torch.tensor([[3, 0, 0, 1, 2, 2], [2, 2, 3, 0, 0, 1], [3, 0, 0, 1, 2, 1]])
    first, second, third = space.keys(codes)
    assert first == second != third


def test_a_latent_space_and_a_search_take_it(space: SearchSpace) -> None:
    latent = ln.LatentSpace.fit("branch_cell", epochs=2, hidden=16, latent_dim=8, seed=0, device="cpu")
    codes = space.sample(20, seed=0)
    decoded = latent.decode(latent.encode(codes))
    assert torch.equal(space.check_codes(decoded), decoded)
    strategy = ln.get_strategy("evolution", space, seed=0, population_size=20, tournament_size=5)
    for _ in range(25):
        codes = strategy.ask(10).codes
        strategy.tell(codes, (codes == 1).sum(1).double())  # the more 3x3 convolutions the better
    assert int((strategy.codes == 1).sum(1).max()) == 6
