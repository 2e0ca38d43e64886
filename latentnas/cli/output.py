"""What commands write: aligned tables, and numbers as people read them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Write an aligned table to stdout.

    Args:
        head: titles of the columns.
        rows: texts, one a column.
        right: columns that are aligned to the right, those of numbers.
    """
    widths = [max(len(line[k]) for line in (head, *rows)) for k in range(len(head))]
    for line in (head, *rows):
        cells = [
            text.rjust(w) if k in right else text.ljust(w) for k, (text, w) in enumerate(zip(line, widths, strict=True))
        ]
        text = "  ".join(cells).rstrip()
        typer.echo(typer.style(text, bold=True) if line is head and sys.stdout.isatty() else text)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Write names and values in two aligned columns."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name.ljust(width)}  {value}")
