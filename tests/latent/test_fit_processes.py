"""Several processes train the model that one trains; a failing one, and Ctrl-C, end them all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import latentnas
from latentnas.errors import ConfigError, ObservationError, UnknownNameError, WorkerError
from latentnas.latent import LatentSpace, _distributed
from latentnas.latent._distributed import Group, is_first_process, run_processes
from latentnas.latent._trainer import Trainer
from latentnas.latent.fit import FitConfig, FitJob, train
from latentnas.models import VAEConfig
from latentnas.spaces import SearchSpace, get_space

from .test_fit_shares import largest_difference
from .tiny import fit, same_weights


def job(space: SearchSpace | None = None, **options: Any) -> FitJob:
    space = space or get_space("enas_macro6")
    model = VAEConfig(num_types=len(space.node_types), num_nodes=space.max_nodes, hidden=8, latent_dim=4)
    settings = {"num_cells": 64, "num_validation": 20, "batch_size": 32, "epochs": 2, "processes": 2, **options}
    return FitJob(space, None, model, FitConfig(**settings), 0, False, None)


# --- what a process runs ------------------------------------------------------------------------


def fail_in_second(job: Any, device: torch.device, group: Group) -> LatentSpace:
    """Process 0 waits for the other, which fails: its own error is a consequence."""
    if group.rank == 1:
        raise ObservationError("the second process found a fault")
    return train(job, device, group)


def crash_in_second(job: Any, device: torch.device, group: Group) -> LatentSpace:
    if group.rank == 1:
        raise ZeroDivisionError("an accident")
    return train(job, device, group)


def die_in_second(job: Any, device: torch.device, group: Group) -> LatentSpace:
    if group.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(job, device, group)


def stop_after_an_epoch(job: Any, device: torch.device, group: Group) -> LatentSpace:
    run_epoch = Trainer.run_epoch

    def interrupted(self: Trainer) -> dict[str, float]:
        if self.epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(self)

    Trainer.run_epoch = interrupted  # type: ignore[method-assign]
    return train(job, device, group)


# --- the same result ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"processes": 2},
        {"processes": 2, "accumulate": 3, "encoder": "graphrnn"},  # the last batch has 3 cells for 6 parts
        {"processes": 3, "codes": None, "prior_weight": 0.0, "op_embedding": None},
    ],
)
def test_processes_train_what_one_trains(options: dict[str, Any]) -> None:
    alone = fit(**{**options, "processes": 1, "accumulate": 1})
    together = fit(**options)
    assert largest_difference(alone, together) < 2e-5
    torch.testing.assert_close(alone.center, together.center, atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(alone.info["history"], together.info["history"], strict=True):
        for name in ("loss", "reconstruction_nll", "kld", "valid_loss"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4)
    assert together.info["fit"]["processes"] == options["processes"]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_processes_resume_to_the_last_bit(tmp_path: Path) -> None:
    whole = fit(epochs=2, processes=2)
    stopped = replace(job(), checkpoint=tmp_path)
    stopped = replace(stopped, codes=get_space("enas_macro6").sample(110, seed=7), model=whole.model.config)
    stopped = replace(stopped, fit=replace(stopped.fit, lr=1e-2, prior_weight=0.5, num_cells=100, num_validation=50))
    with pytest.raises(WorkerError, match="interrupted"):
        run_processes(stop_after_an_epoch, stopped, 2, "cpu")
    assert (tmp_path / "checkpoint.safetensors").exists()
    resumed = fit(epochs=2, processes=2, checkpoint=tmp_path)
    assert same_weights(whole, resumed)
    assert len(resumed.info["history"]) == 2


SCRIPT = """
import multiprocessing, os, sys, torch
import latentnas as ln
from latentnas.latent.fit import is_first_process

def main():
    space = ln.get_space("enas_macro6")
    latent = ln.LatentSpace.fit(
        space, codes=space.sample(110, seed=7), epochs=int(sys.argv[2]), seed=0, hidden=8, latent_dim=4, type_hidden=8,
        edge_hidden=8, batch_size=32, num_cells=100, num_validation=50, lr=1e-2, device="cpu", processes=2,
        patience=None, checkpoint=sys.argv[1] + "/checkpoint",
    )
    if is_first_process(2):
        latent.save(sys.argv[1])
"""


def script(folder: Path, ending: str) -> Path:
    path = folder / "script.py"
    path.write_text(SCRIPT + ending)
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(latentnas.__file__).parent.parent), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path: Path) -> None:
    path = script(tmp_path, "main()\n")  # needs no guard: nobody imports it
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(path)]
    done = subprocess.run([*command, str(tmp_path), "3"], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert largest_difference(fit(), LatentSpace.load(tmp_path, device="cpu")) < 2e-5
    assert done.stderr.count("fit enas_macro6: epoch 3/3") == 1, "process 0 alone shows progress"


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (fail_in_second, ObservationError, "^the second process found a fault$"),
        (crash_in_second, WorkerError, "process 1 of 2 failed: ZeroDivisionError: an accident"),
        (die_in_second, WorkerError, r"process 1 of 2 was killed by signal 9 \(out of memory\?\)$"),
    ],
)
def test_one_failing_process_ends_the_fit_with_its_error(function: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run_processes(function, job(), 2, "cpu")
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    ending = """
if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped", len(multiprocessing.active_children()), flush=True)
"""
    path = script(tmp_path, ending)
    running = subprocess.Popen(
        [sys.executable, str(path), str(tmp_path), "100000"], env=environment(), stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    checkpoint = tmp_path / "checkpoint" / "checkpoint.safetensors"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert checkpoint.exists()
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=30)
    assert output == "stopped 0\n"


@pytest.mark.slow
def test_a_script_that_other_processes_cannot_import_is_told_why(tmp_path: Path) -> None:
    path = script(tmp_path, "main()\n")
    done = subprocess.run(
        [sys.executable, str(path), str(tmp_path), "1"], env=environment(), capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "calls fit below `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]


class Endless:
    """Stands for a queue of failures."""

    def __init__(self, *failures: tuple[int, str | None, str, str]) -> None:
        self.failures = list(failures)

    def empty(self) -> bool:
        return not self.failures

    def get(self) -> tuple[int, str | None, str, str]:
        return self.failures.pop(0)


class Ended:
    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode


def test_the_first_failure_is_the_cause() -> None:
    two = [Ended(1), Ended(-signal.SIGTERM)]
    first, second = (1, "UnknownNameError", "unknown space 'x'.", ""), (0, None, "RuntimeError: closed", "trace")
    cause = _distributed._cause(Endless(first, second), two, "")
    assert isinstance(cause, UnknownNameError)
    assert str(cause) == "unknown space 'x'."
    cause = _distributed._cause(Endless(second, first), two, "")
    assert str(cause) == "LatentSpace.fit: process 0 of 2 failed: RuntimeError: closed"
    assert cause.__notes__ == ["trace"]
    cause = _distributed._cause(Endless(first), [Ended(1), Ended(-11)], "")
    assert str(cause) == "LatentSpace.fit: process 1 of 2 was killed by signal 11"


def test_processes_that_see_different_checkpoints_do_not_train(tmp_path: Path) -> None:
    class Second(Group):
        rank = 1

        def from_first(self, compute: Any) -> dict[str, float]:
            return {"epoch": 5}

    with pytest.raises(
        WorkerError, match=r"process 1 found a checkpoint of epoch 0 in .*, process 0 one of epoch 5; all"
    ):
        train(replace(job(), checkpoint=tmp_path), torch.device("cpu"), Second())


# --- settings -----------------------------------------------------------------------------------


def test_torchrun_must_have_started_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ConfigError, match="processes is 2, but torchrun started 3; make the two numbers equal"):
        fit(processes=2)
    assert not is_first_process(3)
    assert is_first_process(1), "a fit of one process is its own, whoever started it"
    monkeypatch.setenv("RANK", "0")
    assert is_first_process(3)
    monkeypatch.delenv("RANK")
    assert is_first_process(3)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:1", r"'cpu', or one GPU each with device 'cuda'; got 'cuda:1'"),
        ("mps", r"'cpu', or one GPU each with device 'cuda'; got 'mps'"),
        ("cuda", r"3 processes need as many GPUs, this machine has 2; use fewer, or device='cpu'"),
    ],
)
def test_devices_that_processes_cannot_share_are_refused(
    device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_distributed, "resolve_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=message):
        run_processes(train, job(), 3, device)


def test_every_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(_distributed, "resolve_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    assert [_distributed._place("cuda", rank, 2) for rank in range(2)] == [
        torch.device("cuda:0"),
        torch.device("cuda:1"),
    ]
    assert used == [0, 1]
    assert _distributed._place("cpu", 5, 6) == torch.device("cpu")
    assert _distributed._backend(torch.device("cuda:1")) == "nccl"
    assert _distributed._backend(torch.device("cpu")) == "gloo"


def test_a_space_that_cannot_be_sent_is_named() -> None:
    space = get_space("enas_macro6")
    local = type("Local", (type(space),), {})(layers=6)
    with pytest.raises(ConfigError, match="cannot be sent to other processes"):
        run_processes(train, job(local), 2, "cpu")
