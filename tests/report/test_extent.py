"""How much of its space a table holds."""

from __future__ import annotations

import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.report.extent import is_countable, size_text, table_extent
from latentnas.spaces import get_space

NB201 = get_space("nasbench201")


def table(codes: torch.Tensor, space: str = "nasbench201", by_network: bool = False) -> TabularBenchmark:
    return TabularBenchmark("t", space, codes, {"m": torch.arange(len(codes)).float()}, default="m", incomplete=None,
                            by_network=by_network)  # fmt: skip


def test_a_whole_table() -> None:
    every = table(NB201.enumerate())
    extent = table_extent(every, "m")
    assert (extent.whole, extent.share) == (True, "15,625 codes")
    assert extent.draws is not None
    assert torch.equal(extent.draws.values, every.values("m"))
    assert len(set(extent.draws.groups)) == 4930
    assert table_extent(every, "m") is extent


def test_a_row_for_every_network_is_the_whole_space_too() -> None:
    networks = table(NB201.networks(), by_network=True)
    extent = table_extent(networks, "m")
    assert (extent.whole, extent.share) == (True, "4,930 networks")
    assert extent.draws is not None
    assert torch.equal(extent.draws.values, networks.query(NB201.enumerate(), "m"))
    assert len(extent.draws.groups) == 15_625 and len(set(extent.draws.groups)) == 4930


def test_a_part_of_a_space_gives_draws_without_a_value() -> None:
    codes = NB201.enumerate()[100:400]
    extent = table_extent(table(codes), "m")
    assert (extent.whole, extent.share) == (False, "300 of 15,625 codes")
    assert extent.draws is not None
    assert torch.equal(extent.draws.values.isfinite().nonzero()[:, 0], torch.arange(100, 400))
    assert len(set(extent.draws.groups)) == 4930
    assert table_extent(table(NB201.networks()[:7], by_network=True), "m").share == "7 of 4,930 networks"


def test_a_value_that_was_not_measured_is_lacking() -> None:
    codes = NB201.enumerate()
    values = torch.ones(len(codes))
    values[5] = torch.nan
    lacking = TabularBenchmark("t", NB201, codes, {"m": values}, default="m", incomplete=None)
    extent = table_extent(lacking, "m")
    assert (extent.whole, extent.share) == (False, "15,624 of 15,625 codes")


def test_large_spaces_are_not_gone_through() -> None:
    space = get_space("enas_macro6")
    extent = table_extent(table(space.sample(9, seed=0), "enas_macro6"), "m")
    assert (extent.whole, extent.share, extent.draws) == (False, "9 of 1,528,823,808 codes", None)
    assert not is_countable(get_space("nasbench1shot1-3")), "a product of 1.3 million codes takes seconds"
    assert is_countable(get_space("nasbench101"))
    assert size_text(NB201) == "15,625 codes, 4,930 networks"
    assert size_text(space) == "1,528,823,808 codes"
