from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentnas.errors import WeightsError
from latentnas.latent import LatentSpace, list_latent_spaces
from latentnas.spaces import ENASMacro, get_space

from .tiny import fit, same_weights


@pytest.fixture(scope="module")
def latent() -> LatentSpace:
    return fit(epochs=1, encoder="dvae")


@pytest.fixture(scope="module")
def saved(latent: LatentSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return latent.save(tmp_path_factory.mktemp("saved") / "deep" / "folder")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "latent"))


def load(folder: Path, **options: Any) -> LatentSpace:
    return LatentSpace.load(folder, device="cpu", **options)


def test_round_trip(latent: LatentSpace, saved: Path) -> None:
    loaded = load(saved)
    codes = latent.space.sample(30, seed=0)
    assert same_weights(latent, loaded)
    assert torch.equal(loaded.encode(codes), latent.encode(codes))
    z = latent.sample_prior(30, seed=0)
    assert torch.equal(loaded.sample_prior(30, seed=0), z)
    assert torch.equal(loaded.decode(z), latent.decode(z))
    assert loaded.info == latent.info
    assert loaded.model.config == latent.model.config
    assert not loaded.model.training
    assert loaded.model.decoder.operations is loaded.model.encoder.operations


@pytest.mark.parametrize("op_embedding", [None, 3])
@pytest.mark.parametrize("latent_input", [False, True])
def test_round_trip_of_other_models(tmp_path: Path, op_embedding: int | None, latent_input: bool) -> None:
    latent = fit(epochs=1, op_embedding=op_embedding, latent_input=latent_input, bidirectional=latent_input)
    assert same_weights(latent, load(latent.save(tmp_path)))


def test_only_two_files_are_left(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_saving_again_replaces_both_files(folder: Path) -> None:
    other = fit(epochs=1, seed=5)
    other.save(folder)
    assert same_weights(load(folder), other)


def test_a_space_of_ones_own(tmp_path: Path) -> None:
    space = ENASMacro(layers=2)
    space.name = "mine"
    latent = fit(space, epochs=1, codes=space.enumerate())
    latent.save(tmp_path)
    with pytest.raises(WeightsError, match=r"'mine'.*give the space to load"):
        load(tmp_path)
    assert same_weights(load(tmp_path, space=space), latent)


def refuse(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(WeightsError, match=message):
        load(folder, **options)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no latent space 'nasbench999'.*nasbench201-dvae-emb"):
        LatentSpace.load("nasbench999")
    refuse(tmp_path, "config.json is missing")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refuse(folder, f"{name} is missing")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_weights(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refuse(folder, "model.safetensors is truncated, damaged or no safetensors file")


@pytest.mark.parametrize("data", [b"\xff" * 100, b"{}", b"\x08" + b"\0" * 7 + b"nonsense", b"PK\x03\x04" * 9])
def test_garbage_weights(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    refuse(folder, "model.safetensors is truncated, damaged or no safetensors file")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_pickle_under_our_names_is_refused_and_never_run(folder: Path, name: str) -> None:
    trace = folder / "executed"
    payload = pickle.dumps(Bomb(trace))
    pickle.loads(payload)
    assert trace.exists(), "the payload works where something unpickles it"
    trace.unlink()
    (folder / name).write_bytes(payload)
    refuse(folder, name)
    assert not trace.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufeff{}", "1e999", "[" * 100_000, '{"format": 2}', "{}"])
def test_config_that_is_no_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    refuse(folder, r"config\.json")


def test_config_that_is_no_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    refuse(folder, r"config\.json cannot be read")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": 5}, "'space' must be a str"),
        ({"space": "nowhere"}, "unknown space 'nowhere'"),
        ({"space": "nasbench201"}, "made for space 'nasbench201'|operations changed"),
        ({"node_types": ["input"]}, "operations changed"),
        ({"node_types": "input"}, "'node_types' must be a list"),
        ({"model": []}, "'model' must be a dict"),
        ({"model": {}}, "settings are wrong"),
        ({"format": "1"}, "expected format 1, found '1'"),
    ],
)
def test_config_of_something_else(folder: Path, change: dict[str, Any], message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    refuse(folder, message)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hidden", "8"),
        ("hidden", None),
        ("hidden", 9),
        ("hidden", 10**9),
        ("hidden", 10**30),
        ("latent_dim", 5),
        ("type_hidden", [8]),
        ("edge_hidden", 8.0),
        ("num_nodes", 9),
        ("num_types", 9),
        ("encoder", {"__import__": "os"}),
        ("op_embedding", 4),
        ("op_embedding", None),
        ("op_embedding", "3"),
        ("bidirectional", False),
        ("bidirectional", "yes"),
        ("latent_input", False),
        ("latent_input", 1),
        ("beta", "0"),
        ("noise", float("nan")),
        ("surprise", 1),
    ],
)
def test_model_settings_that_do_not_fit(folder: Path, setting: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"][setting] = value
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, "latent")


def test_wrong_space_given(folder: Path) -> None:
    refuse(folder, "made for space 'enas_macro6', not for 'nasbench201'", space=get_space("nasbench201"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.encoder.mean.weight"), "lack 'encoder.mean.weight'"),
        (lambda t: t.update({"model.encoder.mean.weight": torch.zeros(4, 9)}), r"shape \[4, 9\], expected \[4, 128\]"),
        (lambda t: t["model.encoder.mean.bias"].fill_(float("nan")), "encoder.mean.bias.*not finite"),
        (lambda t: t["model.decoder.pair_bias"][0, 0].fill_(float("inf")), "pair_bias.*not finite"),
        (lambda t: t.update({"model.encoder.mean.bias": torch.zeros(4, dtype=torch.long)}), "holds torch.int64"),
        (lambda t: t.update({"model.more": torch.zeros(1)}), "'more', which the model does not"),
        (lambda t: t.update({"stranger": torch.zeros(1)}), "unknown tensor 'stranger'"),
        (lambda t: t.update({"latents.more": torch.zeros(4)}), "unknown tensor 'latents.more'"),
        (lambda t: t.pop("latents.low"), "latents.low is missing"),
        (lambda t: t.update({"latents.scale": torch.zeros(5)}), "latents.scale is missing or has a wrong shape"),
        (lambda t: t["latents.high"].fill_(float("nan")), "latents.high.*not finite"),
        (lambda t: t.clear(), "lack"),
    ],
)
def test_weights_of_another_model(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    refuse(folder, message)


def test_shared_table_is_stored_once(saved: Path) -> None:
    names = [name for name in load_file(saved / "model.safetensors") if "operations" in name]
    assert len(names) == 1


def test_a_folder_that_cannot_be_written_is_one_clear_error(latent: LatentSpace, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(WeightsError, match=r"cannot save the latent space in .*file is a file, not a folder"):
        latent.save(file)
    with pytest.raises(WeightsError, match="cannot save the latent space in "):
        latent.save(tmp_path / ("x" * 300))


def test_list_is_sorted_and_every_name_loads() -> None:
    names = list_latent_spaces()
    assert names == sorted(names)
    assert "nasbench201-dvae-emb" in names
