"""``latentnas rank``: what it writes, and how it fails."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import latentnas.cli.rank  # noqa: F401 (registers the command)
from latentnas.cli import app
from latentnas.predictor import Predictor
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(60, seed=0)
VALUES = (CODES == 3).sum(1).double() + torch.arange(60) / 1000
QUICK = ("--set", "epochs=5", "--set", "head=[16]", "--device", "cpu")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{cell},{value}" for cell, value in zip(SPACE.format(CODES), VALUES.tolist(), strict=True)]
    Path("labels.csv").write_text(
        "\n".join(["arch,acc", *rows, f"{SPACE.format(torch.zeros(1, 6).long())[0]},"]) + "\n"
    )


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["rank", "labels.csv", "--space", "nasbench201", *arguments])
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def rows_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_whole_space_is_ranked() -> None:
    result = run("--out", "a/ranking.csv", "--save", "ranker", *QUICK)
    rows = rows_of("a/ranking.csv")
    assert len(rows) == SPACE.num_networks
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    networks = len(torch.unique(SPACE.canonical(CODES), dim=0))
    assert f"{networks} networks, acc; 1 cells without" in result.stdout
    predicted = Predictor.load("ranker", device="cpu").predict(SPACE.parse([row["cell"] for row in rows[:50]]))
    assert predicted.tolist() == pytest.approx(scores[:50], rel=1e-4)


def test_options() -> None:
    run("--out", "r.csv", "--sample", "300", "--top", "20", "--unseen", "--ensemble", "2", "--minimize", *QUICK)
    rows = rows_of("r.csv")
    assert len(rows) == 20
    assert list(rows[0]) == ["cell", "score", "std"]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores)
    seen = set(SPACE.keys(CODES))
    assert not seen & set(SPACE.keys(SPACE.parse([row["cell"] for row in rows])))


def test_auto_writes_deviations_and_is_stored() -> None:
    run("--out", "r.csv", "--sample", "50", "--model", "auto", "--set", "options={members: [gp]}", "--save", "auto")
    rows = rows_of("r.csv")
    assert list(rows[0]) == ["cell", "score", "std"] and all(float(row["std"]) > 0 for row in rows)
    predicted = Predictor.load("auto", device="cpu").predict(SPACE.parse([row["cell"] for row in rows]))
    assert predicted.tolist() == pytest.approx([float(row["score"]) for row in rows], rel=1e-4)


@pytest.mark.slow
def test_networks_are_measured_with_progress() -> None:
    settings = ("--model", "mlp", "--set", "cell_features=expressivity", *QUICK)
    measured = run("--out", "r.csv", "--sample", "4", *settings)
    assert "zero-cost metrics: network 4/4" in measured.stderr
    assert len(rows_of("r.csv")) == 4
    plain = run("--out", "s.csv", "--sample", "4", "--model", "mlp", *QUICK)
    assert "zero-cost" not in plain.stderr


def test_nar_is_trained_by_its_own_loss() -> None:
    small = ("--set", "epochs=1", "--set", "head=[4]", "--device", "cpu")
    run("--out", "r.csv", "--sample", "5", "--model", "nar", "--save", "nar", *small)
    assert Predictor.load("nar", device="cpu").loss == "nar"


def test_files_that_cannot_be_written_are_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(Predictor, "fit", train)
    Path("folder").mkdir()
    assert "--out folder: cannot be written: it is a folder" in run("--out", "folder", code=2).stderr
    refused = run("--out", "labels.csv/r.csv", code=2).stderr
    assert "labels.csv is a file, not a folder" in refused and refused.count("\n") == 1
    assert "--save" in run("--out", "r.csv", "--save", "labels.csv/x", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metric", "loss"), "no column of numbers; these are acc"),
        (("--model", "gatez"), "unknown encoder 'gatez'. Did you mean 'gates'?"),
        (("--set", "epoch=3"), "--set epoch=...: no further setting"),
        (("--top", "0"), "--top must be at least 1"),
        (("--set", "epochs=0"), "epochs must be a positive integer"),
        (("--device", "foo"), "foo"),
    ],
)
def test_errors_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = run("--out", "r.csv", *arguments, code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_space_too_large_needs_a_sample() -> None:
    from latentnas.cli.rank import _candidates
    from latentnas.errors import ConfigError

    with pytest.raises(ConfigError, match="give --sample N"):
        _candidates(get_space("darts"), None, 0)


def test_the_labels_are_not_written_over() -> None:
    before = Path("labels.csv").read_text()
    result = run("--out", "labels.csv", *QUICK, code=2)
    assert "is the file of the labels" in result.stderr and Path("labels.csv").read_text() == before


def test_a_space_too_large_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    darts = get_space("darts")
    Path("labels.csv").write_text(
        "\n".join(["arch,acc", *(f'"{c}",{n}' for n, c in enumerate(darts.format(darts.sample(9, seed=0))))])
    )
    monkeypatch.setattr(Predictor, "fit", lambda *_, **__: pytest.fail("trained"))
    result = CliRunner().invoke(app, ["rank", "labels.csv", "--space", "darts", "--out", "o.csv", *QUICK])
    assert result.exit_code == 2 and "--sample" in result.stderr
