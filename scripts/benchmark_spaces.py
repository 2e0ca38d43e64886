"""Sizes of every search space, computed, and how fast spaces draw, list, name and view cells.

    python scripts/benchmark_spaces.py            # both tables, about two minutes
    python scripts/benchmark_spaces.py --sizes    # the table of sizes alone

Speed is measured on one thread, each line in a process of its own; "peak" is that process's peak
memory with Python and PyTorch (about 0.25 GiB).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

import latentnas as ln
from latentnas.errors import SpaceTooLargeError

BATCH = 20_000


def nasbench101_networks() -> tuple[str, int]:
    """From nothing: all codes, their canonical forms, one code for each network."""
    return "nasbench101: list all networks", len(ln.get_space("nasbench101").networks())


def nasbench101_keys() -> tuple[str, Callable[[], int]]:
    space = ln.get_space("nasbench101")
    codes = space.networks()
    return "nasbench101: keys of all networks", lambda: len(set(space.keys(codes)))


def nasbench101_hashes() -> tuple[str, Callable[[], int]]:
    from latentnas.spaces import NASBench101

    space = ln.get_space("nasbench101")
    assert isinstance(space, NASBench101)
    codes = space.networks()
    return "nasbench101: the benchmark's hashes of all", lambda: len(set(space.module_hash(codes)))


def nasbench101_views() -> tuple[str, Callable[[], int]]:
    space = ln.get_space("nasbench101")
    codes = space.networks()
    return "nasbench101: node views of all networks", lambda: len(space.node_graphs(codes))


def darts_samples() -> tuple[str, Callable[[], int]]:
    space = ln.get_space("darts")
    return "darts: sample uniformly", lambda: len(space.sample(1_000_000, seed=0))


def keys_of(name: str) -> tuple[str, Callable[[], int]]:
    space = ln.get_space(name)
    codes = space.sample(BATCH, seed=0)
    space.keys(codes[:10])  # tables that are built once
    return f"{name}: keys", lambda: len(space.keys(codes))


def views_of(name: str) -> tuple[str, Callable[[], int]]:
    space = ln.get_space(name)
    codes = space.sample(BATCH, seed=0)
    return f"{name}: node views", lambda: len(space.node_graphs(codes))


CASES: dict[str, Callable[[], tuple[str, int | Callable[[], int]]]] = {
    "networks": nasbench101_networks,
    "keys": nasbench101_keys,
    "hashes": nasbench101_hashes,
    "views": nasbench101_views,
    "darts": darts_samples,
    **{f"keys_{name}": partial(keys_of, name) for name in ln.list_spaces() if name != "nasbench101"},
    **{f"views_{name}": partial(views_of, name) for name in ln.list_spaces() if name != "nasbench101"},
}


def measure(case: str) -> None:
    """Print one row."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    label, work = CASES[case]()
    if callable(work):
        started = time.perf_counter()
        count = work()
    else:
        count = work
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{label:<44} {count:>10,} {seconds:>9.2f} {count / seconds:>12,.0f} {peak:>10.2f}", flush=True)


def sizes() -> None:
    print(f"{'space':<18} {'code length':>11} {'codes':>26} {'networks':>27} {'vertices':>8}")
    for name in ln.list_spaces():
        space = ln.get_space(name)
        try:
            listed = space.size <= 2_000_000
            networks = written(len(space.networks()) if listed else space.num_networks)
        except SpaceTooLargeError:
            networks = "not counted"
        print(f"{name:<18} {space.dim:>11} {written(space.size):>26} {networks:>27} {space.max_nodes:>8}", flush=True)


def written(number: int) -> str:
    return f"{number:,}" if number < 10**20 else f"{number:.4e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="only the table of sizes")
    parser.add_argument("--case", choices=[*CASES], help="measure one line in this process")
    options = parser.parse_args()
    if options.case:
        measure(options.case)
        return
    if options.sizes:
        sizes()
        return
    subprocess.run([sys.executable, __file__, "--sizes"], check=True)  # a child inherits its parent's peak memory
    print(f"\n{'work, one thread':<44} {'cells':>10} {'seconds':>9} {'cells/s':>12} {'peak, GiB':>10}", flush=True)
    for case in CASES:
        subprocess.run([sys.executable, __file__, "--case", case], check=True)


if __name__ == "__main__":
    main()
