"""NAS-Bench-101 (Ying et al., ICML 2019) as a file of plain arrays, ``nasbench101.npz``.

Arrays, one row a cell, in the published order (ascending module hash):

- ``num_vertices`` (2..7, input and output included);
- ``ops`` [n, 5]: vertex 1 first, 0 = conv3x3-bn-relu, 1 = conv1x1-bn-relu, 2 = maxpool3x3, 255 = no such vertex;
- ``edges``: bit q is the q-th pair (i, j) of (0, 1), (0, 2), (1, 2), (0, 3), ..., the edge i -> j;
- ``test_accuracy`` (CIFAR-10, 108 epochs, one training), ``macs`` and ``params``.
"""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DataFileError
from .reader import ImportedTable, Progress, compact_values

TRAIN_ROWS = 381_262
"""Rows 0..381261 of the table are the training half (90%) of the GATES and HOP papers, the others their test half."""

MAX_ROWS = 2_000_000
_SLOTS, _PAIRS = 5, 21
_NO_VERTEX = 255
_KINDS = {  # kinds of dtype, and the shape of a row
    "num_vertices": ("u", ()),
    "ops": ("u", (_SLOTS,)),
    "edges": ("u", ()),
    "test_accuracy": ("f", ()),
    "macs": ("iu", ()),
    "params": ("iu", ()),
}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # an unknown compression
    RuntimeError,  # an encrypted member
    SyntaxError,
    tokenize.TokenError,  # an array's header is parsed as Python's literals
    TypeError,
    ValueError,
)


def read(path: str | Path, *, progress: Progress | None = None) -> ImportedTable:
    """Read ``nasbench101.npz``; rows in the order of the file. Nothing is unpickled.

    Args:
        path: the file.
        progress: called with (arrays read, arrays).

    Returns:
        A table by network with ``test_accuracy`` (share in 0..1, one run of 108 epochs), ``macs`` and
        ``params``; in its facts, ``train_rows`` is the number of rows of the training half, where the table is whole.

    Raises:
        DataFileError: the file is missing, truncated or corrupted, its arrays have other types,
            shapes or values, or a cell is none.
    """
    path = Path(path)
    arrays: dict[str, NDArray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            rows = None
            for name, (kinds, inner) in _KINDS.items():
                arrays[name] = _read_array(archive, name, kinds, inner, rows)
                rows = len(arrays[name])
                if progress is not None:
                    progress(len(arrays), len(_KINDS))
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except KeyError as error:
        raise DataFileError(f"{path}: {error.args[0]}; expected the arrays {', '.join(_KINDS)}") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    except _BROKEN as error:
        raise DataFileError(f"{path}: truncated, corrupted or of another form: {error}") from error
    rows = len(arrays["edges"])
    if rows == 0:
        raise DataFileError(f"{path}: no cells")
    return ImportedTable(
        name="nasbench101",
        space="nasbench101",
        codes=torch.from_numpy(_codes(path, arrays)),
        metrics={
            column: compact_values(_finite(path, name, arrays[name]))
            for name, column in (("test_accuracy", "test_accuracy@108#0"), ("macs", "macs"), ("params", "params"))
        },
        default="test_accuracy",
        minimize=frozenset({"macs", "params"}),
        by_network=True,
        source=f"{path.name}, {rows:,} cells, one training run of 108 epochs each",
        units={"test_accuracy": "share in 0..1", "macs": "multiply-adds", "params": "parameters"},
        facts={"train_rows": TRAIN_ROWS} if rows > TRAIN_ROWS else {},
    )


def _read_array(archive: zipfile.ZipFile, name: str, kinds: str, inner: tuple[int, ...], rows: int | None) -> NDArray:
    """One array; its header is checked before memory is taken for it."""
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _read_header(file)
        if dtype.kind not in kinds or dtype.itemsize > 8 or len(shape) != 1 + len(inner) or shape[1:] != inner:
            expected = ", ".join(map(str, ("n", *inner)))
            raise ValueError(f"{name} is {dtype} {list(shape)}, expected kind {' or '.join(kinds)} [{expected}]")
        if not 0 <= shape[0] <= MAX_ROWS or rows not in (None, shape[0]):
            raise ValueError(
                f"{name} has {shape[0]:,} rows, expected {rows if rows is not None else f'0..{MAX_ROWS:,}'}"
            )
        size = math.prod(shape) * dtype.itemsize
        data = file.read(size + 1)
        if len(data) != size:
            raise ValueError(
                f"{name} holds {'more' if len(data) > size else 'fewer'} than the {size:,} bytes it announces"
            )
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"arrays in version {version} of numpy's format, expected 1.0 or 2.0")
    if fortran and len(shape) > 1:
        raise ValueError("arrays in Fortran order, expected C order")
    return shape, dtype


def _codes(path: Path, arrays: dict[str, NDArray]) -> NDArray[np.uint8]:
    """Codes [n, 27] from vertices, operations and edge bits; that they are cells is checked by the space."""
    vertices, ops, edges = arrays["num_vertices"].astype(np.int64), arrays["ops"], arrays["edges"].astype(np.uint64)
    wrong = np.flatnonzero((vertices < 2) | (vertices > _SLOTS + 2))
    if len(wrong):
        raise DataFileError(f"{path}: num_vertices[{wrong[0]}] is {vertices[wrong[0]]}, must be in 2..{_SLOTS + 2}")
    exists = np.arange(_SLOTS) < (vertices - 2)[:, None]
    wrong = np.flatnonzero((np.where(exists, ops > 2, ops != _NO_VERTEX)).any(1))
    if len(wrong):
        row = wrong[0]
        raise DataFileError(
            f"{path}: ops[{row}] is {ops[row].tolist()} in a cell of {vertices[row]} vertices, expected "
            f"{vertices[row] - 2} operations in 0..2, then {_NO_VERTEX}"
        )
    wrong = np.flatnonzero(edges >= 2**_PAIRS)
    if len(wrong):
        raise DataFileError(f"{path}: edges[{wrong[0]}] is {edges[wrong[0]]}, must be below 2^{_PAIRS}")
    codes = np.empty((len(edges), 1 + _SLOTS + _PAIRS), np.uint8)
    codes[:, 0] = vertices - 2
    codes[:, 1 : 1 + _SLOTS] = np.where(exists, ops, 0)
    for bit in range(_PAIRS):
        codes[:, 1 + _SLOTS + bit] = edges >> np.uint64(bit) & np.uint64(1)
    return codes


def _finite(path: Path, name: str, values: NDArray) -> NDArray:
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if name == "test_accuracy":
        wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(wrong):
        raise DataFileError(f"{path}: {name}[{wrong[0]}] is {values[wrong[0]]}, expected {_RANGES[name]}")
    return values


_RANGES = {"test_accuracy": "a share in 0..1", "macs": "a count", "params": "a count"}
