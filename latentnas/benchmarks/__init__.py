"""Benchmark tables: published measurements of cells, queried by code.

Some tables come with installed packages (:data:`BUILT_IN`). The others are made from the files that
the benchmarks' authors published: imported once into a compact table in the cache, loaded from there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataFileError, InvalidCodeError, UnknownNameError
from . import nasbench201
from .cache import (
    cache_folder,
    cached_names,
    read_description,
    read_origin,
    read_table,
    remove_table,
    table_path,
    write_table,
)
from .formats import FORMATS, Format, get_format, recognise
from .origin import Origin
from .reader import ImportedTable, Progress
from .table import BestCell, TabularBenchmark

GRAPH_DATA_SETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "proteins", "pubmed")
"""Data sets of NAS-Bench-Graph; each has a table ``nas_bench_graph-DATASET``."""


def _read_graph_table(dataset: str) -> TabularBenchmark:
    imported = import_module(".nas_bench_graph", __name__).read(dataset=dataset)
    return TabularBenchmark.from_imported(imported, name=f"nas_bench_graph-{dataset}")


BUILT_IN: dict[str, tuple[str, Callable[[], TabularBenchmark]]] = {
    "nasbench201": (nasbench201.WHEEL, nasbench201.load),
    **{
        f"nas_bench_graph-{name}": ("nas-bench-graph", functools.partial(_read_graph_table, name))
        for name in GRAPH_DATA_SETS
    },
}
"""Tables that are read from an installed package: its name, and what reads it."""

_loaded: dict[str, tuple[tuple[int, ...], TabularBenchmark]] = {}


def list_benchmarks() -> list[str]:
    """Names of the tables that :func:`get_benchmark` can load now, sorted.

    These are the tables of installed packages and the imported ones; :data:`FORMATS` has what can be imported.
    """
    return sorted({name for name, (package, _) in BUILT_IN.items() if _is_installed(package)} | set(cached_names()))


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


@functools.cache
def _load_built_in(name: str) -> TabularBenchmark:
    return BUILT_IN[name][1]()


def _load_cached(name: str) -> TabularBenchmark:
    """The imported table, read once a process as long as its file stays the same."""
    path = table_path(name)
    try:
        status = path.stat()
    except OSError:
        _loaded.pop(str(path), None)
        return read_table(name)  # says what is wrong
    state = (status.st_mtime_ns, status.st_size, status.st_ino)
    held = _loaded.get(str(path))
    if held is None or held[0] != state:
        held = _loaded[str(path)] = (state, read_table(name))
    return held[1]


def get_benchmark(
    name: str | TabularBenchmark,
    *,
    path: str | Path | None = None,
    format: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> TabularBenchmark:
    """The benchmark table called ``name``, read once a process; a table passes through.

    Args:
        name: one of :func:`list_benchmarks`, or with ``path`` the name that the imported table gets.
        path: a published file or folder to make the table from. It is imported into the cache, once:
            the same file with the same options is loaded from there the next time.
        format: one of :data:`FORMATS`; None recognises it.
        progress: called with (done, total) during the import.
        options: those of the format's reader, such as ``space`` and ``column`` of a CSV file.

    Raises:
        UnknownNameError: no benchmark has this name, or no format is called so.
        DataFileError: nothing is imported under this name; or a data file is missing, truncated,
            corrupted or hostile.
        ConfigError: options without a path, or ones that the reader does not take.
    """
    if isinstance(name, TabularBenchmark):
        if path is not None:
            raise ConfigError(f"get_benchmark: a path needs the name of a benchmark, got the table {name.name!r}")
        return name
    if path is not None:
        kind = recognise(path) if format is None else get_format(format)
        if name in cached_names() and _is_imported(name, path, kind, options):
            return _load_cached(name)
        return import_table(path, name=name, format=kind.name, progress=progress, **options)
    if format is not None or options:
        raise ConfigError(
            f"get_benchmark: {', '.join(['format'] * (format is not None) + sorted(options))}: needs path"
        )
    if name in BUILT_IN:
        return _load_built_in(name)
    if name in cached_names():
        return _load_cached(name)
    importable = [kind for kind in FORMATS.values() if name in kind.tables]
    if importable:
        raise DataFileError(
            f"the benchmark {name} is not imported yet. Import its published files once: "
            f"latentnas data import PATH, where PATH is {' or '.join(kind.files for kind in importable)}"
        )
    raise UnknownNameError("benchmark", name, list_benchmarks())


def _is_imported(name: str, path: str | Path, kind: Format, options: dict[str, Any]) -> bool:
    try:
        origin = read_origin(name)
    except DataFileError:  # damaged, or of another version: its source is at hand
        return False
    return origin.is_still(path, kind.name, options)


def import_table(
    path: str | Path,
    *,
    name: str | None = None,
    format: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> TabularBenchmark:
    """Read a published file or folder and put its table into the cache, replacing one of the same name.

    Args:
        path: the file or folder.
        name: the name of the table; None for the format's.
        format: one of :data:`FORMATS`; None recognises it.
        progress: called with (done, total).
        options: those of the format's reader.

    Returns:
        The table, loaded from the cache.

    Raises:
        UnknownNameError: no format is called so; or a space or metric named by an option is unknown.
        DataFileError: the file is missing, truncated, corrupted or hostile, not of this format, or holds
            a cell twice; or the cache cannot be written.
        ConfigError: the name is taken by a table of an installed package or can be none, or the
            reader does not take an option.
    """
    kind = recognise(path) if format is None else get_format(format)
    wanted = name if name is not None or len(kind.tables) != 1 else kind.tables[0]
    if wanted is not None:
        _check_name(wanted)
    origin = Origin.of(path, kind.name, options)
    imported = kind.read_file(path, progress=progress, **options)
    wanted = imported.name if wanted is None else wanted
    _check_name(wanted)
    try:
        table = TabularBenchmark.from_imported(imported, name=wanted)
    except InvalidCodeError as error:
        raise DataFileError(f"{path}: {error}") from error
    write_table(table, origin)
    return _load_cached(wanted)


def _check_name(name: str) -> None:
    table_path(name)
    if name in BUILT_IN:
        raise ConfigError(
            f"the name {name} belongs to the table of the installed package {BUILT_IN[name][0]}; "
            f"give the imported table another (--name, name=)"
        )


__all__ = [
    "BUILT_IN",
    "FORMATS",
    "BestCell",
    "Format",
    "ImportedTable",
    "Origin",
    "TabularBenchmark",
    "cache_folder",
    "cached_names",
    "get_benchmark",
    "get_format",
    "import_table",
    "list_benchmarks",
    "read_description",
    "recognise",
    "remove_table",
]
