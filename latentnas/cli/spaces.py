"""``latentnas spaces`` and ``latentnas benchmarks``: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import app, one_line
from .output import print_pairs, print_table


def count(number: int) -> str:
    """A number of codes: exact up to a trillion, then as a power of ten."""
    return f"{number:,}" if number < 10**12 else f"{number:.1e}"


@app.command("spaces")
def spaces(
    show: Annotated[str | None, typer.Option("--show", metavar="NAME", help="Describe one space by a cell.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the cell that --show draws.")] = 0,
) -> None:
    """List the search spaces."""
    from ..spaces import get_space, list_spaces

    if show is None:
        rows = []
        for name in list_spaces():
            space = get_space(name)
            views = "node, edge" if space.edge_types else "node"
            rows.append([name, str(space.dim), count(space.size), str(space.max_nodes), views])
        print_table(["space", "code length", "codes", "vertices", "views"], rows, right=(1, 2, 3))
        return
    space = get_space(show)
    code = space.sample(1, seed=seed)
    print_pairs(
        [
            ("space", f"{space.name}, {count(space.size)} codes"),
            ("operations", ", ".join(space.edge_types or space.node_types[2:])),
            ("a cell", space.format(code)[0]),
            ("its code", " ".join(map(str, code[0].tolist()))),
            ("its key", space.keys(code)[0]),
        ]
    )


@app.command("benchmarks")
def benchmarks() -> None:
    """List the benchmark tables with their best cells."""
    from ..benchmarks import get_benchmark, list_benchmarks
    from ..errors import LatentNASError

    rows, faults = [], []
    for name in list_benchmarks():
        try:
            table = get_benchmark(name)
            for metric in table.metrics:
                best = table.best(metric)
                mark = "*" if metric == table.default_metric else ""
                rows.append([name, f"{metric}{mark}", f"{len(table):,}", f"{best.value:.5g}", best.text])
        except LatentNASError as error:  # the other tables are still worth listing
            faults.append(f"{name} cannot be read: {one_line(error)}")
    print_table(["table", "metric", "cells", "best", "best cell"], rows, right=(2, 3))
    typer.echo("* what is meant where no metric is named")
    for fault in faults:
        typer.echo(fault)
