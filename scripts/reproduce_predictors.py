"""The predictors' tables of the GATES and HOP papers, on a table of your own copy, beside the published figures.

    python scripts/reproduce_predictors.py --data DIR                        # GATES and HOP at 78 and 390 labels
    python scripts/reproduce_predictors.py --data DIR --models gates gates++ hop mlp lstm line-graph-gcn --sizes 78 781
    python scripts/reproduce_predictors.py --data DIR --table nasbench101 --models gates hop gcn --sizes 190 381 1906
    python scripts/reproduce_predictors.py --data DIR --table nasbench1shot1-3 --models gates renas --sizes 72 182 729
    python scripts/reproduce_predictors.py --data DIR --ablation schemes --sizes 39 78 195     # EES and ETS of GATES++
    python scripts/reproduce_predictors.py --data DIR --ablation layers fusion --sizes 78      # HOP
    python scripts/reproduce_predictors.py --data DIR --table nasbench101 --ablation losses --sizes 190 381    # GATES

Protocol: the first half of the table (NAS-Bench-101: the first 90%) is for training, the rest for testing. For each
size --subsets random subsets of the training half, each with --seeds seeds; Kendall's tau-b on all test rows, averaged
over the last five epochs; mean and standard deviation over the runs. N@K and precision@K are those of the last epoch,
medians over the runs. "within" is the share of test rows whose value is within one predicted standard deviation, where
there are any (0.68 of a normal distribution). No setting was chosen on test rows.
The tables, in --data: nasbench201_cifar10.csv.gz (arch_str, cifar10_test_200), nasbench101.npz.
--models takes every encoder of a Predictor, and auto, forest and gp: these have no epochs, tau is that of the fitted
model, and --losses means nothing to them. --ablation gives the rows of the papers' tables, beside those of --models.
--test-sample is for models that measure the networks of all cells asked about, where these are many: tau of a random
sample is an estimate of that of all rows.
--held-out is for choosing settings: N random training rows stand in for the test rows, labels come from the others.
--set NAME=VALUE changes a setting of every Predictor, options.NAME=VALUE an option of its encoder (JSON values).
The zero-cost metrics of gates++ are computed where the user's cache lacks them, those of all test cells, too: some 3
CPU-minutes for NAS-Bench-201, 13 for NB1Shot1-3, and over an hour for NAS-Bench-101. Published figures stand beside the
rows whatever --set changes; NAS-Bench-101's accuracies here are of one training run, the papers' are means of three.

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
from dataclasses import asdict, dataclass, field
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
from latentnas.models.predictors import LOSSES, list_encoders
from latentnas.predictor import ForestPredictor, GaussianProcessPredictor, Predictor
from latentnas.predictor.settings import auto_predictor
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
    ("nasbench201", "hop"): {78: 0.7613, 390: 0.8757, 781: 0.8972, 3906: 0.9291, 7813: 0.9348},
    ("nasbench201", "mlp"): {39: 0.0863, 78: 0.1756, 195: 0.2514, 390: 0.3885, 781: 0.5492},
    ("nasbench201", "lstm"): {39: 0.5079, 78: 0.5691, 195: 0.6025, 390: 0.6690, 781: 0.7395},
    ("nasbench201", "line-graph-gcn"): {39: 0.3113, 78: 0.4080, 195: 0.4797, 390: 0.5461, 781: 0.6095},
    ("nasbench101", "gates"): {190: 0.7634, 381: 0.7789, 1906: 0.8434, 3812: 0.8594, 19063: 0.8841, 38126: 0.8922},
    ("nasbench101", "hop"): {190: 0.7819, 381: 0.8134, 1906: 0.8573, 3812: 0.8792, 19063: 0.8977, 38126: 0.8994},
    ("nasbench101", "mlp"): {190: 0.3971, 381: 0.5272, 1906: 0.6463, 3812: 0.7312},
    ("nasbench101", "lstm"): {190: 0.5509, 381: 0.5993, 1906: 0.7112, 3812: 0.7747},
    ("nasbench101", "gcn"): {190: 0.5343, 381: 0.5790, 1906: 0.7915, 3812: 0.8277, 19063: 0.8641, 38126: 0.8747},
    ("nasbench101", "nar"): {4236: 0.7974},
    ("nasbench101", "nar nar"): {4236: 0.7974},
    ("nasbench1shot1-3", "gates"): {36: 0.6168, 72: 0.6557, 182: 0.7260, 364: 0.7494, 729: 0.7742},
    ("nasbench1shot1-3", "gates++"): {36: 0.6001, 72: 0.6965, 182: 0.7365, 364: 0.7555, 729: 0.7904},
    ("nasbench1shot1-3", "mlp"): {36: 0.3116, 72: 0.3937, 182: 0.4988, 364: 0.5318, 729: 0.5703},
    ("nasbench1shot1-3", "lstm"): {36: 0.4588, 72: 0.5476, 182: 0.5826, 364: 0.5876, 729: 0.6040},
    ("nasbench1shot1-3", "gcn"): {36: 0.2595, 72: 0.3668, 182: 0.4898, 364: 0.5973, 729: 0.6927},
    ("nasbench1shot1-3", "renas"): {36: 0.4346, 72: 0.5131, 182: 0.5792, 364: 0.6151, 729: 0.6250},
    # rows of ablations: Tables 6 and 7 of GATES++, Tables 1, 3, 5 and 6 of HOP
    ("nasbench101", "gates, 3 layers mse"): {
        190: 0.4935,
        381: 0.5425,
        1906: 0.5739,
        3812: 0.6323,
        19063: 0.7439,
        38126: 0.7849,
    },
    ("nasbench101", "gates bce"): {190: 0.7460, 381: 0.7696, 1906: 0.8352, 3812: 0.8550, 19063: 0.8828, 38126: 0.8913},
    ("nasbench101", "gates comparator"): {190: 0.7250, 381: 0.7622, 1906: 0.8367, 3812: 0.8540, 19063: 0.8793},
    ("nasbench101", "gates listmle"): {190: 0.7359, 381: 0.7604, 1906: 0.8312, 3812: 0.8558, 19063: 0.8852},
    ("nasbench201", "gates, EES"): {39: 0.6913, 58: 0.7322, 78: 0.7651, 195: 0.8310},
    ("nasbench201", "gates, ETS"): {39: 0.6918, 58: 0.7389, 78: 0.7770, 195: 0.8349},
    ("nasbench1shot1-3", "gates, EES"): {36: 0.5886, 54: 0.6383, 72: 0.6796, 182: 0.7405},
    ("nasbench1shot1-3", "gates, ETS"): {36: 0.6053, 54: 0.6447, 72: 0.6922, 182: 0.7289},
    ("nasbench201", "hop, layers 2"): {78: 0.5764},
    ("nasbench201", "hop, layers 3"): {78: 0.6337},
    ("nasbench201", "hop, layers 4"): {78: 0.7423},
    ("nasbench201", "hop, layers 5"): {78: 0.7613},
    ("nasbench201", "hop, layers 6"): {78: 0.7659},
    ("nasbench101", "hop, layers 2"): {190: 0.6440},
    ("nasbench101", "hop, layers 3"): {190: 0.7291},
    ("nasbench101", "hop, layers 4"): {190: 0.7746},
    ("nasbench101", "hop, layers 5"): {190: 0.7819},
    ("nasbench101", "hop, layers 6"): {190: 0.7852},
    ("nasbench201", "hop, last"): {78: 0.7562, 390: 0.8693, 781: 0.8933},
    ("nasbench201", "hop, mean"): {78: 0.7523},
    ("nasbench201", "hop, gated"): {78: 0.7613, 390: 0.8757, 781: 0.8972},
    ("nasbench101", "hop, last"): {190: 0.7773, 381: 0.8041, 1906: 0.8512, 3812: 0.8706},
    ("nasbench101", "hop, mean"): {190: 0.7704},
    ("nasbench101", "hop, gated"): {190: 0.7819, 381: 0.8134, 1906: 0.8573, 3812: 0.8792},
}
"""Kendall's tau by table, row and number of labels: Table 4 of the GATES++ paper, Tables 1 and 3 of HOP's, Figure 4 of
NAR's (one trial of five, on 1,024 cells)."""


@dataclass(frozen=True)
class Row:
    """A line of the report: a model, its loss, and settings beside those of --set."""

    label: str
    model: str
    loss: str = "hinge"
    settings: dict[str, Any] = field(default_factory=dict)


ABLATIONS: dict[str, list[Row]] = {
    "losses": [
        Row("gates, 3 layers mse", "gates", "mse", {"options": {"layers": 3}}),  # as published: five do not train
        *(Row(f"gates {loss}", "gates", loss) for loss in ("bce", "comparator", "listmle")),
        Row("gates", "gates"),
    ],
    "schemes": [
        Row("gates", "gates"),
        Row("gates, EES", "gates", settings={"op_features": "zero_cost"}),
        Row("gates, ETS", "gates", settings={"targets": "zero_cost"}),
        Row("gates++", "gates++"),
    ],
    "layers": [Row(f"hop, layers {n}", "hop", settings={"options": {"layers": n}}) for n in range(2, 7)],
    "fusion": [Row(f"hop, {how}", "hop", settings={"options": {"fusion": how}}) for how in ("last", "mean", "gated")],
}
"""The papers' ablation tables, by name."""


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
    parameters: str = ""
    test_sample: int | None = None
    held_out: int | None = None
    within: float | None = None


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


def with_test_sample(codes: Tensor, values: Tensor, train: int, size: int) -> tuple[Tensor, Tensor, int]:
    """The same table with ``size`` random test rows."""
    chosen = torch.randperm(len(codes) - train, generator=torch.Generator().manual_seed(0))[:size] + train
    rows = torch.cat([torch.arange(train), chosen])
    return codes[rows], values[rows], train


def with_held_out(codes: Tensor, values: Tensor, train: int, size: int) -> tuple[Tensor, Tensor, int]:
    """The training part alone, ``size`` random rows of it last, to test on."""
    rows = torch.randperm(train, generator=torch.Generator().manual_seed(0))
    return codes[rows], values[rows], train - size


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


def new_predictor(
    row: Row, table: str, seed: int, settings: dict[str, Any]
) -> Predictor | ForestPredictor | GaussianProcessPredictor:
    """The model of a row, not fitted."""
    if row.model in WITHOUT_EPOCHS:
        return WITHOUT_EPOCHS[row.model](space=table, seed=seed, **settings)
    return Predictor(row.model, space=table, loss=row.loss, seed=seed, **settings)


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Settings of both; options are joined one by one, the second's count."""
    options = {**first.get("options", {}), **second.get("options", {})}
    return {**first, **second, **({"options": options} if options else {})}


def run(
    args: argparse.Namespace, table: tuple[Tensor, Tensor, int], row: Row, *, size: int, subset: int, seed: int
) -> Run:
    """Train on a random subset of the training half, score the other half."""
    codes, values, train = table
    drawn = torch.randperm(train, generator=torch.Generator().manual_seed(1000 * size + subset))[:size]
    settings = joined(args.settings, row.settings)
    predictor = new_predictor(row, args.table, seed, settings)
    if row.model in WITHOUT_EPOCHS:
        taus = list[float]()
        started = time.process_time()
        predictor.fit(codes[drawn], values[drawn])
        seconds = time.process_time() - started
    else:
        assert isinstance(predictor, Predictor)
        taus, seconds = fit_by_epochs(predictor, codes, values, drawn, train)
    actual = values[train:]
    scores, within = scored(predictor, codes[train:], actual)
    return Run(
        table=args.table,
        model=row.model,
        loss=row.loss,
        size=size,
        subset=subset,
        seed=seed,
        settings=settings,
        parameters=parameters_of(predictor),
        test_sample=args.test_sample,
        held_out=args.held_out,
        within=within,
        tau=statistics.fmean(taus) if taus else kendall_tau(scores, actual),
        n5=n_at_k(scores, actual, 5),
        n10=n_at_k(scores, actual, 10),
        precision={str(k): precision_at_k(scores, actual, k) for k in args.precision},
        cpu_seconds=seconds,
    )


def scored(
    predictor: Predictor | ForestPredictor | GaussianProcessPredictor, codes: Tensor, actual: Tensor
) -> tuple[Tensor, float | None]:
    """Predictions [m], and the share of values within one predicted deviation, None without deviations."""
    if isinstance(predictor, Predictor) and predictor.encoder != "auto" and predictor.ensemble == 1:
        return torch.from_numpy(predictor.predict(codes)), None
    mean, std = map(torch.from_numpy, predictor.predict(codes, return_std=True))
    return mean, float(((actual - mean).abs() <= std).double().mean())


def report(runs: dict[tuple[str, int], list[Run]], args: argparse.Namespace) -> None:
    """One line a row and size.

    Args:
        runs: by label of the row and size.
        args: of the command line.
    """
    head = f"{'model':19} {'loss':11} {'labels':>6} {'runs':>4}  {'tau':>15} {'published':>9}  {'N@5':>5} {'N@10':>5}"
    print(head + "".join(f" {'P@' + str(k):>6}" for k in args.precision) + f" {'within':>6} {'CPU-s':>7}")
    for (label, size), mine in runs.items():
        taus = [r.tau for r in mine]
        spread = statistics.stdev(taus) if len(taus) > 1 else 0.0
        published = None if args.held_out else PUBLISHED.get((args.table, label), {}).get(size)
        known = f"{published:9.4f}" if published is not None else f"{'-':>9}"
        line = (
            f"{label:19} {mine[0].loss:11} {size:6} {len(mine):4}  {statistics.fmean(taus):.4f} +- {spread:.4f} {known}"
        )
        line += f"  {statistics.median(r.n5 for r in mine):5g} {statistics.median(r.n10 for r in mine):5g}"
        for k in args.precision:
            line += f" {statistics.median(r.precision[str(k)] for r in mine):6.3f}"
        shares = [r.within for r in mine if r.within is not None]
        line += f" {statistics.fmean(shares):6.2f}" if shares else f" {'-':>6}"
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
    parser.add_argument("--models", nargs="+", choices=[*list_encoders(), *WITHOUT_EPOCHS], metavar="MODEL")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=["hinge"], metavar="LOSS")
    parser.add_argument("--ablation", nargs="+", choices=ABLATIONS, default=[])
    parser.add_argument("--sizes", nargs="+", type=int, default=[78, 390])
    parser.add_argument("--subsets", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--test-sample", type=int, metavar="N", help="test on N random rows of the test part")
    part.add_argument("--held-out", type=int, metavar="N", help="test on N random rows of the training part instead")
    parser.add_argument("--precision", nargs="+", type=int, default=[10, 100], metavar="K")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--output", type=Path, default=Path("runs/predictors"))
    args = parser.parse_args()
    for name, value in (("--test-sample", args.test_sample), ("--held-out", args.held_out)):
        if value is not None and value < 2:
            parser.error(f"{name} must be at least 2, got {value}")
    args.settings = settings_of(args.settings)
    rows = rows_of(args)
    for row in rows:
        new_predictor(row, args.table, 0, joined(args.settings, row.settings)).checked_space()
    table = read_table(args.table, args.data)
    if args.test_sample is not None:
        table = with_test_sample(*table, args.test_sample)
    if args.held_out is not None:
        if args.held_out > table[2] - max(args.sizes):
            parser.error(
                f"--held-out {args.held_out} of {table[2]} training rows leaves less than {max(args.sizes)} labels"
            )
        table = with_held_out(*table, args.held_out)
    print(f"{args.table}: {table[2]:,} rows to draw labels from, {len(table[0]) - table[2]:,} to test on")
    source = provenance()

    file = args.output / "results.json"
    args.output.mkdir(parents=True, exist_ok=True)
    stored = json.loads(file.read_text()) if file.exists() else []
    done = {identity(entry["run"]): Run(**entry["run"]) for entry in stored}
    wanted = list(product(rows, args.sizes, range(args.subsets), range(args.seeds)))
    found: dict[tuple[str, int], list[Run]] = {}
    with Progress(len(wanted), "training", unit="run") as bar:
        for row, size, subset, seed in wanted:
            key = {"table": args.table, "model": row.model, "loss": row.loss, "size": size, "subset": subset}
            settings = joined(args.settings, row.settings)
            made = new_predictor(row, args.table, seed, settings)
            key |= {"seed": seed, "settings": settings, "parameters": parameters_of(made)}
            key |= {"test_sample": args.test_sample, "held_out": args.held_out}
            result = done.get(identity(key))
            if result is None:
                result = run(args, table, row, size=size, subset=subset, seed=seed)
                stored.append({"run": asdict(result), "provenance": source})
                partial = file.with_suffix(".partial")
                partial.write_text(json.dumps(stored, indent=1) + "\n")
                partial.replace(file)
            found.setdefault((row.label, size), []).append(result)
            bar.update(model=row.label, labels=size, tau=result.tau)
    report(found, args)


def rows_of(args: argparse.Namespace) -> list[Row]:
    """The rows asked for: those of the ablations, and of every model by every loss."""
    rows = [row for name in args.ablation for row in ABLATIONS[name]]
    models = args.models or ([] if rows else ["gates", "hop"])
    for model in models:
        losses = ["hinge"] if model in WITHOUT_EPOCHS else args.losses
        rows += [Row(model if loss == "hinge" else f"{model} {loss}", model, loss) for loss in losses]
    return list({row.label: row for row in rows}.values())


def identity(run: dict[str, Any]) -> str:
    """What makes two runs the same."""
    names = ["table", "model", "loss", "size", "subset", "seed", "settings", "parameters", "test_sample", "held_out"]
    return json.dumps({name: run.get(name) for name in names}, sort_keys=True)


def parameters_of(predictor: Predictor | ForestPredictor | GaussianProcessPredictor) -> str:
    """All settings of a model, those left at their defaults, too, which may change: JSON."""
    auto = isinstance(predictor, Predictor) and predictor.encoder == "auto"
    found = (auto_predictor(predictor) if auto else predictor).get_params(deep=False)
    return json.dumps({name: value for name, value in found.items() if name != "space"}, sort_keys=True, default=str)


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
