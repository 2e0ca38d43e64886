"""Which device models run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def resolve_device(device: torch.device | str | None = None) -> torch.device:
    """``device`` itself, or by default the GPU where there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
