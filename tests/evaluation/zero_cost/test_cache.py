"""latentnas/evaluation/zero_cost/cache.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentnas.errors import DataFileError
from latentnas.evaluation.zero_cost.cache import MetricStore

METRICS = ("a", "b")


def store_at(path: Path | None, parts: int = 1) -> MetricStore:
    return MetricStore(path, dim=2, metrics=METRICS, parts=parts)


def values(*numbers: float) -> Tensor:
    """[1, 2, 2]: both metrics of one network and its operation."""
    return torch.tensor(numbers, dtype=torch.float64).reshape(1, 2, 2)


def test_values_come_back_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.safetensors"
    store = store_at(path)
    codes = torch.tensor([[0, 1], [3, 4]])
    assert store.missing(codes, METRICS).tolist() == [True, True]
    store.put(codes[:1], values(1, 2, torch.nan, torch.nan))
    store.save()
    again = store_at(path)
    assert again.missing(codes, ("a",)).tolist() == [False, True]
    assert again.missing(codes, METRICS).tolist() == [True, True]
    again.put(codes[:1], values(torch.nan, torch.nan, 3, 4))
    again.save()
    assert store_at(path).get(codes)[0].tolist() == [[1, 2], [3, 4]]
    assert store_at(path).get(codes)[1].isnan().all()
    assert [file.name for file in path.parent.iterdir()] == ["x.safetensors"]


def test_rows_of_two_processes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    one, other = store_at(path), store_at(path)
    one.put(torch.tensor([[0, 1]]), values(1, 2, 3, 4))
    other.put(torch.tensor([[5, 6]]), values(5, 6, 7, 8))
    one.save()
    other.save()
    assert len(store_at(path)) == 2


def test_without_a_file_values_are_in_memory() -> None:
    store = store_at(None)
    store.put(torch.tensor([[0, 1]]), values(1, 2, 3, 4))
    store.save()
    assert store.get(torch.tensor([[0, 1]])).tolist() == [[[1, 2], [3, 4]]]


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no such file")
    with pytest.raises(DataFileError, match=r"is damaged .* delete it"):
        store_at(path)
    path.unlink()
    store = store_at(path)
    store.put(torch.tensor([[0, 1]]), values(1, 2, 3, 4))
    store.save()
    with pytest.raises(DataFileError, match="no file of these metrics"):
        store_at(path, parts=3)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = store_at(tmp_path / "file" / "x.safetensors")
    store.put(torch.tensor([[0, 1]]), values(1, 2, 3, 4))
    with pytest.raises(DataFileError, match="cache=False"):
        store.save()
