"""``latentnas spaces`` and ``latentnas benchmarks``: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import app, one_line
from .output import print_pairs, print_table


@app.command("spaces")
def spaces(
    show: Annotated[str | None, typer.Option("--show", metavar="NAME", help="Describe one space by a cell.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the cell that --show draws.")] = 0,
) -> None:
    """List the search spaces."""
    from ..spaces import get_space, list_spaces
    from ..spaces.base import format_count

    if show is None:
        rows = []
        for name in list_spaces():
            space = get_space(name)
            views = "node, edge" if space.edge_types else "node"
            rows.append([name, str(space.dim), format_count(space.size), str(space.max_nodes), views])
        print_table(["space", "code length", "codes", "vertices", "views"], rows, right=(1, 2, 3))
        return
    space = get_space(show)
    code = space.sample(1, seed=seed)
    print_pairs(
        [
            ("space", f"{space.name}, {format_count(space.size)} codes"),
            ("operations", ", ".join(space.edge_types or space.node_types[2:])),
            ("a cell", space.format(code)[0]),
            ("its code", " ".join(map(str, code[0].tolist()))),
            ("its key", space.keys(code)[0]),
        ]
    )


@app.command("benchmarks")
def benchmarks() -> None:
    """List the benchmark tables that can be queried now, each with its best cell; see also ``data``."""
    from ..benchmarks import get_benchmark, list_benchmarks
    from ..errors import LatentNASError

    rows, faults = [], []
    for name in list_benchmarks():
        try:
            table = get_benchmark(name)
            best = table.best()
            others = len(table.metrics) - 1
            metric = best.metric + (f" and {others} more" if others else "")
            rows.append([name, table.space.name, f"{len(table):,}", metric, f"{best.value:.5g}", shortened(best.text)])
        except LatentNASError as error:  # the other tables are still worth listing
            faults.append(f"{name} cannot be read: {one_line(error)}")
    print_table(["table", "space", "rows", "metric", "best", "best cell"], rows, right=(2, 4))
    typer.echo("latentnas data show TABLE has every metric and the best cells in full")
    for fault in faults:
        typer.echo(fault)


def shortened(text: str, most: int = 100) -> str:
    """At most ``most`` characters of a text."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
