"""``latentnas bench predictors``: how fast this machine trains a predictor and ranks a space with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .bench import bench
from .output import print_pairs, print_table

if TYPE_CHECKING:
    from ..latent.benchmark import Timing
    from ..predictor.benchmark import PredictorSpeed


@bench.command("predictors")
def predictors(
    space: Annotated[str, typer.Option(help="The search space.")] = "nasbench201",
    model: Annotated[str, typer.Option(help="The predictor's encoder, or auto.")] = "gates",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A further setting of the predictor.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the encoder, as its size.")
    ] = None,
    labels: Annotated[int, typer.Option(min=2, help="Random cells to train on, with made-up labels.")] = 200,
    cells: Annotated[int, typer.Option(min=1, help="Random cells to score.")] = 50_000,
    whole: Annotated[
        bool, typer.Option("--whole/--no-whole", help="Rank the whole space, too, where it can be listed.")
    ] = True,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="How often scoring is timed; medians are shown.")] = 3,
    device: Annotated[str | None, typer.Option(help="PyTorch device; by default the GPU where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time training a predictor, scoring cells, and ranking a whole space."""
    from ..predictor.benchmark import measure_predictor
    from .rank import predictor_of
    from .search import parse_options

    own = {"encoder": model, "options": parse_options(option or [], "--option") or None, "threads": threads}
    predictor = predictor_of(space, {**own, "device": device}, set_ or [])
    speed = measure_predictor(predictor, labels=labels, cells=cells, threads=threads, repeats=repeats, whole=whole)
    if as_json:
        typer.echo(json.dumps(speed.to_dict(), indent=2))
    else:
        _show(speed)


def _show(speed: PredictorSpeed) -> None:
    size = "" if speed.parameters is None else f", {speed.parameters / 1e6:,.2f} M parameters"
    members = speed.settings["ensemble"]
    print_pairs(
        [
            ("space", speed.space),
            ("predictor", f"{speed.settings['encoder']}{size}" + (f", {members} members" if members > 1 else "")),
            ("device", f"{speed.device}, {speed.threads} CPU thread{'s' * (speed.threads != 1)}"),
        ]
    )
    typer.echo()

    def row(name: str, count: int, timing: Timing) -> list[str]:
        rates = (f"{count / cost:,.0f}" for cost in (timing.seconds, timing.cpu_seconds))
        return [name, f"{count:,}", f"{timing.seconds:.2f}", f"{timing.cpu_seconds:.2f}", *rates]

    rows = [row("training", speed.labels, speed.fit), row("scoring", speed.cells, speed.score)]
    if speed.networks is not None and speed.listing is not None and speed.ranking is not None:
        rows.append(row("listing the space", speed.networks, speed.listing))
        rows.append(row("ranking the space", speed.networks, speed.ranking))
    head = ["", "cells", "seconds", "CPU-seconds", "cells per second", "per CPU-second"]
    print_table(head, rows, right=range(1, len(head)))
    typer.echo()
    print_pairs([("peak memory", f"{speed.peak_memory / 2**20:,.0f} MiB")])
