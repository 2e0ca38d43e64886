"""``latentnas draw``: pictures of cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ..spaces import SearchSpace

FORMATS = (".png", ".svg", ".pdf")
MAX_CELLS = 60
DPI, MAX_PIXELS = 150, 30_000
_FONT, _HEAD = 8.0, 0.3


@app.command("draw")
def draw(
    space: Annotated[str, typer.Option(metavar="NAME", help="The search space, see: latentnas spaces")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write: .png, .svg or .pdf.")],
    cell: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A cell in its string form; may be given several times.")
    ] = None,
    input: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text file with one cell a line; - for standard input.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=MAX_CELLS, metavar="N", help="Draw N random cells of the space.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --sample.")] = 0,
) -> None:
    """Draw one cell, or several side by side."""
    from ..errors import ConfigError
    from ..spaces import get_space

    if [bool(cell), input is not None, sample is not None].count(True) != 1:
        raise ConfigError("give one of --cell TEXT, --input FILE and --sample N")
    if out.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {out}: the name must end in {', '.join(FORMATS)}")
    found = get_space(space)
    codes = _parse(found, cell, input) if sample is None else found.sample(sample, seed=seed)
    figure = draw_grid(found, codes)
    _save(figure, out)
    typer.echo(f"{len(codes)} {'cell' if len(codes) == 1 else 'cells'} drawn in {out}", err=True)


def _parse(space: SearchSpace, cells: list[str] | None, path: Path | None) -> Tensor:
    """Codes of cells given one by one, or as the lines of a file."""
    from ..errors import ConfigError, ParseError
    from .latents import _read

    texts = [("", text) for text in cells or []]
    if path is not None:
        lines = enumerate(map(str.strip, _read(path).splitlines()), start=1)
        texts = [(f"{path}, line {number}: ", line) for number, line in lines if line]
    if not texts:
        raise ConfigError(f"{path} holds no cell; expected one a line")
    if len(texts) > MAX_CELLS:
        raise ConfigError(f"{len(texts)} cells given; one picture shows at most {MAX_CELLS}")
    for where, text in texts:
        try:
            space.parse(text)
        except ParseError as error:
            raise ParseError(f"{where}{error}") from None
    return space.parse([text for _, text in texts])


def draw_grid(space: SearchSpace, codes: Tensor) -> Figure:
    """Cells in rows, each below its text, or its key where the text is too long.

    Args:
        space: the space of the cells.
        codes: [B, D] long, B at least 1.
    """
    from ..spaces.drawing import cell_size, draw_cell, grid_columns, new_figure

    width, height = cell_size(space)
    columns = grid_columns(len(codes), width)
    rows = -(-len(codes) // columns)
    margin = 0.12
    across, down = width + 2 * margin, height + _HEAD + margin
    figure = new_figure(columns * across, rows * down)
    for k, (code, text, key) in enumerate(zip(codes, space.format(codes), space.keys(codes), strict=True)):
        row, column = divmod(k, columns)
        left, top = column * across + margin, rows * down - row * down
        place = (left, top - _HEAD - height, width, height)
        unit = (columns * across, rows * down) * 2
        draw_cell(space, code, figure.add_axes(tuple(a / b for a, b in zip(place, unit, strict=True))))  # type: ignore[arg-type]
        figure.text(
            (left + width / 2) / unit[0], (top - _HEAD / 2) / unit[1], caption(text, key, 0.85 * width * 72),
            ha="center", va="center", fontsize=_FONT, color="#69727d", parse_math=False,
        )  # fmt: skip
    return figure


def caption(text: str, key: str, width: float) -> str:
    """The text of a cell if it is at most ``width`` points long, else its key, cut where that is too long."""
    from ..spaces.drawing import text_width

    for whole in (text, key):
        if text_width(whole, _FONT) <= width:
            return whole
    keep = len(key)
    while keep > 1 and text_width(f"{key[:keep]}...", _FONT) > width:
        keep -= 1
    return f"{key[:keep]}..."


def _save(figure: Figure, path: Path) -> None:
    """The same cells give the same file: no dates, no random names inside."""
    import io

    from matplotlib import rc_context

    from ..errors import DataFileError

    kind = path.suffix.lower().lstrip(".")
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": "latentnas"}}[kind]
    picture = io.BytesIO()
    width, height = figure.get_size_inches()
    with rc_context({"svg.hashsalt": "latentnas"}):
        figure.savefig(picture, format=kind, dpi=min(DPI, MAX_PIXELS / max(width, height)), metadata=metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise DataFileError(f"cannot write {path}: {error.strerror or error}") from None
