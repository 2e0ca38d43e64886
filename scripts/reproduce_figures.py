"""The figures of reproduce_latent_spaces.py: structure, maps and smoothness of the ENAS macro cells' latent spaces.

    python scripts/reproduce_figures.py --data enas_macro6.txt.gz --out runs/reproduce

draws them again from the models that reproduce_latent_spaces.py left in `--out`.

    structure.png   section 4.4 of the operation-embedding paper: clustering coefficient and average path length of all
                    19,020 cells' graphs against accuracy
    maps.png        section 4.5: t-SNE of the latents of 2,000 cells after one epoch, a quarter, and the best epoch
    smoothness.png  accuracy among the nearest cells, by distance, and along lines: latent spaces against one-hot codes
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import latentnas as ln
from latentnas.benchmarks.enas_text import dvae_rows, dvae_split, read
from latentnas.benchmarks.table import TabularBenchmark
from latentnas.errors import LatentNASError
from latentnas.latent.smoothness import (
    along_paths,
    among_nearest,
    by_distance,
    differences_to_nearest,
    one_hot,
    one_hot_smoothness,
)
from latentnas.optimization.sparse_gp import fit_sparse_gp
from latentnas.progress import Progress
from latentnas.report.paper_figures import Map, SmoothnessCurves, draw_maps, draw_smoothness, draw_structure, tsne
from latentnas.report.paper_figures import pearson as correlation
from latentnas.spaces.features import one_hot_features
from latentnas.spaces.graph_measures import average_path_length, clustering_coefficient, transitivity

PUBLISHED_STRUCTURE = {"clustering coefficient": -0.39, "average path length": 0.32}
MAPPED = 2_000
NEIGHBOURS = (1, 3, 10, 30, 100)
SMOOTHNESS_SEEDS = 3


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


def mapped_rows(data: Data) -> Tensor:
    """The cells of the maps, as rows."""
    return torch.randperm(len(data.codes), generator=torch.Generator().manual_seed(0))[:MAPPED]


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
    count = sum(1 + len(list((folder / "during").glob("epoch_*"))) for folder in folders.values())
    with Progress(count, "t-SNE", unit="map") as bar:
        for name, folder in folders.items():
            found[name] = []
            latent = ln.LatentSpace.load(folder, device="cpu")
            during = {int(p.stem[6:]): load_file(p)["latents"] for p in (folder / "during").glob("epoch_*")}
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
        distinct, number = cells.unique(dim=0, return_inverse=True)  # equal cells get equal values, to the last bit
        return process.predict(raw_features(distinct))[0][number]

    latents = {name: ln.LatentSpace.load(folder, device="cpu") for name, folder in folders.items()}
    points = {name: latent.encode(codes) for name, latent in latents.items()} | {"one-hot": one_hot(space, codes)}
    curves: dict[str, SmoothnessCurves] = {}
    paths: dict[str, Tensor] = {}
    found: dict[str, Any] = {}
    random: list[float] = []
    with Progress(len(points), "smoothness", unit="representation") as bar:
        for name, x in points.items():
            nearest = [among_nearest(x, accuracies, k=10, seed=seed) for seed in range(SMOOTHNESS_SEEDS)]
            by_k = [
                differences_to_nearest(x, accuracies, k=NEIGHBOURS[-1], seed=seed) for seed in range(SMOOTHNESS_SEEDS)
            ]
            differences = {k: mean(float(one[k - 1]) for one in by_k) for k in NEIGHBOURS}
            pairs = by_distance(x, accuracies, pairs=100_000, seed=0)
            random += [one.random for one in nearest]
            typical = float((2 * x.double().var(0).sum()).sqrt())  # root mean square of the distances of pairs
            distances = [distance / typical for distance in pairs.distances]
            curves[name] = SmoothnessCurves(distances, pairs.differences, differences)
            if name in latents:
                paths[name] = lines(latents[name], codes, predicted)
                on_way = along_paths(paths[name])
            else:
                on_way = one_hot_smoothness(space, predicted, codes, seed=0).paths["edits"]
            found[name] = {
                "difference_to_nearest": differences,
                "error_of_10_nearest": mean(one.error for one in nearest),
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


def draw_all(folders: dict[str, Path], data: Data, out: Path) -> tuple[dict[str, Any], str]:
    """Draw and measure everything; returns the figures as JSON types and as a text."""
    found = {"structure": structure(data, out), "smoothness": smoothness_figure(folders, data, out)}
    if folders:
        maps(folders, data, out)
    return found, structure_text(found["structure"]) + "\n\n" + smoothness_text(found["smoothness"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="final_structures6.txt, plain or gzip")
    parser.add_argument("--models", nargs="*", metavar="MODEL", help="default: all that are found")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"))
    args = parser.parse_args()
    done = {
        folder.parent.name: folder for folder in sorted(args.out.glob("*/seed0")) if (folder / "config.json").exists()
    }
    missing = [name for name in args.models or () if name not in done]
    if missing:
        parser.error(f"{args.out} has no {', '.join(missing)}; it has {', '.join(done) or 'no model'}")
    folders = {name: done[name] for name in args.models or done}
    args.out.mkdir(parents=True, exist_ok=True)
    print(draw_all(folders, load(args.data), args.out)[1])


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
