"""The formats that can be imported: which files they are, how they are recognised, which module reads them."""

from __future__ import annotations

import inspect
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataFileError, UnknownNameError
from .collecting import slug
from .reader import ImportedTable, Progress, Reader

_FOLDER_FILES = 5_000  # files of a folder that are looked at before it is given up


@dataclass(frozen=True)
class Format:
    """A published form of benchmark data.

    Attributes:
        name: the name to give as ``format``.
        module: the module of this package whose ``read`` reads it.
        tables: names of the tables that are made of such files; a single one is the name that an
            imported table gets where none is given, else the reader's choice is.
        files: the files, in words.
        unit: what the reader's progress counts.
    """

    name: str
    module: str
    tables: tuple[str, ...]
    files: str
    unit: str

    @property
    def read(self) -> Reader:
        """The reader's function."""
        reader: Reader = import_module(f".{self.module}", __package__).read
        return reader

    @property
    def options(self) -> list[str]:
        """Names of the options that the reader takes."""
        parameters = inspect.signature(self.read).parameters
        return [name for name in parameters if name not in ("path", "progress")]

    def table_name(self, path: Path) -> str | None:
        """The name that a table of this file gets where none is given; None where the file's contents say it."""
        if len(self.tables) == 1:
            return self.tables[0]
        return slug(path) if "space" in self.options else None

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the reader does not take, and lacking ones.

        Raises:
            ConfigError: the reader does not take one of the options, or needs one that is not given.
        """
        parameters, known = inspect.signature(self.read).parameters, self.options
        unknown = sorted(set(options) - set(known))
        if unknown:
            near = get_close_matches(unknown[0], known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"format {self.name}: unknown option {', '.join(unknown)}; known: {', '.join(known) or 'none'}{hint}"
            )
        lacking = [name for name in known if name not in options and parameters[name].default is parameters[name].empty]
        if lacking:
            raise ConfigError(f"format {self.name} needs {', '.join(f'{name}= (--{name})' for name in lacking)}")

    def read_file(self, path: str | Path, *, progress: Progress | None = None, **options: Any) -> ImportedTable:
        """Read a file of this format.

        Raises:
            DataFileError: the file is missing, truncated, corrupted or hostile, or not of this format.
            ConfigError: the reader does not take one of the options.
        """
        self.check_options(options)
        try:
            return self.read(path, progress=progress, **options)
        except FileNotFoundError:
            raise DataFileError(f"{path}: no such file") from None
        except OSError as error:
            raise DataFileError(f"{path}: cannot be read: {error}") from error


FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "nasbench101-tfrecord",
            "nasbench101_tfrecord",
            ("nasbench101",),
            "NAS-Bench-101: nasbench_only108.tfrecord, nasbench_full.tfrecord",
            "byte",
        ),
        Format(
            "nasbench101-npz", "nasbench101_npz", ("nasbench101",), "NAS-Bench-101 as arrays: nasbench101.npz", "array"
        ),
        Format(
            "nats",
            "nats",
            ("nats-tss",),
            "NAS-Bench-201, NATS-Bench topology: NAS-Bench-201-v1_*.pth, NATS-tss-*-simple folders",
            "part",
        ),
        Format(
            "nasbench301",
            "nasbench301",
            ("nasbench301",),
            "NAS-Bench-301: the folder of JSON results, or its .zip",
            "file",
        ),
        Format("nas-bench-graph", "nas_bench_graph", (), "NAS-Bench-Graph: a DATASET.bench file", "byte"),
        Format(
            "enas-text",
            "enas_text",
            ("enas_macro6", "enas_macro12"),
            "ENAS macro cells of D-VAE: final_structures6.txt (.gz)",
            "row",
        ),
        Format(
            "csv", "csv_table", (), "any table: .csv, .tsv (.gz) with a column of cells and columns of numbers", "byte"
        ),
        Format(
            "parquet", "parquet_table", (), "any table: .parquet with a column of cells and columns of numbers", "row"
        ),
    )
}
"""Formats by name."""


def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    return FORMATS[name]


def recognise(path: str | Path) -> Format:
    """The format of a file or folder, by its name and its first bytes.

    Raises:
        DataFileError: it is missing, cannot be read, or is of no known format.
    """
    path = Path(path)
    try:
        name = _of_folder(path) if path.is_dir() else _of_file(path)
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    if name is None and path.is_dir():
        raise DataFileError(
            f"{path}: {_FOLDER_LACKS}; if it holds another table, give the file's path, or name the format with "
            f"format= (--format), one of {', '.join(FORMATS)}"
        )
    if name is None:
        raise DataFileError(
            f"{path}: its format is not recognised; name it with format= (--format), one of {', '.join(FORMATS)}"
        )
    return FORMATS[name]


_FOLDER_LACKS = (
    "this folder holds no file of a published benchmark; looked for *.pickle.pbz2 and *.pth (nats) and *.json "
    f"(nasbench301) in it and below, among {_FOLDER_FILES:,} files at most"
)


def _of_folder(path: Path) -> str | None:
    files = (name.lower() for _, _, names in os.walk(path) for name in names)
    for name in islice(files, _FOLDER_FILES):
        if name.endswith((".pth", ".pickle.pbz2", ".pickle.bz2", ".pickle")):
            return "nats"
        if name.endswith(".json"):
            return "nasbench301"
    return None


def _of_file(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(4096)
    name = path.name.lower()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\x1f\x8b"):
        head = _inflated(head)
        name = name.removesuffix(".gz")
    if name.endswith((".tfrecord", ".tfrecords")):
        return "nasbench101-tfrecord"
    if name.endswith(".npz"):
        return "nasbench101-npz"
    if name.endswith((".pth", ".pickle.pbz2")):
        return "nats"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[["):
        return "enas-text"
    if head.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    if name.endswith(".bench"):
        return "nas-bench-graph"
    if name.endswith((".csv", ".tsv")):
        return "csv"
    return None


def _inflated(head: bytes) -> bytes:
    """The beginning of what a gzip file's first bytes hold; nothing where they are damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 4096)
    except zlib.error:
        return b""


def _of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if "num_vertices.npy" in names:
        return "nasbench101-npz"
    if any(name.endswith("data.pkl") for name in names):  # torch.save writes such archives
        return "nats"
    return "nasbench301" if any(name.endswith(".json") for name in names) else None
