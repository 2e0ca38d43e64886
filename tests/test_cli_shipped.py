"""``latentnas latents``, ``analogy`` and ``encode --density``."""

from __future__ import annotations

import csv
import io

import torch
from typer.testing import CliRunner

from latentnas.cli import app
from latentnas.latent import LatentSpace, list_latent_spaces

LATENT = "nasbench201-dvae-emb"
A = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
B = "|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
C = "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_latents_lists_every_shipped_one() -> None:
    lines = run("latents").splitlines()
    assert [line.split()[0] for line in lines[1:]] == list_latent_spaces()
    (line,) = (line for line in lines if line.startswith(f"{LATENT} "))
    assert "dvae" in line and "100.00% of 15,625" in line


def test_analogy_with_two_equal_cells_is_the_third() -> None:
    lines = run("analogy", "--latent", LATENT, A, A, C).splitlines()
    assert lines[-1].startswith("A - B + C")
    assert lines[-1].split()[-1] == C
    assert lines[-1].split()[-2] == lines[-2].split()[-2], "the same point, hence the same density"


def test_analogy_of_three_cells() -> None:
    model = LatentSpace.load(LATENT, device="cpu")
    z = model.encode(model.space.parse([A, B, C]))
    expected = model.space.format(model.decode((z[0] - z[1] + z[2])[None]))[0]
    assert run("analogy", "--latent", LATENT, A, B, C).splitlines()[-1].split()[-1] == expected


def test_density_is_the_last_column() -> None:
    model = LatentSpace.load(LATENT, device="cpu")
    (row,) = csv.DictReader(io.StringIO(run("encode", "--latent", LATENT, "--density", A)))
    z = torch.tensor([[float(row[f"z{k}"]) for k in range(model.latent_dim)]])
    normal = torch.distributions.Normal(model.center, model.scale)
    torch.testing.assert_close(float(row["log_density"]), float(normal.log_prob(z).sum()), rtol=1e-4, atol=1e-3)
    assert list(row)[-1] == "log_density"


def test_analogy_of_no_cell() -> None:
    result = CliRunner().invoke(app, ["analogy", "--latent", LATENT, "nonsense", A, C])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr and len(result.stderr.splitlines()) == 1
