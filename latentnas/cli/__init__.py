"""The ``latentnas`` command. Every command imports what it needs when it runs, so ``--help`` is quick."""

from __future__ import annotations

import sys

from . import (
    bench,
    bench_predictors,
    data,
    doctor,
    draw,
    explain,
    explore,
    latents,
    rank,
    reports,
    search,
    shipped,
    spaces,
)
from .app import INTERRUPTED, app


def main() -> None:
    """Run the command line; the console script's entry."""
    try:
        app(prog_name="latentnas")
    except KeyboardInterrupt:  # outside any command: while typer sets it up, or while the output is flushed
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


__all__ = [
    "app",
    "bench",
    "bench_predictors",
    "data",
    "doctor",
    "draw",
    "explain",
    "explore",
    "latents",
    "main",
    "rank",
    "reports",
    "search",
    "shipped",
    "spaces",
]
