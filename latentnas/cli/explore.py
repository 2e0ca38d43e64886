"""``latentnas explore``: pictures of the cells around a cell, or between two, in a latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app
from .latents import Latent
from .output import print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..latent import LatentSpace
    from ..report.explore import Line, Measure, Plane

SIZE, STEP, STEPS = 7, 1.0, 101
MAX_SIZE, MAX_STEPS = 51, 2001


@app.command("explore")
def explore(
    latent: Latent,
    cell: Annotated[str, typer.Option(metavar="TEXT", help="The cell in the middle, or at the start of a line.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write: .png, .svg or .pdf.")],
    to: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Draw the line from --cell to this cell instead of a plane.")
    ] = None,
    spherical: Annotated[
        bool, typer.Option("--spherical", help="With --to: along the arc around the origin, not straight.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=2, max=MAX_STEPS, help=f"With --to: points on the line (default: {STEPS}).")
    ] = None,
    plane_cell: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Given twice: the plane through these cells; else a random plane."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=3, max=MAX_SIZE, help=f"Points along each side, odd (default: {SIZE}).")
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(help=f"Distance of points, in standard deviations (default: {STEP:g}; to reach --plane-cell)."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Colour by this metric of the space's table.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME", help="The table of --metric (default: that named as the space).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a random plane.")] = 0,
) -> None:
    """Draw the cells on a plane around a cell, or on the line between two; list them on standard output."""
    from ..errors import ConfigError
    from ..latent import LatentSpace
    from .draw import FORMATS, _save

    faults = []
    if out.suffix.lower() not in FORMATS:
        faults.append(f"--out {out}: the name must end in {', '.join(FORMATS)}")
    if to is not None and (plane_cell or size is not None or step is not None):
        faults.append("--to draws a line: leave --plane-cell, --size and --step out")
    if to is None and (spherical or steps is not None):
        faults.append("--spherical and --steps belong to a line: give --to TEXT")
    if plane_cell and len(plane_cell) != 2:
        faults.append(f"--plane-cell must be given twice, got {len(plane_cell)}")
    if benchmark is not None and metric is None:
        faults.append("--benchmark needs --metric NAME")
    if faults:
        raise ConfigError("\n".join(faults))
    model = LatentSpace.load(latent)
    measure = None if metric is None else _measure(model, benchmark, metric)
    if to is not None:
        line, figure = _line(model, cell, to, steps or STEPS, spherical, measure)
        _save(figure, out)
        _list_line(line)
        shown = f"{len(line.networks)} networks on {len(line.codes)} points"
    else:
        plane, figure = _plane(model, cell, plane_cell or [], size or SIZE, step, seed, measure)
        _save(figure, out)
        _list_plane(plane)
        shown = f"{len(plane.networks)} networks on {plane.size**2} points"
    typer.echo(f"{shown} drawn in {out}", err=True)


def _measure(model: LatentSpace, benchmark: str | None, metric: str) -> Measure:
    """A metric of a table of the latent space's search space; NaN for cells that the table lacks."""
    import torch
    from torch import Tensor

    from ..benchmarks import get_benchmark
    from ..errors import ConfigError
    from ..evaluation import default_table
    from ..report.explore import Measure

    table = get_benchmark(default_table(model.space) if benchmark is None else benchmark)
    if table.space.name != model.space.name:
        raise ConfigError(f"{table.name} is a table of {table.space.name}, the latent space of {model.space.name}")
    table.values(metric)  # an unknown metric is said before anything is decoded

    def values(codes: Tensor) -> Tensor:
        found = torch.full((len(codes),), torch.nan, dtype=torch.double)
        there = table.holds(codes)
        found[there] = table.query(codes[there], metric)
        return found

    return Measure(metric, values, table.units.get(metric, ""))


def _plane(
    model: LatentSpace,
    cell: str,
    others: list[str],
    size: int,
    step: float | None,
    seed: int,
    measure: Measure | None,
) -> tuple[Plane, Figure]:
    import torch

    from ..latent.tools import plane_through, random_plane
    from ..report.explore import explore_plane
    from ..report.explore_pictures import draw_plane, draw_plane_map, fits_tiles

    code = model.space.parse(cell)
    marks = []
    if others:
        codes = model.space.parse(others)
        z, a, b = (model.encode(rows)[0] for rows in (code, codes[:1], codes[1:]))
        directions = plane_through(z, a, b, model.scale)
        marks = [("A", codes[0]), ("B", codes[1])]
        what = f"the plane through A = {_short(model, others[0])} and B = {_short(model, others[1])}"
        if step is None:  # the picture reaches just as far as the farther of the two
            corners = torch.stack([a - z, b - z]) / model.scale @ (directions / model.scale).T
            step = float(corners.abs().max()) / (size // 2)
    else:
        directions = random_plane(model.scale, seed=seed)
        what = f"a random plane (seed {seed})"
    step = STEP if step is None else step
    plane = explore_plane(model, code, directions, size=size, step=step, measure=measure, marks=marks)
    draw = draw_plane if fits_tiles(model.space, size) else draw_plane_map
    note = f"{model.name}, {what}: {len(plane.networks)} networks on {size} x {size} points"
    return plane, draw(plane, title=f"Around {_short(model, cell)}", note=note)


def _line(
    model: LatentSpace, cell: str, to: str, steps: int, spherical: bool, measure: Measure | None
) -> tuple[Line, Figure]:
    from ..report.explore import explore_line
    from ..report.explore_pictures import draw_line

    a, b = model.space.parse(cell), model.space.parse(to)
    path = (model.slerp if spherical else model.interpolate)(a, b, steps)[0]
    line = explore_line(model, path, measure=measure)
    kind = "the arc around the origin" if spherical else "the straight line"
    note = f"{model.name}, {kind}: {len(line.networks)} networks on {steps} points"
    title = f"From {_short(model, cell)} to {_short(model, to)}"
    return line, draw_line(line, title=title, note=note)


def _short(model: LatentSpace, cell: str) -> str:
    """The key of a cell, cut where it is long."""
    key = model.space.keys(model.space.parse(cell))[0]
    return key if len(key) <= 40 else f"{key[:37]}..."


def _list_plane(plane: Plane) -> None:
    """Every network with its number of points and a cell of it."""
    rows = []
    flat = [key for row in plane.keys for key in row]
    for number, key in enumerate(plane.networks, start=1):
        tile = plane.representative(key)
        value = [] if plane.values is None else [_number(float(plane.values[tile]))]
        rows.append([str(number), str(flat.count(key)), *value, plane.space.format(plane.codes[tile][None])[0]])
    head = ["number", "points", *([plane.measure.name] if plane.measure else []), "cell"]
    print_table(head, rows, right=range(len(head) - 1))


def _list_line(line: Line) -> None:
    """Every stretch of the line, in order."""
    rows = []
    for part in line.parts:
        value = [] if line.values is None else [_number(float(line.values[part.first]))]
        number = str(line.networks.index(part.key) + 1)
        rows.append([number, f"{part.start:.3f}", f"{part.end:.3f}", *value, part.text])
    head = ["number", "from", "to", *([line.measure.name] if line.measure else []), "cell"]
    print_table(head, rows, right=range(len(head) - 1))


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4g}"
