"""The cells that a fit sees: listed once, or drawn anew every epoch; and those held out from it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import ConfigError
from ..seeding import as_generator, derive_seed
from ..spaces import SearchSpace
from ..spaces.graphs import NodeGraphs

if TYPE_CHECKING:
    from .fit import FitConfig

ENUMERATED = 100_000
"""Spaces with at most this many codes are trained on all of them."""

RESIDENT = 200_000
"""Graphs of at most this many listed cells are kept on the device; of more, each batch's are built anew."""

DRAWN = 8192
"""Cells that a stream draws at once, about."""

DESCRIBED = 100_000
"""Cells of a stream from which the statistics of the latents are computed, at most."""

ATTEMPTS = 100


@dataclass(frozen=True)
class Batch:
    """The cells of one optimiser step.

    Attributes:
        size: B, how many.
        graphs: graphs of a part of the rows, on the device.
    """

    size: int
    graphs: Callable[[slice], NodeGraphs]


class Networks:
    """A set of networks, which tells the codes that are one of them from those that are not, exactly.

    Args:
        space: the space of the codes.
        codes: [n, D] long; a network may come several times.
    """

    def __init__(self, space: SearchSpace, codes: Tensor) -> None:
        self.space = space
        self.members = space.canonical(codes).unique(dim=0)

    def contain(self, codes: Tensor) -> Tensor:
        """Which rows are a network of the set, whatever code they give it: [B, D] long -> [B] bool."""
        found = [torch.empty(0, dtype=torch.bool)]
        for chunk in codes.split(100_000):
            both = torch.cat([self.members, self.space.canonical(chunk)])
            number = both.unique(dim=0, return_inverse=True)[1]
            found.append(torch.isin(number[len(self.members) :], number[: len(self.members)]))
        return torch.cat(found)


class TrainingCells(ABC):
    """What a fit trains on and chooses its best epoch by.

    Attributes:
        validation: [m, D] long, on the CPU; the same in every epoch.
        held_out: whether no network of ``validation`` is ever trained on.
        per_epoch: training cells an epoch.
    """

    validation: Tensor
    held_out: bool
    per_epoch: int

    @abstractmethod
    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """The batches of an epoch, a function of the seed, the epoch and PyTorch's random state."""

    @abstractmethod
    def described(self) -> Tensor:
        """The cells whose latents are described by centre, scale and bounds: [n, D] long, on the CPU."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 that tells these cells from others, for checkpoints."""


class ListedCells(TrainingCells):
    """Cells that are known from the start, in a new order every epoch.

    Args:
        space: their space.
        codes: [n, D] long, the training cells.
        validation: [m, D] long.
        held_out: whether ``validation`` is disjoint from ``codes``.
        device: where batches are wanted.
    """

    def __init__(
        self, space: SearchSpace, codes: Tensor, validation: Tensor, *, held_out: bool, device: torch.device
    ) -> None:
        self.space, self.device = space, device
        self.codes, self.validation, self.held_out = codes, validation, held_out
        self.per_epoch = len(codes)
        self._graphs = space.node_graphs(codes.to(device)) if len(codes) <= RESIDENT else None

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Every cell once, in the order that PyTorch's random state gives."""
        order = torch.randperm(len(self.codes), device="cpu")
        if self._graphs is not None:
            order = order.to(self.device)
        for rows in order.split(batch_size):
            yield Batch(len(rows), lambda part, rows=rows: self._build(rows[part]))  # type: ignore[misc]

    def _build(self, rows: Tensor) -> NodeGraphs:
        if self._graphs is not None:
            return self._graphs[rows]
        return self.space.node_graphs(self.codes[rows].to(self.device))

    def described(self) -> Tensor:
        """All training cells."""
        return self.codes

    def fingerprint(self) -> str:
        """Of the training cells."""
        return hashlib.sha256(self.codes.numpy().tobytes()).hexdigest()


class StreamedCells(TrainingCells):
    """Fresh random cells every epoch, none of them a held-out network; memory does not depend on how many.

    Cell i of epoch e is a function of (seed, e, i) and of the batch size, so a resumed fit sees what
    the uninterrupted one would have seen.

    Args:
        space: their space.
        over: "codes" or "networks", what they are drawn uniformly from.
        per_epoch: cells an epoch.
        num_validation: cells held out, at most: what is left of so many random ones without common networks.
        seed: the fit's seed.
        device: where batches are wanted.
    """

    held_out = True

    def __init__(
        self, space: SearchSpace, *, over: str, per_epoch: int, num_validation: int, seed: int, device: torch.device
    ) -> None:
        self.space, self.over, self.per_epoch, self.seed, self.device = space, over, per_epoch, seed, device
        drawn = _draw(space, num_validation, over, as_generator(derive_seed(seed, "validation")))
        self.validation = _without_common(space, drawn)
        self._held_out = Networks(space, self.validation)

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """``per_epoch`` cells, graphs built batch by batch."""
        for codes in self._chunks(epoch, batch_size * -(-DRAWN // batch_size)):
            for rows in codes.split(batch_size):
                yield Batch(len(rows), lambda part, rows=rows: self.space.node_graphs(rows[part].to(self.device)))  # type: ignore[misc]

    def _chunks(self, epoch: int, size: int) -> Iterator[Tensor]:
        generator = as_generator(derive_seed(self.seed, "cells", epoch))
        for start in range(0, self.per_epoch, size):
            yield draw_others(self.space, min(size, self.per_epoch - start), self.over, self._held_out, generator)

    def described(self) -> Tensor:
        """The first cells of a stream of their own (epoch -1), at most 100,000."""
        generator = as_generator(derive_seed(self.seed, "cells", -1))
        return draw_others(self.space, min(self.per_epoch, DESCRIBED), self.over, self._held_out, generator)

    def fingerprint(self) -> str:
        """Of the held-out cells: the seed, which gives the others, is compared anyway."""
        return hashlib.sha256(self.validation.numpy().tobytes()).hexdigest()


def _without_common(space: SearchSpace, codes: Tensor) -> Tensor:
    """Random cells without the networks that are more than a hundredth of them, unless all are.

    Held out whole, such a network would keep a large part of the codes, and what only they have, from the training:
    in NB1Shot1 a fifth of all codes are a few networks.
    """
    number = space.canonical(codes).unique(dim=0, return_inverse=True)[1]
    rare = number.bincount()[number] <= max(1, len(codes) // 100)
    return codes[rare] if bool(rare.any()) else codes


def draw_others(
    space: SearchSpace, n: int, over: str, excluded: Networks, generator: torch.Generator, first: Tensor | None = None
) -> Tensor:
    """Draw ``n`` random cells that are none of the excluded networks: [n, D] long.

    Args:
        space: where to draw.
        n: how many.
        over: "codes" or "networks".
        excluded: what must not come.
        generator: gives the random numbers.
        first: cells to begin with, drawn by the caller; those that are excluded are replaced.

    Raises:
        ConfigError: nearly every network of the space is excluded.
    """
    found: list[Tensor] = []
    missing = n
    for _ in range(ATTEMPTS):
        codes = _draw(space, missing, over, generator) if first is None else first
        first = None
        codes = codes[~excluded.contain(codes)]
        found.append(codes)
        missing -= len(codes)
        if missing == 0:
            return torch.cat(found)
    raise ConfigError(
        f"LatentSpace.fit: the {len(excluded.members):,} networks held out of {space.name} leave too few to train on; "
        f"lower num_validation"
    )


def _draw(space: SearchSpace, n: int, over: str, generator: torch.Generator) -> Tensor:
    return space.sample(n, seed=generator, over="networks" if over == "networks" else "codes")


def choose_cells(
    space: SearchSpace, codes: Tensor | None, config: FitConfig, seed: int, device: torch.device
) -> TrainingCells:
    """The cells of a fit: the given ones, all of a small space, or random ones of a large space.

    What is held out are whole networks: no code of theirs is trained on. A space that is trained on
    as a whole has nothing to hold out, and is validated on a random part of itself.

    Args:
        space: the space.
        codes: [n, D] long, the given cells, or None.
        config: the settings (``num_cells``, ``num_validation``, ``stream``, ``over``).
        seed: the fit's seed.
        device: where batches are wanted.

    Raises:
        InvalidCodeError: a row of ``codes`` is no cell.
        ConfigError: too few cells to train on.
        SpaceTooLargeError: ``over="networks"`` in a space whose networks cannot be listed.
    """
    generator = as_generator(derive_seed(seed, "cells"))
    if codes is not None:
        train, validation = _split(space, codes, config.num_validation, generator)
        return ListedCells(space, train, validation, held_out=True, device=device)
    if space.size <= ENUMERATED:
        codes = space.networks() if config.over == "networks" else space.enumerate()
        part = codes[torch.randperm(len(codes), generator=generator)[: config.num_validation]]
        return ListedCells(space, codes, part, held_out=False, device=device)
    if config.stream:
        return StreamedCells(
            space,
            over=config.over,
            per_epoch=config.num_cells,
            num_validation=config.num_validation,
            seed=seed,
            device=device,
        )
    drawn = _draw(space, config.num_cells + config.num_validation, config.over, generator)
    train, validation = drawn[: config.num_cells], drawn[config.num_cells :]
    train = draw_others(space, len(train), config.over, Networks(space, validation), generator, first=train)
    return ListedCells(space, train, validation, held_out=True, device=device)


def _split(space: SearchSpace, codes: Tensor, num_validation: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hold out a tenth of the given cells, at most ``num_validation``, and every other code of their networks."""
    codes = space.check_codes(codes).cpu().unique(dim=0)
    if len(codes) < 3:
        raise ConfigError(
            f"LatentSpace.fit: at least 3 distinct cells are needed (2 to train on, 1 held out), got {len(codes)}"
        )
    codes = codes[torch.randperm(len(codes), generator=generator)]
    count = min(num_validation, max(1, len(codes) // 10))
    rest = codes[count:]
    twins = Networks(space, codes[:count]).contain(rest)
    train, validation = rest[~twins], torch.cat([codes[:count], rest[twins]])
    if len(train) < 2:
        raise ConfigError(
            f"LatentSpace.fit: the {len(codes)} cells are too few networks: once the codes of a held-out network are "
            f"set apart, {len(train)} remain to train on, at least 2 are needed"
        )
    return train, validation
