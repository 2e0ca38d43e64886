"""Random seeds: every run is a function of its seed, and the caller's random state stays as it was."""

from __future__ import annotations

import random
import secrets
from typing import TypeAlias

import numpy as np
import torch

Seed: TypeAlias = int | torch.Generator | None


def seed_everything(seed: int | None = None) -> int:
    """Seed Python, NumPy and PyTorch (all devices) and return the seed that was used.

    Args:
        seed: a non-negative integer, or None for a fresh one from the operating system.
    """
    if seed is None:
        seed = secrets.randbelow(2**31)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


def as_generator(seed: Seed) -> torch.Generator:
    """Turn ``seed`` into a CPU generator; a generator passes through and keeps its state.

    Random numbers are always drawn on the CPU, so a seed gives the same cells on every device.
    """
    if isinstance(seed, torch.Generator):
        return seed
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def derive_seed(seed: int, *path: int | str) -> int:
    """A seed for one part of a run, a stable function of the run's seed and the part's name."""
    text = ":".join([str(seed), *map(str, path)])
    return random.Random(text).getrandbits(31)
