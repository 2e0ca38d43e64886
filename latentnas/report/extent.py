"""How much of its space a table holds, and what random search over the space would meet."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InvalidCodeError
from ..spaces import SearchSpace
from ..spaces.base import format_count

if TYPE_CHECKING:
    from ..benchmarks import TabularBenchmark

SMALL = 200_000
"""Spaces of at most so many codes are enumerated in well under a second."""
COUNTED = 2_000_000
"""So are larger ones whose codes are no product, up to this many, in a few seconds (NAS-Bench-101)."""
_CHUNK = 50_000


@dataclass(frozen=True, eq=False)
class Draws:
    """What every code of a space gives.

    Attributes:
        values: [M] double, NaN where the table holds no value.
        groups: M of them, equal for codes of the same network.
    """

    values: Tensor
    groups: Sequence[Hashable]


@dataclass(frozen=True, eq=False)
class Extent:
    """How much of its space a table holds.

    Attributes:
        whole: whether it has a value for every code.
        share: such as "2,021 of 26,207 networks".
        draws: what every code gives; None where the space is too large to go through.
    """

    whole: bool
    share: str
    draws: Draws | None


def is_countable(space: SearchSpace) -> bool:
    """Whether the codes of a space can be gone through, and its networks counted, in a few seconds."""
    return space.size <= (SMALL if space.is_product else COUNTED)


def size_text(space: SearchSpace) -> str:
    """``15,625 codes, 4,930 networks``; the codes alone where the networks cannot be counted quickly."""
    codes = f"{format_count(space.size)} codes"
    return f"{codes}, {_networks(space):,} networks" if is_countable(space) else codes


@lru_cache(maxsize=32)
def _networks(space: SearchSpace) -> int:
    return space.num_networks


@lru_cache(maxsize=8)
def table_extent(table: TabularBenchmark, metric: str) -> Extent:
    """How much of its space ``table`` holds in ``metric``; kept for the next call."""
    space, values = table.space, table.values(metric)
    known = int(values.isfinite().sum())
    if not table.by_network and known == space.size:
        return Extent(True, f"{known:,} codes", Draws(values, table.keys))
    what = "networks" if table.by_network else "codes"
    if not is_countable(space):
        all_codes = "" if table.by_network else f" of {format_count(space.size)}"
        return Extent(False, f"{known:,}{all_codes} {what}", None)
    total = _networks(space) if table.by_network else space.size
    share = f"{known:,} {what}" if known == total else f"{known:,} of {total:,} {what}"
    if known < total and space.size > SMALL:
        return Extent(False, share, None)
    codes = space.enumerate().split(_CHUNK)
    try:
        rows = torch.cat([table.rows(part) for part in codes])
        groups: Sequence[Hashable] = rows.tolist() if table.by_network else [k for c in codes for k in space.keys(c)]
        return Extent(known == total, share, Draws(values[rows], groups))
    except InvalidCodeError:  # the table lacks some
        keys = [key for part in codes for key in space.keys(part)]
        met = torch.cat([_values(table, part, metric) for part in codes])
        return Extent(False, share, Draws(met, keys))


def _values(table: TabularBenchmark, codes: Tensor, metric: str) -> Tensor:
    """[B] double, NaN where the table holds none."""
    held = table.holds(codes)
    values = torch.full((len(codes),), torch.nan, dtype=torch.double)
    values[held] = table.query(codes[held], metric)
    return values
