"""Several processes that train one model: who they are, how they start and end, what they exchange."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from .. import errors
from ..device import resolve_device
from ..errors import ConfigError, LatentNASError, WorkerError

if TYPE_CHECKING:
    from .space import LatentSpace

GRACE = 5.0
"""Seconds that a process has to end after it was asked to."""

ENDED_BY_US = -signal.SIGTERM


class Group:
    """The processes of a fit, seen from one of them. This class is a process that works alone.

    Attributes:
        rank: the number of this process; 0 shows progress and writes checkpoints.
        size: the number of processes.
    """

    rank = 0
    size = 1

    def wrap(self, objective: nn.Module) -> nn.Module:
        """A module that computes ``objective`` and adds up its gradients over the processes."""
        return objective

    @contextmanager
    def unsynchronised(self, wrapped: nn.Module) -> Iterator[None]:
        """Inside the block, gradients stay with their process: they are added up later."""
        yield

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of every process' ``tensor``."""
        return tensor

    def spread(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation per column over all processes' rows: [b, d] -> two [d]."""
        return rows.mean(0), rows.std(0)

    def from_first(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What ``compute`` gives in process 0, in every process."""
        return compute()


class ProcessGroup(Group):
    """Processes that are joined by ``torch.distributed``, with DistributedDataParallel."""

    def __init__(self) -> None:
        from torch import distributed

        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def wrap(self, objective: nn.Module) -> nn.Module:
        """DistributedDataParallel averages gradients; the objective is scaled so that they add up."""
        return nn.parallel.DistributedDataParallel(_Part(objective, self.size))

    @contextmanager
    def unsynchronised(self, wrapped: nn.Module) -> Iterator[None]:
        """See :class:`Group`."""
        assert isinstance(wrapped, nn.parallel.DistributedDataParallel)
        with wrapped.no_sync():
            yield

    def sum(self, tensor: Tensor) -> Tensor:
        """See :class:`Group`."""
        from torch import distributed

        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    def spread(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """From sums in double precision, as the processes' numbers of rows differ; at least two rows in all."""
        exact = rows.double()
        count = exact.new_full((1, rows.shape[1]), len(rows))
        n, total, squares = self.sum(torch.cat([count, exact.sum(0)[None], exact.square().sum(0)[None]]))
        mean = total / n
        variance = ((squares - n * mean.square()) / (n - 1)).clamp_min(0)
        return mean.to(rows.dtype), variance.sqrt().to(rows.dtype)

    def from_first(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """See :class:`Group`."""
        from torch import distributed

        box: list[Any] = [compute() if self.rank == 0 else None]
        distributed.broadcast_object_list(box)
        return dict(box[0])


class _Part(nn.Module):
    """An objective in whose gradient every parameter takes part, so that no process waits for one in vain."""

    def __init__(self, objective: nn.Module, size: int) -> None:
        super().__init__()
        self.objective, self.size = objective, size

    def forward(self, *args: Any) -> tuple[Tensor, Tensor]:
        value, record = self.objective(*args)
        nothing = torch.stack([0 * parameter.sum() for parameter in self.parameters()]).sum()
        return self.size * value + nothing, record


# --- joining processes that somebody else started -----------------------------------------------


def under_torchrun() -> bool:
    """Whether ``torchrun`` (or a launcher that sets the same variables) started this process."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def is_first_process(processes: int) -> bool:
    """Whether this process is the one that saves the results of a fit with so many processes."""
    return processes == 1 or not under_torchrun() or os.environ["RANK"] == "0"


@contextmanager
def joined(processes: int, device: torch.device | str | None) -> Iterator[tuple[Group, torch.device]]:
    """Join the processes that torchrun started: this process' group and device.

    Raises:
        ConfigError: torchrun started another number of processes, or the device does not serve.
    """
    from torch import distributed

    world = os.environ["WORLD_SIZE"]
    if world != str(processes):
        raise ConfigError(
            f"LatentSpace.fit: processes is {processes}, but torchrun started {world}; make the two numbers equal"
        )
    local = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
    place = _place(device, local, int(os.environ.get("LOCAL_WORLD_SIZE", processes)))
    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group(_backend(place))
    try:
        yield ProcessGroup(), place
    finally:
        if ours:
            distributed.destroy_process_group()


def _backend(device: torch.device) -> str:
    return "nccl" if device.type == "cuda" else "gloo"


def _shared_device(device: torch.device | str | None, count: int) -> torch.device:
    """The kind of device that ``count`` processes of this machine use: the CPU, or GPUs, one each."""
    place = resolve_device(device)
    if place.type == "cpu":
        return place
    if place.type != "cuda" or place.index is not None:
        raise ConfigError(
            f"LatentSpace.fit: several processes use 'cpu', or one GPU each with device 'cuda'; got {str(place)!r}"
        )
    if count > torch.cuda.device_count():
        raise ConfigError(
            f"LatentSpace.fit: {count} processes need as many GPUs, this machine has {torch.cuda.device_count()}; "
            f"use fewer, or device='cpu'"
        )
    return place


def _place(device: torch.device | str | None, local: int, count: int) -> torch.device:
    """The device of process ``local`` of ``count`` on this machine."""
    kind = _shared_device(device, count)
    if kind.type == "cpu":
        return kind
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


# --- starting them ourselves --------------------------------------------------------------------

Train: TypeAlias = Callable[[Any, torch.device, Group], "LatentSpace"]
"""A function of a module, so that other processes can import it: job, device and group to the latent space."""


def run_processes(
    train: Train,
    job: Any,
    processes: int,
    device: torch.device | str | None,
) -> LatentSpace:
    """Let new processes of this machine train together, and return what process 0 made.

    However it ends, no process is left behind: when one fails, or at Ctrl-C, the others are ended.

    Args:
        train: runs in every process.
        job: anything that can be pickled, with an attribute ``space``.
        processes: how many, at least 2.
        device: "cpu", "cuda" for a GPU each, or None for GPUs where there are any.

    Raises:
        LatentNASError: what the first process that failed raised.
        WorkerError: a process died, or failed otherwise.
        ConfigError: the job cannot be sent to other processes.
    """
    from torch import multiprocessing

    from .storage import load_latent_space

    kind = _shared_device(device, processes)
    with tempfile.TemporaryDirectory(prefix="latentnas-") as folder:
        failures = multiprocessing.get_context("spawn").SimpleQueue()
        threads = max(1, torch.get_num_threads() // processes)
        args = (processes, train, job, str(kind), threads, folder, failures)
        try:
            context = multiprocessing.start_processes(_work, args, processes, join=False, daemon=True)
        except (PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(f"LatentSpace.fit: {job.space!r} cannot be sent to other processes: {error}") from None
        try:
            while not context.join(timeout=1.0, grace_period=GRACE):
                pass
        except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
            raise _cause(failures, context.processes, str(error)) from None
        finally:
            _end(context.processes)
        return load_latent_space(Path(folder) / "result", space=job.space, device=kind)


def _work(
    rank: int,
    processes: int,
    train: Train,
    job: Any,
    device: str,
    threads: int,
    folder: str,
    failures: Any,
) -> None:
    """One process: joins the others, trains, and (process 0) leaves the result in ``folder``."""
    from torch import distributed

    try:
        torch.set_num_threads(threads)
        place = _place(device, rank, processes)
        distributed.init_process_group(
            _backend(place), init_method=Path(folder, "meeting").as_uri(), rank=rank, world_size=processes
        )
        latent = train(job, place, ProcessGroup())
        if rank == 0:
            latent.save(Path(folder) / "result")
        distributed.destroy_process_group()
    except Exception as error:
        name = type(error).__name__
        known = name if isinstance(error, LatentNASError) and hasattr(errors, name) else None
        text = str(error) if known else f"{name}: {error}"
        failures.put((rank, known, text[:20_000], traceback.format_exc()[-20_000:]))
        raise
    except KeyboardInterrupt:
        failures.put((rank, None, "interrupted", ""))
        raise SystemExit(1) from None


def _cause(failures: Any, workers: list[Any], told: str) -> LatentNASError:
    """The one error that ended the processes: the others' are consequences of it."""
    for rank, worker in enumerate(workers):
        code = worker.exitcode
        if code is not None and code < 0 and code != ENDED_BY_US:
            return WorkerError(
                f"LatentSpace.fit: process {rank} of {len(workers)} was killed by signal {-code}"
                + (" (out of memory?)" if code == -9 else "")
            )
    if failures.empty():
        return WorkerError(
            f"LatentSpace.fit: a process ended before it began: {told.strip()}; a script that fits with processes > 1 "
            f"is a file, and calls fit below `if __name__ == '__main__':`"
        )
    rank, known, text, trace = failures.get()
    if known is not None:
        kind: type[LatentNASError] = getattr(errors, known)
        return kind.__new__(kind, text)  # its own text, whatever arguments the class takes
    error = WorkerError(f"LatentSpace.fit: process {rank} of {len(workers)} failed: {text}")
    error.add_note(trace)
    return error


def _end(workers: list[Any]) -> None:
    """End what still runs: ask, wait a moment, kill; and collect every process, so that no zombie stays."""
    for worker in workers:
        if worker.is_alive():
            worker.terminate()
    for worker in workers:
        worker.join(GRACE)
        if worker.is_alive():
            worker.kill()
            worker.join()
