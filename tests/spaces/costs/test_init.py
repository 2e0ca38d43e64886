"""latentnas/spaces/costs/__init__.py: what holds for every space."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.spaces import SearchSpace
from latentnas.spaces.costs import NASBench201Skeleton, costs, operation_costs, published_skeleton
from latentnas.spaces.darts import DARTS
from latentnas.spaces.enas_macro import ENASMacro
from latentnas.spaces.enas_micro import ENASMicro
from latentnas.spaces.gpnas import GPNAS
from latentnas.spaces.nas_bench_graph import NASBenchGraph
from latentnas.spaces.nasbench1shot1 import NASBench1Shot1
from latentnas.spaces.nasbench101 import NASBench101
from latentnas.spaces.nasbench201 import NASBench201
from latentnas.spaces.random_wired import RandomWired

PLACES = [
    (NASBench101(), 9),
    (NASBench1Shot1(1), 9),
    (NASBench201(), 15),
    (DARTS(), 20),
    (ENASMacro(12), 1),
    (ENASMicro(), 17),
    (GPNAS(6), 1),
    (RandomWired(16), 3),
]
"""Spaces, and how many places a cell has in the published network."""


@pytest.mark.parametrize(("space", "places"), PLACES, ids=lambda value: getattr(value, "name", ""))
class TestEverySpace:
    def test_shapes_and_sums(self, space: SearchSpace, places: int) -> None:
        codes = space.sample(50, seed=0)
        parts, whole = operation_costs(space, codes), costs(space, codes)
        for name in ("params", "macs"):
            part, total = getattr(parts, name), getattr(whole, name)
            assert part.shape == (50, places, space.max_nodes)
            assert part.dtype == total.dtype == torch.long
            assert bool((part >= 0).all())
            fixed = getattr(parts, f"fixed_{name}")
            assert fixed > 0
            assert torch.equal(part.flatten(1).sum(1) + fixed, total)
        assert bool((parts.params[~space.node_graphs(codes).mask[:, None].expand_as(parts.params)] == 0).all())

    def test_rows_do_not_depend_on_each_other(self, space: SearchSpace, places: int) -> None:
        codes = space.sample(20, seed=1)
        whole = costs(space, codes)
        single = [costs(space, code[None]) for code in codes]
        assert whole.params.tolist() == [int(one.params) for one in single]
        assert whole.macs.tolist() == [int(one.macs) for one in single]
        none = operation_costs(space, codes[:0])
        assert none.params.shape == none.macs.shape == (0, places, space.max_nodes)
        assert costs(space, codes[:0]).params.shape == (0,)

    def test_published_skeleton_is_the_default(self, space: SearchSpace, places: int) -> None:
        codes = space.sample(5, seed=2)
        given = costs(space, codes, published_skeleton(space))
        assert torch.equal(given.params, costs(space, codes).params)

    def test_wrong_arguments(self, space: SearchSpace, places: int) -> None:
        wrong: Any = "small"
        with pytest.raises(ConfigError, match=f"{space.name}: the skeleton must be a .*Skeleton, got 'small'"):
            costs(space, space.sample(1, seed=0), wrong)
        with pytest.raises(InvalidCodeError, match=space.name):
            costs(space, torch.full((1, space.dim), 99))
        with pytest.raises(InvalidCodeError, match=space.name):
            operation_costs(space, torch.zeros(1, space.dim + 1, dtype=torch.long))


def test_a_space_of_ones_own_costs_what_the_family_costs() -> None:
    class Mine(NASBench201):
        name = "mine"

    codes = Mine().sample(5, seed=0)
    skeleton = NASBench201Skeleton(channels=8)
    assert torch.equal(costs(Mine(), codes, skeleton).macs, costs(NASBench201(), codes, skeleton).macs)


def test_spaces_without_image_network() -> None:
    space = NASBenchGraph()
    for function in (costs, operation_costs):
        with pytest.raises(ConfigError, match=f"{space.name} has no image network.*DARTS, .*NASBench101, "):
            function(space, space.sample(1, seed=0))
    with pytest.raises(ConfigError, match="no image network"):
        published_skeleton(space)
