from __future__ import annotations

import json
import pickle
import random
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentnas.errors import ConfigError, WeightsError
from latentnas.latent import LatentSpace
from latentnas.latent.reference import REFERENCE_MODELS, reference_parameters
from latentnas.spaces import get_space

from . import public_code
from .public_code import public_state
from .tiny import same_weights

SPACE = get_space("enas_macro6")
CODES = SPACE.sample(4, seed=0)
SCRIPT = Path(__file__).parents[2] / "scripts" / "check_reference.py"


def cells() -> list[public_code.Cell]:
    graphs = SPACE.node_graphs(CODES)
    return [
        (ops, [(u, v) for u, v in adj.nonzero().tolist()])
        for ops, adj in zip(graphs.ops.tolist(), graphs.adj, strict=True)
    ]


def load(state: Any, model: str, **options: Any) -> LatentSpace:
    return LatentSpace.from_reference(state, model=model, **{"codes": CODES, "device": "cpu", **options})


@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_computes_what_the_public_code_does(model: str) -> None:
    state = public_state(model)
    latent = load(state, model)
    double = {name: tensor.double() for name, tensor in state.items()}
    encoded = [public_code.encode(double, model, cell) for cell in cells()]
    mu, logvar = (torch.stack(part) for part in zip(*encoded, strict=True))
    graphs = SPACE.node_graphs(CODES)
    found = latent.model.encode(graphs)
    torch.testing.assert_close(found[0].double(), mu, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1].double(), logvar, rtol=1e-4, atol=1e-5)
    loss = latent.model.loss(graphs)
    recon = torch.stack(
        [public_code.reconstruction_loss(double, model, z, cell) for z, cell in zip(mu, cells(), strict=True)]
    )
    torch.testing.assert_close(loss.reconstruction.double(), recon.mean(), rtol=1e-4, atol=0)
    expected = (recon.sum() + 0.005 * public_code.divergence(mu, logvar)) / 4
    torch.testing.assert_close(loss.loss.double(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_every_parameter_has_one_public_name(model: str) -> None:
    names = reference_parameters(model)
    latent = load(public_state(model), model)
    ours = {id(p) for _, p in latent.model.named_parameters()}
    parameters = dict(latent.model.named_parameters(remove_duplicate=False))
    assert {id(parameters[name]) for name in names.values()} == ours
    assert len(names) == len(ours)
    assert set(names) <= set(public_state(model))


@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_unused_modules_may_be_missing(model: str) -> None:
    whole = public_state(model)
    used = {name: whole[name] for name in reference_parameters(model)}
    assert (len(used) < len(whole)) == (model != "svae")
    assert same_weights(load(whole, model), load(used, model))


def test_sizes_and_settings_are_those_of_the_public_code() -> None:
    config = load(public_state("dvae-bidirectional", hidden=6, latent=3), "dvae-bidirectional").model.config
    assert (config.hidden, config.latent_dim, config.type_hidden, config.edge_hidden) == (6, 3, 12, 24)
    assert (config.bidirectional, config.readout, config.latent_input, config.op_embedding) == (
        True,
        "ends",
        False,
        None,
    )
    assert (config.beta, config.noise) == (0.005, 0.01)


def test_statistics_are_those_of_the_given_cells() -> None:
    latent = load(public_state("svae"), "svae")
    z = latent.encode(CODES)
    torch.testing.assert_close(latent.center, z.mean(0))
    torch.testing.assert_close(latent.scale, z.std(0))
    assert torch.equal(latent.bounds, torch.stack([z.amin(0), z.amax(0)]))


def test_statistics_are_by_default_those_of_random_cells() -> None:
    latent = load(public_state("svae"), "svae", codes=None)
    z = latent.encode(SPACE.sample(5_000, seed=123))
    torch.testing.assert_close(latent.center, z.mean(0), atol=6 * float(z.std()) / 5_000**0.5, rtol=0)
    torch.testing.assert_close(latent.scale, z.std(0), rtol=0.1, atol=0)


@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_decodes_and_survives_saving(tmp_path: Path, model: str) -> None:
    latent = load(public_state(model), model)
    z = latent.sample_prior(20, seed=0)
    again = LatentSpace.load(latent.save(tmp_path / "saved"), device="cpu")
    assert same_weights(latent, again)
    assert again.info["reference"] == {"code": "muhanzhang/D-VAE", "model": model}
    assert torch.equal(again.decode(z), latent.decode(z))
    assert torch.equal(again.encode(CODES), latent.encode(CODES))


# --- what is refused ----------------------------------------------------------------------------


def test_every_fault_is_named() -> None:
    state: dict[str, Any] = public_state("dvae")
    del state["fc2.bias"]
    state["grud.weight_ih"] = torch.zeros(3, 2)
    state["grud.bias_ih"] = torch.zeros(15, dtype=torch.long)
    state["fc3.bias"][0] = float("nan")
    state["fc3.weight"] = [1.0]
    state["hg_unify.0.weight"] = torch.zeros(5, 10)
    state["epoch"] = torch.zeros(1)
    with pytest.raises(WeightsError) as error:
        load(state, "dvae")
    for fault in (
        "missing 'fc2.bias'",
        "'grud.weight_ih' has shape [3, 2], expected [15, 8]",
        "'grud.bias_ih' holds torch.int64",
        "'fc3.bias' has values that are not finite",
        "'fc3.weight' must be a tensor, got a list",
        "unknown 'hg_unify.0.weight'",
        "unknown 'epoch'",
    ):
        assert fault in str(error.value)
    assert str(error.value).count(";") == 6, "these seven and no other"


@pytest.mark.parametrize("given", REFERENCE_MODELS)
@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_weights_of_another_model(given: str, model: str) -> None:
    if given == model:
        load(public_state(given), model)
        return
    with pytest.raises(WeightsError, match=rf"no weights of the public {model} for 'enas_macro6': .*(missing|unknown)"):
        load(public_state(given), model)


def test_weights_of_another_space() -> None:
    with pytest.raises(WeightsError, match=r"'gate_forward.0.weight' has shape \[5, 13\], expected \[5, 19\]"):
        load(public_state("dvae"), "dvae", space="enas_macro12", codes=None)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (None, "it is missing"),
        (torch.zeros(3), r"it has shape \[3\]"),
        (torch.zeros(4, 0), "hidden must be a positive integer"),
        (torch.zeros(9000, 2), "latent_dim must be at most"),
    ],
)
def test_sizes_that_cannot_be(head: torch.Tensor | None, message: str) -> None:
    state = public_state("dvae")
    if head is None:
        del state["fc1.weight"]
    else:
        state["fc1.weight"] = head
    with pytest.raises(WeightsError, match=message):
        load(state, "dvae")


def test_unknown_model() -> None:
    with pytest.raises(ConfigError, match=r"one of dvae, dvae-bidirectional, .*got 'DVAE'"):
        load(public_state("dvae"), "DVAE")


# --- files --------------------------------------------------------------------------------------


def test_file_of_the_public_code(tmp_path: Path) -> None:
    state = public_state("graphrnn")
    torch.save(state, tmp_path / "model_checkpoint300.pth")
    from_file = load(tmp_path / "model_checkpoint300.pth", "graphrnn")
    assert same_weights(from_file, load(state, "graphrnn"))
    assert same_weights(from_file, load(str(tmp_path / "model_checkpoint300.pth"), "graphrnn"))


class Evil:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_is_executed(tmp_path: Path, legacy: bool) -> None:
    victim = tmp_path / "victim"
    torch.save({"fc1.weight": Evil(victim)}, tmp_path / "evil.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"evil.pth is no file of tensors that torch.load can read safely"):
        load(tmp_path / "evil.pth", "dvae")
    assert not victim.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_no_damage_escapes(tmp_path: Path, legacy: bool) -> None:
    whole, path = tmp_path / "whole.pth", tmp_path / "damaged.pth"
    torch.save(public_state("svae"), whole, _use_new_zipfile_serialization=not legacy)
    data, draw = whole.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(4):
            damaged[draw.randrange(3000)] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            load(path, "svae")
        except WeightsError:
            refused += 1
    assert refused > 75


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.pth", tmp_path / "damaged.pth"
    torch.save(public_state("svae"), whole)
    data = whole.read_bytes()
    for damaged in (b"", b"hello", data[: len(data) // 2], data[:-30], pickle.dumps({"a": 1})[:-3]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"damaged.pth"):
            load(path, "svae")
    torch.save([torch.zeros(2)], path)
    with pytest.raises(WeightsError, match=r"expected a state dict .* found a list"):
        load(path, "svae")
    with pytest.raises(WeightsError, match=r"none.pth is missing"):
        load(tmp_path / "none.pth", "svae")
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load(tmp_path, "svae")


# --- the command --------------------------------------------------------------------------------


def golden(model: str) -> dict[str, Any]:
    """A golden file as the public code would give it."""
    state = {name: tensor.requires_grad_() for name, tensor in public_state(model).items()}
    encoded = [public_code.encode(state, model, cell) for cell in cells()]
    mu, logvar = (torch.stack(part) for part in zip(*encoded, strict=True))
    losses = [public_code.reconstruction_loss(state, model, z, cell) for z, cell in zip(mu, cells(), strict=True)]
    recon, kld = torch.stack(losses).sum(), public_code.divergence(mu, logvar)
    loss = recon + 0.005 * kld
    loss.backward()
    found: dict[str, Any] = {f"state/{name}": tensor.detach().numpy() for name, tensor in state.items()}
    found |= {f"grad_norm/{name}": float(x.grad.norm()) for name, x in state.items() if x.grad is not None}
    found |= {"mu": mu.detach().numpy(), "logvar": logvar.detach().numpy()}
    found |= {"loss": loss.item(), "recon": recon.item(), "kld": kld.item()}
    found["rows"] = json.dumps([json.loads(text) for text in SPACE.format(CODES)])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = ("dvae", "dvae_bidirectional", "dvae_gcn", "svae", "graphrnn")
    made = tmp_path_factory.mktemp("golden")
    for file, model in zip(files, REFERENCE_MODELS, strict=True):
        np.savez(made / f"{file}.npz", **golden(model))
    return made


def run_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["check_reference.py", "--golden", str(folder)])
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert error.value.code is None or isinstance(error.value.code, int)
    return int(error.value.code or 0)


def test_check_reference_agrees(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(folder, monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "mu", "logvar", "loss", "recon", "kld", "gradients", "graphs"]
    assert [line.split()[0] for line in lines[1:6]] == ["dvae", "dvae_bidirectional", "dvae_gcn", "svae", "graphrnn"]
    assert all(0 <= float(value) < 1e-4 for line in lines[1:6] for value in line.split()[1:7])
    assert lines[-1].endswith("agree")


@pytest.mark.parametrize(
    ("key", "factor"), [("mu", 1.001), ("logvar", float("nan")), ("kld", 0.999), ("grad_norm/fc2.bias", 1.001)]
)
def test_check_reference_finds_what_deviates(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    factor: float,
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with np.load(folder / "svae.npz") as file:
        values = {name: file[name] for name in file.files}
    values[key] = values[key] * factor
    np.savez(tmp_path / "svae.npz", **values)
    assert run_check(tmp_path, monkeypatch) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("DO NOT AGREE")
