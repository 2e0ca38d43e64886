"""latentnas/cli/data.py, and that the other commands live with what is damaged or missing."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latentnas.benchmarks import cached_names, get_benchmark, read_description
from latentnas.cli import app
from latentnas.cli.data import in_words_of_the_command_line, readable
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(30, seed=0).unique(dim=0)
CELLS = SPACE.format(CODES)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lines = ["index,arch,acc@12,acc@200,ms", *(f"{k},{cell},{k},{2 * k},{k or ''}" for k, cell in enumerate(CELLS))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    return tmp_path / "mine.csv"


def row(text: str, first: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def test_import_says_what_was_read(path: Path) -> None:
    last = len(CELLS) - 1
    result = run("data", "import", str(path), "--space", "nasbench201", "--minimize", "ms")
    assert row(result.stdout, "table") == ["table", "mine"]
    assert row(result.stdout, "rows") == ["rows", str(len(CELLS)), "cells"]
    assert str(read_description("mine")["path"]) in result.stdout
    assert row(result.stdout, "acc*") == ["acc*", "-", "higher", "12,", "200", "-", "0", str(2 * last), "-"]
    assert row(result.stdout, "ms") == ["ms", "-", "lower", "-", "-", "1", str(last), "1"]
    assert row(result.stdout, "left") == ["left", "out", "columns", "'index'"]
    assert "importing mine.csv" in result.stderr
    assert get_benchmark("mine").query(CODES[2:3]).item() == 4.0


def test_import_with_every_option(path: Path) -> None:
    run(
        "data", "import", str(path), "--name", "other", "--format", "csv", "--space", "nasbench201", "--column", "arch",
        "--metric", "ms", "--metric", "acc@12", "--minimize", "ms", "--by-network", "--set", "duplicates=mean",
        "--unit", "ms=s",
    )  # fmt: skip
    table = get_benchmark("other")
    assert (table.default_metric, table.metrics, table.by_network) == ("ms", ["acc", "ms"], True)
    assert row(run("data", "show", "other").stdout, "ms*")[1] == "s"


def test_importing_again(path: Path) -> None:
    command = ("data", "import", str(path), "--space", "nasbench201")
    assert "imported before" not in run(*command).stdout
    again = run(*command)
    assert "it was imported before (--replace reads the file again)" in again.stdout and again.stderr == ""
    message = run(*command, "--minimize", "ms", code=2).stderr
    assert (
        message.startswith("error: there is a table mine already, made from ")
        and "; replace it with --replace, or" in message
    )
    assert row(run(*command, "--minimize", "ms", "--replace").stdout, "ms")[2] == "lower"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("name one with column= (--column)", "name one with --column"),
        ("give duplicates='mean' (--set duplicates=mean)", "give --set duplicates=mean"),
        ("with replace=True (--replace), or name= (--name)", "with --replace, or --name"),
        ("'a=b' is no cell (--x)", "'a=b' is no cell (--x)"),
    ],
)
def test_messages_name_options_as_the_command_line_does(message: str, expected: str) -> None:
    assert in_words_of_the_command_line(message) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (37_100_000.0, "37.1 M"), (7_335_187_457.0, "7.34 G"), (999_960_000.0, "1,000 M"), (2e12, "2 T"),
        (999_999.0, "999,999"), (0.9432, "0.9432"), (-12.0, "-12"), (-2_500_000.0, "-2.5 M"), (1234.5, "1234.5"),
    ],
)  # fmt: skip
def test_numbers_at_a_glance(value: float, expected: str) -> None:
    assert readable(value) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.csv"], "format csv needs --space"),
        (["none.csv"], "no such file or folder"),
        (["mine.csv", "--space", "nasbench202"], "unknown space 'nasbench202'"),
        (["mine.csv", "--space", "nasbench201", "--metric", "x"], "no column is called 'x'"),
        (["mine.csv", "--space", "nasbench201", "--name", "A"], "a table's name has"),
        (["mine.csv", "--space", "nasbench201", "--name", "nasbench201"], "the name nasbench201 belongs to"),
        (["mine.csv", "--space", "nasbench201", "--set", "x=1"], "unknown option x"),
        (["mine.csv", "--space", "nasbench201", "--set", "x"], "expected KEY=VALUE"),
        (["mine.csv", "--spase", "nasbench201"], "No such option: --spase"),
        (["mine.csv", "--set", "spase=nasbench201"], "unknown option spase; known: space, "),
        (["mine.csv", "--space", "nasbench201", "--set", "space=darts"], "--set space=...: this option is given a sec"),
        (["mine.csv", "--space", "nasbench201", "--set", "duplicates=first"], "duplicates must be 'error' or 'mean'"),
        (["mine.csv", "--space", "nasbench201", "--name", "nats-tss"], "the name nats-tss belongs to tables of"),
        (["https://example.org/mine.csv", "--space", "nasbench201"], "download it first"),
        (["mine.csv", "--format", "npz"], "unknown format 'npz'"),
        (["mine.csv", "--format", "nasbench101-npz"], "truncated, corrupted"),
    ],
)
def test_import_fails_with_one_line(path: Path, arguments: list[str], message: str) -> None:
    result = run("data", "import", *arguments, code=2)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert "importing" not in result.stderr or "nasbench101-npz" in arguments  # no progress of what was not begun
    assert cached_names() == []


def test_list(path: Path) -> None:
    text = run("data", "list").stdout
    assert text.startswith("no table is imported")
    assert "nasbench_only108.tfrecord" in text
    run("data", "import", str(path), "--space", "nasbench201")
    text = run("data", "list").stdout
    assert row(text, "mine")[1:4] == ["nasbench201", str(len(CELLS)), "3"]


def test_show(path: Path) -> None:
    run("data", "import", str(path), "--space", "nasbench201", "--minimize", "ms")
    lines = run("data", "show", "mine", "--best", "2").stdout.splitlines()
    last = len(CELLS) - 1
    assert [line.split() for line in lines[-2:]] == [
        ["1", str(2 * last), CELLS[last]],
        ["2", str(2 * last - 2), CELLS[last - 1]],
    ]
    lines = run("data", "show", "mine", "--metric", "ms", "--best", "100").stdout.splitlines()
    assert lines[-1].split() == [str(last), str(last), CELLS[last]]  # the cell without a value is left out
    assert row("\n".join(lines), "1") == ["1", "1", CELLS[1]]
    assert "1,000" not in run("data", "show", "mine", "--best", "0").stdout
    assert "Did you mean 'acc'" in run("data", "show", "mine", "--metric", "ac", code=2).stderr
    assert "15,625 cells" in run("data", "show", "nasbench201").stdout
    assert "not imported yet" in run("data", "show", "nasbench101", code=2).stderr


def test_remove(path: Path) -> None:
    run("data", "import", str(path), "--space", "nasbench201")
    assert run("data", "remove", "mine").stdout.startswith("removed ")
    assert "no imported table is called 'mine'; imported: none" in run("data", "remove", "mine", code=2).stderr
    assert path.exists()


def test_help_and_wrong_commands() -> None:
    result = run("data", code=2)
    assert "import" in result.stdout and "error" not in result.stderr
    assert run("data", "imprt", code=2).stderr.startswith("error: No such command 'imprt'")
    assert "--by-network" in run("data", "import", "--help").stdout


def test_a_damaged_table_does_not_stop_the_other_commands(path: Path) -> None:
    run("data", "import", str(path), "--space", "nasbench201")
    file = Path(read_description("mine")["path"])
    file.write_bytes(file.read_bytes()[:-50])
    assert "mine cannot be read: " in run("benchmarks").stdout
    assert "import it again" in run("data", "list").stdout
    text = run("doctor").stdout
    assert "mine: cannot be read: " in text
    assert text.splitlines()[-1] == "all good: latentnas is ready"
    assert "import it again" in run("data", "show", "mine", code=2).stderr
    run("data", "import", str(path), "--space", "nasbench201")
    assert f"mine: {len(CELLS)} cells, best " in run("doctor").stdout


def test_doctor_says_which_readers_are_there() -> None:
    text = run("doctor").stdout
    for package in ("pyarrow", "networkx", "torch-geometric", "nas-bench-graph", "analog-nasbench"):
        found = version(package) if package != "analog-nasbench" else version("analog_nasbench")
        assert row(text, package) == [package, found]
    assert sum("nas_bench_graph-" in line for line in text.splitlines()) == 9  # a line each


def test_parts_of_nasbench101_are_listed_without_being_made(tmp_path: Path) -> None:
    import numpy as np

    arrays = {
        "num_vertices": np.array([2], np.uint8),
        "ops": np.array([[255] * 5], np.uint8),
        "edges": np.array([1], np.uint32),
        "test_accuracy": np.array([0.5], np.float32),
        "macs": np.array([37_100_000]),
        "params": np.array([1]),
    }
    np.savez(tmp_path / "nasbench101.npz", **arrays)
    text = run("data", "import", "nasbench101.npz").stdout
    assert row(text, "macs") == ["macs", "multiply-adds", "lower", "-", "-", "37.1", "M", "37.1", "M", "-"]
    assert row(text, "test_accuracy*")[4:8] == ["higher", "108", "1", "0.5"]
    assert row(text, "rows") == ["rows", "1", "network,", "one", "for", "all", "their", "codes"]
    part = ["nasbench1shot1-2", "nasbench1shot1-2", "part", "of", "nasbench101"]
    assert row(run("benchmarks").stdout, "nasbench1shot1-2") == part
    assert "nasbench1shot1-2: part of nasbench101" in run("doctor").stdout
    assert "nasbench101 holds none of the 7,773 networks" in run("data", "show", "nasbench1shot1-2", code=2).stderr
