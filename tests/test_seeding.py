from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.seeding import as_generator, derive_seed, seed_everything


@pytest.fixture(autouse=True)
def restored() -> object:
    """Leave the global random states as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_one_seed_sets_all() -> None:
    assert seed_everything(5) == 5
    one = draws()
    seed_everything(5)
    assert draws() == one
    seed_everything(6)
    assert all(a != b for a, b in zip(draws(), one, strict=True))


def test_a_fresh_seed_is_returned_and_reproduces() -> None:
    seed = seed_everything()
    one = draws()
    assert seed_everything(seed) == seed
    assert draws() == one
    assert seed_everything() != seed


def test_large_seeds_are_taken() -> None:
    assert seed_everything(2**40 + 1) == 2**40 + 1


def test_generator_from_a_seed() -> None:
    assert torch.equal(torch.rand(3, generator=as_generator(1)), torch.rand(3, generator=as_generator(1)))
    assert not torch.equal(torch.rand(3, generator=as_generator(1)), torch.rand(3, generator=as_generator(2)))
    assert as_generator(1).device.type == "cpu"


def test_generator_passes_through_with_its_state() -> None:
    generator = as_generator(1)
    torch.rand(3, generator=generator)
    assert as_generator(generator) is generator


def test_none_gives_another_generator_every_time() -> None:
    assert not torch.equal(torch.rand(3, generator=as_generator(None)), torch.rand(3, generator=as_generator(None)))


def test_generators_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(3, generator=as_generator(None))
    assert torch.equal(torch.get_rng_state(), before)


def test_derived_seeds_differ_by_seed_and_path() -> None:
    seeds = [derive_seed(s, *path) for s in (0, 1) for path in ((), ("a",), ("b",), ("a", 1), ("a", 2), (1, "a"))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_derived_seeds_are_stable_across_processes() -> None:
    code = "from latentnas.seeding import derive_seed; print(derive_seed(7, 'epoch', 3))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == derive_seed(7, "epoch", 3)


@pytest.mark.parametrize("seed", [-1, 2**63, True, 1.0, "1", np.bool_(True)])
def test_seeds_that_are_none(seed: Any) -> None:
    for take in (as_generator, seed_everything):
        with pytest.raises(ConfigError, match=r"a seed must be an integer in 0\.\.2\*\*63-1, got "):
            take(seed)


def test_the_largest_seed_and_integers_of_numpy() -> None:
    assert as_generator(2**63 - 1).initial_seed() == 2**63 - 1
    assert as_generator(np.int64(7)).initial_seed() == 7  # type: ignore[arg-type]
