"""How smoothly accuracy varies over a latent space, against one-hot codes of the same cells.

    python scripts/measure_smoothness.py                                        # about a minute on one core
    python scripts/measure_smoothness.py --latent runs/mine --metric cifar10_test_noisy --seeds 3

All cells of the space's table. Definitions: latentnas/latent/smoothness.py. Every figure is given for the
metric itself, and for its percentile in the table (0 worst, 100 best): a few cells that do not train
dominate differences of accuracy. Mean and standard deviation over seeds, which draw lines, pairs and cells.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import mean, stdev

import torch
from torch import Tensor

import latentnas as ln
from latentnas.latent.smoothness import PathSmoothness, Smoothness, one_hot_smoothness, smoothness

PATHS: tuple[tuple[str, Callable[[PathSmoothness], float]], ...] = (
    ("|difference of the ends|", lambda p: p.between_ends),
    ("total variation", lambda p: p.variation),
    ("largest step", lambda p: p.largest_step),
    ("share that is monotone", lambda p: p.monotone),
    ("stretches of equal values", lambda p: p.cells),
)
CELLS: tuple[tuple[str, Callable[[Smoothness], float]], ...] = (
    ("pairs: Pearson r of distance, |difference|", lambda s: s.pairs.pearson),
    ("pairs: Spearman r", lambda s: s.pairs.spearman),
    ("pairs: |difference|, nearest bin", lambda s: s.pairs.differences[0]),
    ("pairs: |difference|, farthest bin", lambda s: s.pairs.differences[-1]),
    ("10 nearest: |difference|", lambda s: s.nearest.difference),
    ("random pairs: |difference|", lambda s: s.nearest.random),
    ("10 nearest: error of their mean", lambda s: s.nearest.error),
    ("standard deviation", lambda s: s.nearest.spread),
)


def spread(figures: list[float]) -> str:
    return f"{mean(figures):9.3f} +- {stdev(figures):5.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latent", default="nasbench201-dvae-emb", help="shipped name or folder")
    parser.add_argument("--benchmark", help="a table of the same space (default: that named as the space)")
    parser.add_argument("--metric", help="default: the table's")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    if args.seeds < 2:
        parser.error("--seeds must be at least 2: a spread is shown")
    latent = ln.LatentSpace.load(args.latent, device="cpu")
    bench = ln.get_benchmark(args.benchmark or latent.space.name)
    metric = args.metric or bench.default_metric
    percentile = 100 * (len(bench) - bench.ranks(metric)).double() / (len(bench) - 1)

    def measured(codes: Tensor) -> Tensor:
        return bench.query(codes, metric)

    def percentiles(codes: Tensor) -> Tensor:
        return percentile[bench.rows(codes)]

    started = time.perf_counter()
    print(f"{args.latent}, {metric} of {len(bench):,} cells, {args.seeds} seeds, {torch.get_num_threads()} threads")
    for name, values in ((metric, measured), ("percentile", percentiles)):
        ours = [smoothness(latent, values, bench.codes, seed=seed) for seed in range(args.seeds)]
        codes = [one_hot_smoothness(latent.space, values, bench.codes, seed=seed) for seed in range(args.seeds)]
        print(f"\n{name + ': along paths':44s} {'latent lines':>18s} {'latent arcs':>18s} {'edits of codes':>18s}")
        for label, of_path in PATHS:
            paths = [[of_path(one.paths[kind]) for one in rows] for kind, rows in
                     (("line", ours), ("arc", ours), ("edits", codes))]  # fmt: skip
            print(f"{label:44s} " + " ".join(map(spread, paths)))
        print(f"{name + ': among cells':44s} {'latent':>18s} {'one-hot':>18s}")
        for label, figure in CELLS:
            print(f"{label:44s} " + " ".join(spread([figure(one) for one in rows]) for rows in (ours, codes)))
        for label, rows in (("latent", ours), ("one-hot", codes)):
            bins = " ".join(f"{difference:.2f}" for difference in rows[0].pairs.differences)
            print(f"|difference| by bins of {label} distance, seed 0: {bins}")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
