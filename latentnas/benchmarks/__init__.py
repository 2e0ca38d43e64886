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
from . import nasbench1shot1, nasbench201
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
from .names import check_contents, check_name
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
_parts: dict[str, tuple[TabularBenchmark, TabularBenchmark]] = {}  # table of a sub-space, with what it is a part of


def list_benchmarks() -> list[str]:
    """Names of the tables that :func:`get_benchmark` can load now, sorted.

    These are the tables of installed packages, the imported ones and, where ``nasbench101`` is imported, its
    parts ``nasbench1shot1-1`` to ``-3``; :data:`FORMATS` has what can be imported.
    """
    imported = cached_names()
    parts = nasbench1shot1.TABLES if nasbench1shot1.SOURCE in imported else ()
    return sorted({*(name for name, (package, _) in BUILT_IN.items() if _is_installed(package)), *imported, *parts})


def tables_of(space: str) -> list[str]:
    """Names of the tables of :func:`list_benchmarks` whose cells are of ``space``, without loading them; sorted.

    Imported tables that cannot be read are left out.
    """
    return [name for name in list_benchmarks() if _space_of(name) == space]


def _space_of(name: str) -> str | None:
    if name in nasbench1shot1.TABLES:
        return name
    if name in BUILT_IN:
        return "nasbench201" if name == "nasbench201" else "nas_bench_graph"
    try:
        return str(read_description(name)["space"])
    except DataFileError:
        return None


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
    replace: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> TabularBenchmark:
    """The benchmark table called ``name``, read once a process; a table passes through.

    Args:
        name: one of :func:`list_benchmarks`, or with ``path`` the name that the imported table gets.
        path: a published file or folder to make the table from. It is imported into the cache, once:
            the same file with the same options is loaded from there the next time.
        format: one of :data:`FORMATS`; None recognises it.
        replace: whether an imported table of this name that was made from something else gives way.
        progress: called with (done, total) during the import.
        options: those of the format's reader, such as ``space`` and ``column`` of a CSV file.

    Raises:
        UnknownNameError: no benchmark has this name, or no format is called so.
        DataFileError: nothing is imported under this name; or a data file is missing, truncated,
            corrupted or hostile.
        ConfigError: options without a path, or ones that the reader does not take; or the name belongs
            to another benchmark, or to a table that was made from something else.
    """
    if isinstance(name, TabularBenchmark):
        if path is not None:
            raise ConfigError(f"get_benchmark: a path needs the name of a benchmark, got the table {name.name!r}")
        return name
    if path is not None:
        path, kind = _source(path, format)
        kind.check_options(options)
        if not replace and name in cached_names() and _is_imported(name, path, kind, options):
            return _load_cached(name)
        return import_table(path, name=name, format=kind.name, replace=replace, progress=progress, **options)
    if format is not None or options or replace:
        given = ["format"] * (format is not None) + ["replace"] * replace + sorted(options)
        raise ConfigError(f"get_benchmark: {', '.join(given)}: needs path")
    if name in BUILT_IN:
        return _load_built_in(name)
    if name in nasbench1shot1.TABLES:
        return _load_part(name)
    if name in cached_names():
        return _load_cached(name)
    importable = [kind for kind in FORMATS.values() if name in kind.tables]
    if importable:
        raise DataFileError(
            f"the benchmark {name} is not imported yet. Import its published files once: "
            f"latentnas data import PATH, where PATH is {' or '.join(kind.files for kind in importable)}"
        )
    raise UnknownNameError("benchmark", name, list_benchmarks())


def _load_part(name: str) -> TabularBenchmark:
    """The part of the NAS-Bench-101 table that is a sub-space's, made once as long as that table stays the same."""
    try:
        whole = get_benchmark(nasbench1shot1.SOURCE)
    except DataFileError as error:
        raise DataFileError(f"the benchmark {name} is a part of {nasbench1shot1.SOURCE}: {error}") from None
    held = _parts.get(name)
    if held is None or held[0] is not whole:
        held = _parts[name] = (whole, nasbench1shot1.restrict(whole, nasbench1shot1.TABLES[name]))
    return held[1]


def _source(path: str | Path, format: str | None) -> tuple[Path, Format]:
    """The path with ``~`` expanded, and the format of what is there."""
    if str(path).lower().startswith(("http://", "https://")):
        raise ConfigError(f"{path}: files are not downloaded; download it first, then give the path of the file")
    path = Path(path).expanduser()
    return path, recognise(path) if format is None else get_format(format)


def _is_imported(name: str, path: Path, kind: Format, options: dict[str, Any]) -> bool:
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
    replace: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> TabularBenchmark:
    """Read a published file or folder and put its table into the cache.

    A table of this name that was made from the same file with the same options is loaded instead; one
    that was made from anything else stays, unless ``replace``.

    Args:
        path: the file or folder; ``~`` is the home folder.
        name: the name of the table; None for the benchmark's, or for CSV and Parquet the file's.
        format: one of :data:`FORMATS`; None recognises it.
        replace: whether to read the file in any case, and to replace a table of the same name.
        progress: called with (done, total).
        options: those of the format's reader.

    Returns:
        The table, loaded from the cache.

    Raises:
        UnknownNameError: no format is called so; or a space or metric named by an option is unknown.
        DataFileError: the file is missing, truncated, corrupted or hostile, not of this format, or holds
            a cell twice; or the cache cannot be written.
        ConfigError: the name is taken by a table of an installed package, of another benchmark or
            space, or made from something else, or can be none; or the reader does not take an option.
    """
    path, kind = _source(path, format)
    kind.check_options(options)
    wanted = kind.table_name(path) if name is None else name
    owners = [
        *((taken, f"the table of the installed package {package}") for taken, (package, _) in BUILT_IN.items()),
        *((taken, f"a part of the table {nasbench1shot1.SOURCE}") for taken in nasbench1shot1.TABLES),
    ]

    def held_already(name: str) -> TabularBenchmark | None:
        check_name(name, kind, options.get("space"), owners)
        return None if replace else _held(name, path, kind, options)

    if wanted is not None and (held := held_already(wanted)) is not None:
        return held
    origin = Origin.of(path, kind.name, options)
    imported = kind.read_file(path, progress=progress, **options)
    named = imported.name if wanted is None else wanted
    check_contents(named, imported)
    if wanted is None and (held := held_already(named)) is not None:
        return held
    try:
        table = TabularBenchmark.from_imported(imported, name=named)
    except InvalidCodeError as error:
        raise DataFileError(f"{path}: {error}") from error
    write_table(table, origin)
    return _load_cached(named)


def _held(name: str, path: Path, kind: Format, options: dict[str, Any]) -> TabularBenchmark | None:
    """The imported table of this name where it is the one wanted; None where there is none, or it is damaged.

    Raises:
        ConfigError: it was made from something else.
    """
    if name not in cached_names():
        return None
    try:
        description, origin = read_description(name), read_origin(name)
        if origin.is_still(path, kind.name, options):
            return _load_cached(name)
    except DataFileError:
        return None
    raise ConfigError(
        f"there is a table {name} already, made from {origin.path} on {description['created'][:10]}"
        f"{_difference(origin, path, kind, options)}; replace it with replace=True (--replace), "
        "or give this one another name with name= (--name)"
    )


def _difference(origin: Origin, path: Path, kind: Format, options: dict[str, Any]) -> str:
    """Why the same path would make another table, in brackets; empty for another path."""
    if origin.path != str(path.resolve()):
        return ""
    now = Origin.of(path, kind.name, options)
    if now.format != origin.format:
        return f" (as {origin.format})"
    return " (with other options)" if now.options != origin.options else " (which has changed since)"


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
    "tables_of",
]
