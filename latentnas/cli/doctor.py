"""``latentnas doctor``: does this installation work, and how fast is this machine?"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from .app import app, one_line

READERS = ("pyarrow", "networkx", "torch-geometric", "nas-bench-graph", "analog-nasbench")
"""Packages of tables and graphs whose versions are shown."""

OPTIONAL = {
    "ray": "evaluation on a cluster",
    "optuna_dashboard": "campaigns in the browser",
}
"""Modules that latentnas works without, and what for."""

SIZE = 1024
"""Rows of the square matrices whose product is timed."""


@app.command("doctor")
def doctor() -> None:
    """Check the installation: versions, devices, tables, latent spaces, speed."""
    from ..provenance import provenance

    for name, value in provenance().items():
        _say(name, value)
    for module, purpose in OPTIONAL.items():
        found = importlib.util.find_spec(module) is not None
        _say(module, f"{'installed' if found else 'not installed'} (optional: {purpose})")
    for package in READERS:
        try:
            _say(package, version(package))
        except PackageNotFoundError:
            _say(package, "not installed")
    problems = []
    checks: dict[str, Callable[[], str]] = {
        "devices": _devices,
        "matrix product": _matrix_product,
        "tables": _tables,
        "latent spaces": _latent_spaces,
        "this folder": _folder,
    }
    for name, check in checks.items():
        try:
            _say(name, check())
        except Exception as error:
            # Whatever is broken here is what the command is for: it is shown, and the verdict says so.
            problems.append(name)
            _say(name, f"PROBLEM: {one_line(error)}")
    typer.echo()
    if problems:
        typer.echo(f"{len(problems)} of {len(checks)} checks failed: {', '.join(problems)}")
        raise typer.Exit(1)
    typer.echo("all good: latentnas is ready")


def _say(name: str, value: str) -> None:
    for line in value.splitlines() or [""]:
        typer.echo(f"{name:<17}{line}")
        name = ""


def _devices() -> str:
    import torch

    from ..device import resolve_device

    threads = torch.get_num_threads()
    names = [f"cpu ({threads} thread{'s' if threads != 1 else ''})"]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        names.append(f"cuda:{index} ({torch.cuda.get_device_name(index)}, {memory:.0f} GiB)")
    return f"{', '.join(names)}; used by default: {resolve_device()}"


def _matrix_product() -> str:
    import torch

    from ..device import resolve_device

    device = resolve_device()
    matrix = torch.ones(SIZE, SIZE, device=device)

    def product() -> float:
        return float((matrix @ matrix)[0, 0])  # reading a number waits for the device

    if product() != SIZE:
        raise ArithmeticError(f"a matrix product on {device} is wrong: got {product()}, expected {SIZE}")
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < 0.3:
        product()
        runs += 1
    rate = 2 * SIZE**3 * runs / (time.perf_counter() - start)
    return f"{rate / 1e9:,.0f} GFLOP/s in float32 on {device}"


def _tables() -> str:
    from ..benchmarks import cached_names, get_benchmark, list_benchmarks, nasbench1shot1
    from ..errors import LatentNASError

    lines = []
    for name in list_benchmarks():
        if name in nasbench1shot1.TABLES:
            lines.append(f"{name}: part of {nasbench1shot1.SOURCE}")
            continue
        try:
            table = get_benchmark(name)
            rows = f"{len(table):,} {'network' if table.by_network else 'cell'}{'s' * (len(table) != 1)}"
            lines.append(f"{name}: {rows}, best {table.best().value:.5g}")
        except LatentNASError as error:
            if name not in cached_names():
                raise
            # One's own import, which the installation does not need.
            lines.append(f"{name}: cannot be read: {one_line(error)}")
    return "\n".join(lines) or "none"


def _latent_spaces() -> str:
    from ..errors import WeightsError
    from ..latent import LatentSpace, list_latent_spaces

    parts = []
    for name in list_latent_spaces():
        latent = LatentSpace.load(name)
        codes = latent.space.sample(64, seed=0)
        same = int((latent.decode(latent.encode(codes)) == codes).all(1).sum())
        if same < len(codes) // 2:
            raise WeightsError(f"{name}: only {same} of {len(codes)} cells come back from their latents")
        parts.append(f"{name} ({latent.latent_dim} dimensions, {same} of {len(codes)} cells come back)")
    return (
        ", ".join(parts) or "none comes with this installation; make one: latentnas pretrain nasbench201 --out FOLDER"
    )


def _folder() -> str:
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        file.write(b"latentnas")
    return "writable"
