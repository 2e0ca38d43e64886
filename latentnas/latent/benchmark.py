"""How fast a model trains, encodes and decodes on this machine, beside the machine's own matrix product."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import torch
from torch import Tensor

from ..device import PRECISIONS, matmul_precision, resolve_device
from ..errors import ConfigError
from ..models import GraphVAE, VAEConfig
from ..spaces import SearchSpace
from .space import LatentSpace

REFERENCE_STEP = 0.76
"""CPU-seconds of a training step of the public D-VAE code (hidden 501, latent 56, bidirectional, batch 32) ..."""

REFERENCE_FLOPS = 78e9
"""... on one thread of a machine whose float32 matrix product runs at this many operations a second."""

REFERENCE_MODEL = ("dvae", 501, 56, True, 32)
"""Encoder, hidden, latent_dim, bidirectional and batch of that measurement; the space was enas_macro6."""

SIZE = 1024
"""Rows of the square matrices whose product is timed."""

CELLS = 8192
"""Cells encoded, and latents decoded, in a pass."""


@dataclass(frozen=True)
class Timing:
    """A piece of work: medians over its repetitions.

    Attributes:
        seconds: from start to end; on a GPU until it has finished.
        cpu_seconds: time of all CPU threads of this process; on a busy machine the better figure.
    """

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class ModelSpeed:
    """What :func:`measure_model` found.

    Attributes:
        space, device, threads, batch: what was measured, and where. threads: CPU threads.
        model: the fields of the model's :class:`~latentnas.models.VAEConfig`.
        parameters: how many numbers the model has.
        step: a training step: loss, gradients and Adam on ``batch`` graphs.
        encode, decode, decode_free: ``cells`` cells encoded, latents decoded under the grammar and without.
        cells: how many.
        matmul_precision: of the training steps' matrix products, see :class:`~latentnas.latent.FitConfig`.
        flops: float32 operations a second of a product of 1024 x 1024 matrices at full precision, whatever the steps
            use; on a CPU by CPU-seconds.
        peak_memory: bytes; of this process since it began, on a GPU of the tensors during the training steps.
        reference_ratio: how many times cheaper the step is than the public D-VAE code's, both in units of the
            machine's matrix product; None unless it is the model and the batch that were measured there.
    """

    space: str
    device: str
    threads: int
    batch: int
    model: dict[str, object]
    parameters: int
    step: Timing
    encode: Timing
    decode: Timing
    decode_free: Timing
    cells: int
    matmul_precision: str
    flops: float
    peak_memory: int
    reference_ratio: float | None

    def to_dict(self) -> dict[str, object]:
        """JSON types."""
        return asdict(self)


def measure_model(
    latent: LatentSpace,
    *,
    batch: int = 256,
    cells: int = CELLS,
    threads: int = 1,
    repeats: int = 5,
    precision: str = "highest",
) -> ModelSpeed:
    """Time the model of a latent space, on the device where it is.

    Its weights stay as they are. The machine's matrix product is timed before every repetition, as other work
    slows both down alike.

    Args:
        latent: its model is measured, on random cells of its space.
        batch: graphs in a training step.
        cells: cells to encode, and latents to decode, in a pass.
        threads: CPU threads; no more are used, whatever PyTorch was set to.
        repeats: how often each piece of work is timed, after once without.
        precision: of the training steps' matrix products; all others keep full precision.

    Raises:
        ConfigError: a number is below 1, or the precision is unknown.
    """
    for name, value in {"batch": batch, "cells": cells, "threads": threads, "repeats": repeats}.items():
        if value < 1:
            raise ConfigError(f"measure_model: {name} must be at least 1, got {value}")
    if precision not in PRECISIONS:
        raise ConfigError(f"measure_model: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    model, space, device = latent.model, latent.space, latent.device
    with _threads(threads), matmul_precision("highest"):
        codes = space.sample(cells, seed=0)
        z = latent.encode(codes)
        clock = Clock(device)
        rates: list[float] = []
        step, memory = _training_step(model, space, batch, precision)
        timings = [
            clock.time(work, repeats, before=lambda: rates.append(clock.matrix_product()))
            for work in (
                step,
                lambda: latent.encode(codes),
                lambda: latent.decode(z),
                lambda: latent.decode_free(z),
            )
        ]
    flops = median(rates[:repeats])  # those measured around the training steps
    config = model.config
    known = (config.encoder, config.hidden, config.latent_dim, config.bidirectional, batch)
    comparable = known == REFERENCE_MODEL and not config.latent_input and space.name == "enas_macro6" and threads == 1
    ratio = REFERENCE_STEP * REFERENCE_FLOPS / (timings[0].cpu_seconds * flops)
    return ModelSpeed(
        space=space.name,
        device=str(device),
        threads=threads,
        batch=batch,
        model=config.to_dict(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        step=timings[0],
        encode=timings[1],
        decode=timings[2],
        decode_free=timings[3],
        cells=cells,
        matmul_precision=precision,
        flops=flops,
        peak_memory=memory(),
        reference_ratio=ratio if comparable and device.type == "cpu" else None,
    )


def untrained(space: SearchSpace, config: VAEConfig, *, device: torch.device | str | None = None) -> LatentSpace:
    """A latent space with random weights, for measuring speed.

    Args:
        space: the search space.
        config: the model.
        device: where to put it; by default the GPU where there is one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GraphVAE(config)
    blank = torch.zeros(config.latent_dim)
    return LatentSpace(
        space, model.to(resolve_device(device)), dict.fromkeys(("center", "scale", "low", "high"), blank)
    )


class Clock:
    """Times work on a device.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._matrix = torch.ones(SIZE, SIZE, device=device)

    def time(self, work: Callable[[], object], repeats: int, *, before: Callable[[], object] | None = None) -> Timing:
        """Medians over ``repeats`` runs of ``work``, after a first that does not count."""
        work()
        seconds, cpu_seconds = [], []
        for _ in range(repeats):
            if before is not None:
                before()
            found = self.once(work)
            seconds.append(found.seconds)
            cpu_seconds.append(found.cpu_seconds)
        return Timing(median(seconds), median(cpu_seconds))

    def once(self, work: Callable[[], object]) -> Timing:
        """A single run of ``work``, its first."""
        self._wait()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self._wait()
        return Timing(time.perf_counter() - wall, time.process_time() - cpu)

    def matrix_product(self) -> float:
        """Float32 operations a second."""
        found = self.time(lambda: self._matrix @ self._matrix, 5)
        return 2 * SIZE**3 / (found.cpu_seconds if self.device.type == "cpu" else found.seconds)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class PeakMemory:
    """The most memory in use: of this process since it began, on a GPU of the tensors since now.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def bytes(self) -> int:
        """The peak until now."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux, bytes on macOS
        return peak if sys.platform == "darwin" else 1024 * peak


def _training_step(
    model: GraphVAE, space: SearchSpace, batch: int, precision: str
) -> tuple[Callable[[], Tensor], Callable[[], int]]:
    """A training step on a copy of ``model``, and the peak memory in bytes."""
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[]):
        copy = GraphVAE(model.config).to(device).train()
    copy.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(copy.parameters(), lr=1e-4, fused=device.type in ("cpu", "cuda"))
    graphs = space.node_graphs(space.sample(batch, seed=1).to(device))
    memory = PeakMemory(device)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with matmul_precision(precision):
            loss = copy.loss(graphs).loss
            loss.backward()
        optimizer.step()
        return loss

    return step, memory.bytes


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let PyTorch use ``count`` CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
