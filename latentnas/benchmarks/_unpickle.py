"""An unpickler for files that others wrote: it makes plain data and inert records, nothing else."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import DataFileError

# What pickle raises on bytes that are no pickle, or whose stack machine goes wrong half-way.
_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class Record:
    """Stand-in for a class that a pickle names: it holds the attributes and runs nothing."""

    def __setstate__(self, state: object) -> None:
        # Plain attribute dictionaries only: pickle would also accept assignments through setattr.
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a record's state must be a dictionary, got {type(state).__name__}")
        self.__dict__.update(state)


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, file: Any, path: Path, admitted: Iterable[tuple[str, str]]) -> None:
        super().__init__(file)
        self._path = path
        # Fresh classes for every file: what a file does to one of them ends with it.
        self._records = {(module, name): type(name, (Record,), {}) for module, name in admitted}

    def find_class(self, module: str, name: str) -> type[Record]:
        if (module, name) not in self._records:
            admitted = ", ".join(f"{m}.{n}" for m, n in self._records) or "none"
            raise DataFileError(
                f"{self._path}: refused, the file asks for {module}.{name}, which its format does not need "
                f"(admitted: {admitted}). Nothing of it was run; fetch the file again from a source you trust"
            )
        return self._records[module, name]


def load_plain_pickle(path: str | Path, admitted: Iterable[tuple[str, str]], *, max_bytes: int = 2**28) -> Any:
    """Read a pickle without running anything that it names.

    Args:
        path: the file.
        admitted: (module, qualified name) of the classes that the file's format needs; their
            instances become :class:`Record` objects with the pickled attributes. Neither these
            modules nor any other is imported.
        max_bytes: larger files are refused unread.

    Returns:
        The unpickled object: containers, strings, numbers, bytes and records.

    Raises:
        DataFileError: the file is missing, too large, truncated, no pickle, or names anything else.
    """
    path = Path(path)
    collecting = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects are made and none dies: collecting doubles the time
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataFileError(f"{path}: {size:,} bytes, expected at most {max_bytes:,}")
        with path.open("rb") as file:
            return _RestrictedUnpickler(file, path, admitted).load()
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    except DataFileError:
        raise
    except _BROKEN as error:
        raise DataFileError(
            f"{path}: truncated or corrupted, not a pickle of the expected form ({type(error).__name__}: {error})"
        ) from error
    finally:
        if collecting:
            gc.enable()
