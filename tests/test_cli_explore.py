"""``latentnas explore``: the pictures and lists it writes, and how it fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from latentnas.benchmarks import get_benchmark
from latentnas.cli import app
from latentnas.latent import LatentSpace

LATENT = "nasbench201-dvae-emb"
ONE = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|"
TWO = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
THREE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["explore", *arguments])
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def rows(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()]


def test_a_random_plane() -> None:
    result = run("--latent", LATENT, "--cell", TWO, "--out", "a.svg", "--size", "5")
    head, *cells = rows(result)
    assert head == ["number", "points", "cell"]
    assert cells[0][0] == "1"
    assert sum(int(points) for _, points, _ in cells) == 25
    assert result.stderr == f"{len(cells)} networks on 25 points drawn in a.svg\n"
    latent = LatentSpace.load(LATENT, device="cpu")
    keys = latent.space.keys(latent.space.parse([text for *_, text in cells]))
    assert keys[0] == latent.space.keys(latent.space.parse(TWO))[0]
    assert len(set(keys)) == len(keys)
    for name, seed in (("b.svg", "0"), ("c.svg", "1")):
        run("--latent", LATENT, "--cell", TWO, "--out", name, "--size", "5", "--seed", seed)
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes() != Path("c.svg").read_bytes()


def test_the_plane_of_three_cells_reaches_them_and_shows_a_metric() -> None:
    result = run("--latent", LATENT, "--cell", ONE, "--plane-cell", TWO, "--plane-cell", THREE, "--size", "5",
                 "--metric", "cifar10_test", "--out", "plane.png")  # fmt: skip
    head, *cells = rows(result)
    assert head == ["number", "points", "cifar10_test", "cell"]
    bench = get_benchmark("nasbench201")
    for _, _, value, text in cells:
        assert float(value) == pytest.approx(bench.query(bench.space.parse(text)).item(), rel=1e-3)
    height, width, _ = imread("plane.png").shape
    assert width > 1000
    assert height > 600


def test_a_line_between_two_cells() -> None:
    for kind in ([], ["--spherical"]):
        result = run("--latent", LATENT, "--cell", ONE, "--to", TWO, "--steps", "21", "--out", "line.png", *kind)
        head, *parts = rows(result)
        assert head == ["number", "from", "to", "cell"]
        assert (parts[0][3], parts[0][1]) == (ONE, "0.000")
        assert parts[-1][2] == "1.000"
        assert re.fullmatch(r"\d+ networks on 21 points drawn in line.png\n", result.stderr)
        assert float(parts[1][1]) - float(parts[0][2]) == pytest.approx(0.05)
        Path("line.png").unlink()


def test_a_table_that_lacks_cells_leaves_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentnas import benchmarks
    from latentnas.benchmarks import TabularBenchmark

    space = get_benchmark("nasbench201").space
    codes = space.parse([TWO, THREE])
    small = TabularBenchmark("small", space, codes, {"score": torch.tensor([5.0, 7.0])}, default="score")
    monkeypatch.setattr(benchmarks, "get_benchmark", lambda name: small)
    result = run("--latent", LATENT, "--cell", TWO, "--to", ONE, "--steps", "5", "--metric", "score", "--out", "a.png")
    first, *others = rows(result)[1:]
    assert first[3] == "5"
    assert [len(line) for line in others] == [4] * len(others)  # no value


def test_large_grids_are_maps() -> None:
    result = run("--latent", LATENT, "--cell", TWO, "--size", "21", "--step", "0.3", "--out", "map.png")
    assert "on 441 points" in result.stderr
    height, width, _ = imread("map.png").shape
    assert height < 3000 > width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", ONE, "--out", "a.jpg"], "--out a.jpg: the name must end in .png, .svg, .pdf"),
        (["--out", "a.png"], "Missing option '--cell'"),
        (["--cell", "|x|", "--out", "a.png"], "nasbench201: '|x|' is no cell"),
        (["--cell", ONE, "--to", "junk", "--out", "a.png"], "nasbench201: 'junk' is no cell"),
        (["--cell", ONE, "--out", "a.png", "--to", TWO, "--size", "5"], "--to draws a line: leave --plane-cell"),
        (["--cell", ONE, "--out", "a.png", "--steps", "5"], "--spherical and --steps belong to a line: give --to TEXT"),
        (["--cell", ONE, "--out", "a.png", "--plane-cell", TWO], "--plane-cell must be given twice, got 1"),
        (["--cell", ONE, "--out", "a.png", "--size", "6"], "plane_grid: size must be an odd number, at least 3, got 6"),
        (["--cell", ONE, "--out", "a.png", "--step", "-1"], "plane_grid: step must be a positive number, got -1.0"),
        (["--cell", ONE, "--out", "a.png", "--plane-cell", TWO, "--plane-cell", TWO], "plane_through: the three"),
        (["--cell", ONE, "--out", "a.png", "--metric", "nothing"], "unknown metric"),
        (["--cell", ONE, "--out", "a.png", "--benchmark", "nasbench201"], "--benchmark needs --metric NAME"),
        (["--cell", ONE, "--out", "a.png", "--metric", "x", "--benchmark", "none"], "unknown benchmark 'none'"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_leave_no_picture(arguments: list[str], message: str) -> None:
    result = run("--latent", LATENT, *arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert not list(Path().glob("*.png"))


def test_every_fault_is_said_at_once() -> None:
    result = run("--latent", LATENT, "--cell", ONE, "--out", "a.gif", "--plane-cell", TWO, "--steps", "3", code=2)
    assert "--out a.gif" in result.stderr
    assert "--steps belong to a line" in result.stderr
    assert "given twice, got 1" in result.stderr
