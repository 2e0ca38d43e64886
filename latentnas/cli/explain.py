"""``latentnas explain``: pictures of what a predictor weighs in cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app

if TYPE_CHECKING:
    from ..predictor import Predictor

MAX_CELLS = 12

EXPLAINED = ("hop", "nar")
"""Encoders that weigh something that can be drawn."""


@app.command("explain")
def explain(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER|CSV", help="A stored predictor, or evaluated cells to train one on.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write: .png, .svg or .pdf.")],
    cell: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A cell in its string form; may be given several times.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=MAX_CELLS, metavar="N", help="Explain N random cells of the space.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="With a CSV: the space of the cells.")] = None,
    model: Annotated[str | None, typer.Option(help="With a CSV: hop (default) or nar.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With a CSV: a setting of the predictor.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="With a CSV: the column of cells.")] = None,
    metric: Annotated[str | None, typer.Option(help="With a CSV: the column to rank by.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="With a CSV: less is better.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of training and --sample.")] = 0,
) -> None:
    """Draw what HOP attends to in cells and the gates of its layers, or NAR's probabilities of quality tiers."""
    from ..errors import ConfigError
    from ..predictor import Predictor
    from ..report.explain import explain_cells
    from ..report.explain_pictures import draw_explanation
    from ..spaces import get_space
    from .draw import FORMATS, _save
    from .rank import check_writable

    faults = []
    if out.suffix.lower() not in FORMATS:
        faults.append(f"--out {out}: the name must end in {', '.join(FORMATS)}")
    if bool(cell) == (sample is not None):
        faults.append("give one of --cell TEXT and --sample N")
    if len(cell or []) > MAX_CELLS:
        faults.append(f"{len(cell or [])} cells given; one picture shows at most {MAX_CELLS}")
    stored = source.expanduser().is_dir()
    training = {"--space": space, "--model": model, "--set": set_, "--column": column, "--metric": metric}
    given = [name for name, value in training.items() if value] + ["--minimize"] * minimize
    if stored and given:
        faults.append(f"{source} is a stored predictor: leave {', '.join(given)} out")
    if not stored and space is None:
        faults.append(f"{source} is no folder; with a CSV, give its --space NAME")
    if model not in (None, *EXPLAINED):
        faults.append(f"--model must be one of {', '.join(EXPLAINED)}, got {model!r}: others weigh nothing to be drawn")
    if faults:
        raise ConfigError("\n".join(faults))
    check_writable("--out", out.expanduser())
    if cell and space is not None:
        get_space(space).parse(cell)  # a text that is no cell is refused before anything is trained
    if stored:
        predictor = Predictor.load(source.expanduser())
    else:
        predictor = _trained(source, str(space), model or "hop", set_ or [], column, metric, minimize, seed)
    found_space = predictor.space_
    codes = found_space.parse(cell) if cell else found_space.sample(sample or 1, seed=seed)
    found = explain_cells(predictor, codes)
    if minimize:  # the predictor learned the negative of what is less the better
        found = replace(found, scores=-found.scores)
    parts = ["shares of attention"] if found.attention is not None else []
    parts += ["probabilities of the quality tiers"] if found.tiers is not None else []
    count = len(predictor.labels_)
    kind = "networks" if predictor.canonical else "cells"
    note = f"{found_space.name}, trained on {count:,} {kind}; {'; '.join(parts)}"
    _save(draw_explanation(found, title=f"What {predictor.encoder.upper()} weighs", note=note), out)
    typer.echo(f"{len(codes)} {'cell' if len(codes) == 1 else 'cells'} explained in {out}", err=True)


def _trained(
    source: Path,
    space: str,
    model: str,
    further: list[str],
    column: str | None,
    metric: str | None,
    minimize: bool,
    seed: int,
) -> Predictor:
    from .rank import fit_on_csv, own_loss, predictor_of

    loss = own_loss(model)
    settings = {"encoder": model, "seed": seed, "progress": True, **({} if loss is None else {"loss": loss})}
    predictor = predictor_of(space, settings, further)
    fit_on_csv(predictor, source, column, metric, minimize)
    return predictor
