"""How well do zero-cost metrics rank the cells of NAS-Bench-201 and NAS-Bench-101, and what do they cost?

    python scripts/zero_cost_correlations.py --data DIR                # all 15,625 cells, 4,930 networks
    python scripts/zero_cost_correlations.py --data DIR --sample 300   # random cells, a first look
    python scripts/zero_cost_correlations.py --data DIR --table nasbench101 --sample 500   # random networks

DIR holds ``nasbench201_cifar10.csv.gz``, ``arch_str`` and accuracies, a row a cell; or ``nasbench101.npz``, a row a
network, of one training run each. Prints rank correlations with a column of accuracies over all rows, or over a
random sample of them. One pass in training mode gives grad_norm, plain, snip, relu_logdet and both expressivities,
another gives synflow; the CPU-seconds are those of the whole pass, of one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from latentnas.benchmarks import csv_table, nasbench101_npz
from latentnas.evaluation.metrics import kendall_tau
from latentnas.evaluation.zero_cost import METRICS, NetworkSize, ZeroCost

PASS_OF = {"synflow": "flow", "params": None, "flops": None}

TABLES = {
    "nasbench201": ("nasbench201_cifar10.csv.gz", "cifar10_test_200"),
    "nasbench101": ("nasbench101.npz", "test_accuracy@108#0"),
}
"""File and column of accuracies by table."""


def read_table(name: str, folder: Path, column: str) -> tuple[Tensor, Tensor]:
    """Codes [n, D] and accuracies [n] of the table, in the order of its file."""
    path = folder / TABLES[name][0]
    table = nasbench101_npz.read(path) if name == "nasbench101" else csv_table.read(path, space=name, column="arch_str")
    if column not in table.metrics:
        raise SystemExit(f"--column {column}: {path.name} has {', '.join(table.metrics)}")
    return table.codes.long(), table.metrics[column].double()


def spearman(left: Tensor, right: Tensor) -> float:
    """Spearman's rank correlation, ties having mean ranks."""
    from scipy.stats import spearmanr

    return float(spearmanr(left.numpy(), right.numpy()).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the table")
    parser.add_argument("--table", choices=TABLES, default="nasbench201")
    parser.add_argument("--column", help="column of accuracies; by default CIFAR-10 test after the whole training")
    parser.add_argument("--sample", type=int, help="number of random rows instead of all")
    parser.add_argument("--channels", type=int, default=8, help="channels of the first stage")
    parser.add_argument("--layers", type=int, default=3, help="cells in each of the three stages")
    parser.add_argument("--batch", type=int, default=32, help="noise images")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps values, so that a stopped run goes on")
    args = parser.parse_args()
    torch.set_num_threads(1)

    column = args.column or TABLES[args.table][1]
    codes, accuracy = read_table(args.table, args.data, column)
    rows_of_table = len(codes)
    if args.sample is not None:
        rows = torch.randperm(len(codes), generator=torch.Generator().manual_seed(args.seed))[: args.sample]
        codes, accuracy = codes[rows], accuracy[rows]
    measure = ZeroCost(
        args.table,
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
    which_cells = (
        f"{len(codes):,} cells" if args.sample is None else f"{len(codes):,} random of {rows_of_table:,} cells"
    )
    print(
        f"{args.table}, {which_cells}, {networks:,} networks; {column}; {args.channels} channels, 3 x "
        f"{args.layers} cells, {args.batch} noise images of {args.image_size} x {args.image_size}, seed {args.seed}"
    )
    print(f"{'metric':21s} {'Spearman':>9s} {'Kendall':>9s} {'CPU-seconds of its pass':>25s}")
    for name in METRICS:
        which = PASS_OF.get(name, "training")
        seconds = f"{measure.cpu_seconds[which]:.1f} ({which})" if which else "none"
        values = found[name]
        print(f"{name:21s} {spearman(values, accuracy):9.3f} {kendall_tau(values, accuracy):9.3f} {seconds:>25s}")
    print(f"all metrics: {total:.1f} CPU-seconds, {1000 * total / networks:.1f} ms a network")


if __name__ == "__main__":
    main()
