"""Which device models run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import ConfigError

PRECISIONS = ("highest", "high", "medium")
"""What float32 factors keep in matrix products, as in ``torch.set_float32_matmul_precision``."""


def resolve_device(device: torch.device | str | None = None) -> torch.device:
    """``device`` itself, or by default the GPU where there is one, else the CPU.

    Raises:
        ConfigError: the device is unknown, or this machine has none.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    if picked.type == "meta":
        raise ConfigError("device 'meta' cannot be used: it computes nothing")
    return picked


@contextmanager
def gradients() -> Iterator[None]:
    """Take gradients inside the block, also where the caller is in ``torch.no_grad`` or ``torch.inference_mode``."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def cpu_threads(limit: int) -> Iterator[None]:
    """Let PyTorch use at most ``limit`` CPU threads inside the block.

    Small matrices gain little from a second thread, and where other work keeps the cores busy,
    threads that wait for each other make it many times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(limit, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Let PyTorch multiply float32 matrices with at least this precision (of PRECISIONS) inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
