"""latentnas/benchmarks/__init__.py: what is there, what is imported, and that it is imported once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import latentnas as ln
import latentnas.benchmarks as module
from latentnas.benchmarks import (
    BUILT_IN,
    cached_names,
    get_benchmark,
    import_table,
    list_benchmarks,
    read_description,
    remove_table,
)
from latentnas.benchmarks.formats import Format
from latentnas.errors import ConfigError, DataFileError, UnknownNameError
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(30, seed=0).unique(dim=0)


def write(path: Path, factor: float = 1.0, codes: torch.Tensor = CODES) -> Path:
    texts = SPACE.format(codes)
    path.write_text("arch,acc\n" + "".join(f"{text},{factor * k}\n" for k, text in enumerate(texts)))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read by any reader."""
    names: list[str] = []
    original = Format.read_file

    def counting(self: Format, path: str | Path, **options: object) -> object:
        names.append(Path(path).name)
        return original(self, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Format, "read_file", counting)
    return names


def test_tables_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_benchmarks() == sorted(BUILT_IN)
    assert ln.list_benchmarks is list_benchmarks

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", absent)
    assert list_benchmarks() == []


def test_graph_tables_come_with_their_package() -> None:
    bench = get_benchmark("nas_bench_graph-cora")
    assert bench.name == "nas_bench_graph-cora"
    assert bench.space.name == "nas_bench_graph"
    assert len(bench) == 26_206
    assert get_benchmark("nas_bench_graph-cora") is bench


def test_import_and_load(tmp_path: Path, reads: list[str]) -> None:
    path = write(tmp_path / "my table.csv")
    table = import_table(path, space="nasbench201")
    assert table.name == "my-table"
    assert list_benchmarks() == sorted([*BUILT_IN, "my-table"])
    assert get_benchmark("my-table") is table
    assert table.query(CODES).tolist() == list(range(len(CODES)))
    assert reads == ["my table.csv"]
    remove_table("my-table")
    with pytest.raises(UnknownNameError, match="benchmark 'my-table'"):
        get_benchmark("my-table")


def test_the_same_file_is_imported_once(tmp_path: Path, reads: list[str]) -> None:
    path = write(tmp_path / "a.csv")

    def get(**options: object) -> object:
        return get_benchmark("mine", path=path, space="nasbench201", **options)  # type: ignore[arg-type]

    first = get()
    assert get() is first
    assert len(reads) == 1
    get(duplicates="mean")
    assert len(reads) == 2
    write(path, 2.0)
    again = get(duplicates="mean")
    assert len(reads) == 3
    assert again.query(CODES[1:2]).item() == 2.0  # type: ignore[attr-defined]
    assert get_benchmark("mine") is again


def test_a_damaged_cache_is_made_anew_where_the_source_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    get_benchmark("mine", path=path, space="nasbench201")
    file = Path(read_description("mine")["path"])
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataFileError, match="damaged"):
        get_benchmark("mine")
    assert "mine" in list_benchmarks()
    assert len(get_benchmark("mine", path=path, space="nasbench201")) == len(CODES)
    assert len(get_benchmark("mine")) == len(CODES)


def test_a_table_that_another_process_replaces_is_read_again(tmp_path: Path) -> None:
    get_benchmark("mine", path=write(tmp_path / "a.csv"), space="nasbench201")
    path = write(tmp_path / "b.csv", 3.0)
    program = (
        "import sys; from latentnas.benchmarks import import_table; "
        "import_table(sys.argv[1], name='mine', space='nasbench201')"
    )
    root = str(Path(ln.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env=environment)
    assert get_benchmark("mine").query(CODES[1:2]).item() == 3.0


def test_imports_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    tables: list[object] = []
    threads = [
        threading.Thread(target=lambda: tables.append(import_table(path, name="mine", space="nasbench201")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(table) for table in tables] == [len(CODES)] * 4  # type: ignore[arg-type]
    assert cached_names() == ["mine"]


def test_a_failed_import_leaves_the_old_table(tmp_path: Path) -> None:
    get_benchmark("mine", path=write(tmp_path / "a.csv"), space="nasbench201")
    with pytest.raises(DataFileError, match="lines 2 and 3 are the same cell"):
        import_table(write(tmp_path / "b.csv", codes=CODES[[0, 0]]), name="mine", space="nasbench201")
    assert len(get_benchmark("mine")) == len(CODES)


def test_cells_that_the_space_refuses_are_the_files_fault(tmp_path: Path) -> None:
    import numpy as np

    arrays = {
        "num_vertices": np.array([3], np.uint8),
        "ops": np.array([[0, 255, 255, 255, 255]], np.uint8),
        "edges": np.array([1], np.uint32),  # the second vertex leads nowhere
        "test_accuracy": np.array([0.5], np.float32),
        "macs": np.array([1]),
        "params": np.array([1]),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataFileError, match=r"a\.npz: nasbench101: codes\[0\]"):
        import_table(tmp_path / "a.npz")
    assert cached_names() == []


@pytest.mark.parametrize(
    ("name", "files"), [("nasbench101", "nasbench_only108.tfrecord"), ("nats-tss", ".pth"), ("enas_macro6", "txt")]
)
def test_what_is_not_imported_yet_says_how(name: str, files: str) -> None:
    with pytest.raises(DataFileError, match=f"{name} is not imported yet.*latentnas data import PATH.*{files}"):
        get_benchmark(name)


def test_names_and_options_that_do_not_go_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="the name nasbench201 belongs to the table of the installed package"):
        get_benchmark("nasbench201", path=path, space="nasbench201")
    with pytest.raises(ConfigError, match="format, space: needs path"):
        get_benchmark("nasbench201", format="csv", space="nasbench201")
    with pytest.raises(ConfigError, match="a path needs the name of a benchmark"):
        get_benchmark(get_benchmark("nasbench201"), path=path)
    with pytest.raises(ConfigError, match="a table's name has"):
        import_table(path, name="../a", space="nasbench201")
    with pytest.raises(ConfigError, match="unknown option colum; known: space, column"):
        import_table(path, space="nasbench201", colum="arch")
    with pytest.raises(UnknownNameError, match="unknown format 'cvs'"):
        import_table(path, format="cvs", space="nasbench201")
    with pytest.raises(DataFileError, match="no such file or folder"):
        get_benchmark("mine", path=tmp_path / "none")
    assert cached_names() == []
