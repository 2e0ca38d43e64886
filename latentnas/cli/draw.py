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
_FONT, _SMALL, _HEAD = 8.0, 6.5, 0.38
_NARROWEST = 2.0
"""Inches that a cell takes at least, for its caption."""


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
    """Cells in rows, each below its text; where that is too long, below its number and its key.

    Args:
        space: the space of the cells.
        codes: [B, D] long, B at least 1.
    """
    from ..spaces.drawing import cell_size, draw_cell, grid_columns, new_figure

    width, _ = cell_size(space, codes)
    width = max(width, _NARROWEST)
    columns = grid_columns(len(codes), width)
    heights = [cell_size(space, row)[1] for row in codes.split(columns)]  # a row is as high as its highest cell
    margin = 0.12
    across, downs = width + 2 * margin, [height + _HEAD + margin for height in heights]
    total = (columns * across, sum(downs))
    figure = new_figure(*total)
    for k, (code, text, key) in enumerate(zip(codes, space.format(codes), space.keys(codes), strict=True)):
        row, column = divmod(k, columns)
        left, top, height = column * across + margin, sum(downs[row:]), heights[row]
        place = (left / total[0], (top - _HEAD - height) / total[1], width / total[0], height / total[1])
        draw_cell(space, code, figure.add_axes(place), size=(width, height))
        lines = caption(text, key, 0.9 * width * 72, number=k + 1 if len(codes) > 1 else None)
        for line, (words, font) in enumerate(lines):
            low = (line + 0.5) / len(lines)  # the share of the head above the middle of the line
            figure.text(
                (left + width / 2) / total[0], (top - _HEAD * low) / total[1], words, ha="center", va="center",
                fontsize=font, color="#4d5660", parse_math=False,
            )  # fmt: skip
    return figure


def caption(text: str, key: str, width: float, number: int | None = None) -> list[tuple[str, float]]:
    """Lines above a cell, each with the size of its letters, at most ``width`` points long.

    Args:
        text: of the cell; the only line, if it is short enough.
        key: of the cell; otherwise the last line, cut where it is too long.
        width: in points.
        number: of the cell in the picture: the line above the key; None for no such line.
    """
    from ..spaces.drawing import text_width

    if text_width(text, _FONT) <= width:
        return [(text, _FONT)]
    shown, keep = key, len(key)
    while keep > 1 and text_width(shown, _SMALL) > width:
        keep -= 1
        shown = f"{key[:keep]}..."
    return [*([] if number is None else [(f"cell {number}", _FONT)]), (shown, _SMALL)]


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
