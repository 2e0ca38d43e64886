"""``latentnas data``: import published benchmark files, list, show and remove what was imported."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app
from .output import print_pairs, print_table

if TYPE_CHECKING:
    from ..benchmarks import TabularBenchmark

data = typer.Typer(
    name="data",
    help="Import published benchmark files, list, show and remove what was imported.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data)


def megabytes(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


@data.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The published file, or the folder.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the table; by default the benchmark's, or the file's.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of the file; by default it is recognised.")] = None,
    space: Annotated[str | None, typer.Option(help="CSV, Parquet: the space of the cells.")] = None,
    column: Annotated[str | None, typer.Option(help="CSV, Parquet: the column of cells.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="CSV, Parquet: a column to keep, the first is the default.")
    ] = None,
    minimize: Annotated[list[str] | None, typer.Option(help="CSV, Parquet: a metric of which less is better.")] = None,
    by_network: Annotated[
        bool, typer.Option("--by-network", help="CSV, Parquet: a row stands for all isomorphic cells.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A further option of the format.")
    ] = None,
) -> None:
    """Make a table of a published file, once; it loads in under a second from then on."""
    from ..benchmarks import get_format, import_table, read_description, recognise
    from ..progress import Progress
    from .search import parse_options

    given = {
        "space": space,
        "column": column,
        "metrics": metric,
        "minimize": minimize,
        "by_network": by_network or None,
    }
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    options |= parse_options(set_ or [], "--set")
    kind = recognise(path) if format is None else get_format(format)
    began = time.perf_counter()
    unit, size = ("kB", 1000) if kind.unit == "byte" else (kind.unit, 1)
    with Progress(None, f"importing {path.name}", unit=unit) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = None if total is None else total // size
            bar.update(done // size - bar.done)

        table = import_table(path, name=name, format=kind.name, progress=progress, **options)
    seconds = time.perf_counter() - began
    description = read_description(table.name)
    _print_facts(table, description, [("seconds", f"{seconds:.1f}")])
    typer.echo()
    _print_metrics(table)


@data.command("list")
def list_tables() -> None:
    """List the imported tables, and what can be imported."""
    from ..benchmarks import FORMATS, cache_folder, cached_names, read_description
    from ..errors import LatentNASError

    rows, faults = [], []
    for name in cached_names():
        try:
            facts = read_description(name)
        except LatentNASError as error:
            faults.append(str(error))
            continue
        cells, columns = f"{facts['rows']:,}", str(len(facts["columns"]))
        rows.append(
            [name, facts["space"], cells, columns, megabytes(facts["bytes"]), facts["created"][:10], facts["source"]]
        )
    if rows:
        head = ["table", "space", "cells", "columns", "size", "imported", "from"]
        print_table(head, rows, right=(2, 3, 4))
    else:
        typer.echo("no table is imported")
    for fault in faults:
        typer.echo(fault)
    typer.echo(f"\nThey are in {cache_folder()}\nWhat can be imported:")
    print_table(["format", "files"], [[kind.name, kind.files] for kind in FORMATS.values()])


@data.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table: imported, or of an installed package.")],
    metric: Annotated[str | None, typer.Option(help="The metric of the best cells; by default the table's.")] = None,
    best: Annotated[int, typer.Option(min=0, help="How many of the best cells to show.")] = 5,
) -> None:
    """Describe a table: its metrics, their ranges and the best cells."""
    from ..benchmarks import cached_names, get_benchmark, read_description

    table = get_benchmark(name)
    table.direction(metric)  # an unknown metric is said before anything is printed
    _print_facts(table, read_description(name) if name in cached_names() else None, [])
    typer.echo()
    _print_metrics(table)
    values = table.values(metric)
    order = table.ranks(metric).argsort(stable=True)[:best]
    order = order[~values[order].isnan()]
    if len(order):
        typer.echo()
        texts = table.space.format(table.codes[order])
        rows = [
            [str(k), f"{float(values[row]):.6g}", text]
            for k, (row, text) in enumerate(zip(order, texts, strict=True), 1)
        ]
        print_table(["rank", metric or table.default_metric, "cell"], rows, right=(0, 1))


@data.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="An imported table.")]) -> None:
    """Delete an imported table; the file that it was made from stays."""
    from ..benchmarks import remove_table

    typer.echo(f"removed {remove_table(name)}")


def _print_facts(table: TabularBenchmark, description: dict[str, Any] | None, further: list[tuple[str, str]]) -> None:
    rows = "networks, one for all their codes" if table.by_network else "cells"
    pairs = [("table", table.name), ("space", table.space.name), ("rows", f"{len(table):,} {rows}")]
    if table.source:
        pairs.append(("from", table.source))
    if description is not None:
        pairs.append(("file", f"{description['path']}, {megabytes(description['bytes'])}"))
    print_pairs(pairs + further)


def _print_metrics(table: TabularBenchmark) -> None:
    rows = []
    for metric in table.metrics:
        values = table.values(metric)
        known = values[~values.isnan()]
        fidelities = ", ".join(map(str, table.fidelities(metric))) or "-"
        repeats = str(len(table.repeats(metric)) or "-")
        best = table.best(metric).value
        mark = "*" if metric == table.default_metric else ""
        missing = len(values) - len(known)
        row = [metric + mark, table.units.get(metric, "-"), fidelities, repeats]
        row += [f"{float(v):.6g}" for v in (known.min(), known.max(), best)]
        rows.append([*row, f"{missing:,}" if missing else "-"])
    head = ["metric", "unit", "epochs", "repeats", "least", "most", "best", "missing"]
    print_table(head, rows, right=(3, 4, 5, 6, 7))
    typer.echo("* what is meant where no metric is named")
