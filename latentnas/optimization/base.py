"""Strategies decide what to evaluate next: ask for cells, tell their values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import ExhaustedError, ObservationError
from ..seeding import as_generator, derive_seed
from ..spaces import SearchSpace, get_space
from ..spaces.base import MAX_ENUMERATION

SAMPLING_ROUNDS = 200


@dataclass
class Proposals:
    """Cells to evaluate next, and what the strategy thought of them.

    Attributes:
        codes: LongTensor [n, D]; distinct networks, none known to the strategy before.
        sources: n words, where each cell came from (for example "initial", "mutation").
        latents: [n, d] double, the points of the latent space they stand at; None without one.
        acquisition: [n] double, acquisition values when each was chosen; None without one.
        mean: [n] double, predicted values, in the unit of the observations; None without a model.
        std: [n] double, standard deviations of the predictions.
        notes: sentences for the user, such as that the search had to be widened.
    """

    codes: Tensor
    sources: list[str]
    latents: Tensor | None = None
    acquisition: Tensor | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.codes)


class Strategy(ABC):
    """Ask/tell search over one space; larger values are better.

    Contract, for every strategy:

    - :meth:`ask` never returns a network (by key) that was told, pending or asked for before.
    - What :meth:`ask` returns depends only on the seed and on what was told and is pending, in
      order: a campaign that is told the same history goes on identically after a restart.
    - A cell that was told NaN is a failed evaluation: it is never proposed again, and models do
      not learn from it.
    - Not thread-safe; a strategy owns copies of what it was told.

    Args:
        space: the search space or its name.
        seed: seed of every random choice.
    """

    name: str

    def __init__(self, space: str | SearchSpace, *, seed: int = 0) -> None:
        self.space = get_space(space)
        self.seed = seed
        self.codes = torch.empty(0, self.space.dim, dtype=torch.long)
        self.values = torch.empty(0, dtype=torch.double)
        self._told: set[str] = set()
        self._pending: dict[str, Tensor] = {}

    def config(self) -> dict[str, object]:
        """Plain settings (JSON types) that tell this strategy from others; stored with a campaign."""
        return {"name": self.name, "seed": self.seed}

    # --- what the strategy knows ----------------------------------------------------------------

    def tell(self, codes: Tensor, values: Tensor | list[float]) -> None:
        """Learn the values of evaluated cells.

        Args:
            codes: [m, D] long.
            values: [m] floats; NaN marks a failed evaluation.

        Raises:
            ObservationError: wrong shape, an infinite value, or a network that was told before.
        """
        codes = self.space.check_codes(codes).cpu()
        values = torch.as_tensor(values, dtype=torch.double).cpu()
        if values.shape != (len(codes),):
            raise ObservationError(f"{self.name}: expected {len(codes)} values, got shape {list(values.shape)}")
        if bool(values.isinf().any()):
            row = int(values.isinf().nonzero()[0])
            raise ObservationError(f"{self.name}: values[{row}] is {values[row]}; tell NaN for a failed evaluation")
        keys = self.space.keys(codes)
        seen = set(self._told)
        for key in keys:
            if key in seen:
                raise ObservationError(f"{self.name}: the network {key!r} was told before")
            seen.add(key)
        self._told = seen
        for key in keys:
            self._pending.pop(key, None)
        self.codes = torch.cat([self.codes, codes])
        self.values = torch.cat([self.values, values])

    def pend(self, codes: Tensor) -> None:
        """Mark cells as being evaluated elsewhere: they are not proposed, and count as pending."""
        codes = self.space.check_codes(codes).cpu()
        for key, code in zip(self.space.keys(codes), codes.clone(), strict=True):
            if key not in self._told:
                self._pending[key] = code

    @property
    def pending(self) -> Tensor:
        """Codes proposed but not told yet: [p, D] long."""
        if not self._pending:
            return torch.empty(0, self.space.dim, dtype=torch.long)
        return torch.stack(list(self._pending.values()))

    @property
    def observed(self) -> tuple[Tensor, Tensor]:
        """Codes [m, D] and values [m] of the evaluations that succeeded."""
        done = ~self.values.isnan()
        return self.codes[done], self.values[done]

    def is_known(self, key: str) -> bool:
        """Whether the network with this key was told or is pending."""
        return key in self._told or key in self._pending

    # --- what comes next ------------------------------------------------------------------------

    def ask(self, n: int = 1) -> Proposals:
        """Propose ``n`` networks that were never proposed before; they become pending.

        Returns:
            Proposals: fewer than ``n`` only where the space has no more, or where the first random
            cells of a strategy end (what comes next depends on their values).

        Raises:
            ExhaustedError: every network of the space is known.
        """
        if n < 1:
            raise ObservationError(f"{self.name}: ask for at least 1 cell, got {n}")
        step = len(self._told) + len(self._pending)
        proposals = self._propose(n, as_generator(derive_seed(self.seed, self.name, step)))
        self.pend(proposals.codes)
        return proposals

    @abstractmethod
    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        """The proposals of :meth:`ask`; every random choice comes from ``generator``."""

    def new_only(self, codes: Tensor, exclude: set[str] | None = None) -> tuple[Tensor, list[str]]:
        """Rows of ``codes`` [m, D] that are distinct networks, not known and not in ``exclude``.

        Returns:
            index: [k] long, first row of each such network, in order.
            keys: their k keys.
        """
        taken = set(exclude or ())
        index, kept = [], []
        for row, key in enumerate(self.space.keys(codes)):
            if key not in taken and not self.is_known(key):
                taken.add(key)
                index.append(row)
                kept.append(key)
        return torch.tensor(index, dtype=torch.long), kept

    def sample_new(self, n: int, generator: torch.Generator, exclude: set[str] | None = None) -> Tensor:
        """``n`` random networks that are not known: [n, D] long, uniform over codes.

        Returns fewer only where the space has no more.

        Raises:
            ExhaustedError: not one is left (or none was found, in a space too large to enumerate).
        """
        taken = set(exclude or ())
        found: list[Tensor] = []
        for _ in range(SAMPLING_ROUNDS):
            codes = self.space.sample(max(2 * n, 16), seed=generator)
            index, keys = self.new_only(codes, taken)
            found += list(codes[index[: n - len(found)]])
            taken.update(keys[: len(index)])
            if len(found) == n:
                return torch.stack(found)
            if self.space.size <= 100 * (len(taken) + len(self._told) + len(self._pending)):
                break  # a good part of the space is known: look for the rest instead of guessing
        if self.space.size <= MAX_ENUMERATION:
            codes = self.space.enumerate()
            codes = codes[torch.randperm(len(codes), generator=generator)]
            taken = set(exclude or ()) | set(self.space.keys(torch.stack(found)) if found else ())
            index, _ = self.new_only(codes, taken)
            found += list(codes[index[: n - len(found)]])
        if not found:
            raise ExhaustedError(
                f"{self.name}: all {len(self._told) + len(self._pending):,} networks found in {self.space.name} are "
                "known; nothing is left to propose"
            )
        return torch.stack(found)
