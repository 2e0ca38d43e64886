"""The tables and figures of the operation-embedding paper on the ENAS macro cells, ours beside the published.

    python scripts/reproduce_latent_spaces.py --data enas_macro6.txt.gz                      # every row, all figures
    python scripts/reproduce_latent_spaces.py --data enas_macro6.txt.gz --models ours --model-seeds 10
    python scripts/reproduce_latent_spaces.py --data enas_macro6.txt.gz --models dvae --epochs 1 --seeds 1

`--data` is `final_structures6.txt` of the public D-VAE code, plain or gzip: the first 1,000 rows are dropped, the rest
is shuffled by `random.Random(0)`, 90% train. Each row of RECIPES is trained, then measured:

    reconstruction      each test cell's posterior mean, decoded 100 times stochastically: share of exact matches
    validity            1,000 latents from N(0, I) in the train latents' scale, 10 stochastic decodings each
    uniqueness, novelty distinct among the valid; valid that no train cell is
    SGP RMSE, r         sparse Gaussian process (500 inducing points, ARD RBF) on the latents of the train cells: RMSE
                        of the standardised accuracy and Pearson r on the test cells, mean and spread over seeds

"free" decodes as published, "constrained" under the space's grammar. A `*` marks what misses the published figure (for
`ours`: the project's aim). Nothing is chosen by test cells; a model's best epoch is chosen by cells held out of the
train part. `raw` is no model: the process on the 51 one-hot features of a cell.

Written to `--out` after every step: results.json, table.txt, a folder a model (the latent space, result.json, latents
during training), and structure.png (section 4.4), maps.png (section 4.5), smoothness.png. The same command goes on
where it was stopped; what is finished is not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import latentnas as ln
from latentnas.benchmarks.enas_text import dvae_rows, dvae_split, read
from latentnas.benchmarks.table import TabularBenchmark
from latentnas.errors import LatentNASError
from latentnas.latent.published_metrics import prior_quality, stochastic_reconstruction, valid_chains
from latentnas.latent.smoothness import along_paths, among_nearest, by_distance, one_hot, one_hot_smoothness
from latentnas.models import VAEConfig
from latentnas.optimization.features import one_hot_features
from latentnas.optimization.sparse_gp import fit_sparse_gp, predictive_performance
from latentnas.progress import Progress, format_seconds
from latentnas.provenance import provenance
from latentnas.report.paper_figures import Map, SmoothnessCurves, draw_maps, draw_smoothness, draw_structure, tsne
from latentnas.report.paper_figures import pearson as correlation
from latentnas.spaces.graph_measures import average_path_length, clustering_coefficient, transitivity

# --- what is trained ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """A row of the table.

    Attributes:
        model: options of VAEConfig.
        fit: options of FitConfig.
        on: "train" (the train rows, a part of them held out) or "space" (random cells, the package's default).
    """

    model: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    on: str = "train"


SCHEDULE: dict[str, Any] = {
    "epochs": 100,
    "batch_size": 64,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "prior_weight": 0.0,
    "patience": None,
    "num_validation": 500,
}


def published(encoder: str, *, hidden: int = 128, **options: Any) -> Recipe:
    """A model wired and weighted as published, of our size, on our schedule."""
    wiring = {k: options.pop(k) for k in ("op_embedding", "bidirectional") if k in options}
    config = VAEConfig.published(encoder, num_types=1, num_nodes=1, hidden=hidden, **wiring).to_dict()
    return Recipe({k: v for k, v in config.items() if not k.startswith("num_")}, {**SCHEDULE, **options})


RECIPES: dict[str, Recipe] = {
    "dvae": published("dvae", bidirectional=True),
    "gcn": published("gcn"),
    "svae": published("svae"),
    "graphrnn": published("graphrnn"),
    "dvae-emb": published("dvae", bidirectional=True, op_embedding=3),
    "gcn-emb": published("gcn", op_embedding=3),
    "svae-emb": published("svae", op_embedding=3),
    "graphrnn-emb": published("graphrnn", op_embedding=3),
    "ours": Recipe(on="space"),
}
RAW = "raw"

# reconstruction, validity, uniqueness (%), RMSE, r: tables 1 and 2 of the paper (and of D-VAE)
PUBLISHED: dict[str, tuple[float, float, float, float, float]] = {
    "dvae": (99.96, 100.0, 37.26, 0.384, 0.920),
    "gcn": (98.70, 99.53, 34.00, 0.485, 0.870),
    "svae": (99.98, 100.0, 37.03, 0.478, 0.873),
    "graphrnn": (99.85, 99.84, 29.77, 0.726, 0.669),
    "dvae-emb": (99.99, 100.0, 39.15, 0.371, 0.925),
    "gcn-emb": (98.87, 99.95, 32.63, 0.441, 0.892),
}
AIM = (99.99, 99.9, 60.0, 0.20, 0.98)
PUBLISHED_STRUCTURE = {"clustering coefficient": -0.39, "average path length": 0.32}

DECODINGS, LATENTS, DECODINGS_OF_LATENT = 100, 1_000, 10
MAPPED = 3_000
NEIGHBOURS = (1, 3, 10, 30, 100)
SMOOTHNESS_SEEDS = 5


@dataclass(frozen=True, eq=False)
class Data:
    """The protocol's rows: codes [n, D], accuracies [n], and the indices of the train and test part."""

    codes: Tensor
    accuracies: Tensor
    train: Tensor
    test: Tensor
    table: TabularBenchmark


def load(path: Path) -> Data:
    table = TabularBenchmark.from_imported(read(path))
    return Data(*dvae_rows(table), *dvae_split(table), table)


def raw_features(codes: Tensor) -> Tensor:
    """Operations one-hot and skip bits as they are: [B, D] -> [B, 51] for six layers."""
    space = ln.get_space("enas_macro6")
    return torch.cat([one_hot_features(space, codes)[:, : 6 * space.layers], codes[:, space.layers :].double()], 1)  # type: ignore[attr-defined]


# --- a model --------------------------------------------------------------------------------------


class Result:
    """What is known of a model so far, kept in a file after every step."""

    def __init__(self, folder: Path, recipe: dict[str, Any]) -> None:
        self.file = folder / "result.json"
        self.values: dict[str, Any] = {"recipe": recipe}
        if self.file.exists():
            known = json.loads(self.file.read_text())
            if known["recipe"] != json.loads(json.dumps(recipe)):
                sys.exit(f"error: {folder} holds another recipe's results; give another --out, or delete it")
            self.values = known

    def step(self, name: str, compute: Callable[[], Any]) -> Any:
        """The value called ``name``, computed where it is not known yet."""
        if name not in self.values:
            self.values[name] = compute()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.values, indent=1))
        return self.values[name]


def mapped_rows(data: Data) -> Tensor:
    """The cells of the maps, as rows."""
    return torch.randperm(len(data.codes), generator=torch.Generator().manual_seed(0))[:MAPPED]


def train(folder: Path, recipe: Recipe, data: Data, seed: int, device: str | None) -> dict[str, float | None]:
    """Train a model, keep it in ``folder``; returns what it took."""
    epochs = recipe.fit.get("epochs", ln_default("epochs"))
    cells = data.codes[mapped_rows(data)]
    snapshots = folder / "during"
    snapshots.mkdir(parents=True, exist_ok=True)

    def keep(epoch: int, latent: ln.LatentSpace) -> None:
        if epoch in (1, max(2, epochs // 4)):
            save_file({"latents": latent.encode(cells)}, snapshots / f"epoch_{epoch:04d}.safetensors")

    checkpoint = folder / "checkpoint"
    resumed = checkpoint.exists()
    cpu = time.process_time()
    latent = ln.LatentSpace.fit(
        "enas_macro6", codes=data.codes[data.train] if recipe.on == "train" else None, seed=seed, device=device,
        checkpoint=checkpoint, after_epoch=keep, **recipe.model, **recipe.fit,
    )  # fmt: skip
    cpu = time.process_time() - cpu
    latent.save(folder)
    known = latent.info["metrics"]
    return {
        "epochs": known["epochs_done"],
        "best_epoch": known["best_epoch"],
        "parameters": sum(p.numel() for p in latent.model.parameters()),
        "seconds": known["seconds"],
        "cpu_seconds": None if resumed else round(cpu, 1),  # what an interrupted run took is not known
    }


def ln_default(name: str) -> Any:
    """The package's default of a FitConfig field."""
    from latentnas.latent import FitConfig

    return getattr(FitConfig(), name)


def measure(result: Result, latent: ln.LatentSpace, data: Data, seeds: int) -> None:
    """All figures of a trained model."""
    test, train_cells = data.codes[data.test], data.codes[data.train]
    for name, constrained in (("free", False), ("constrained", True)):
        result.step(
            f"reconstruction_{name}",
            lambda c=constrained: stochastic_reconstruction(latent, test, DECODINGS, constrained=c, seed=0),  # type: ignore[misc]
        )
        result.step(
            f"prior_{name}",
            lambda c=constrained: prior_quality(  # type: ignore[misc]
                latent, train_cells, LATENTS, DECODINGS_OF_LATENT, validity=valid_chains, constrained=c, seed=0
            ).to_dict(),
        )
    predict(result, latent.encode, data, seeds)


def predict(result: Result, points: Callable[[Tensor], Tensor], data: Data, seeds: int) -> None:
    """RMSE and r of the sparse process on a representation, one step a seed."""
    x_train, x_test = points(data.codes[data.train]), points(data.codes[data.test])

    def one(seed: int) -> dict[str, float]:
        cpu = time.process_time()
        process = fit_sparse_gp(x_train, data.accuracies[data.train], seed=seed)
        found = asdict(predictive_performance(process, x_test, data.accuracies[data.test]))
        return {**found, "cpu_seconds": round(time.process_time() - cpu, 1)}

    with Progress(seeds, "sparse GP", unit="seed") as bar:
        for seed in range(seeds):
            found = result.step(f"sgp_{seed}", lambda s=seed: one(s))  # type: ignore[misc]
            bar.update(rmse=found["rmse"], r=found["pearson"])


# --- the table ------------------------------------------------------------------------------------


def spread(values: list[float], digits: int) -> str:
    return f"{mean(values):.{digits}f}" + (f" +-{stdev(values):.{digits}f}" if len(values) > 1 else "")


def figures(runs: list[dict[str, Any]], seeds: int) -> dict[str, list[float]]:
    """The figures of a row, each over its model seeds (RMSE and r: over the process' seeds, too)."""
    sgp = [run[f"sgp_{s}"] for run in runs for s in range(seeds) if f"sgp_{s}" in run]
    found: dict[str, list[float]] = {"rmse": [s["rmse"] for s in sgp], "r": [s["pearson"] for s in sgp]}
    for kind in ("free", "constrained"):
        done = [run for run in runs if f"prior_{kind}" in run]
        found[f"recon_{kind}"] = [100 * run[f"reconstruction_{kind}"] for run in done]
        for name in ("validity", "cells", "uniqueness", "novelty"):
            found[f"{name}_{kind}"] = [100 * run[f"prior_{kind}"][name] for run in done]
    done = [run["train"] for run in runs if "train" in run]
    for name in ("seconds", "cpu_seconds", "parameters", "epochs"):
        found[name] = [one[name] for one in done if one[name] is not None]
    return found


COLUMNS = (
    ("recon_free", "reconstr. %", 2, 0, +1), ("validity_free", "valid %", 2, 1, +1),
    ("uniqueness_free", "unique %", 2, 2, +1), ("rmse", "SGP RMSE", 3, 3, -1), ("r", "Pearson r", 3, 4, +1),
    ("novelty_free", "novel %", 2, None, 0), ("recon_constrained", "constr.: reconstr. %", 2, None, 0),
    ("validity_constrained", "valid %", 2, None, 0), ("uniqueness_constrained", "unique %", 2, None, 0),
    ("novelty_constrained", "novel %", 2, None, 0),
)  # fmt: skip
"""Figure, heading, digits, place among the published figures, and which direction is better."""


def table(rows: dict[str, dict[str, list[float]]], seeds: int) -> str:
    lines = []
    heads = [f"{head:>{width(head)}}" for _, head, *_ in COLUMNS]
    lines.append(f"{'':14s} " + " ".join(heads) + f" {'parameters':>10s} {'epochs':>6s} {'wall':>8s} {'CPU':>8s}")
    for name, found in rows.items():
        target = AIM if name == "ours" else PUBLISHED.get(name)
        cells = []
        for key, head, digits, place, better in COLUMNS:
            values = found[key]
            text = spread(values, digits) if values else "-"
            if values and target is not None and place is not None:
                miss = round(better * mean(values), digits) < round(better * target[place], digits)
                text += "*" if miss else " "
            cells.append(f"{text:>{width(head)}}")
        plain = [f"{found[key][0]:,.0f}" if found[key] else "-" for key in ("parameters", "epochs")]
        times = [format_seconds(mean(found[key])) if found[key] else "-" for key in ("seconds", "cpu_seconds")]
        lines.append(
            f"{name:14s} " + " ".join(cells) + f" {plain[0]:>10s} {plain[1]:>6s} {times[0]:>8s} {times[1]:>8s}"
        )
        if target is not None:
            texts = ["" if place is None else f"{target[place]:.{digits}f} " for _, _, digits, place, _ in COLUMNS]
            label = "  aim" if name == "ours" else "  published"
            cells = [f"{text:>{width(head)}}" for text, (_, head, *_) in zip(texts, COLUMNS, strict=True)]
            lines.append(f"{label:14s} " + " ".join(cells))
    lines.append("")
    lines.append(
        f"reconstruction: {DECODINGS} stochastic decodings of each test cell; prior: {LATENTS:,} latents x "
        f"{DECODINGS_OF_LATENT}; SGP over {seeds} seeds; * misses the published figure (ours: the aim)"
    )
    return "\n".join(line.rstrip() for line in lines)


def width(head: str) -> int:
    return max(15, len(head) + 1)


# --- figures --------------------------------------------------------------------------------------


def structure(data: Data, out: Path) -> dict[str, float]:
    """Section 4.4: clustering and path length of all cells against accuracy; Pearson r."""
    graphs = data.table.space.node_graphs(data.codes)
    measures = {
        "clustering coefficient (global: transitivity)": transitivity(graphs),
        "clustering coefficient (average of vertices)": clustering_coefficient(graphs),
        "average path length (along the edges)": average_path_length(graphs, directed=True),
        "average path length (edges both ways)": average_path_length(graphs, directed=False),
    }
    shown = {label: measure for k, (label, measure) in enumerate(measures.items()) if k in (0, 2)}
    draw_structure(shown, data.accuracies, "weight-sharing accuracy").savefig(out / "structure.png", dpi=120)
    return {label: correlation(measure, data.accuracies) for label, measure in measures.items()}


def structure_text(found: dict[str, float]) -> str:
    lines = ["section 4.4, Pearson r with accuracy"]
    for label, r in found.items():
        known = next(value for name, value in PUBLISHED_STRUCTURE.items() if label.startswith(name))
        lines.append(f"  {label:46s} {r:+.3f}   published {known:+.2f}")
    return "\n".join(lines)


def maps(folders: dict[str, Path], data: Data, out: Path) -> None:
    """Section 4.5: t-SNE of the latents during training."""
    rows = mapped_rows(data)
    found: dict[str, list[Map]] = {}
    with Progress(
        sum(1 + len(list((f / "during").glob("epoch_*"))) for f in folders.values()), "t-SNE", unit="map"
    ) as bar:
        for name, folder in folders.items():
            found[name] = []
            latent = ln.LatentSpace.load(folder, device="cpu")
            during = {
                int(p.stem[6:]): torch.load(p, weights_only=True) for p in sorted((folder / "during").glob("epoch_*"))
            }
            during[latent.info["metrics"]["best_epoch"]] = latent.encode(data.codes[rows])
            for epoch, points in sorted(during.items()):
                found[name].append(Map(f"epoch {epoch}", tsne(points, seed=0)))
                bar.update()
    draw_maps(found, data.accuracies[rows], "weight-sharing accuracy").savefig(out / "maps.png", dpi=120)


def smoothness_figure(folders: dict[str, Path], data: Data, out: Path) -> dict[str, Any]:
    """How accuracy varies among near cells and along lines, for the latent spaces and one-hot codes.

    Among cells only measured accuracies count. The cells on a line between two are hardly ever measured (19,020 of 1.5
    billion are), so along lines the accuracy is the prediction of the sparse process on the raw features, which
    knows nothing of any latent space and is right to about r = 0.99 on the test cells.
    """
    space, codes, accuracies = data.table.space, data.table.codes, data.table.values(data.table.default_metric)
    process = fit_sparse_gp(raw_features(data.codes), data.accuracies, seed=0)

    def predicted(cells: Tensor) -> Tensor:
        return process.predict(raw_features(cells))[0]

    latents = {name: ln.LatentSpace.load(folder, device="cpu") for name, folder in folders.items()}
    points = {name: latent.encode(codes) for name, latent in latents.items()} | {"one-hot": one_hot(space, codes)}
    curves, paths, found = {}, {}, {}
    random = []
    with Progress(len(points), "smoothness", unit="representation") as bar:
        for name, x in points.items():
            seeds = range(SMOOTHNESS_SEEDS)
            near = {k: [among_nearest(x, accuracies, k=k, seed=s) for s in seeds] for k in NEIGHBOURS}
            pairs = by_distance(x, accuracies, pairs=100_000, seed=0)
            random += [one.random for one in near[NEIGHBOURS[0]]]
            if name in latents:
                way = lines(latents[name], codes, predicted)
                on_way = along_paths(way)
            else:
                on_way = one_hot_smoothness(space, predicted, codes, seed=0).paths["edits"]
                way = None
            differences = {k: mean(one.difference for one in near[k]) for k in NEIGHBOURS}
            shares = [(x_end + 1) / len(pairs.differences) for x_end in range(len(pairs.differences))]
            curves[name] = SmoothnessCurves(pairs.differences, shares, differences)
            if way is not None:
                paths[name] = way
            found[name] = {
                "difference_to_nearest": differences,
                "error_of_10_nearest": mean(one.error for one in near[10]),
                "distance_spearman": pairs.spearman,
                "along_lines": asdict(on_way),
            }
            bar.update()
    figure = draw_smoothness(curves, paths, mean(random), "accuracy", "accuracy, predicted from the raw cell")
    figure.savefig(out / "smoothness.png", dpi=120)
    return {"random_pairs": mean(random), "representations": found}


def lines(latent: ln.LatentSpace, codes: Tensor, values: Callable[[Tensor], Tensor], count: int = 200) -> Tensor:
    """Values of the cells on straight lines between the latents of random cells: [count, 65]."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(codes), generator=generator)[: 2 * count]
    path = latent.interpolate(codes[rows[:count]], codes[rows[count:]], 65)
    return values(latent.decode(path.flatten(0, 1))).reshape(count, -1)


def smoothness_text(found: dict[str, Any]) -> str:
    lines = [
        f"smoothness of accuracy (random pairs: mean |difference| {found['random_pairs']:.5f})",
        f"  {'':14s} {'|difference| to the 1, 10, 100 nearest':>40s} {'error of 10 nearest':>20s} "
        f"{'Spearman r':>11s} {'along lines: variation':>23s} {'largest step':>13s} {'cells':>6s}",
    ]
    for name, one in found["representations"].items():
        by_k = {int(k): value for k, value in one["difference_to_nearest"].items()}
        near = " ".join(f"{by_k[k]:.5f}" for k in (1, 10, 100))
        way = one["along_lines"]
        lines.append(
            f"  {name:14s} {near:>40s} {one['error_of_10_nearest']:20.5f} {one['distance_spearman']:11.3f} "
            f"{way['variation']:23.4f} {way['largest_step']:13.5f} {way['cells']:6.1f}"
        )
    lines.append("  lines: 200 between random cells, accuracies predicted from the raw cell (one-hot: single edits)")
    return "\n".join(lines)


# --- the run --------------------------------------------------------------------------------------


def write(out: Path, results: dict[str, Any], texts: list[str]) -> None:
    (out / "results.json").write_text(json.dumps({**results, "provenance": provenance()}, indent=1))
    (out / "table.txt").write_text("\n\n".join(texts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="final_structures6.txt, plain or gzip")
    parser.add_argument("--models", nargs="+", choices=[*RECIPES, RAW], default=[*RECIPES, RAW], metavar="MODEL",
                        help=f"of {', '.join([*RECIPES, RAW])}; default: all")  # fmt: skip
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, default=10, help="of the sparse process")
    parser.add_argument("--model-seeds", type=int, default=1, help="of the model: 0, 1, ...")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--device", help="where to train; default: the GPU where there is one")
    parser.add_argument("--figures", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    if min(args.seeds, args.model_seeds, args.epochs or 1) < 1:
        parser.error("--seeds, --model-seeds and --epochs must be at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    data = load(args.data)
    print(f"{len(data.train):,} train and {len(data.test):,} test rows, {torch.get_num_threads()} threads", flush=True)

    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in args.models}
    results: dict[str, Any] = {"models": runs}
    folders: dict[str, Path] = {}
    text = ""
    for name in args.models:
        for seed in range(1 if name == RAW else args.model_seeds):
            print(f"{name}, seed {seed}", flush=True)
            folder = args.out / name / f"seed{seed}"
            recipe = Recipe() if name == RAW else RECIPES[name]
            if args.epochs is not None and name != RAW:
                recipe = Recipe(recipe.model, {**recipe.fit, "epochs": args.epochs}, recipe.on)
            result = Result(folder, asdict(recipe))
            runs[name].append(result.values)
            if name == RAW:
                predict(result, raw_features, data, args.seeds)
            else:
                result.step("train", lambda: train(folder, recipe, data, seed, args.device))  # noqa: B023
                measure(result, ln.LatentSpace.load(folder, device=args.device), data, args.seeds)
                folders.setdefault(name, folder)
            text = table({row: figures(of, args.seeds) for row, of in runs.items() if of}, args.seeds)
            write(args.out, results, [text])
            print(text, flush=True)
    if args.figures:
        results["structure"] = structure(data, args.out)
        results["smoothness"] = smoothness_figure(folders, data, args.out)
        texts = [text, structure_text(results["structure"]), smoothness_text(results["smoothness"])]
        write(args.out, results, texts)
        print("\n\n".join(texts[1:]), flush=True)
        if folders:
            maps(folders, data, args.out)


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
