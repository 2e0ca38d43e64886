"""The cache of imported tables: one safetensors file a table, compact codes and float32 columns.

A file holds the tensors ``codes`` [n, D], ``canonical`` [n, D] (only in tables by network whose codes
are not canonical) and ``column:NAME`` [n] of every column, each with its CRC-32 in the header, beside
a JSON description of the table, of its source and of the space that the codes belong to. It is written
under another name and moved into place, so that a reader finds the old table, the new one, or none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, DataFileError, LatentNASError
from ..spaces import SearchSpace, get_space
from .index import compact_dtype
from .origin import Origin
from .reader import parse_column
from .table import TabularBenchmark

FORMAT_VERSION = 1
SUFFIX = ".safetensors"
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,99}")
_PROBES = 16  # rows whose texts and canonical codes are compared when a table is loaded
_STALE_SECONDS = 86_400  # temporary files older than this were left by processes that were killed
_DESCRIPTION, _CHECKSUM = "latentnas_table", "crc32"


# --- where tables are -----------------------------------------------------------------------------


def cache_folder() -> Path:
    """The folder of imported tables.

    ``$LATENTNAS_CACHE/tables`` where that variable is set, else ``latentnas/tables`` in the user's
    cache folder: ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS,
    ``%LOCALAPPDATA%`` on Windows.
    """
    own = os.environ.get("LATENTNAS_CACHE")
    if own:
        return Path(own).expanduser() / "tables"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "latentnas" / "tables"


def table_path(name: str) -> Path:
    """Where the imported table called ``name`` is, or would be.

    Raises:
        ConfigError: this cannot be the name of a table.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"a table's name has at most 100 lower-case letters, digits and . _ + -, the first a letter or digit; "
            f"got {name!r}"
        )
    return cache_folder() / f"{name}{SUFFIX}"


def cached_names() -> list[str]:
    """Names of the imported tables, sorted; whether they can be read is not looked at."""
    try:
        files = [path for path in cache_folder().iterdir() if path.suffix == SUFFIX]
    except OSError:  # no such folder yet
        return []
    return sorted(path.stem for path in files if _NAME.fullmatch(path.stem))


def remove_table(name: str) -> Path:
    """Delete the imported table called ``name``; returns where it was.

    Raises:
        DataFileError: there is none, or it cannot be deleted.
    """
    path = table_path(name)
    try:
        path.unlink()
    except FileNotFoundError:
        raise DataFileError(f"no imported table is called {name!r}; imported: {_listed(cached_names())}") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be deleted: {error}") from error
    return path


# --- writing --------------------------------------------------------------------------------------


def write_table(table: TabularBenchmark, origin: Origin) -> Path:
    """Put a table into the cache, under its name; an earlier one of this name is replaced.

    Nothing is left behind where this fails: the file is written under another name and moved.

    Raises:
        DataFileError: the cache cannot be written.
        ConfigError: the table's name cannot be that of a file.
    """
    from safetensors.numpy import save_file

    from .. import __version__

    path = table_path(table.name)
    tensors: dict[str, NDArray] = {"codes": table._codes.numpy()}
    if table._canonical is not table._codes:
        tensors["canonical"] = table._canonical.numpy()
    for column in table.columns:
        tensors[f"column:{column}"] = table._columns.stored[column].numpy()
    probes = _probes(len(table))
    description = {
        "format_version": FORMAT_VERSION,
        "latentnas": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": table.name,
        "space": table.space.name,
        "fingerprint": space_fingerprint(table.space),
        "probes": table.space.format(table._codes[probes].long()),
        "rows": len(table),
        "columns": table.columns,
        "default": table.default_metric,
        "minimize": sorted(table.minimize),
        "by_network": table.by_network,
        "source": table.source,
        "units": table.units,
        "facts": table.facts,
        "origin": asdict(origin),
        "checksums": {name: zlib.crc32(np.ascontiguousarray(tensor).data) for name, tensor in tensors.items()},
    }
    text = json.dumps(description, sort_keys=True)
    metadata = {_DESCRIPTION: text, _CHECKSUM: str(zlib.crc32(text.encode()))}
    temporary = path.with_name(f".{table.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path.parent)
        save_file(tensors, temporary, metadata)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, Exception) and not isinstance(error, LatentNASError):
            raise DataFileError(
                f"{path}: cannot be written: {error}. Set LATENTNAS_CACHE to a folder that can"
            ) from error
        raise
    return path


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
        except OSError:
            continue  # somebody else removed it


def _probes(rows: int) -> list[int]:
    count = min(rows, _PROBES)
    return [k * (rows - 1) // max(count - 1, 1) for k in range(count)]


def space_fingerprint(space: SearchSpace) -> str:
    """A digest of what the columns of a space's codes mean."""
    facts = [space.name, space.cardinalities, space.columns, space.node_types, space.edge_types]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


# --- reading --------------------------------------------------------------------------------------


def read_description(name: str) -> dict[str, Any]:
    """What the header of an imported table says, its size on disk (``bytes``) and ``path`` added.

    Raises:
        DataFileError: there is no such table, or its file is damaged.
    """
    path = table_path(name)
    with _damage_named(name, path), _opened(path) as file:
        return _description(file, path)


def _description(file: Any, path: Path) -> dict[str, Any]:
    """The checked header of an open file."""
    metadata = file.metadata() or {}
    text = metadata[_DESCRIPTION]
    if str(zlib.crc32(text.encode())) != metadata[_CHECKSUM]:
        raise ValueError("the checksum of its header does not match")
    description = json.loads(text)
    if description["format_version"] != FORMAT_VERSION:
        raise DataFileError(
            f"{path}: written in format {description['format_version']} of the cache by latentnas "
            f"{description.get('latentnas')}, this one reads format {FORMAT_VERSION}; {_remedy(path.stem)}"
        )
    _check_description(description)
    return {**description, "bytes": path.stat().st_size, "path": path}


@contextlib.contextmanager
def _damage_named(name: str, path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a cached file is read into one DataFileError."""
    try:
        yield
    except LatentNASError:
        raise
    except FileNotFoundError:
        raise DataFileError(f"no imported table is called {name!r}; imported: {_listed(cached_names())}") from None
    except Exception as error:
        raise _damaged(path, error) from error


_FIELDS: dict[str, type] = {
    "latentnas": str,
    "name": str,
    "space": str,
    "fingerprint": str,
    "probes": list,
    "rows": int,
    "columns": list,
    "default": str,
    "minimize": list,
    "by_network": bool,
    "source": str,
    "units": dict,
    "facts": dict,
    "origin": dict,
    "checksums": dict,
}
"""What a description holds, beside the version of its format and its date."""


def _check_description(description: dict[str, Any]) -> None:
    """Raise ValueError where a field is missing or of another type."""
    for field, kind in _FIELDS.items():
        if type(description.get(field)) is not kind:
            raise ValueError(f"its header has no {field} of type {kind.__name__}")
    columns = description["columns"]
    texts = [*columns, *description["minimize"], *description["units"].values()]
    if not all(isinstance(text, str) for text in texts) or len(set(columns)) != len(columns):
        raise ValueError("columns, minimize and units must be texts, and no column occurs twice")
    if description["default"] not in {parse_column(column).metric for column in columns}:
        raise ValueError(f"its header has no column of the metric {description['default']!r}")
    lacking = {"codes", *(f"column:{column}" for column in columns)} - description["checksums"].keys()
    if lacking or description["rows"] < 1:
        raise ValueError(f"its header has no checksum of {min(lacking, default='codes')}, or no rows")


def read_origin(name: str) -> Origin:
    """Where an imported table comes from.

    Raises:
        DataFileError: there is no such table, or its file is damaged.
    """
    description = read_description(name)
    try:
        return Origin(**description["origin"])
    except TypeError as error:
        raise _damaged(description["path"], error) from error


def read_table(name: str) -> TabularBenchmark:
    """Load an imported table, whole: what replaces or removes its file later does not touch it.

    Every tensor is compared with its checksum. That the space still means the same by these codes is
    checked on a few rows: by their texts and, in tables by network, their canonical codes.

    Raises:
        DataFileError: there is no such table, its file is damaged, or the space has changed since.
        UnknownNameError: the space is not registered.
    """
    path = table_path(name)
    with _damage_named(name, path), _opened(path) as file:
        description = _description(file, path)
        space = get_space(description["space"])
        if description["fingerprint"] != space_fingerprint(space):
            raise DataFileError(
                f"{path}: the codes of {space.name} have changed since latentnas {description['latentnas']}; "
                f"{_remedy(name)}"
            )
        rows, checksums = description["rows"], description["checksums"]
        kinds = (np.dtype(np.float32), np.dtype(np.float64))
        columns = {
            column: _read_tensor(file, f"column:{column}", (rows,), kinds, checksums)
            for column in description["columns"]
        }
        shape = (rows, space.dim)
        codes = _read_codes(file, "codes", shape, checksums, space)
        canonical = _read_codes(file, "canonical", shape, checksums, space) if "canonical" in checksums else codes
    probes = _probes(rows)
    if space.format(codes[probes].long()) != description["probes"] or (
        description["by_network"] and not torch.equal(space.canonical(codes[probes].long()), canonical[probes].long())
    ):
        raise DataFileError(
            f"{path}: {space.name} reads these codes otherwise than latentnas {description['latentnas']} did; "
            f"{_remedy(name)}"
        )
    return TabularBenchmark._from_cache(
        name=description["name"],
        space=space,
        codes=codes,
        canonical=canonical,
        columns=columns,
        default=description["default"],
        minimize=description["minimize"],
        by_network=description["by_network"],
        source=description["source"],
        units=description["units"],
        facts=description["facts"],
    )


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="numpy")


def _read_tensor(
    file: Any, name: str, shape: tuple[int, ...], kinds: tuple[np.dtype, ...], checksums: Mapping[str, int]
) -> Tensor:
    tensor = file.get_tensor(name)
    if tensor.shape != shape or tensor.dtype not in kinds:
        raise ValueError(f"{name} is {tensor.dtype} {list(tensor.shape)}, expected {kinds[0]} {list(shape)}")
    if zlib.crc32(tensor) != checksums[name]:
        raise ValueError(f"the checksum of {name} does not match")
    return torch.from_numpy(tensor if tensor.flags.writeable else tensor.copy())


def _read_codes(
    file: Any, name: str, shape: tuple[int, int], checksums: Mapping[str, int], space: SearchSpace
) -> Tensor:
    codes = _read_tensor(file, name, shape, (compact_dtype(space.cardinalities),), checksums)
    if bool((codes.amax(0) >= torch.tensor(space.cardinalities)).any()) or int(codes.min()) < 0:
        raise ValueError(f"{name} holds values that {space.name} does not have")
    return codes


def _damaged(path: Path, error: Exception) -> DataFileError:
    why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return DataFileError(f"{path}: this cached table is damaged or was changed ({why}); {_remedy(path.stem)}")


def _remedy(name: str) -> str:
    return f"import it again: latentnas data import PATH --name {name}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
