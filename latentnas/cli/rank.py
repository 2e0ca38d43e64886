"""``latentnas rank``: train a predictor on a CSV of evaluated cells, rank a space, write a CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app
from .output import print_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from ..predictor import Predictor
    from ..spaces import SearchSpace

BLOCK = 100_000
"""Cells whose texts are made at once."""


@app.command("rank")
def rank(
    labels: Annotated[Path, typer.Argument(metavar="CSV", help="Evaluated cells: a column of texts, one of numbers.")],
    out: Annotated[Path, typer.Option(help="The CSV to write: cell, score, best first.")],
    space: Annotated[str, typer.Option(help="The space of the cells.")],
    column: Annotated[str | None, typer.Option(help="The column of cells; by default it is recognised.")] = None,
    metric: Annotated[str | None, typer.Option(help="The column to rank by; by default the first of numbers.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Less is better.")] = False,
    model: Annotated[
        str, typer.Option(help="The predictor: gates, gates++, gates-simplified, hop, nar, auto, or another encoder.")
    ] = "gates",
    loss: Annotated[
        str | None, typer.Option(help="The loss it is trained by; by default hinge, for nar its own.")
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="Models to train; from 2 on, and for auto, a column std is written.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A further setting of the predictor.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", help="Rank N random cells instead of every network of the space.")
    ] = None,
    top: Annotated[int | None, typer.Option(metavar="N", help="Write the best N only.")] = None,
    unseen: Annotated[bool, typer.Option("--unseen", help="Leave out the cells that were evaluated.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keep the trained predictor there.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of training and sample.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to train; by default the GPU where there is one.")] = None,
) -> None:
    """Train a predictor on evaluated cells and rank the space with it."""
    import torch

    from ..errors import ConfigError
    from ..spaces import get_space

    for name, number in (("--sample", sample), ("--top", top)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} must be at least 1, got {number}")
    out = out.expanduser()
    if out.exists() and labels.expanduser().exists() and out.samefile(labels.expanduser()):
        raise ConfigError(f"--out {out} is the file of the labels, which would be lost; give another file")
    check_writable("--out", out)
    if save is not None:
        check_writable("--save", save.expanduser() / "model.safetensors")
    settings: dict[str, Any] = {"encoder": model, "seed": seed, "device": device, "progress": True}
    for key, value in (("loss", loss or own_loss(model)), ("ensemble", ensemble)):
        if value is not None:
            settings[key] = value
    predictor = predictor_of(space, settings, set_ or [])
    found_space = get_space(space)
    candidates = _candidates(found_space, sample, seed)
    codes, name, left_out = fit_on_csv(predictor, labels, column, metric, minimize)
    if unseen:
        candidates = candidates[~_among(found_space, candidates, codes)]
    if save is not None:
        predictor.save(save.expanduser())
    deviations = model == "auto" or predictor.ensemble > 1
    moments = predictor.predict(candidates, return_std=True) if deviations else (predictor.predict(candidates),)
    mean, *stds = map(torch.from_numpy, moments)
    best = mean.argsort(descending=True, stable=True)[:top]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["cell", "score", *["std" for _ in stds]])
        for part in best.split(BLOCK):
            columns = [mean[part] * (-1 if minimize else 1), *(std[part] for std in stds)]
            numbers = [[f"{x:.6g}" for x in values_of.tolist()] for values_of in columns]
            writer.writerows(zip(found_space.format(candidates[part]), *numbers, strict=True))
    without = f"; {left_out:,} cells without" if left_out else ""
    unit = "networks" if predictor.canonical else "cells"
    print_pairs(
        [
            ("trained on", f"{len(predictor.labels_):,} {unit}, {name}{without}"),
            ("ranked", f"{len(candidates):,} cells of {found_space.name}"),
            ("written", f"{len(best):,} cells in {out}"),
            *([("best", found_space.format(candidates[best[:1]])[0])] if len(best) else []),
            *([("predictor", str(save))] if save is not None else []),
        ]
    )


def own_loss(model: str) -> str | None:
    """The loss that an encoder is made for, where it is not a predictor's default."""
    return "nar" if model == "nar" else None


def check_writable(option: str, path: Path) -> None:
    """Refuse a file that cannot be written, before anything is trained for it."""
    from ..errors import ConfigError
    from ..weights import why_not_writable

    reason = "it is a folder" if path.is_dir() else why_not_writable(path.parent)
    if reason is not None:
        raise ConfigError(f"{option} {path}: cannot be written: {reason}")


def predictor_of(space: str, settings: dict[str, Any], further: list[str]) -> Predictor:
    """A predictor for ``space``, with the settings of a command's own options and those of its ``--set``."""
    from ..errors import ConfigError
    from ..predictor import Predictor
    from ..spaces import get_space
    from .search import parse_options

    found_space, given = get_space(space), parse_options(further, "--set")
    known = set(Predictor._get_param_names()) - {*settings, "space"}
    wrong = sorted(given.keys() - known)
    if wrong:
        raise ConfigError(
            f"--set {wrong[0]}=...: no further setting of a predictor; these are {', '.join(sorted(known))}"
        )
    return Predictor(space=found_space, **settings, **given)


def fit_on_csv(
    predictor: Predictor, path: Path, column: str | None, metric: str | None, minimize: bool
) -> tuple[Tensor, str, int]:
    """Train a predictor on the evaluated cells of a CSV.

    Returns:
        codes [n, D] of the cells, the column of values, and how many cells have none.
    """
    from ..benchmarks import csv_table
    from ..errors import ConfigError
    from ..spaces import get_space

    table = csv_table.read(path.expanduser(), space=get_space(predictor.space), column=column, duplicates="mean")
    name = table.default if metric is None else metric
    if name not in table.metrics:
        raise ConfigError(f"--metric {name}: no column of numbers; these are {', '.join(table.metrics)}")
    values = table.metrics[name].double()
    known = values.isfinite()
    codes, values = table.codes.long()[known], values[known]
    predictor.fit(codes, -values if minimize else values)
    return codes, name, int((~known).sum())


def _candidates(space: SearchSpace, sample: int | None, seed: int) -> Tensor:
    """Every network of the space, or random cells of different networks: [n, D] long."""
    import torch

    from ..errors import ConfigError, SpaceTooLargeError
    from ..seeding import derive_seed

    if sample is not None:
        drawn = space.canonical(space.sample(sample, seed=derive_seed(seed, "candidates")))
        return torch.unique(drawn, dim=0)
    try:
        return space.networks()
    except SpaceTooLargeError as error:
        raise ConfigError(f"{error}; give --sample N") from None


def _among(space: SearchSpace, codes: Tensor, others: Tensor) -> Tensor:
    """Which cells are a network of ``others``: [n] bool."""
    import torch

    both = torch.cat([space.canonical(others), space.canonical(codes)])
    number = torch.unique(both, dim=0, return_inverse=True)[1]
    return torch.isin(number[len(others) :], number[: len(others)])
