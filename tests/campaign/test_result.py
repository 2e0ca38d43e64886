from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentnas import get_space
from latentnas.campaign import CampaignConfig, SearchResult, Store, Trial
from latentnas.errors import ObservationError

CODES = ((0, 0, 0, 1, 0, 0), (1, 2, 3, 4, 0, 1), (2,) * 6, (3,) * 6)


def trial(number: int, value: float | None, state: str = "complete") -> Trial:
    return Trial(
        number, state, CODES[number], str(number), "", value, {}, "s", 0, 0, None, None, None, None, "w", 1, 1.0, 2.0,
        1.0, None,
    )  # fmt: skip


def result(*trials: Trial) -> SearchResult:
    config = CampaignConfig.of({"space": "nasbench201", "strategy": "random", "budget": 4})
    return SearchResult(get_space("nasbench201"), list(trials), config, 9.0, None, "c")


def test_views_of_completed_trials() -> None:
    found = result(trial(0, 2.0), trial(1, None, "failed"), trial(2, 5.0), trial(3, 5.0))
    assert found.codes.tolist() == [list(CODES[0]), list(CODES[2]), list(CODES[3])]
    assert found.codes.dtype == torch.long and found.values.dtype == torch.double
    assert found.values.tolist() == [2.0, 5.0, 5.0]
    assert found.incumbents().tolist() == [2.0, 5.0, 5.0]
    assert found.best is found.trials[2], "the earliest of equals"
    assert found.best_value == 5.0
    assert found.best_code.tolist() == list(CODES[2])
    assert found.best_codes(2).tolist() == [list(CODES[2]), list(CODES[3])]


def test_negative_values() -> None:
    found = result(trial(0, -2.0), trial(2, -1.0), trial(3, -3.0))
    assert found.best_codes(3).tolist() == [list(CODES[2]), list(CODES[0]), list(CODES[3])]
    assert found.incumbents().tolist() == [-2.0, -1.0, -1.0]


def test_nothing_completed() -> None:
    found = result(trial(0, None, "failed"))
    assert found.best is None
    assert found.codes.shape == (0, 6) and found.values.shape == (0,) and found.incumbents().shape == (0,)
    assert found.best_codes(3).shape == (0, 6)
    with pytest.raises(ObservationError, match="no completed evaluation"):
        _ = found.best_value
    with pytest.raises(ObservationError, match="no completed evaluation"):
        _ = found.best_code


def test_a_store_without_settings(tmp_path: Path) -> None:
    with pytest.raises(ObservationError, match="never started"):
        SearchResult.from_store(Store(tmp_path / "store.db", "c", create=True))
