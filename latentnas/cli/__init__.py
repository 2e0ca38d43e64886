"""The ``latentnas`` command. Every command imports what it needs when it runs, so ``--help`` is quick."""

from __future__ import annotations

from . import doctor, latents, reports, search, spaces
from .app import app


def main() -> None:
    """Run the command line; the console script's entry."""
    app(prog_name="latentnas")


__all__ = ["app", "doctor", "latents", "main", "reports", "search", "spaces"]
