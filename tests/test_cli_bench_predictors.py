"""``latentnas bench predictors``: the table, the JSON, and how it fails."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner, Result

from latentnas.cli import app

FEW = ("--labels", "9", "--cells", "20", "--repeats", "1", "--set", "epochs=1", "--set", "head=[8]", "--device", "cpu")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["bench", "predictors", *FEW, *arguments])
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def test_the_table() -> None:
    out = run("--option", "hidden=8", "--option", "layers=2").stdout
    assert re.search(r"^space +nasbench201$", out, re.M)
    assert re.search(r"^predictor +gates, 0\.\d\d M parameters$", out, re.M)
    number = r"[\d,.]+"
    for what, count in (("training", "9"), ("scoring", "20"), ("listing the space", number),
                        ("ranking the space", number)):  # fmt: skip
        assert re.search(rf"^{what} +{count}( +{number}){{4}}$", out, re.M), what
    assert re.search(r"^peak memory +[\d,]+ MiB$", out, re.M)


def test_json_without_the_whole_space() -> None:
    found = json.loads(run("--model", "hop", "--option", "hidden=8", "--no-whole", "--json").stdout)
    assert (found["space"], found["settings"]["encoder"], found["threads"]) == ("nasbench201", "hop", 1)
    assert (found["labels"], found["cells"], found["networks"], found["ranking"]) == (9, 20, None, None)
    assert found["fit"]["cpu_seconds"] > 0


def test_a_space_that_cannot_be_listed() -> None:
    found = json.loads(run("--space", "darts", "--model", "gcn", "--option", "hidden=8", "--json").stdout)
    assert found["listing"] is found["networks"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "oracle"), "oracle"),
        (("--option", "depth=3"), "unknown option 'depth'"),
        (("--set", "encoder=hop"), "--set encoder=...: no further setting"),
        (("--labels", "1"), "--labels"),
    ],
)
def test_errors(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, code=2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
