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
from reproduce_figures import Data, draw_all, load, mapped_rows, raw_features
from safetensors.torch import save_file
from torch import Tensor

import latentnas as ln
from latentnas.device import PRECISIONS
from latentnas.errors import LatentNASError
from latentnas.latent import FitConfig
from latentnas.latent.published_metrics import prior_quality, stochastic_reconstruction, valid_chains
from latentnas.models import VAEConfig
from latentnas.optimization.sparse_gp import fit_sparse_gp, predictive_performance
from latentnas.progress import Progress
from latentnas.provenance import provenance

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
    "epochs": 40,
    "batch_size": 64,
    "lr": 5e-3,
    "weight_decay": 0.0,
    "clip": 1.0,
    "prior_weight": 0.0,
    "patience": None,
    "num_validation": 500,
}


def published(encoder: str, *, hidden: int = 128, **options: Any) -> Recipe:
    """A model wired and weighted as published, of our size and start (``carry``), on our schedule."""
    wiring = {k: options.pop(k) for k in ("op_embedding", "bidirectional") if k in options}
    config = VAEConfig.published(encoder, num_types=1, num_nodes=1, hidden=hidden, **wiring).to_dict()
    model = {k: v for k, v in config.items() if not k.startswith("num_")}
    return Recipe({**model, "carry": True}, {**SCHEDULE, **options})


RECIPES: dict[str, Recipe] = {
    "dvae": published("dvae", bidirectional=True, epochs=32),
    "gcn": published("gcn", epochs=24),
    "svae": published("svae", lr=3e-3),
    "graphrnn": published("graphrnn", epochs=24),
    "dvae-emb": published("dvae", bidirectional=True, op_embedding=3),
    "gcn-emb": published("gcn", op_embedding=3, epochs=24),
    "svae-emb": published("svae", op_embedding=3, lr=3e-3),
    "graphrnn-emb": published("graphrnn", op_embedding=3, epochs=24),
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

DECODINGS, LATENTS, DECODINGS_OF_LATENT = 100, 1_000, 10


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


def train(folder: Path, recipe: Recipe, data: Data, seed: int, device: str | None) -> dict[str, float | None]:
    """Train a model, keep it in ``folder``; returns what it took."""
    epochs = recipe.fit.get("epochs", FitConfig().epochs)
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
    """Mean, and standard deviation where there are several that differ."""
    if not values:
        return "-"
    return f"{mean(values):,.{digits}f}" + (f" +-{stdev(values):.{digits}f}" if len(set(values)) > 1 else "")


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
    ("recon_free", "reconstruct. %", 2, 0, +1),
    ("validity_free", "valid %", 2, 1, +1),
    ("uniqueness_free", "unique %", 2, 2, +1),
    ("rmse", "SGP RMSE", 3, 3, -1),
    ("r", "Pearson r", 3, 4, +1),
)
"""The published figures: name, heading, digits, place among them, and which direction is better."""

FURTHER = (
    ("novelty_free", "novel %", 2),
    ("cells_free", "cells %", 2),
    ("recon_constrained", "reconstruct. %", 2),
    ("validity_constrained", "valid %", 2),
    ("uniqueness_constrained", "unique %", 2),
    ("novelty_constrained", "novel %", 2),
    ("parameters", "parameters", 0),
    ("epochs", "epochs", 0),
    ("seconds", "wall s", 0),
    ("cpu_seconds", "CPU s", 0),
)
WIDTH = 15


def table(rows: dict[str, dict[str, list[float]]], seeds: int) -> str:
    """Both tables: the published figures, and what else is measured."""
    lines = ["free decoding, as published".ljust(14)]
    lines.append(" " * 14 + "".join(f"{head:>{WIDTH}} " for _, head, *_ in COLUMNS))
    for name, found in rows.items():
        target = AIM if name == "ours" else PUBLISHED.get(name)
        cells = []
        for key, _, digits, place, better in COLUMNS:
            text = spread(found[key], digits)
            missed = target is not None and bool(found[key]) and (
                round(better * mean(found[key]), digits) < round(better * target[place], digits)
            )  # fmt: skip
            cells.append(f"{text:>{WIDTH}}" + ("*" if missed else " "))
        lines.append(f"{name:14s}" + "".join(cells))
        if target is not None:
            cells = [f"{target[place]:{WIDTH}.{digits}f} " for _, _, digits, place, _ in COLUMNS]
            lines.append(f"{'  aim' if name == 'ours' else '  published':14s}" + "".join(cells))
    lines.append("")
    lines.append(" " * 14 + f"{'free':>{2 * WIDTH}}  {'constrained decoding':>{4 * WIDTH}}  {'training':>{4 * WIDTH}}")
    lines.append(" " * 14 + "".join(f"{head:>{WIDTH}} " for _, head, _ in FURTHER))
    for name, found in rows.items():
        lines.append(f"{name:14s}" + "".join(f"{spread(found[key], digits):>{WIDTH}} " for key, _, digits in FURTHER))
    lines.append("")
    lines.append(
        f"{DECODINGS} stochastic decodings of each test cell; {LATENTS:,} prior latents x {DECODINGS_OF_LATENT}; SGP "
        f"over {seeds} seeds; cells: valid with all layers; * misses the published figure (ours: the aim)"
    )
    return "\n".join(line.rstrip() for line in lines)


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
    parser.add_argument("--matmul-precision", choices=PRECISIONS, help="of training's matrix products; default: high")
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
            changed = {k: v for k in ("epochs", "matmul_precision") if (v := getattr(args, k)) is not None}
            if name != RAW:
                recipe = Recipe(recipe.model, {**recipe.fit, **changed}, recipe.on)
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
        found, sections = draw_all(folders, data, args.out)
        write(args.out, {**results, **found}, [text, sections])
        print(sections, flush=True)


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
