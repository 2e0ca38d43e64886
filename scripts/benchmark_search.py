"""Compare search strategies on a table: evaluations until the best cell is found, regret, own cost.

    python scripts/benchmark_search.py                          # 10 seeds, random, evolution, latent-bo
    python scripts/benchmark_search.py --strategies latent-bo latent-ei --seeds 5
    python scripts/benchmark_search.py --strategies latent-bo --surrogates gp gates --seeds 3 --first-seed 100

Protocol: NAS-Bench-201 cells with the CIFAR-10 accuracies of the table that pip installs; 10 random
cells first (evolution: its population of 50), batches of 5; no network (by key) is evaluated twice,
so an evaluation is a distinct network; a run ends when the key of the table's best cell is
evaluated, or after --budget. Regret is the best accuracy of the table minus the best found, in
percentage points. latent-bo was developed on seeds 100 and above; the default seeds report. A row of
latent-bo with a predictor as its surrogate bears the predictor's name.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

import latentnas as ln
from latentnas.cli.search import parse_options
from latentnas.optimization import get_strategy
from latentnas.progress import Progress
from latentnas.seeding import Seed


@dataclass
class Run:
    """One search: values in the order of evaluation, when the best key came, seconds per ask."""

    values: list[float]
    found: int | None
    ask_seconds: list[float]


def run(name: str, seed: int, *, budget: int, batch: int, initial: int, options: dict[str, Any]) -> Run:
    """Search once, without a store, until the key of the table's best cell is evaluated."""
    bench = ln.get_benchmark("nasbench201")
    optimum = bench.best()
    strategy = get_strategy(name, bench.space, seed=seed, initial=initial, **options)
    values: list[float] = []
    asks: list[float] = []
    found = None
    while len(values) < budget and found is None:
        started = time.perf_counter()
        proposals = strategy.ask(min(batch, budget - len(values)))
        asks.append(time.perf_counter() - started)
        measured = bench.query(proposals.codes)
        strategy.tell(proposals.codes, measured)
        for key, value in zip(bench.space.keys(proposals.codes), measured.tolist(), strict=True):
            values.append(value)
            if key == optimum.key and found is None:
                found = len(values)
    return Run(values, found, asks)


class RandomDecoder(ln.LatentSpace):
    """An ablation: every latent decodes to a uniformly random cell, whatever it is."""

    def __init__(self, latent: ln.LatentSpace) -> None:
        statistics = {"center": latent.center, "scale": latent.scale, "low": latent.low, "high": latent.high}
        super().__init__(latent.space, latent.model, statistics)

    def decode(self, z: torch.Tensor, *, stochastic: bool = False, seed: Seed = None) -> torch.Tensor:
        return self.space.sample(len(z), seed=int(z.sum().abs() * 1e3))


def rows_of(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Strategy and surrogate of every row."""
    judges = {"latent-bo": args.surrogates}
    return [(name, judge) for name in args.strategies for judge in judges.get(name, ["gp"])]


def options_of(args: argparse.Namespace, name: str, surrogate: str) -> dict[str, Any]:
    """The options of the strategy of a row."""
    options: dict[str, Any] = {"latent": args.latent} if name.startswith("latent") else {}
    if surrogate != "gp":
        chosen = parse_options(args.surrogate_option, "--surrogate-option")
        options |= {"surrogate": surrogate, "surrogate_options": chosen}
    elif name == "latent-bo":
        options |= {"judges": args.judges, "ard": args.ard}
    if name == "latent-bo" and args.random_decoder:
        latent = ln.LatentSpace.load(args.latent or "nasbench201-dvae-emb", device="cpu")
        options["latent"] = RandomDecoder(latent)
    return options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", default=["random", "evolution", "latent-bo"])
    parser.add_argument("--seeds", type=int, default=10, help="number of runs per strategy")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=5000, help="evaluations after which a run gives up")
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--initial", type=int, default=10)
    parser.add_argument("--latent", help="folder or shipped name; default: the shipped latent space")
    parser.add_argument("--judges", nargs="+", default=["structure", "latent"], help="latent-bo: its processes")
    parser.add_argument("--ard", action="store_true", help="latent-bo: one lengthscale per latent dimension")
    parser.add_argument("--surrogates", nargs="+", default=["gp"], help="latent-bo: what judges cells; a row for each")
    parser.add_argument(
        "--surrogate-option", nargs="+", default=[], metavar="KEY=VALUE", help="settings of each surrogate but gp"
    )
    parser.add_argument("--random-decoder", action="store_true", help="latent-bo: random cells for decoded latents")
    parser.add_argument("--csv", help="also write one row per run to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    best = ln.get_benchmark("nasbench201").best().value
    rows = []
    print(f"evaluations until the best of 4,930 networks ({best:.3f} %), {args.seeds} seeds from {args.first_seed}")
    print(
        f"{'strategy':<12} {'median':>7} {'mean':>7} {'std':>7} {'min':>5} {'max':>5} {'missed':>6}   "
        f"{'regret at 50 (points)':<22} {'at 100':<16} {'s per ask':>9}"
    )
    for name, surrogate in rows_of(args):
        runs, label = [], name if surrogate == "gp" else surrogate
        options = options_of(args, name, surrogate)
        with Progress(args.seeds, label, unit="run") as bar:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                runs.append(
                    run(name, seed, budget=args.budget, batch=args.batch, initial=args.initial, options=options)
                )
                bar.update()
                rows.append([label, seed, runs[-1].found, *(_regret(runs[-1], best, at) for at in (50, 100))])
        found = torch.tensor([float(r.found or args.budget) for r in runs])
        at50, at100 = (torch.tensor([_regret(r, best, at) for r in runs]) for at in (50, 100))
        missed = sum(r.found is None for r in runs)
        asks = torch.tensor([s for r in runs for s in r.ask_seconds])
        print(
            f"{label:<12} {found.quantile(0.5):>7.1f} {found.mean():>7.1f} {_std(found):>7.1f} {found.min():>5.0f} "
            f"{found.max():>5.0f} {missed:>6}   {f'{at50.mean():.3f} +- {_std(at50):.3f}':<22} "
            f"{f'{at100.mean():.3f} +- {_std(at100):.3f}':<16} {asks.mean():>9.2f}",
            flush=True,
        )
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["strategy", "seed", "evaluations_to_best", "regret_at_50", "regret_at_100"])
            writer.writerows(rows)
        print(f"wrote {args.csv}", file=sys.stderr)


def _regret(run: Run, best: float, evaluations: int) -> float:
    """Regret after so many evaluations; a run that found the best earlier has none."""
    return best - max(run.values[:evaluations])


def _std(values: torch.Tensor) -> float:
    return float(values.std()) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
