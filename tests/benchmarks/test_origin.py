"""latentnas/benchmarks/origin.py"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latentnas.benchmarks import Origin
from latentnas.errors import DataFileError


def test_a_file_is_the_same_until_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("12345")
    origin = Origin.of(path, "csv", {"metrics": ("a", "b")})
    assert origin.is_still(path, "csv", {"metrics": ["a", "b"]})
    assert not origin.is_still(path, "csv", {"metrics": ["a"]})
    assert not origin.is_still(path, "parquet", {"metrics": ["a", "b"]})
    moved = path.rename(tmp_path / "b.csv")
    os.utime(moved, (5, 5))
    assert origin.is_still(moved, "csv", {"metrics": ["a", "b"]})
    moved.write_text("12346")
    assert not origin.is_still(moved, "csv", {"metrics": ["a", "b"]})
    moved.write_text("123456")
    assert not origin.is_still(moved, "csv", {"metrics": ["a", "b"]})
    with pytest.raises(DataFileError, match="cannot be read"):
        origin.is_still(path, "csv", {"metrics": ["a", "b"]})
    # Of a known content: the digest of "12345".
    assert origin.sha256 == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"


def test_a_folder_is_the_same_until_one_of_its_files_changes(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "a.json").write_text("1")
    (folder / "b.json").write_text("22")
    origin = Origin.of(folder, "nasbench301", {})
    assert origin.size == 3
    assert origin.is_still(folder, "nasbench301", {})
    (folder / "x" / "a.json").write_text("123")
    assert not origin.is_still(folder, "nasbench301", {})
