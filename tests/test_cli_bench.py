"""``latentnas bench models``: the table, the JSON, and how it fails."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner, Result

from latentnas.cli import app

FEW = ("--cells", "8", "--repeats", "1", "--device", "cpu")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["bench", "models", *arguments])
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def test_the_table() -> None:
    out = run("--space", "enas_macro3", "--encoder", "gcn", "--hidden", "8", "--batch", "4", *FEW).stdout
    assert re.search(r"^space +enas_macro3$", out, re.M)
    assert re.search(r"^model +gcn, hidden 8, latent 16, 0\.\d\d M parameters$", out, re.M)
    assert re.search(r"^device +cpu, 1 CPU thread$", out, re.M)
    number = r"[\d,.]+"
    for what in ("training +steps of 4", "training +graphs", "encode +cells", "decode, constrained +latents",
                 "decode, free +latents"):  # fmt: skip
        assert re.search(rf"^{what} +{number} +{number}$", out, re.M), what
    assert re.search(r"^matrix product +[\d,]+ GFLOP/s in float32 at full precision$", out, re.M)
    assert re.search(r"^training's precision +highest$", out, re.M)
    assert "public D-VAE code" not in out


def test_json_of_a_saved_latent_space() -> None:
    found = json.loads(run("--latent", "nasbench201-dvae-emb", "--batch", "4", "--json", *FEW).stdout)
    assert found["space"] == "nasbench201"
    assert found["model"]["encoder"] == "dvae"
    assert (found["batch"], found["cells"], found["threads"], found["device"]) == (4, 8, 1, "cpu")
    assert found["step"]["cpu_seconds"] > 0


def test_one_hot_operations() -> None:
    found = json.loads(run("--space", "enas_macro3", "--op-embedding", "0", "--hidden", "4", "--json",
                           "--matmul-precision", "medium", *FEW).stdout)  # fmt: skip
    assert found["matmul_precision"] == "medium"
    assert found["model"]["op_embedding"] is None
    assert found["batch"] == 256


@pytest.mark.slow
def test_the_published_model_beside_the_reference() -> None:
    out = run("--published", *FEW).stdout
    assert re.search(r"^model +dvae, hidden 501, latent 56, ", out, re.M)
    assert "steps of 32" in out
    assert re.search(r"^public D-VAE code +[\d.]+ times as many CPU-seconds a step", out, re.M)


def test_published_sizes_of_other_models() -> None:
    found = json.loads(run("--space", "enas_macro3", "--published", "--encoder", "svae", "--hidden", "4", "--json",
                           *FEW).stdout)  # fmt: skip
    assert found["model"]["readout"] == "ends"
    assert found["model"]["bidirectional"] is False
    assert found["batch"] == 32
    assert found["reference_ratio"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--latent", "nasbench201-dvae-emb", "--hidden", "8"), "its model is given, leave --hidden out"),
        (("--latent", "nasbench201-dvae-emb", "--published"), "its model is given, leave --published out"),
        (("--space", "nowhere"), "nowhere"),
        (("--encoder", "mlp"), "encoder must be one of"),
        (("--hidden", "0"), "hidden must be a positive integer"),
        (("--batch", "0"), "--batch"),
        (("--hidden", "4", "--matmul-precision", "low"), "precision must be one of highest, high, medium, got 'low'"),
        (("--device", "toaster"), "toaster"),
    ],
)
def test_errors(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, code=2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stdout == ""
