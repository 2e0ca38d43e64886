"""How well do zero-cost metrics rank NAS-Bench-201's cells, and what do they cost?

    python scripts/zero_cost_correlations.py --data DIR                # all 15,625 cells, 4,930 networks
    python scripts/zero_cost_correlations.py --data DIR --sample 300   # random cells, a first look

DIR holds ``nasbench201_cifar10.csv.gz``: ``arch_str`` and accuracies, a row a cell. Prints rank correlations
with a column of accuracies over all cells. One pass in training mode gives grad_norm, plain, snip and relu_logdet,
another gives synflow; the CPU-seconds are those of the whole pass, of one thread.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from pathlib import Path

import torch
from torch import Tensor

from latentnas.evaluation.metrics import kendall_tau
from latentnas.evaluation.zero_cost import METRICS, NetworkSize, ZeroCost
from latentnas.spaces import get_space

PASS_OF = {"synflow": "flow", "params": None, "flops": None}


def read_table(path: Path, column: str) -> tuple[Tensor, Tensor]:
    """Codes [n, 6] and accuracies [n] of the table."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    codes = get_space("nasbench201").parse([row["arch_str"] for row in rows])
    return codes, torch.tensor([float(row[column]) for row in rows], dtype=torch.float64)


def spearman(left: Tensor, right: Tensor) -> float:
    """Spearman's rank correlation, ties having mean ranks."""
    from scipy.stats import spearmanr

    return float(spearmanr(left.numpy(), right.numpy()).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201_cifar10.csv.gz")
    parser.add_argument("--column", default="cifar10_test_200", help="column of accuracies")
    parser.add_argument("--sample", type=int, help="number of random cells instead of all")
    parser.add_argument("--channels", type=int, default=8, help="channels of the first stage")
    parser.add_argument("--layers", type=int, default=3, help="cells in each of the three stages")
    parser.add_argument("--batch", type=int, default=32, help="noise images")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps values, so that a stopped run goes on")
    args = parser.parse_args()
    torch.set_num_threads(1)

    codes, accuracy = read_table(args.data / "nasbench201_cifar10.csv.gz", args.column)
    if args.sample is not None:
        rows = torch.randperm(len(codes), generator=torch.Generator().manual_seed(args.seed))[: args.sample]
        codes, accuracy = codes[rows], accuracy[rows]
    measure = ZeroCost(
        "nasbench201",
        size=NetworkSize(channels=args.channels, layers=args.layers),
        batch=args.batch,
        image_size=args.image_size,
        seed=args.seed,
        device="cpu",
        cache=args.cache or False,
    )
    started = time.process_time()
    found = measure(codes, progress=True)
    total = time.process_time() - started

    networks = len(measure.space.canonical(codes).unique(dim=0))
    print(
        f"nasbench201, {len(codes):,} cells, {networks:,} networks; {args.column}; {args.channels} channels, 3 x "
        f"{args.layers} cells, {args.batch} noise images of {args.image_size} x {args.image_size}, seed {args.seed}"
    )
    print(f"{'metric':12s} {'Spearman':>9s} {'Kendall':>9s} {'CPU-seconds of its pass':>25s}")
    for name in METRICS:
        which = PASS_OF.get(name, "training")
        seconds = f"{measure.cpu_seconds[which]:.1f} ({which})" if which else "none"
        values = found[name]
        print(f"{name:12s} {spearman(values, accuracy):9.3f} {kendall_tau(values, accuracy):9.3f} {seconds:>25s}")
    print(f"all metrics: {total:.1f} CPU-seconds, {1000 * total / networks:.1f} ms a network")


if __name__ == "__main__":
    main()
