from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from latentnas.errors import ConfigError, InvalidCodeError, WeightsError
from latentnas.latent import FitConfig, LatentSpace, reconstruction_accuracy
from latentnas.latent._cells import Batch
from latentnas.latent._trainer import Trainer
from latentnas.models import VAEConfig
from latentnas.seeding import derive_seed
from latentnas.spaces import ENASMacro, get_space

from .tiny import TINY, fit, same_weights


@pytest.mark.parametrize("space", ["enas_macro6", "nasbench201"])
def test_loss_falls(space: str) -> None:
    latent = fit(space, epochs=8, codes=get_space(space).sample(220, seed=7))
    losses = [record["loss"] for record in latent.info["history"]]
    assert len(losses) == 8
    assert losses[-1] < 0.8 * losses[0]
    assert latent.info["history"][-1]["valid_loss"] < latent.info["history"][0]["valid_loss"]
    assert not latent.model.training


def test_deterministic_by_seed() -> None:
    one = fit()
    torch.rand(3)
    assert same_weights(one, fit())
    assert not same_weights(one, fit(seed=1))


def test_callers_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    fit()
    assert torch.equal(torch.get_rng_state(), before)


def test_after_epoch_sees_the_training_and_changes_nothing() -> None:
    codes = get_space("enas_macro6").sample(5, seed=0)
    seen: dict[int, torch.Tensor] = {}

    def look(epoch: int, latent: LatentSpace) -> None:
        seen[epoch] = latent.encode(codes)

    followed = fit(epochs=3, after_epoch=look)
    assert same_weights(followed, fit(epochs=3))
    assert list(seen) == [1, 2, 3]
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[followed.info["metrics"]["best_epoch"]], followed.encode(codes))


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    run_epoch = Trainer.run_epoch

    def interrupted(self: Trainer) -> dict[str, float]:
        if self.epoch == epochs:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)


def test_resumed_fit_equals_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(epochs=4)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            fit(epochs=4, checkpoint=tmp_path)
    resumed = fit(epochs=4, checkpoint=tmp_path)
    assert same_weights(whole, resumed)
    untimed = [
        [{k: v for k, v in record.items() if k != "seconds"} for record in latent.info["history"]]
        for latent in (whole, resumed)
    ]
    assert untimed[0] == untimed[1]
    assert len(untimed[0]) == 4


def test_resumed_fit_goes_on_from_the_latest_weights_not_from_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worsening(monkeypatch, [5.0, 3.0, 4.0, 2.0])
    whole = fit(epochs=4)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            fit(epochs=4, checkpoint=tmp_path)
    assert same_weights(whole, fit(epochs=4, checkpoint=tmp_path))


def test_finished_fit_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(checkpoint=tmp_path)
    interrupt_after(monkeypatch, 3)
    assert same_weights(first, fit(checkpoint=tmp_path))


def worsening(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Give the epochs these validation losses."""

    def validate(self: Trainer) -> dict[str, float]:
        return {"valid_loss": losses[self.epoch - 1], "reconstruction_accuracy": 0.25 * self.epoch}

    monkeypatch.setattr(Trainer, "_validate", validate)


def test_early_stop_after_patience_epochs_without_a_better_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worsening(monkeypatch, [5.0, 3.0, 4.0, 3.0, 1.0, 0.5])
    latent = fit(epochs=6, patience=2, checkpoint=tmp_path)
    assert latent.info["metrics"]["epochs_done"] == 4
    assert latent.info["metrics"]["best_epoch"] == 2
    again = fit(epochs=6, patience=2, checkpoint=tmp_path)
    assert again.info["metrics"]["epochs_done"] == 4, "a stopped fit stays stopped"
    assert same_weights(latent, again)


def test_best_epochs_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    after: list[dict[str, torch.Tensor]] = []
    run_epoch = Trainer.run_epoch

    def recorded(self: Trainer) -> dict[str, float]:
        record = run_epoch(self)
        after.append({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        return record

    monkeypatch.setattr(Trainer, "run_epoch", recorded)
    worsening(monkeypatch, [5.0, 3.0, 4.0, 6.0])
    latent = fit(epochs=4)
    state = latent.model.state_dict()
    assert all(torch.equal(state[name], after[1][name]) for name in state)
    assert not all(torch.equal(state[name], after[3][name]) for name in state)
    assert latent.info["metrics"] | {"seconds": 0} == {
        "validation": "held out",
        "best_epoch": 2,
        "epochs_done": 4,
        "seconds": 0,
        "valid_loss": 3.0,
        "reconstruction_accuracy": 0.5,
    }


def test_statistics_are_those_of_the_training_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[torch.Tensor] = []
    run_epoch = Trainer.run_epoch

    def recorded(self: Trainer) -> dict[str, float]:
        trained.append(self.cells.described())
        return run_epoch(self)

    monkeypatch.setattr(Trainer, "run_epoch", recorded)
    latent = fit(epochs=1)
    z = latent.encode(trained[0])
    torch.testing.assert_close(latent.center, z.mean(0))
    torch.testing.assert_close(latent.scale, (z - z.mean(0)).square().sum(0).div(len(z) - 1).sqrt())
    assert torch.equal(latent.bounds, torch.stack([z.min(0).values, z.max(0).values]))


# --- checkpoints that do not fit ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lr": 2e-2}, "fit.lr: 0.01 there, 0.02 here"),
        ({"seed": 3}, "seed: 0 there, 3 here"),
        ({"op_embedding": None}, "model.op_embedding: 3 there, None here"),
        ({"space": "enas_macro12"}, "space: 'enas_macro6' there, 'enas_macro12' here"),
        ({"codes": get_space("enas_macro6").sample(110, seed=8)}, "cells"),
    ],
)
def test_checkpoint_of_other_settings_is_refused(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    fit(epochs=1, checkpoint=tmp_path)
    with pytest.raises(WeightsError, match="other settings") as error:
        fit(**{"epochs": 1, "checkpoint": tmp_path, **changed})
    assert named in str(error.value)


@pytest.mark.parametrize(
    "damage", ["truncated", "garbage", "empty", "no metadata", "odd progress", "odd optimizer", "no optimizer"]
)
def test_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    fit(epochs=1, checkpoint=tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        path.write_bytes(b"\xff" * 200)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata())
        if damage == "no metadata":
            metadata = {}
        elif damage == "odd progress":
            metadata["progress"] = '{"epoch": [1]}'
        elif damage == "odd optimizer":
            tensors["optimizer.what"] = torch.zeros(1)
        else:
            del tensors["optimizer.0.exp_avg"]
        save_file(tensors, path, metadata)
    with pytest.raises(WeightsError, match="checkpoint") as error:
        fit(epochs=1, checkpoint=tmp_path)
    assert str(error.value).endswith(f"; delete {path} to start afresh")


def test_a_failed_first_epoch_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=tmp_path / "new" / "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="file is a file, not a folder"):
        fit(checkpoint=tmp_path / "file" / "checkpoint")

    def full(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WeightsError, match=r"cannot write the checkpoint .*no space left"):
        fit(checkpoint=tmp_path)


# --- options ------------------------------------------------------------------------------------


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        fit(nope=1, epochs=0, lr=float("nan"), batch_size=2.5, patience=0, hidden=-3, encoder="what", op_embedding=0)
    for fault in (
        "unknown option 'nope'",
        "epochs",
        "lr",
        "batch_size",
        "patience",
        "hidden",
        "'what'",
        "op_embedding",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *((name, 10_000_000) for name in ("num_cells", "num_validation", "batch_size")),
        *((name, 8192) for name in ("hidden", "latent_dim", "type_hidden", "edge_hidden", "op_embedding")),
    ],
)
def test_sizes_that_no_machine_holds_are_refused(name: str, limit: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at most {limit}|{name} must be at most 10,000,000"):
        fit(**{name: limit + 1})
    config = FitConfig if limit > 8192 else partial(VAEConfig, num_types=3, num_nodes=4)
    assert getattr(config(**{name: limit}), name) == limit


def test_sizes_that_follow_from_the_space_are_no_options() -> None:
    with pytest.raises(ConfigError, match="unknown option 'num_types'"):
        fit(num_types=3)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_cells_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"got {count}"):
        fit(codes=get_space("enas_macro6").sample(count, seed=0))


def test_three_cells_are_enough() -> None:
    latent = fit(codes=get_space("enas_macro6").sample(3, seed=0), epochs=1)
    assert bool(latent.scale.isfinite().all())


def test_wrong_codes_are_refused() -> None:
    with pytest.raises(InvalidCodeError):
        fit(codes=torch.full((5, 21), 9))


@pytest.mark.parametrize("lr", [1e6, 1e30])
def test_divergence_is_one_clear_error(lr: float) -> None:
    with pytest.raises(ConfigError, match="not finite; lower lr") as error:
        fit(lr=lr, epochs=20, clip=1e12, patience=None)
    assert str(lr) in str(error.value)


def test_validation_loss_that_is_not_finite_is_one_clear_error() -> None:
    """One step an epoch: the training loss of epoch 1 is that of the initial weights, so finite."""
    with pytest.raises(ConfigError, match="loss of epoch 1 is not finite"):
        fit(lr=1e30, batch_size=1000, epochs=1, clip=1e12)


def test_learning_rate_rises_for_a_fifth_then_falls_to_nearly_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    set_lr = Trainer._set_lr

    def recorded(self: Trainer, step: int) -> None:
        set_lr(self, step)
        rates.append(self.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(Trainer, "_set_lr", recorded)
    fit(epochs=5)
    assert len(rates) == 5 * math.ceil(99 / 32)
    top = rates.index(max(rates))
    assert top == len(rates) // 5
    assert max(rates) == pytest.approx(1e-2, rel=1e-3)
    assert rates[0] == pytest.approx(0.04 * 1e-2, rel=1e-6)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[-1] < 0.02 * max(rates)


def test_small_space_is_trained_on_all_its_cells() -> None:
    latent = LatentSpace.fit(ENASMacro(layers=2), epochs=1, device="cpu", progress=False, **TINY)
    assert latent.info["fit"]["train_cells"] == 72


def test_a_tiny_space_is_learned() -> None:
    space = ENASMacro(layers=1)
    options = {**TINY, "hidden": 16, "batch_size": 6, "beta": 0.001, "noise": 0.1}
    latent = LatentSpace.fit(space, epochs=300, patience=None, device="cpu", progress=False, **options)
    assert reconstruction_accuracy(latent, space.enumerate()) == 1.0


def test_large_space_is_sampled() -> None:
    latent = LatentSpace.fit("enas_macro12", epochs=1, device="cpu", progress=False, **TINY)
    assert latent.info["fit"]["train_cells"] == TINY["num_cells"]


def test_progress_shows_loss_and_reconstruction(capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space("enas_macro6")
    LatentSpace.fit(space, codes=space.sample(50, seed=0), epochs=2, device="cpu", progress=True, **TINY)
    shown = capsys.readouterr().err
    for word in ("fit enas_macro6", "loss", "valid_loss", "reconstruction"):
        assert word in shown


def test_fit_config_defaults_are_valid() -> None:
    assert FitConfig().epochs >= 1


def test_rounds_start_from_the_embeddings_of_the_round_before(tmp_path: Path) -> None:
    whole = fit(rounds=2, epochs=2)
    first = fit(rounds=1, epochs=2)
    assert not torch.equal(whole.model.embeddings, first.model.embeddings)
    seen: list[tuple[int, torch.Tensor]] = []
    again = fit(
        rounds=2,
        epochs=2,
        checkpoint=tmp_path,
        after_epoch=lambda epoch, latent: seen.append((epoch, latent.model.embeddings.clone())),
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 1, 2]
    assert same_weights(whole, again)
    # an embedding moves little in an epoch, and two random tables are far apart
    end, start, fresh = seen[1][1], seen[2][1], fit(seed=derive_seed(0, "round", 2), epochs=1).model.embeddings
    assert float((end - start).norm()) < 0.5 * float((end - fresh).norm())
    assert same_weights(whole, fit(rounds=2, epochs=2, checkpoint=tmp_path)), "finished rounds are not trained again"


def test_rounds_need_embeddings() -> None:
    with pytest.raises(
        ConfigError, match="rounds carry operation embeddings over, and op_embedding is None; got rounds=3"
    ):
        fit(rounds=3, op_embedding=None)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_the_matmul_precision_is_that_of_training_steps_alone(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, others, before = set(), set(), torch.get_float32_matmul_precision()
    step, validate = Trainer._step, Trainer._validate

    def spied_step(self: Trainer, batch: Batch) -> torch.Tensor:
        steps.add(torch.get_float32_matmul_precision())
        return step(self, batch)

    def spied_validate(self: Trainer) -> dict[str, float]:
        others.add(torch.get_float32_matmul_precision())
        return validate(self)

    monkeypatch.setattr(Trainer, "_step", spied_step)
    monkeypatch.setattr(Trainer, "_validate", spied_validate)
    latent = fit(matmul_precision=precision, epochs=1)
    assert (steps, others) == ({precision}, {before})
    assert latent.info["fit"]["matmul_precision"] == precision

    monkeypatch.setattr(Trainer, "_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(matmul_precision=precision, epochs=1)
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode: Any) -> None:
    codes = get_space("enas_macro6").sample(40, seed=0)
    expected = fit(codes=codes)
    with mode():
        assert same_weights(fit(codes=codes.clone()), expected)


def test_coordinates_that_never_vary_have_a_scale() -> None:
    """A one-hot vertex type has a bit that no cell sets; densities and directions need its scale."""
    latent = fit(encoder="adjacency", op_embedding=None, hidden=8, epochs=1)
    z = latent.encode(latent.space.sample(3, seed=0))
    assert bool((latent.scale > 0).all()) and bool(latent.log_density(z).isfinite().all())


def test_one_cell_and_wrong_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_cells must be at least 2"):
        fit(num_cells=1)
    for seed in (-1, "a", None, 2**64):
        with pytest.raises(ConfigError, match=r"LatentSpace.fit: a seed must be an integer"):
            fit(seed=seed)
