"""Random seeds: every run is a function of its seed, and the caller's random state stays as it was."""

from __future__ import annotations

import random
import secrets
from typing import TypeAlias

import numpy as np
import torch

from .errors import ConfigError

Seed: TypeAlias = int | torch.Generator | None

MAX_SEED = 2**63 - 1
"""The largest seed: the largest signed 64-bit integer."""


def seed_everything(seed: int | None = None) -> int:
    """Seed Python, NumPy and PyTorch (all devices) and return the seed that was used.

    Args:
        seed: an integer in 0..2**63-1, or None for a fresh one from the operating system.

    Raises:
        ConfigError: the seed is something else.
    """
    seed = secrets.randbelow(2**31) if seed is None else _checked(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


def as_generator(seed: Seed) -> torch.Generator:
    """Turn ``seed`` into a CPU generator; a generator passes through and keeps its state.

    Random numbers are always drawn on the CPU, so a seed gives the same cells on every device.

    Raises:
        ConfigError: the seed is neither a generator, None nor an integer in 0..2**63-1.
    """
    if isinstance(seed, torch.Generator):
        return seed
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(_checked(seed))
    return generator


def derive_seed(seed: int, *path: int | str) -> int:
    """A seed for one part of a run, a stable function of the run's seed and the part's name."""
    text = ":".join([str(seed), *map(str, path)])
    return random.Random(text).getrandbits(31)


def seed_faults(seed: object) -> list[str]:
    """What is wrong with a seed, as a list of at most one sentence."""
    try:
        _checked(seed)
    except ConfigError as error:
        return [str(error)]
    return []


def _checked(seed: object) -> int:
    """The seed as a plain integer; NumPy's integers are taken, too."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"a seed must be an integer in 0..2**63-1, got {seed!r}")
    return int(seed)
