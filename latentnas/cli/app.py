"""The command group: version, and errors as one line each."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

UsageError: Any = typer.BadParameter.__base__
"""What typer raises for wrong words on the command line; it exports this subclass only."""


def one_line(error: Exception) -> str:
    """An error's message on one line; the lines of a list are separated by semicolons."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    for line in lines[1:]:
        text += f" {line}" if text.endswith((":", ".", ";")) else f"; {line}"
    return text


ORDER = (
    "spaces", "draw", "data", "benchmarks", "latents", "pretrain", "encode", "decode", "explore", "analogy", "search",
    "rank", "report", "bench", "doctor",
)  # fmt: skip
"""Commands in the order of their use, for the help."""


class ErrorGroup(TyperGroup):
    """A group that ends with one line on stderr and exit code 2 where latentnas raises an error of its own."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **extra: Any) -> Any:
        asked = bool(args)
        try:
            return super().make_context(info_name, args, *others, **extra)
        except UsageError as error:
            if not asked:
                raise  # shows the help
            raise _usage(error) from error

    def invoke(self, ctx: Any) -> Any:
        from ..errors import LatentNASError

        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _usage(error) from error
        except LatentNASError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {one_line(error)}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                raise
            typer.echo("stopped", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _usage(error: Any) -> typer.Exit:
    where = error.ctx.command_path if error.ctx is not None else "latentnas"
    if not error.format_message().strip():
        return typer.Exit(2)  # a group without a command, which has shown its help
    message = one_line(ValueError(error.format_message())).rstrip(".")
    typer.echo(f"error: {message}; see: {where} --help", err=True)
    return typer.Exit(2)


app = typer.Typer(
    name="latentnas",
    cls=ErrorGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"latentnas {version('latentnas')}")
        except PackageNotFoundError:
            typer.echo("latentnas, not installed (run from its source tree)")
        raise typer.Exit


def _import(modules: list[str]) -> None:
    """Run modules or Python files of the user's, which may register spaces of their own."""
    import importlib
    import importlib.util
    import sys
    from pathlib import Path

    from ..errors import ConfigError

    for name in modules:
        try:
            if name.endswith(".py"):
                path = Path(name)
                spec = importlib.util.spec_from_file_location(path.stem, path)
                assert spec is not None and spec.loader is not None
                sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
            else:
                importlib.import_module(name)
        except (OSError, ImportError, SyntaxError) as error:
            raise ConfigError(f"--import {name}: {error}; give a module that can be imported, or a .py file") from error


@app.callback()
def options(
    modules: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="Run your module or .py file first: it may register spaces."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Neural architecture search in a latent space."""
    _import(modules or [])
