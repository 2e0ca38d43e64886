from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.models.predictors.tiers import Histogram
from latentnas.optimization import NARSearch
from latentnas.optimization.nar_search import draw_constraint, operation_weights

SPACE = get_space("nasbench201")
SMALL = {"layers": 1, "dim": 16, "heads": 2, "feed_forward": 16}


def worth(codes: torch.Tensor) -> torch.Tensor:
    return SPACE.costs(SPACE.canonical(codes)).macs.double().log()


def test_finds_better_cells_than_its_first_ones() -> None:
    search = NARSearch(SPACE, initial=40, sample_size=100, epochs=200, options=SMALL, seed=0)
    first = search.ask(40)
    assert set(first.sources) == {"initial"}
    search.tell(first.codes, worth(first.codes))
    found = search.ask(10)
    assert {"tier 1"} == set(found.sources)
    assert found.acquisition is not None
    assert bool((found.acquisition.diff() <= 0).all())
    threshold = worth(first.codes).sort().values[-8]
    assert float(worth(found.codes).mean()) > float(threshold), "on the whole they belong to the best fifth"
    ranker = search._ranker
    search.tell(found.codes, worth(found.codes))
    search.ask(5)
    assert search._ranker is ranker, "trained once"


def test_operations_follow_the_best_tier() -> None:
    """Weights are products of ratios: 3x3 against others, twice as frequent among the best."""
    best = torch.full((10, 6), 3)
    every = torch.cat([best, torch.zeros(10, 6, dtype=torch.long)])
    weights = operation_weights(SPACE, torch.tensor([[3] * 6, [3] * 5 + [0], [0] * 6]), best, every)
    # counts with one added: best 61 of 3x3 and 1 of none of 87; all 61 and 61 of 167
    step = (1 / 87 / (61 / 167)) / (61 / 87 / (61 / 167))
    assert weights.tolist() == pytest.approx([1, step, step**6])


def test_constraints_come_from_the_best_tier() -> None:
    counts = torch.tensor([[0, 3, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [9, 0, 0, 1], [9, 0, 0, 1]])
    found = Histogram(100, 10, counts)
    generator = torch.Generator().manual_seed(0)
    drawn = {draw_constraint(found, 20, generator) for _ in range(50)}
    assert drawn == {120, 130}, "ends of the second and the third bin"


def test_wrong_options() -> None:
    with pytest.raises(ConfigError, match=r"initial must be .* at least 5, got 4; .*random_share must be .* got 2"):
        NARSearch(SPACE, initial=4, random_share=2)
    with pytest.raises(ConfigError, match="no image network"):
        NARSearch("nas_bench_graph")
