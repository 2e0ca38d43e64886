"""The framing of TFRecord files, read and checked without TensorFlow.

A record is: its length (uint64, little endian), the masked CRC-32C of those eight bytes (uint32), the
data, the masked CRC-32C of the data (uint32). The mask is ``rotate_right(crc, 15) + 0xa282ead8``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataFileError

MAX_RECORD = 2**16
"""Longest record that is read, in bytes; those of NAS-Bench-101 have about 400."""

_HEAD = struct.Struct("<QI")
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_MASK_DELTA = 0xA282EAD8
_CHUNK = 2**21


@lru_cache(maxsize=1)
def _byte_table() -> npt.NDArray[np.uint32]:
    """CRC register after one byte, from a register of zeros: [256]."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@lru_cache(maxsize=4)
def _position_tables(length: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Shares of single bytes in the CRC, and of the register's start.

    A CRC is linear over XOR: it is the XOR of what every byte contributes at its distance from the
    end, and of what the start of all ones contributes.

    Returns:
        shares [length, 256]: of the byte that ``d`` others follow.
        starts [length + 1]: of the start, in data of this length.
    """
    byte = _byte_table()
    shares = np.empty((length, 256), dtype=np.uint32)
    starts = np.empty(length + 1, dtype=np.uint32)
    starts[0] = 0xFFFFFFFF
    row = byte
    for d in range(length):
        shares[d] = row
        row = byte[row & 0xFF] ^ (row >> 8)
        starts[d + 1] = byte[starts[d] & 0xFF] ^ (starts[d] >> 8)
    return shares, starts


def masked_crc32c(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Masked CRC-32C of many pieces of a buffer at once.

    Args:
        data: [n] the buffer.
        starts: [r] where each piece begins.
        lengths: [r] how long it is, at least 1; memory grows with r x the longest.

    Returns:
        [r] uint32.
    """
    longest = int(lengths.max(initial=0))
    shares, initial = _position_tables(1 << max(longest - 1, 63).bit_length())
    crc = initial[lengths]
    distance = np.arange(longest)
    flat = shares.reshape(-1)
    # Pieces of one length at a time would need no mask, but lengths vary; bytes before the start count as nothing.
    step = max(1, 2**22 // max(longest, 1))
    for first in range(0, len(starts), step):
        part = slice(first, first + step)
        place = (starts[part] + lengths[part] - 1)[:, None] - distance
        inside = distance < lengths[part, None]
        values = np.where(inside, data[np.maximum(place, 0)], 0)  # a zero byte contributes nothing
        crc[part] ^= np.bitwise_xor.reduce(flat[distance * 256 + values], axis=1)
    crc = ~crc
    return (((crc >> 15) | (crc << 17)) + np.uint32(_MASK_DELTA)).astype(np.uint32)


def read_batches(
    path: str | Path, progress: Callable[[int, int | None], Any] | None = None
) -> Iterator[tuple[int, int, list[bytes]]]:
    """The records of a file in order, some thousands at a time; every checksum is verified.

    Args:
        path: the file.
        progress: called with (bytes read, bytes of the file).

    Yields:
        number of the first record (from 0), its offset in the file, and the data of the records.

    Raises:
        DataFileError: missing, truncated, or a checksum or length is wrong; names record and offset.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            number, offset, rest = 0, 0, b""
            while chunk := file.read(_CHUNK):
                buffer = rest + chunk
                records = _split(path, buffer, number, offset)
                if records is not None:
                    used, data = records
                    yield number, offset, data
                    number += len(data)
                    offset += used
                    rest = buffer[used:]
                else:
                    rest = buffer
                if progress is not None:
                    progress(offset + len(rest), size)
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    if rest:
        raise DataFileError(
            f"{path}: truncated: record {number:,} at byte {offset:,} is not complete; fetch the file again"
        )
    if number == 0:
        raise DataFileError(f"{path}: empty, expected TFRecords")


def _split(path: Path, buffer: bytes, number: int, offset: int) -> tuple[int, list[bytes]] | None:
    """The complete records at the start of a buffer and how many bytes they take; None if there is none."""
    starts: list[int] = []
    lengths: list[int] = []
    length_crcs: list[int] = []
    at, size = 0, len(buffer)
    while at + 12 <= size:
        length, crc = _HEAD.unpack_from(buffer, at)
        if length > MAX_RECORD or length == 0:
            raise DataFileError(
                f"{path}: record {number + len(starts):,} at byte {offset + at:,} claims {length:,} bytes, expected "
                f"1..{MAX_RECORD:,}: corrupted, or no TFRecord file of NAS-Bench-101"
            )
        if at + 16 + length > size:
            break
        starts.append(at)
        lengths.append(length)
        length_crcs.append(crc)
        at += 16 + length
    if not starts:
        return None
    array = np.frombuffer(buffer, dtype=np.uint8)
    begins, counts = np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)
    tails = begins + 12 + counts
    data_crcs = array[tails[:, None] + np.arange(4)].view("<u4")[:, 0]
    for what, computed, stated in (
        ("length", masked_crc32c(array, begins, np.full_like(counts, 8)), np.array(length_crcs, dtype=np.uint32)),
        ("data", masked_crc32c(array, begins + 12, counts), data_crcs),
    ):
        wrong = np.flatnonzero(computed != stated)
        if len(wrong):
            row = int(wrong[0])
            raise DataFileError(
                f"{path}: record {number + row:,} at byte {offset + starts[row]:,} is corrupted: the checksum of its "
                f"{what} is {int(stated[row]):08x}, computed {int(computed[row]):08x}; fetch the file again"
            )
    return at, [buffer[s + 12 : s + 12 + n] for s, n in zip(starts, lengths, strict=True)]
