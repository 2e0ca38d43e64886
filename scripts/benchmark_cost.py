"""What latent Bayesian optimisation itself costs: seconds and memory of one ask, by history and batch.

    python scripts/benchmark_cost.py

The history is random cells of a space; values are the table's (NAS-Bench-201), or, where a case has
more cells than NAS-Bench-201 has networks (4,930), a smooth function of ENAS macro cells plus noise:
the cost does not depend on what the values mean. Each case runs in a process of its own; the median
of three asks is printed, with the process's peak memory (Python, PyTorch and BoTorch included).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from statistics import median

import torch

import latentnas as ln
from latentnas.optimization import get_strategy

CASES = ((200, 5), (500, 5), (1000, 50), (5000, 50))


def measure(strategy_name: str, observations: int, batch: int, threads: int) -> None:
    """Print one row: a strategy is told ``observations`` values and asked three times for a batch."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    if observations <= 4000:
        bench = ln.get_benchmark("nasbench201")
        strategy = get_strategy(strategy_name, bench.space, seed=0)
        codes = strategy.sample_new(observations, generator)
        values = bench.query(codes)
    else:
        space = ln.get_space("enas_macro6")
        latent = ln.LatentSpace.fit(space, epochs=2, num_cells=2000, progress=False)
        strategy = get_strategy(strategy_name, space, seed=0, latent=latent)
        codes = strategy.sample_new(observations, generator)
        values = (codes[:, :6] < 2).double().sum(1) + 0.2 * codes[:, 6:].sum(1)
        values += 0.3 * torch.randn(observations, generator=generator)
    strategy.tell(codes, values)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        strategy.ask(batch)
        seconds.append(time.perf_counter() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{strategy_name:<12} {strategy.space.name:<12} {observations:>12,} {batch:>6} {median(seconds):>8.2f} "
        f"{max(seconds):>8.2f} {memory:>8.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="latent-bo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", nargs=2, type=int, metavar=("OBSERVATIONS", "BATCH"), help="measure this one only")
    args = parser.parse_args()
    if args.case:
        observations, batch = args.case
        measure(args.strategy, observations, batch, args.threads)
        return
    print(f"{args.threads} CPU threads; seconds of one ask: median and maximum of 3; peak memory of the process in GiB")
    print(f"{'strategy':<12} {'space':<12} {'observations':>12} {'batch':>6} {'median':>8} {'max':>8} {'memory':>8}")
    for observations, batch in CASES:
        command = [sys.executable, __file__, "--strategy", args.strategy, "--threads", str(args.threads)]
        subprocess.run([*command, "--case", str(observations), str(batch)], check=True)


if __name__ == "__main__":
    main()
