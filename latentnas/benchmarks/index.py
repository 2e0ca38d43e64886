"""Finding rows of integers among hundreds of thousands, compactly and without a loop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DIGIT = 254  # values of a byte of a key, shifted by one: zero bytes would be cut off at the end of numpy's strings


def compact_dtype(cardinalities: Sequence[int]) -> np.dtype:
    """The smallest integer type that holds every value of a code."""
    largest = max(cardinalities) - 1
    for kind in (np.uint8, np.int16, np.int32):
        if largest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.int64)


class CodeIndex:
    """Rows of codes, sorted once and found by binary search.

    Where the product of the cardinalities is at most 2^63, a code is sorted as its position in the
    lexicographic order of all codes, an int64. In larger spaces it is sorted as a byte string of
    fixed length, one byte a column (two where a column has more than 254 values).

    Args:
        codes: [n, D] integers, each in 0..cardinality-1.
        cardinalities: D integers.
    """

    def __init__(self, codes: NDArray[np.integer], cardinalities: Sequence[int]) -> None:
        self._cardinalities = tuple(cardinalities)
        self._numeric = math.prod(self._cardinalities) <= 2**63
        keys = self._keys(codes)
        order = np.argsort(keys, kind="stable")
        self._sorted = keys[order]
        self._order = order.astype(np.int32) if len(order) < 2**31 else order

    def _keys(self, codes: NDArray[np.integer]) -> NDArray:
        """One sortable value a row: [B, D] -> [B]; equal exactly for equal rows."""
        if self._numeric:
            positions = np.zeros(len(codes), np.int64)
            for column, cardinality in enumerate(self._cardinalities):
                positions *= cardinality
                positions += codes[:, column]
            return positions
        digits = []
        for column, cardinality in enumerate(self._cardinalities):
            rest, largest = codes[:, column].astype(np.int64), cardinality - 1
            places = [rest % _DIGIT + 1]
            while largest := largest // _DIGIT:
                rest = rest // _DIGIT
                places.append(rest % _DIGIT + 1)
            digits += places[::-1]
        packed = np.stack(digits, 1).astype(np.uint8)
        return packed.view(f"S{packed.shape[1]}")[:, 0]

    def find(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """The row of every code [B, D]: [B], -1 where it is not among the rows."""
        wanted = self._keys(codes)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place].astype(np.int64), -1)

    def duplicate(self) -> tuple[int, int] | None:
        """Two rows that are equal, the earlier one first (of the smallest such code); None where all differ."""
        twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if not len(twice):
            return None
        return int(self._order[twice[0]]), int(self._order[twice[0] + 1])
