"""latentnas/benchmarks/__init__.py: what is there, what is imported, and that it is imported once."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
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
    tables_of,
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
    import_table(path, name="mine", space="nasbench201")
    assert len(reads) == 1
    get(duplicates="mean", replace=True)
    assert len(reads) == 2
    write(path, 2.0)
    again = get(duplicates="mean", replace=True)
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
        "import_table(sys.argv[1], name='mine', space='nasbench201', replace=True)"
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
        import_table(write(tmp_path / "b.csv", codes=CODES[[0, 0]]), name="mine", space="nasbench201", replace=True)
    assert len(get_benchmark("mine")) == len(CODES)


def test_a_table_made_from_something_else_stays(tmp_path: Path, reads: list[str]) -> None:
    path = write(tmp_path / "a.csv")
    import_table(path, space="nasbench201")
    there = rf"there is a table a already, made from {re.escape(str(path))} on 20\d\d-\d\d-\d\d"
    (tmp_path / "a.tsv").write_text(path.read_text().replace(",", "\t"))
    with pytest.raises(ConfigError, match=there + r"; replace it with replace=True \(--replace\), or give"):
        import_table(tmp_path / "a.tsv", space="nasbench201")
    with pytest.raises(ConfigError, match=there + r" \(with other options\)"):
        get_benchmark("a", path=path, space="nasbench201", minimize="acc")
    assert reads == ["a.csv"]
    write(path, 2.0)
    with pytest.raises(ConfigError, match=there + r" \(which has changed since\)"):
        import_table(path, space="nasbench201")
    assert get_benchmark("a").query(CODES[1:2]).item() == 1.0
    assert import_table(path, space="nasbench201", replace=True).query(CODES[1:2]).item() == 2.0


def test_a_damaged_column_is_made_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    import_table(path, space="nasbench201")
    file = Path(read_description("a")["path"])
    data = bytearray(file.read_bytes())
    data[-CODES.numel() - 1] ^= 1  # the last value of the column; the codes are behind it, a byte each
    file.write_bytes(data)
    with pytest.raises(DataFileError, match="the checksum of column:acc does not match"):
        get_benchmark("a").values()
    assert import_table(path, space="nasbench201").values().tolist() == list(range(len(CODES)))


def nasbench101_arrays(matrices: dict[str, object]) -> dict[str, np.ndarray]:
    """The npz layout of cells of NAS-Bench-101, given as texts with their accuracies."""
    codes = get_space("nasbench101").parse(list(matrices))
    vertices, ops = codes[:, :1] + 2, codes[:, 1:6]
    exists = torch.arange(5) < vertices - 2
    return {
        "num_vertices": vertices[:, 0].numpy().astype(np.uint8),
        "ops": torch.where(exists, ops, 255).numpy().astype(np.uint8),
        "edges": (codes[:, 6:] * 2 ** torch.arange(21)).sum(1).numpy().astype(np.uint32),
        "test_accuracy": np.array(list(matrices.values()), np.float32),
        "macs": np.arange(len(codes)) + 1,
        "params": np.arange(len(codes)) + 1,
    }


def test_names_of_published_benchmarks_stay_with_them(tmp_path: Path) -> None:
    space = get_space("nasbench101")
    np.savez(tmp_path / "a.npz", **nasbench101_arrays(dict.fromkeys(space.format(space.sample(1, seed=0)), 0.5)))
    lines = [f"[[{k}], [4, 0], [0, 0, 0], [1, 1, 1, 1], [2, 0, 0, 0, 0], [0, 1, 1, 1, 0, 1]], 0.5" for k in (0, 1)]
    (tmp_path / "enas.txt").write_text("\n".join(lines))
    csv = write(tmp_path / "nasbench101.csv")
    for path, name, message, options in (
        ("a.npz", "nats-tss", "belongs to tables of the format nats, the file is read as nasbench101-npz", {}),
        ("a.npz", "nasbench201", "belongs to the table of the installed package analog-nasbench", {}),
        ("a.npz", "nasbench1shot1-2", "belongs to a part of the table nasbench101", {}),
        ("a.npz", "darts", "is that of a space, the table's cells are of nasbench101", {}),
        ("enas.txt", "enas_macro12", "belongs to another benchmark than the file's, enas_macro6", {"burn_in": 0}),
        (
            csv,
            None,
            "name nasbench101 belongs to tables of the format nasbench101-tfrecord or",
            {"space": "nasbench201"},
        ),
        (csv, "darts", "is that of a space, the table's cells are of nasbench201", {"space": "nasbench201"}),
    ):
        with pytest.raises(ConfigError, match=message):
            import_table(tmp_path / path, name=name, **options)  # type: ignore[arg-type]
    assert cached_names() == []
    assert import_table(tmp_path / "a.npz", name="mine").space.name == "nasbench101"
    assert import_table(tmp_path / "enas.txt", burn_in=0).name == "enas_macro6"


def test_paths_as_shells_and_browsers_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.csv")
    assert len(import_table("~/a.csv", space="nasbench201")) == len(CODES)
    for function in (import_table, functools.partial(get_benchmark, "mine")):
        with pytest.raises(ConfigError, match=r"https://example\.org/a\.csv: files are not downloaded; download"):
            function(path="https://example.org/a.csv", space="nasbench201")  # type: ignore[operator]


def test_sub_spaces_of_nasbench101_have_their_part_of_its_table(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"nasbench1shot1-1 is a part of nasbench101: .* is not imported yet"):
        get_benchmark("nasbench1shot1-1")
    space, whole_space = get_space("nasbench1shot1-1"), get_space("nasbench101")
    codes = space.networks()[::300]
    texts = whole_space.format(space.to_nasbench101(codes))
    outside = '{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}'
    values = {outside: 1.0, **{text: 0.5 + 0.01 * k for k, text in enumerate(texts)}}
    np.savez(tmp_path / "a.npz", **nasbench101_arrays(values))
    whole = import_table(tmp_path / "a.npz")
    assert tables_of("nasbench1shot1-1") == ["nasbench1shot1-1"] and "nasbench1shot1-3" in list_benchmarks()
    part = get_benchmark("nasbench1shot1-1")
    assert get_benchmark("nasbench1shot1-1") is part
    assert (len(whole), len(part), part.space) == (len(codes) + 1, len(codes), space)
    assert part.query(codes).tolist() == pytest.approx([0.5 + 0.01 * k for k in range(len(codes))])
    assert part.best().value == pytest.approx(0.5 + 0.01 * (len(codes) - 1))  # that of the sub-space, not 1.0
    assert part.coverage == len(codes) / 2_685
    assert (part.minimize, part.fidelities(), part.unit()) == (whole.minimize, [108], "share in 0..1")
    remove_table("nasbench101")
    assert "nasbench1shot1-1" not in list_benchmarks()


def test_cells_that_the_space_refuses_are_the_files_fault(tmp_path: Path) -> None:
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
