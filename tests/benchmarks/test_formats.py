"""latentnas/benchmarks/formats.py"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latentnas.benchmarks import recognise
from latentnas.benchmarks.formats import FORMATS, get_format
from latentnas.errors import ConfigError, DataFileError, UnknownNameError

ENAS = b"[[1], [4, 0]], 0.73\n"


def zipped(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


def folder(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"x")

    return write


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nasbench_only108.tfrecord", b"\x01\x02", "nasbench101-tfrecord"),
        ("nasbench101.npz", b"junk", "nasbench101-npz"),
        ("download", zipped("num_vertices.npy", "ops.npy"), "nasbench101-npz"),
        ("NAS-Bench-201-v1_1-096897.pth", b"\x80\x02", "nats"),
        ("download", zipped("archive/data.pkl", "archive/version"), "nats"),
        ("NATS-tss-v1_0-3ffb9.pickle.pbz2", b"BZh9", "nats"),
        ("NATS-tss-v1_0-3ffb9-simple", folder("meta.pickle.pbz2", "000000.pickle.pbz2"), "nats"),
        ("nb_301", folder("de/results_0.json", "de/readme.md"), "nasbench301"),
        ("nasbench301.zip", zipped("rs/results_0.json"), "nasbench301"),
        ("cora.bench", b"\x80\x03", "nas-bench-graph"),
        ("final_structures6.txt", ENAS, "enas-text"),
        ("final_structures6.txt.gz", gzip.compress(ENAS), "enas-text"),
        ("table.csv", b"arch,acc\n", "csv"),
        ("TABLE.CSV.GZ", gzip.compress(b"arch,acc\n"), "csv"),
        ("table.tsv", b"arch\tacc\n", "csv"),
        ("table", b"PAR1....PAR1", "parquet"),
    ],
)
def test_recognised_by_name_or_first_bytes(
    tmp_path: Path, name: str, content: bytes | Callable[[Path], None], expected: str
) -> None:
    path = tmp_path / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    assert recognise(path).name == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"hello"),
        ("a.gz", b"\x1f\x8bjunk"),
        ("a.zip", zipped("readme.md")),
        ("a.zip", b"PK\x03\x04junk"),
        ("a", b""),
    ],
)
def test_other_files(tmp_path: Path, name: str, content: bytes | Callable[[Path], None]) -> None:
    path = tmp_path / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"format is not recognised; name it .*, one of nasbench101-tfrecord, "):
        recognise(path)


def test_folders_without_anything_known(tmp_path: Path) -> None:
    for name, content in (("empty", folder()), ("other", folder("a.txt"))):
        (tmp_path / name).mkdir()
        content(tmp_path / name)
        with pytest.raises(DataFileError, match=r"this folder holds no file .*looked for \*\.pickle\.pbz2 .* \*\.json"):
            recognise(tmp_path / name)


def test_the_name_that_a_table_gets() -> None:
    assert get_format("nats").table_name(Path("x.pth")) == "nats-tss"
    assert get_format("csv").table_name(Path("a/My table.csv.gz")) == "my-table"
    assert get_format("enas-text").table_name(Path("a.txt")) is None


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file or folder"):
        recognise(tmp_path / "none")
    with pytest.raises(UnknownNameError, match="Did you mean 'csv'"):
        get_format("cvs")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_reader_that_says_when_there_is_no_file(name: str, tmp_path: Path) -> None:
    kind = get_format(name)
    options = {"space": "nasbench201"} if "space" in kind.options else {}
    with pytest.raises(DataFileError):
        kind.read_file(tmp_path / "none", **options)
    with pytest.raises(ConfigError, match=f"format {name}: unknown option colour; known: "):
        kind.read_file(tmp_path / "none", colour="red", **options)


def test_options_that_a_format_cannot_do_without(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"format csv needs space= \(--space\)"):
        get_format("csv").read_file(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"unknown option spaec; known: .*; did you mean 'space'"):
        get_format("csv").read_file(tmp_path / "none", spaec="nasbench201")
