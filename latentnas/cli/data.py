"""``latentnas data``: import published benchmark files, list, show and remove what was imported."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
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

_BOTH_SPELLINGS = re.compile(r"\b[a-z_]+=(?:'\w*'|True)? \((--[^()]+)\)")


def in_words_of_the_command_line(message: str) -> str:
    """A message without Python's spelling of options: of ``column= (--column)`` only ``--column`` stays."""
    return _BOTH_SPELLINGS.sub(r"\1", message)


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
    unit: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=UNIT", help="CSV, Parquet: a metric's unit, such as acc=%.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A further option of the format.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a table of the same name that was made from something else.")
    ] = False,
) -> None:
    """Make a table of a published file, once; it loads in under a second from then on."""
    from ..benchmarks import get_format, import_table, read_description, recognise
    from ..errors import ConfigError, DataFileError, LatentNASError
    from ..progress import Progress
    from .search import parse_options

    given = {
        "space": space,
        "column": column,
        "metrics": metric,
        "minimize": minimize,
        "by_network": by_network or None,
        "units": unit,
    }
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    further = parse_options(set_ or [], "--set")
    twice = sorted(options.keys() & further.keys())
    if twice:
        raise ConfigError(f"--set {twice[0]}=...: this option is given a second time")
    options |= further
    if str(path).lower().startswith(("http:/", "https:/")):
        raise ConfigError(f"{path}: files are not downloaded; download it first, then give the path of the file")
    path = path.expanduser()
    try:
        kind = recognise(path) if format is None else get_format(format)
    except DataFileError as error:
        raise DataFileError(in_words_of_the_command_line(str(error))) from error
    began, before = time.perf_counter(), _states()
    size = 1000 if kind.unit == "byte" else 1
    with ExitStack() as opened:
        bar: Progress | None = None

        def progress(done: int, total: int | None) -> None:
            nonlocal bar
            if bar is None:  # now that all options are found right, and something is read
                bar = opened.enter_context(
                    Progress(None, f"importing {path.name}", unit="kB" if size > 1 else kind.unit)
                )
            bar.total = None if total is None else -(-total // size)
            bar.update(-(-done // size) - bar.done)

        try:
            table = import_table(path, name=name, format=kind.name, replace=replace, progress=progress, **options)
        except LatentNASError as error:
            error.args = (in_words_of_the_command_line(str(error)),)
            raise
    seconds = time.perf_counter() - began
    description = read_description(table.name)
    spent = (
        f"{seconds:.1f}"
        if _states()[table.name] != before.get(table.name)
        else "none, it was imported before (--replace reads the file again)"
    )
    _print_facts(table, description, [("seconds", spent)])
    typer.echo()
    _print_metrics(table)


def _states() -> dict[str, tuple[int, int]]:
    """What changes about the file of an imported table when it is written anew, by name."""
    from ..benchmarks import cache_folder, cached_names

    files = {name: (cache_folder() / f"{name}.safetensors").stat() for name in cached_names()}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in files.items()}


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
    cells = table.top(best, metric)
    if cells:
        typer.echo()
        rows = [[str(rank), f"{cell.value:.6g}", cell.text] for rank, cell in enumerate(cells, 1)]
        unit = table.unit(metric)
        head = (metric or table.default_metric) + (f" ({unit})" if unit else "")
        print_table(["rank", head, "cell"], rows, right=(0, 1))


@data.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="An imported table.")]) -> None:
    """Delete an imported table; the file that it was made from stays."""
    from ..benchmarks import remove_table

    typer.echo(f"removed {remove_table(name)}")


def _print_facts(table: TabularBenchmark, description: dict[str, Any] | None, further: list[tuple[str, str]]) -> None:
    pairs = [("table", table.name), ("space", table.space.name), ("rows", _counted(table))]
    if table.source:
        pairs.append(("from", table.source))
    if "column" in table.facts:
        pairs.append(("cells in", f"column {table.facts['column']!r}"))
    if table.facts.get("ignored"):
        pairs.append(("left out", f"columns {', '.join(map(repr, table.facts['ignored']))}"))
    if description is not None:
        pairs.append(("file", f"{description['path']}, {megabytes(description['bytes'])}"))
    print_pairs(pairs + further)


def _counted(table: TabularBenchmark) -> str:
    """How many rows, and of what."""
    rows = "network" if table.by_network else "cell"
    return f"{len(table):,} {rows}{'s' * (len(table) != 1)}" + (", one for all their codes" * table.by_network)


def readable(value: float) -> str:
    """A number at a glance: ``37.1 M``, ``7.34 G``; below a million to six digits."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= factor:
            return (
                f"{value / factor:.3g} {letter}" if abs(value) < 999.5 * factor else f"{value / factor:,.0f} {letter}"
            )
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else f"{value:.6g}"


def _print_metrics(table: TabularBenchmark) -> None:
    rows = []
    for metric in table.metrics:
        values = table.values(metric)
        known = values[~values.isnan()]
        fidelities = ", ".join(map(str, table.fidelities(metric))) or "-"
        repeats = str(len(table.repeats(metric)) or "-")
        mark = "*" if metric == table.default_metric else ""
        missing = len(values) - len(known)
        better = "lower" if table.direction(metric) == "minimize" else "higher"
        row = [metric + mark, table.unit(metric) or "-", better, fidelities, repeats]
        row += [readable(float(value)) for value in (known.min(), known.max())]
        rows.append([*row, f"{missing:,}" if missing else "-"])
    head = ["metric", "unit", "better", "epochs", "repeats", "lowest", "highest", "missing"]
    print_table(head, rows, right=(4, 5, 6, 7))
    typer.echo("* what is meant where no metric is named")
