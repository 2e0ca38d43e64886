"""``latentnas report``: the report of a campaign again, from its store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from .app import app


def report_folder(name: str) -> Path:
    """Where the report of the campaign ``name`` goes unless told otherwise: ``runs/NAME-report``."""
    return Path("runs") / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.') or 'campaign'}-report"


@app.command("report")
def report(
    store: Annotated[str, typer.Option(help="The campaign's store: sqlite:///FILE, the file, or any Optuna URL.")],
    name: Annotated[str | None, typer.Option(help="The campaign; not needed where the store has one only.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write it (default: runs/NAME-report).")
    ] = None,
) -> None:
    """Make the report of a campaign again from its store, finished or not."""
    from ..campaign import Store
    from ..errors import StoreError
    from ..report import write_report
    from ..report.gather import shown_url

    where = shown_url(store)
    if name is None:
        names = Store.campaigns(store)
        if not names:
            raise StoreError(f"{where} holds no campaign; latentnas search --store {where} makes one")
        if len(names) > 1:
            typer.echo(f"{where} holds {len(names)} campaigns; choose one with --name:")
            for known in names:
                typer.echo(f"  {known}")
            raise typer.Exit(2)
        name = names[0]
    memory = Store(store, name)
    try:
        path = write_report(memory, out or report_folder(name))
    finally:
        memory.close()
    typer.echo(f"report: {path}")
