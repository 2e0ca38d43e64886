from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from latentnas.errors import WeightsError
from latentnas.weights import finite_tensor, read_config, read_tensors, why_not_writable, write_atomically, write_model


def test_a_model_is_two_files_that_are_read_again(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(2)}
    config = {"space": "mine", "node_types": ["in", "out"], "settings": {"width": 3}}
    assert write_model(tmp_path / "new", "thing", tensors, config) == tmp_path / "new"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["config.json", "model.safetensors"]
    assert read_config(tmp_path / "new", "thing", "settings") == {"format": 1, **config}
    found = read_tensors(tmp_path / "new" / "model.safetensors")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {"a": [0.0, 1.0, 2.0], "b": 2}


def test_the_kind_of_model_stands_in_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is no saved thing"):
        read_config(tmp_path, "thing", "settings")
    write_model(tmp_path, "thing", {}, {"space": "mine", "node_types": []})
    with pytest.raises(WeightsError, match="'settings' must be a dict, got None"):
        read_config(tmp_path, "thing", "settings")
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match=r"cannot save the thing in .*file is a file, not a folder"):
        write_model(tmp_path / "file", "thing", {}, {})


def test_tensors_that_are_taken_are_there_and_finite(tmp_path: Path) -> None:
    tensors = {"good": torch.ones(2), "bad": torch.tensor([1.0, float("nan")])}
    assert finite_tensor(tensors, "good", tmp_path) is tensors["good"]
    with pytest.raises(WeightsError, match="'other' is missing"):
        finite_tensor(tensors, "other", tmp_path)
    with pytest.raises(WeightsError, match="bad has values that are not finite"):
        finite_tensor(tensors, "bad", tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new and much longer")
    assert path.read_bytes() == b"old"


def test_whether_a_folder_can_be_written_is_found_out_without_a_trace(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []
    assert why_not_writable(tmp_path) is None
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert why_not_writable(folder) == f"{tmp_path / 'file'} is a file, not a folder"
    assert why_not_writable(tmp_path / "new" / ("x" * 300)) == os.strerror(errno.ENAMETOOLONG)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
