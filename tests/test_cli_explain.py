"""``latentnas explain``: pictures from a stored predictor and from a CSV, and how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from latentnas.cli import app
from latentnas.predictor import Predictor
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
QUICK = ("--set", "epochs=1", "--set", "head=[4]", "--set", "device=cpu")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    codes = SPACE.sample(12, seed=0)
    options = {"layers": 1, "hidden": 4, "op_embedding": 4, "input_embedding": 4}
    model = Predictor("hop", epochs=1, head=(4,), options=options, device="cpu").fit(codes, torch.arange(12.0))
    return str(model.save(tmp_path_factory.mktemp("predictor")))


def test_of_a_stored_predictor(stored: str, tmp_path: Path) -> None:
    (cell,) = SPACE.format(SPACE.sample(1, seed=1))
    out = tmp_path / "deep" / "picture.png"
    assert "1 cell explained in" in run(stored, "--cell", cell, "--out", str(out)).stderr
    assert out.read_bytes().startswith(b"\x89PNG")


def test_of_a_csv(tmp_path: Path) -> None:
    codes = SPACE.sample(12, seed=0)
    table = tmp_path / "evaluated.csv"
    lines = [f"{text},{value}" for value, text in enumerate(SPACE.format(codes))]
    table.write_text("\n".join(["cell,accuracy", *lines]) + "\n")
    out = tmp_path / "picture.svg"
    run(str(table), "--space", "nasbench201", "--model", "nar", *QUICK, "--sample", "2", "--out", str(out))
    assert "<svg" in out.read_text()


def test_what_is_minimised_is_shown_as_it_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[torch.Tensor] = []
    import latentnas.report.explain_pictures as pictures

    draw = pictures.draw_explanation

    def watched(found: Any, **options: Any) -> Any:
        shown.append(found.scores)
        return draw(found, **options)

    monkeypatch.setattr(pictures, "draw_explanation", watched)
    lines = [f"{text},{10 + value}" for value, text in enumerate(SPACE.format(SPACE.sample(12, seed=0)))]
    table = tmp_path / "evaluated.csv"
    table.write_text("\n".join(["cell,error", *lines]) + "\n")
    options = ("--space", "nasbench201", "--minimize", "--sample", "3", "--out", str(tmp_path / "p.png"))
    run(str(table), *options, *QUICK)
    assert bool((shown[0] > 0).all())


def test_what_cannot_be_drawn_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(Predictor, "fit", train)
    table = tmp_path / "evaluated.csv"
    table.write_text("cell,accuracy\n")
    picture = str(tmp_path / "p.png")
    common = (str(table), "--space", "nasbench201")
    refused = run(*common, "--model", "gates", "--sample", "1", "--out", picture, code=2)
    assert "--model must be one of hop, nar, got 'gates'" in refused.stderr
    run(*common, "--cell", "nonsense", "--out", picture, code=2)
    refused = run(*common, "--sample", "1", "--out", str(table / "p.png"), code=2)
    assert "is a file, not a folder" in refused.stderr


def test_tiers_that_were_not_trained_are_not_drawn(tmp_path: Path) -> None:
    codes = SPACE.sample(12, seed=0)
    model = Predictor("nar", epochs=1, head=(4,), device="cpu").fit(codes, torch.arange(12.0))
    folder = str(model.save(tmp_path / "nar"))
    refused = run(folder, "--sample", "1", "--out", str(tmp_path / "p.png"), code=2)
    assert "its loss is 'hinge', not 'nar'" in refused.stderr


def test_all_faults_are_told_at_once(stored: str, tmp_path: Path) -> None:
    message = run(stored, "--space", "nasbench201", "--minimize", "--out", str(tmp_path / "x.gif"), code=2).stderr
    for part in ("must end in", "give one of --cell", "stored predictor: leave --space, --minimize out"):
        assert part in message
    assert "give its --space NAME" in run("none.csv", "--sample", "1", "--out", "x.png", code=2).stderr
