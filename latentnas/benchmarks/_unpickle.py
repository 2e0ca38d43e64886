"""An unpickler for files that others wrote: it makes plain data and inert records, nothing else."""

from __future__ import annotations

import gc
import io
import pickle
import reprlib
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import DataFileError
from ._pickle_scan import PickleScanner

# What pickle raises on bytes that are no pickle, or whose stack machine goes wrong half-way.
_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
_SWEEP_BYTES = 2**25
_NUMBERS = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip

Sweep = Callable[[dict[int, Any]], dict[int, Any]]
"""Given the objects that a stream has named so far, returns those that it can still refer to."""


def shown(value: object, limit: int = 60) -> str:
    """A value of a file for an error's message: short, whatever its size or depth.

    ``repr`` itself fails on integers of thousands of digits and on lists nested a thousand times.
    """
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length():,} bits"
    try:
        return reprlib.repr(value)[:limit]
    except (ValueError, RecursionError):
        return type(value).__name__


class Record:
    """Stand-in for a class that a pickle names: it holds the attributes and runs nothing."""

    def __setstate__(self, state: object) -> None:
        # Plain attribute dictionaries only: pickle would also accept assignments through setattr.
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a record's state must be a dictionary, got {type(state).__name__}")
        self.__dict__.update(state)


class _Maker:
    """A callable that a file may call and not change: a plain function would accept attributes."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a constructor has no state")


class _Inert:
    """What is left of an array that is not read, such as the weights of a network."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        return

    def __setitem__(self, key: object, value: object) -> None:
        return


class _Number:
    """The description of a number's bytes, in place of ``numpy.dtype``."""

    __slots__ = ("code", "order")

    def __init__(self, name: object, align: object = False, copy: object = True) -> None:
        if not isinstance(name, str) or name not in _NUMBERS:
            raise pickle.UnpicklingError(f"numpy.dtype {shown(name)} is no plain number")
        self.code, self.order = _NUMBERS[name], "="

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) >= 2 and state[1] in ("<", ">", "|", "=")):
            raise pickle.UnpicklingError("state of numpy.dtype is not that of a plain number")
        self.order = "<" if state[1] == "|" else state[1]


def _scalar(kind: object, data: object) -> float | int | bool:
    """The plain Python number in place of a NumPy scalar."""
    if not isinstance(kind, _Number) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a NumPy scalar must be a plain number in bytes")
    try:
        return struct.unpack(kind.order + kind.code, data)[0]
    except struct.error as error:
        raise pickle.UnpicklingError(f"a NumPy scalar does not fit its type: {error}") from None


def _encode(text: object, encoding: object) -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes must come as latin1 text")
    return text.encode("latin1")


NUMPY_SCALARS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "dtype"): _Number,
    ("_codecs", "encode"): _encode,
}
"""NumPy scalars, which become plain Python numbers."""

CONTAINERS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): dict,
    **{
        (module, name): make
        for module in ("builtins", "__builtin__")
        for name, make in (("set", set), ("frozenset", frozenset))
    },
}
"""Containers of the standard library; ordered dictionaries become dictionaries."""

_STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
TENSORS: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{("torch", f"{kind}Storage"): lambda *arguments: _Inert() for kind in _STORAGES},
    ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _Inert(),
    ("torch._utils", "_rebuild_tensor"): lambda *arguments: _Inert(),
    ("torch._utils", "_rebuild_parameter"): lambda *arguments: _Inert(),
}
"""Tensors, which become inert placeholders: no memory is allocated for them."""


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(
        self,
        file: Any,
        source: str,
        admitted: Iterable[tuple[str, str]],
        makers: Mapping[tuple[str, str], Callable[..., Any]],
    ) -> None:
        super().__init__(file)
        self._source = source
        # Fresh classes for every file: what a file does to one of them ends with it.
        self._known: dict[tuple[str, str], Any] = {
            (module, name): type(name, (Record,), {}) for module, name in admitted
        }
        self._known.update({name: _Maker(make) for name, make in makers.items()})
        self._tensors = any(name in TENSORS for name in makers)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            admitted = ", ".join(f"{m}.{n}" for m, n in self._known) or "none"
            raise DataFileError(
                f"{self._source}: refused, the file asks for {module}.{name}, which its format does not need "
                f"(admitted: {admitted}). Nothing of it was run; fetch the file again from a source you trust"
            )
        return self._known[module, name]

    def persistent_load(self, identifier: object) -> Any:
        if not self._tensors:
            raise pickle.UnpicklingError("the file refers to objects outside itself")
        return _Inert()


class _Naming(pickle.Unpickler):
    """Names given objects; see :func:`_memo`."""

    def __init__(self, file: Any, named: dict[int, Any]) -> None:
        super().__init__(file)
        self._named = named

    def persistent_load(self, number: int) -> Any:
        return self._named[number]


def _memo(named: dict[int, Any]) -> Any:
    """An unpickler's memo with these objects.

    ``Unpickler.memo`` loses what a dictionary assigned to it holds; another unpickler's memo it takes
    over. So another unpickler is fed a pickle that names the objects one after the other.
    """

    name = struct.Struct("<cIccIc")  # push the number, exchange it for the object, name the object, drop it
    stream = b"".join([name.pack(b"J", number, b"Q", b"r", number, b"0") for number in named])
    unpickler = _Naming(io.BytesIO(b"\x80\x02" + stream + b"N."), named)
    unpickler.load()
    return unpickler.memo


_PIECE = 2**20
"""Bytes that are looked at together; four times as many in :func:`load_plain_pickle`, whose files are small."""


class _Watched(io.RawIOBase):
    """Passes bytes on, after counting them and looking at their opcodes."""

    def __init__(self, file: IO[bytes], source: str, scanner: PickleScanner, max_bytes: int) -> None:
        self._file, self._source, self._scanner, self._max_bytes = file, source, scanner, max_bytes
        self.count = 0
        self.on_progress: Callable[[int], None] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), 4 * _PIECE))
        self.count += len(data)
        if self.count > self._max_bytes:
            raise DataFileError(f"{self._source}: more than {self._max_bytes:,} bytes of data, refused")
        try:
            self._scanner.feed(data)
        except (pickle.UnpicklingError, ValueError) as error:  # the unpickler would make an EOFError of it
            raise DataFileError(f"{self._source}: truncated or corrupted, or hostile: {error}") from None
        buffer[: len(data)] = data
        if self.on_progress is not None:
            self.on_progress(self.count)
        return len(data)


def load_plain_stream(
    file: IO[bytes],
    source: str | Path,
    admitted: Iterable[tuple[str, str]] = (),
    *,
    makers: Mapping[tuple[str, str], Callable[..., Any]] = {},
    max_bytes: int = 2**28,
    pickles: int = 1,
    sweep: Sweep | None = None,
    on_progress: Callable[[int], None] | None = None,
    piece: int = _PIECE,
) -> list[Any]:
    """Read ``pickles`` pickles that follow each other in an open file; see :func:`load_plain_pickle`.

    Args:
        file: open for reading; a decompressor too, its data are counted as they come.
        source: how errors name it.
        admitted: as in :func:`load_plain_pickle`.
        makers: as in :func:`load_plain_pickle`.
        max_bytes: more data than this are refused.
        pickles: how many to read.
        sweep: called every 32 MiB with the objects that the stream has named so far, by number. It may
            shrink finished ones in place, and returns those that can still be referred to. Without it
            every part of a large file stays in memory until the end.
        on_progress: called with the number of bytes read so far.
        piece: bytes that are read and looked at together.

    Returns:
        The objects.

    Raises:
        DataFileError: truncated, corrupted or hostile. What ``file`` itself raises passes through.
    """
    watched = _Watched(file, str(source), PickleScanner(pickles), max_bytes)
    stream = io.BufferedReader(watched, piece)
    unpickler: _RestrictedUnpickler | None = None
    swept = 0

    def advance(count: int) -> None:
        nonlocal swept
        if sweep is not None and unpickler is not None and count - swept >= _SWEEP_BYTES:
            swept = count
            unpickler.memo = _memo(sweep(unpickler.memo.copy()))
        if on_progress is not None:
            on_progress(count)

    watched.on_progress = advance
    collecting = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects are made and none dies: collecting doubles the time
    try:
        objects = []
        for _ in range(pickles):
            unpickler = _RestrictedUnpickler(stream, str(source), admitted, makers)
            objects.append(unpickler.load())
        return objects
    except DataFileError:
        raise
    except _BROKEN as error:
        raise DataFileError(
            f"{source}: truncated or corrupted, not a pickle of the expected form ({type(error).__name__}: {error})"
        ) from error
    finally:
        if collecting:
            gc.enable()


def load_plain_pickle(
    path: str | Path,
    admitted: Iterable[tuple[str, str]],
    *,
    makers: Mapping[tuple[str, str], Callable[..., Any]] = {},
    max_bytes: int = 2**28,
) -> Any:
    """Read a pickle without running anything that it names.

    Args:
        path: the file.
        admitted: (module, qualified name) of the classes that the file's format needs; their
            instances become :class:`Record` objects with the pickled attributes. Neither these
            modules nor any other is imported.
        makers: (module, qualified name) of constructors that the format needs, with what is called
            in their place: :data:`CONTAINERS`, :data:`NUMPY_SCALARS`, :data:`TENSORS`.
        max_bytes: larger files are refused unread.

    Returns:
        The unpickled object: containers, strings, numbers, bytes and records.

    Raises:
        DataFileError: the file is missing, too large, truncated, no pickle, or names anything else.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataFileError(f"{path}: {size:,} bytes, expected at most {max_bytes:,}")
        with path.open("rb") as file:
            return load_plain_stream(file, path, admitted, makers=makers, max_bytes=max_bytes, piece=4 * _PIECE)[0]
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
