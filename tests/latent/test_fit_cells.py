"""What a fit trains on: listed or streamed cells, and networks held out exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError, SpaceTooLargeError, WeightsError
from latentnas.latent import FitConfig, LatentSpace, _cells
from latentnas.latent._cells import ListedCells, Networks, StreamedCells, TrainingCells, choose_cells
from latentnas.latent._trainer import Trainer
from latentnas.spaces import ENASMacro, SearchSpace, get_space

from .tiny import TINY, fit, same_weights

CPU = torch.device("cpu")


def choose(space: str | SearchSpace, codes: Tensor | None = None, seed: int = 0, **options: Any) -> TrainingCells:
    config = FitConfig(**{"num_cells": 500, "num_validation": 60, **options})
    return choose_cells(get_space(space), codes, config, seed, CPU)


def epoch_codes(space: SearchSpace, cells: TrainingCells, epoch: int, batch_size: int = 64) -> Tensor:
    """The codes of an epoch, read back from the graphs that the model gets."""
    with torch.random.fork_rng():
        torch.manual_seed(epoch)
        parts = [space.from_node_graphs(batch.graphs(slice(None))) for batch in cells.batches(epoch, batch_size)]
    assert all(bool(valid.all()) for _, valid in parts)
    return torch.cat([codes for codes, _ in parts])


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "nas_bench_graph", "enas_macro6"])
def test_networks_are_found_by_their_keys(name: str) -> None:
    space = get_space(name)
    members, others = space.sample(300, seed=0), torch.cat([space.sample(3000, seed=1), space.sample(300, seed=0)[::7]])
    keys = set(space.keys(members))
    expected = [key in keys for key in space.keys(others)]
    assert 0 < sum(expected) < len(others)
    assert Networks(space, members).contain(others).tolist() == expected
    assert Networks(space, members).contain(others[:0]).shape == (0,)


# --- streams ------------------------------------------------------------------------------------


def test_large_spaces_are_streamed_small_ones_and_given_codes_listed() -> None:
    assert isinstance(choose("darts"), StreamedCells)
    assert isinstance(choose("nasbench101"), StreamedCells)
    assert isinstance(choose("darts", stream=False), ListedCells)
    assert isinstance(choose("nasbench201"), ListedCells)
    assert isinstance(choose("darts", codes=get_space("darts").sample(20, seed=0)), ListedCells)


@pytest.mark.parametrize("name", ["darts", "random_wired32", "nasbench101", "enas_macro12"])
def test_a_stream_is_fresh_every_epoch_and_a_function_of_the_seed(name: str) -> None:
    space = get_space(name)
    cells = choose(name, num_cells=150)
    first, second = epoch_codes(space, cells, 0), epoch_codes(space, cells, 1)
    assert len(first) == len(second) == 150
    assert len(torch.cat([first, second]).unique(dim=0)) >= 299
    again = choose(name, num_cells=150)
    assert torch.equal(epoch_codes(space, again, 1), second), "an epoch does not depend on those before it"
    assert torch.equal(again.validation, cells.validation)
    assert again.fingerprint() == cells.fingerprint()
    other = choose(name, num_cells=150, seed=1)
    assert other.fingerprint() != cells.fingerprint()
    assert not torch.equal(epoch_codes(space, other, 0), first)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("over", ["codes", "networks"])
def test_no_network_of_the_validation_is_trained_on(stream: bool, over: str) -> None:
    """In this space many of 5,000 random codes are held-out networks, as the set ``free`` shows."""
    space = get_space("nasbench1shot1-3")
    options = {"num_cells": 5000, "num_validation": 3000, "stream": stream, "over": over}
    cells = choose(space, **options)
    held_out = set(space.keys(cells.validation))
    free = set(space.keys(space.sample(5000, seed=9, over="codes" if over == "codes" else "networks")))
    assert held_out & free
    for epoch in range(2):
        trained = epoch_codes(space, cells, epoch)
        assert len(trained) == 5000
        assert not held_out & set(space.keys(trained))
    assert not held_out & set(space.keys(cells.described()))
    assert cells.held_out


def test_over_networks_canonical_codes_are_trained_on() -> None:
    """Drawn over networks, a cell comes as its canonical code; 4,930 networks are what the keys of the space count."""
    space = get_space("nasbench101")
    drawn = {over: epoch_codes(space, choose(space, num_cells=4000, over=over), 0) for over in ("codes", "networks")}
    assert torch.equal(space.canonical(drawn["networks"]), drawn["networks"])
    assert not torch.equal(space.canonical(drawn["codes"]), drawn["codes"])
    small = get_space("nasbench201")
    listed = choose(small, over="networks")
    assert isinstance(listed, ListedCells)
    assert torch.equal(listed.codes, small.networks())
    assert listed.per_epoch == 4930


def test_networks_that_cannot_be_listed_are_not_drawn_from() -> None:
    with pytest.raises(SpaceTooLargeError):
        choose("darts", over="networks")


def test_a_validation_that_takes_nearly_all_networks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cells, "ENUMERATED", 100)
    space = get_space("nasbench201")
    monkeypatch.setattr(space, "canonical", torch.zeros_like)
    with pytest.raises(ConfigError, match=r"held out of nasbench201 leave too few to train on; lower num_validation"):
        choose(space).described()


def test_memory_does_not_grow_with_the_number_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten million cells, 8,192 at a time are drawn; between the draws, only the validation is kept."""
    cells = choose("random_wired32", num_cells=10_000_000)
    assert cells.per_epoch == 10_000_000
    drawn: list[int] = []
    draw = _cells._draw

    def counted(space: SearchSpace, n: int, *rest: Any) -> Tensor:
        drawn.append(n)
        return draw(space, n, *rest)

    monkeypatch.setattr(_cells, "_draw", counted)
    for number, batch in enumerate(cells.batches(0, 256)):
        assert batch.graphs(slice(0, 3)).adj.shape == (3, 34, 34)
        if number == 40:  # beyond the cells that are drawn at once
            break
    assert drawn == [8192, 8192]
    held = [value for value in vars(cells).values() if isinstance(value, Tensor)]
    assert sum(tensor.numel() for tensor in held) == 60 * 496


def test_batches_are_full_but_the_last_however_much_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    space = get_space("enas_macro12")
    cells = choose(space, num_cells=333)
    sizes = [batch.size for batch in cells.batches(0, 100)]
    assert sizes == [100, 100, 100, 33]
    monkeypatch.setattr(_cells, "DRAWN", 64)
    assert [batch.size for batch in cells.batches(0, 100)] == sizes


# --- listed cells -------------------------------------------------------------------------------


def test_every_listed_cell_comes_once_an_epoch() -> None:
    space = get_space("enas_macro6")
    cells = choose(space, stream=False)
    assert isinstance(cells, ListedCells)
    first, second = epoch_codes(space, cells, 0), epoch_codes(space, cells, 1)
    assert not torch.equal(first, second)
    assert torch.equal(first.unique(dim=0), cells.codes.unique(dim=0))
    assert torch.equal(second.unique(dim=0), cells.codes.unique(dim=0))


def test_graphs_built_batch_by_batch_are_those_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fit()
    monkeypatch.setattr(_cells, "RESIDENT", 10)
    assert same_weights(kept, fit())


def test_every_code_of_a_held_out_network_is_set_apart() -> None:
    space = get_space("nasbench201")
    codes = space.enumerate()
    chosen = codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))[:6000]]
    cells = choose(space, codes=chosen)
    assert isinstance(cells, ListedCells)
    assert not set(space.keys(cells.codes)) & set(space.keys(cells.validation))
    assert len(cells.codes) + len(cells.validation) == 6000
    assert len(cells.validation) > 60, "60 random cells have twins among 6,000"


def test_cells_of_one_network_cannot_be_split() -> None:
    space = get_space("nasbench201")
    keys = space.keys(space.enumerate())
    largest = max(set(keys), key=keys.count)
    twins = space.enumerate()[[key == largest for key in keys]]
    assert len(twins) > 3
    with pytest.raises(ConfigError, match=r"too few networks: .* 0 remain to train on"):
        choose(space, codes=twins)


# --- fits ---------------------------------------------------------------------------------------


def test_streamed_fit_is_deterministic_and_learns() -> None:
    options = {"codes": None, "num_cells": 300, "epochs": 8, "num_validation": 100}
    one = fit(**options)
    assert same_weights(one, fit(**options))
    losses = [record["loss"] for record in one.info["history"]]
    assert losses[-1] < 0.8 * losses[0]
    assert one.info["fit"]["stream"] is True
    assert one.info["metrics"]["validation"] == "held out"
    assert not same_weights(one, fit(**options, stream=False))


def test_statistics_of_a_streamed_fit_are_those_of_fresh_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cells, "DESCRIBED", 200)
    latent = fit(codes=None, num_cells=400, epochs=1)
    z = latent.encode(choose("enas_macro6", num_cells=400, num_validation=50).described())
    assert len(z) == 200
    torch.testing.assert_close(latent.center, z.mean(0))
    assert torch.equal(latent.bounds, torch.stack([z.min(0).values, z.max(0).values]))


@pytest.mark.parametrize("space", ["darts", "nasbench101"])
def test_resumed_stream_equals_an_uninterrupted_one(
    space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**TINY, "num_cells": 70, "num_validation": 20, "epochs": 3, "device": "cpu", "progress": False}
    whole = LatentSpace.fit(space, **options)
    run_epoch = Trainer.run_epoch

    def interrupted(self: Trainer) -> dict[str, float]:
        if self.epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            LatentSpace.fit(space, checkpoint=tmp_path, **options)
    assert same_weights(whole, LatentSpace.fit(space, checkpoint=tmp_path, **options))


@pytest.mark.parametrize(
    ("changed", "named"), [({"stream": False}, "fit.stream"), ({"num_cells": 90}, "fit.num_cells")]
)
def test_checkpoint_of_another_stream_is_refused(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    fit(codes=None, epochs=1, checkpoint=tmp_path)
    with pytest.raises(WeightsError, match=named):
        fit(**{"codes": None, "epochs": 1, "checkpoint": tmp_path, **changed})


def test_wrong_settings_of_cells_are_named() -> None:
    with pytest.raises(ConfigError, match=r"stream must be true or false, got 'yes'; over must be one of codes, netw"):
        FitConfig(stream="yes", over="cells")  # type: ignore[arg-type]


def test_networks_that_are_a_large_part_of_the_codes_are_trained_on() -> None:
    """A fifth of NB1Shot1-3's codes are few networks: held out whole, nothing like them would be trained on."""
    space = get_space("nasbench1shot1-3")
    cells = StreamedCells(
        space, over="codes", per_epoch=2_000, num_validation=1_000, seed=0, device=torch.device("cpu")
    )
    keys = space.keys(space.sample(2_000, seed=5))
    common = {key for key in set(keys) if keys.count(key) > 40}
    assert common
    held_out = space.keys(cells.validation)
    assert not common & set(held_out)
    assert 500 < len(held_out) < 1_000
    assert max(held_out.count(key) for key in set(held_out)) <= 10
    trained = set(space.keys(cells.described()))
    assert common <= trained
    assert not trained & set(held_out)


def test_a_space_of_few_networks_is_still_validated() -> None:
    cells = StreamedCells(
        ENASMacro(layers=1), over="codes", per_epoch=20, num_validation=3, seed=0, device=torch.device("cpu")
    )
    assert 1 <= len(cells.validation) <= 3
