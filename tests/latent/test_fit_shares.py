"""A step in several parts is the step as a whole: gradient accumulation, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError
from latentnas.latent import FitConfig, LatentSpace
from latentnas.latent._objective import Share, SharedNoise
from latentnas.latent._trainer import Trainer, _rewound
from latentnas.models import ENCODERS, GraphVAE
from latentnas.spaces.graphs import NodeGraphs

from .tiny import fit, same_weights


def largest_difference(a: LatentSpace, b: LatentSpace) -> float:
    ours, theirs = a.model.state_dict(), b.model.state_dict()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


# --- shares -------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 3, 7, 32])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_shares_cut_a_batch_into_nearly_equal_parts(total: int, parts: int) -> None:
    shares = [Share(index, parts, total) for index in range(parts)]
    rows = list(range(total))
    assert [row for share in shares for row in rows[share.of(total)]] == rows
    counts = [share.count for share in shares]
    assert sum(counts) == total
    assert max(counts) - min(counts) <= 1
    assert all(len(rows[share.rows]) == max(1, share.count) for share in shares)


def test_shares_of_noise_are_the_rows_of_the_whole() -> None:
    like = torch.zeros(7, 3)
    torch.manual_seed(4)
    whole = torch.randn_like(like)
    parts = []
    for index in range(3):
        torch.manual_seed(4)
        share = Share(index, 3, 7)
        with SharedNoise(share):
            parts.append(torch.randn_like(like[share.rows]))
    assert torch.equal(torch.cat(parts), whole)


def test_every_round_draws_the_same_numbers_and_the_last_goes_on() -> None:
    torch.manual_seed(0)
    expected, following = torch.rand(4), torch.rand(4)
    torch.manual_seed(0)
    drawn, again = [], []
    for left in _rewound(3, torch.device("cpu")):
        drawn.append(torch.rand(4))
        again.append(left)
    assert all(torch.equal(numbers, expected) for numbers in drawn)
    assert again == [True, True, False]
    assert torch.equal(torch.rand(4), following)


# --- accumulation -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS)
def test_accumulated_fit_equals_that_of_whole_batches(encoder: str) -> None:
    """99 cells in batches of 32, so the last of the four batches has 3: fewer than its parts."""
    whole, parts = fit(encoder=encoder, epochs=2), fit(encoder=encoder, epochs=2, accumulate=5)
    assert largest_difference(whole, parts) < 2e-5
    for ours, theirs in zip(whole.info["history"], parts.info["history"], strict=True):
        for name in ("loss", "reconstruction_nll", "kld", "valid_loss"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4)


@pytest.mark.parametrize("options", [{"prior_weight": 0.0}, {"codes": None}, {"clip": 0.1}, {"batch_size": 98}])
def test_accumulated_fit_equals_that_of_whole_batches_in_every_mode(options: dict[str, Any]) -> None:
    """With batches of 98, the last has a single cell, which has no spread and so no prior term."""
    assert largest_difference(fit(**options), fit(**options, accumulate=3)) < 2e-5


def test_parts_are_as_small_as_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    loss = GraphVAE.loss

    def recorded(self: GraphVAE, graphs: NodeGraphs, *args: Any) -> Any:
        if self.training:
            sizes.append(len(graphs))
        return loss(self, graphs, *args)

    monkeypatch.setattr(GraphVAE, "loss", recorded)
    fit(epochs=1, accumulate=4)
    assert sizes == [8] * 12 + [1] * 3


def test_accumulation_calls_the_optimiser_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Tensor] = []
    run_step = Trainer._step

    def recorded(self: Trainer, batch: Any) -> Tensor:
        before = [parameter.clone() for parameter in self.vae.parameters()]
        sums = run_step(self, batch)
        states = self.optimizer.state_dict()["state"].values()
        assert {int(state["step"]) for state in states} == {len(steps) + 1}
        assert any(not torch.equal(a, b) for a, b in zip(before, self.vae.parameters(), strict=True))
        steps.append(sums)
        return sums

    monkeypatch.setattr(Trainer, "_step", recorded)
    fit(epochs=2, accumulate=3)
    assert len(steps) == 2 * 4


def test_accumulation_may_change_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that ran out of memory goes on in smaller parts."""
    whole = fit(epochs=3)
    run_epoch = Trainer.run_epoch

    def interrupted(self: Trainer) -> dict[str, float]:
        if self.epoch == 2:
            raise KeyboardInterrupt
        return run_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(epochs=3, checkpoint=tmp_path)
    assert largest_difference(whole, fit(epochs=3, accumulate=4, checkpoint=tmp_path)) < 2e-5


def test_accumulated_fit_resumes_to_the_last_bit(tmp_path: Path) -> None:
    whole = fit(epochs=2, accumulate=3, patience=None)
    fit(epochs=2, accumulate=3, patience=None, checkpoint=tmp_path)
    assert same_weights(whole, fit(epochs=2, accumulate=3, patience=None, checkpoint=tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate must be a positive integer, got 0"),
        ({"processes": True}, "processes must be a positive integer, got True"),
        ({"matmul_precision": "low"}, "matmul_precision must be one of highest, high, medium, got 'low'"),
        ({"processes": 2000}, "processes must be at most 1,024, got 2,000"),
        (
            {"accumulate": 9, "processes": 4, "batch_size": 35},
            r"accumulate \(9\) times processes \(4\) must be at most",
        ),
    ],
)
def test_parts_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FitConfig(**options)
