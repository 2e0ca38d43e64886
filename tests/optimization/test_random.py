from __future__ import annotations

import torch

from latentnas.optimization import RandomSearch
from latentnas.spaces import ENASMacro, get_space


def test_uniform_over_cells() -> None:
    space, n = ENASMacro(layers=1), 3000
    drawn = [int(RandomSearch(space, seed=seed).ask(1).codes) for seed in range(n)]
    share = torch.bincount(torch.tensor(drawn), minlength=6) / n
    assert bool(((share - 1 / 6).abs() < 5 * (5 / 36 / n) ** 0.5).all())


def test_every_network_of_nasbench201_once() -> None:
    strategy = RandomSearch("nasbench201", seed=1)
    proposals = strategy.ask(6000)
    assert len(proposals) == 4930
    assert len(set(get_space("nasbench201").keys(proposals.codes))) == 4930


def test_says_where_cells_come_from() -> None:
    proposals = RandomSearch("enas_macro12", seed=0).ask(3)
    assert proposals.sources == ["random"] * 3
    assert proposals.latents is None
    assert proposals.mean is None
