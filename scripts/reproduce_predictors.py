"""The predictors' tables of the GATES and HOP papers, on a table of your own copy, beside the published figures.

    python scripts/reproduce_predictors.py --data DIR                        # GATES and HOP at 78 and 390 labels
    python scripts/reproduce_predictors.py --data DIR --models gates --sizes 78 390 781 --losses hinge bce listmle
    python scripts/reproduce_predictors.py --data DIR --table nasbench101 --sizes 190 381 1906

Protocol: the first half of the table (NAS-Bench-101: the first 90%) is for training, the rest for testing. For each
size --subsets random subsets of the training half, each with --seeds seeds; Kendall's tau-b on all test rows, averaged
over the last five epochs; mean and standard deviation over the runs. N@K and precision@K are those of the last epoch,
medians over the runs. No setting was chosen on test rows.
The tables, in --data: nasbench201_cifar10.csv.gz (arch_str, cifar10_test_200), nasbench101.npz.
The models auto, forest and gp have no epochs: tau is that of the fitted model; --losses means nothing to them.
--set NAME=VALUE changes a setting of every Predictor, NAME.OPTION=VALUE an option of its encoder (JSON values).

Every run is written to results.json in --output as it ends; a run that is there is not repeated.
CPU-seconds are those of the training, of this process, on one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import latentnas as ln
from latentnas.benchmarks import csv_table, nasbench101_npz
from latentnas.errors import LatentNASError
from latentnas.evaluation.metrics import kendall_tau, n_at_k, precision_at_k
from latentnas.predictor import ForestPredictor, GaussianProcessPredictor, Predictor
from latentnas.progress import Progress
from latentnas.provenance import provenance
from latentnas.spaces import NASBench1Shot1

LAST = 5
"""Epochs over which tau is averaged."""

WITHOUT_EPOCHS: dict[str, Callable[..., Predictor | ForestPredictor | GaussianProcessPredictor]] = {
    "auto": partial(Predictor, "auto"),
    "forest": ForestPredictor,
    "gp": GaussianProcessPredictor,
}
"""Models that are not trained by epochs."""

TABLES = ("nasbench201", "nasbench101", "nasbench1shot1-3")

PUBLISHED: dict[tuple[str, str], dict[int, float]] = {
    ("nasbench201", "gates"): {7: 0.4309, 19: 0.6087, 39: 0.6702, 78: 0.7571, 195: 0.8195, 390: 0.8583, 781: 0.8823},
    ("nasbench201", "gates++"): {7: 0.5020, 19: 0.6284, 39: 0.7021, 78: 0.7729, 195: 0.8331, 390: 0.8664, 781: 0.8848},
    ("nasbench201", "hop"): {78: 0.761, 390: 0.876, 781: 0.897},
    ("nasbench201", "mlp"): {78: 0.1756, 195: 0.2514, 390: 0.3885, 781: 0.5492},
    ("nasbench201", "lstm"): {78: 0.5691, 195: 0.6025, 390: 0.6690, 781: 0.7395},
    ("nasbench201", "line-gcn"): {78: 0.4080, 195: 0.4797, 390: 0.5461, 781: 0.6095},
    ("nasbench101", "gates"): {190: 0.7634, 381: 0.7789, 1906: 0.8434, 3812: 0.8594, 19063: 0.8841, 38126: 0.8922},
    ("nasbench101", "hop"): {190: 0.7819, 381: 0.8134, 1906: 0.8573, 3812: 0.8792, 19063: 0.8977, 38126: 0.8994},
    ("nasbench101", "mlp"): {190: 0.3971, 381: 0.5272, 1906: 0.6463, 3812: 0.7312},
    ("nasbench101", "lstm"): {190: 0.5509, 381: 0.5993, 1906: 0.7112, 3812: 0.7747},
    ("nasbench101", "bonas"): {190: 0.5343, 381: 0.5790, 1906: 0.7915, 3812: 0.8277},
    ("nasbench1shot1-3", "gates"): {72: 0.6557, 182: 0.7260, 729: 0.7742},
    ("nasbench1shot1-3", "gates++"): {72: 0.6965, 182: 0.7365, 729: 0.7904},
}
"""Kendall's tau by table, model and number of labels, hinge loss: Table 4 of the GATES++ paper, Table 1 of HOP's."""


@dataclass(frozen=True)
class Run:
    """One training and what came of it."""

    table: str
    model: str
    loss: str
    size: int
    subset: int
    seed: int
    settings: dict[str, Any]
    tau: float
    n5: int
    n10: int
    precision: dict[str, float]
    cpu_seconds: float


def read_table(name: str, folder: Path) -> tuple[Tensor, Tensor, int]:
    """Codes [n, D] and accuracies [n] in the order of the file, and how many rows are for training."""
    if name == "nasbench201":
        table = csv_table.read(folder / "nasbench201_cifar10.csv.gz", space="nasbench201", column="arch_str")
        return table.codes.long(), table.metrics["cifar10_test_200"].double(), 7813
    table = nasbench101_npz.read(folder / "nasbench101.npz")
    codes, values = table.codes.long(), table.metrics["test_accuracy@108#0"].double()
    if name == "nasbench101":
        return codes, values, nasbench101_npz.TRAIN_ROWS
    inside, rows = part_of(name, codes)
    return inside, values[rows], (len(rows) + 1) // 2


def part_of(name: str, codes: Tensor) -> tuple[Tensor, Tensor]:
    """The networks of a sub-space that a NAS-Bench-101 table holds: their codes there, and rows, in its order."""
    space, whole = ln.get_space(name), ln.get_space("nasbench101")
    assert isinstance(space, NASBench1Shot1)
    networks = space.networks()
    row_of = {position: row for row, position in enumerate(whole.positions(whole.canonical(codes)).tolist())}
    places = whole.positions(whole.canonical(space.to_nasbench101(networks))).tolist()
    index_of = {row_of[place]: index for index, place in enumerate(places) if place in row_of}
    rows = sorted(index_of)
    return networks[torch.tensor([index_of[row] for row in rows])], torch.tensor(rows)


def fit_by_epochs(
    predictor: Predictor, codes: Tensor, values: Tensor, drawn: Tensor, train: int
) -> tuple[list[float], float]:
    """Train on the rows drawn: tau on the test rows after each of the last epochs, and the CPU-seconds of training."""
    epochs, taus, clock = predictor.epochs, [], 0.0
    started = time.process_time()

    def last_epochs(epoch: int) -> None:
        nonlocal clock
        if epoch < epochs - LAST:
            return
        paused = time.process_time()
        taus.append(kendall_tau(torch.from_numpy(predictor.predict(codes[train:])), values[train:]))
        clock += time.process_time() - paused

    predictor.fit(codes[drawn], values[drawn], on_epoch=last_epochs)
    seconds = time.process_time() - started - clock
    return taus, seconds


def run(
    args: argparse.Namespace,
    table: tuple[Tensor, Tensor, int],
    *,
    model: str,
    loss: str,
    size: int,
    subset: int,
    seed: int,
) -> Run:
    """Train on a random subset of the training half, score the other half."""
    codes, values, train = table
    drawn = torch.randperm(train, generator=torch.Generator().manual_seed(1000 * size + subset))[:size]
    predictor: Predictor | ForestPredictor | GaussianProcessPredictor
    if model in WITHOUT_EPOCHS:
        predictor, taus = WITHOUT_EPOCHS[model](space=args.table, seed=seed, **args.settings), list[float]()
        started = time.process_time()
        predictor.fit(codes[drawn], values[drawn])
        seconds = time.process_time() - started
    else:
        predictor = Predictor(model, space=args.table, loss=loss, seed=seed, **args.settings)
        taus, seconds = fit_by_epochs(predictor, codes, values, drawn, train)
    scores, actual = torch.from_numpy(predictor.predict(codes[train:])), values[train:]
    return Run(
        table=args.table,
        model=model,
        loss=loss,
        size=size,
        subset=subset,
        seed=seed,
        settings=args.settings,
        tau=statistics.fmean(taus) if taus else kendall_tau(scores, actual),
        n5=n_at_k(scores, actual, 5),
        n10=n_at_k(scores, actual, 10),
        precision={str(k): precision_at_k(scores, actual, k) for k in args.precision},
        cpu_seconds=seconds,
    )


def report(runs: list[Run], args: argparse.Namespace) -> None:
    """One line a model, loss and size."""
    head = f"{'model':10} {'loss':11} {'labels':>6} {'runs':>4}  {'tau':>15} {'published':>9}  {'N@5':>5} {'N@10':>5}"
    print(head + "".join(f" {'P@' + str(k):>6}" for k in args.precision) + f" {'CPU-s':>7}")
    for model, loss, size in product(args.models, args.losses, args.sizes):
        mine = [r for r in runs if (r.model, r.loss, r.size) == (model, loss, size)]
        if not mine:
            continue
        taus = [r.tau for r in mine]
        spread = statistics.stdev(taus) if len(taus) > 1 else 0.0
        published = PUBLISHED.get((args.table, model), {}).get(size)
        known = f"{published:9.4f}" if published is not None and loss == "hinge" else f"{'-':>9}"
        line = f"{model:10} {loss:11} {size:6} {len(mine):4}  {statistics.fmean(taus):.4f} +- {spread:.4f} {known}  "
        line += f"{statistics.median(r.n5 for r in mine):5g} {statistics.median(r.n10 for r in mine):5g}"
        for k in args.precision:
            line += f" {statistics.median(r.precision[str(k)] for r in mine):6.3f}"
        print(line + f" {statistics.fmean(r.cpu_seconds for r in mine):7.2f}")


def settings_of(pairs: list[str]) -> dict[str, Any]:
    """``name=value`` and ``options.name=value`` as keyword arguments of a Predictor."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        if name.startswith("options."):
            settings.setdefault("options", {})[name.removeprefix("options.")] = value
        else:
            settings[name] = value
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of nasbench201_cifar10.csv.gz, nasbench101.npz"
    )
    parser.add_argument("--table", choices=TABLES, default="nasbench201")
    parser.add_argument("--models", nargs="+", default=["gates", "hop"])
    parser.add_argument("--losses", nargs="+", default=["hinge"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[78, 390])
    parser.add_argument("--subsets", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", type=int, default=[10, 100], metavar="K")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--output", type=Path, default=Path("runs/predictors"))
    args = parser.parse_args()
    args.settings = settings_of(args.settings)
    table = read_table(args.table, args.data)
    print(f"{args.table}: {table[2]:,} rows to draw labels from, {len(table[0]) - table[2]:,} to test on")
    source = provenance()

    file = args.output / "results.json"
    args.output.mkdir(parents=True, exist_ok=True)
    stored = json.loads(file.read_text()) if file.exists() else []
    done = {identity(entry["run"]): Run(**entry["run"]) for entry in stored}
    wanted = list(product(args.sizes, args.models, args.losses, range(args.subsets), range(args.seeds)))
    found: list[Run] = []
    with Progress(len(wanted), "training", unit="run") as bar:
        for size, model, loss, subset, seed in wanted:
            key = {"table": args.table, "model": model, "loss": loss, "size": size, "subset": subset, "seed": seed}
            result = done.get(identity(key | {"settings": args.settings}))
            if result is None:
                result = run(args, table, model=model, loss=loss, size=size, subset=subset, seed=seed)
                stored.append({"run": asdict(result), "provenance": source})
                partial = file.with_suffix(".partial")
                partial.write_text(json.dumps(stored, indent=1) + "\n")
                partial.replace(file)
            found.append(result)
            bar.update(model=model, labels=size, tau=result.tau)
    report(found, args)


def identity(run: dict[str, Any]) -> str:
    """What makes two runs the same."""
    names = ("table", "model", "loss", "size", "subset", "seed", "settings")
    return json.dumps({name: run[name] for name in names}, sort_keys=True)


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
