"""``latentnas draw``: the pictures it writes, their captions, and how it fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from latentnas.cli import app
from latentnas.cli.draw import MAX_CELLS, caption, draw_grid
from latentnas.spaces import get_space
from latentnas.spaces.drawing import cell_size, text_width

ONE = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
TWO = ONE.replace("none", "nor_conv_3x3")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["draw", *arguments], input=stdin)
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def texts_of(svg: str) -> list[str]:
    """Texts of a picture whose letters are paths: matplotlib leaves them in comments."""
    return re.findall(r"<!-- (.*?) -->", svg)


def test_one_cell_as_png() -> None:
    result = run("--space", "nasbench201", "--cell", ONE, "--out", "cell.png")
    assert result.stdout == ""
    assert result.stderr == "1 cell drawn in cell.png\n"
    height, width, _ = imread("cell.png").shape
    assert width > height > 200
    assert imread("cell.png")[..., :3].min() < 0.3  # something dark on the white ground


@pytest.mark.parametrize(("name", "begin"), [("a.png", b"\x89PNG"), ("b/c/a.pdf", b"%PDF"), ("A.SVG", b"<?xml")])
def test_the_name_says_the_format_and_folders_are_made(name: str, begin: bytes) -> None:
    run("--space", "nasbench201", "--sample", "2", "--out", name)
    assert Path(name).read_bytes().startswith(begin)


def test_cells_of_a_file_and_of_standard_input() -> None:
    Path("cells.txt").write_text(f"{ONE}\n\n  {TWO}\n", encoding="utf-8")
    assert run("--space", "nasbench201", "--input", "cells.txt", "--out", "a.svg").stderr.startswith("2 cells")
    run("--space", "nasbench201", "--cell", ONE, "--cell", TWO, "--out", "b.svg")
    run("--space", "nasbench201", "--input", "-", "--out", "c.svg", stdin=f"{ONE}\n{TWO}")
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes() == Path("c.svg").read_bytes()
    texts = texts_of(Path("a.svg").read_text(encoding="utf-8"))
    assert texts.count("skip") == 2
    assert texts.count("conv 3x3") == 1 + 3


def test_samples_follow_the_seed() -> None:
    for name, seed in (("a.svg", "1"), ("b.svg", "1"), ("c.svg", "2")):
        run("--space", "nasbench101", "--sample", "3", "--seed", seed, "--out", name)
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes() != Path("c.svg").read_bytes()


@pytest.mark.parametrize("name", ["nasbench201", "enas_macro12", "darts", "nas_bench_graph"])
def test_captions_stay_inside_and_apart(name: str) -> None:
    space = get_space(name)
    codes = space.sample(4, seed=0)
    figure = draw_grid(space, codes)
    assert len(figure.axes) == 4
    texts = [text.get_text() for text in figure.texts]
    short = len(texts) == 4  # the cells' own texts; otherwise numbers and keys
    assert texts == (
        space.format(codes) if short else [t for k in range(4) for t in (f"cell {k + 1}", texts[2 * k + 1])]
    )
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 and b.y1 <= figure.bbox.y1 for b in boxes)
    frames = [ax.get_window_extent() for ax in figure.axes]
    everything = [*boxes, *frames]
    assert not any(a.overlaps(b) for k, a in enumerate(everything) for b in everything[:k])
    assert frames[0].width == pytest.approx(cell_size(space, codes)[0] * figure.dpi)


def test_rows_are_as_high_as_their_highest_cell() -> None:
    """Three small cells in the first row, a large one in the second."""
    space = get_space("nasbench101")
    chain = [[int(j == i + 1) for j in range(7)] for i in range(7)]
    cells = [{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}] * 3
    cells += [{"matrix": chain, "ops": ["input", *["maxpool3x3"] * 5, "output"]}]
    heights = [ax.get_window_extent().height for ax in draw_grid(space, space.parse(cells)).axes]
    assert heights[0] == heights[1] < heights[2] == heights[3]  # two columns: rows of equal length
    heights = [ax.get_window_extent().height for ax in draw_grid(space, space.parse(cells[:3])).axes]
    assert heights == pytest.approx([0.9 * 100] * 3, abs=20)  # inches: two layers of 20 points, 20 between


def test_captions_are_the_text_or_number_and_key() -> None:
    wide = text_width("a long text", 8.0)
    assert caption("a long text", "key", wide + 1) == [("a long text", 8.0)]
    assert caption("a long text", "key", wide - 1) == [("key", 6.5)]
    assert caption("a long text", "key", wide - 1, number=3) == [("cell 3", 8.0), ("key", 6.5)]
    ((cut, font),) = caption("a long text", "a really quite long key", wide - 1)
    assert cut.endswith("...")
    assert "a really quite long key".startswith(cut[:-3])
    assert text_width(cut, font) <= wide - 1 < text_width("a really quite long key"[: len(cut) - 2] + "...", font)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "1"], "Missing option '--space'"),
        (["--space", "nasbench201", "--sample", "1"], "Missing option '--out'"),
        (["--space", "nasbench201", "--out", "a.png"], "give one of --cell TEXT, --input FILE and --sample N"),
        (["--space", "nasbench201", "--out", "a.png", "--sample", "1", "--cell", ONE], "give one of --cell TEXT"),
        (["--space", "nasbench201", "--out", "a.jpg", "--sample", "1"], "--out a.jpg: the name must end in .png, .svg"),
        (["--space", "nasbench2", "--out", "a.png", "--sample", "1"], "unknown space 'nasbench2'"),
        (["--space", "nasbench201", "--out", "a.png", "--cell", "|x|"], "nasbench201: '|x|' is no cell; expected"),
        (["--space", "nasbench201", "--out", "a.png", "--sample", "0"], "Invalid value for '--sample': "),
        (["--space", "nasbench201", "--out", "a.png", "--input", "none.txt"], "cannot read none.txt: No such file"),
        (["--space", "nasbench201", "--out", "a.png", "--input", "empty.txt"], "empty.txt holds no cell; expected one"),
        (["--space", "nasbench201", "--out", "a.png", "--input", "wrong.txt"], "wrong.txt, line 3: nasbench201: "),
        (["--space", "nasbench201", "--out", "a.png", "--input", "many.txt"], "61 cells given; one picture shows at "),
        (["--space", "nasbench201", "--out", "empty.txt/a.png", "--sample", "1"], "cannot write empty.txt/a.png: "),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_leave_no_picture(arguments: list[str], message: str) -> None:
    Path("empty.txt").write_text("\n", encoding="utf-8")
    Path("wrong.txt").write_text(f"{ONE}\n\njunk\n", encoding="utf-8")
    Path("many.txt").write_text(f"{ONE}\n" * (MAX_CELLS + 1), encoding="utf-8")
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert not list(Path().glob("*.png"))
