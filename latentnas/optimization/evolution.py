"""Regularised evolution (Real et al., AAAI 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError, ExhaustedError
from ..spaces import SearchSpace
from .base import Proposals, Strategy

MUTATION_TRIES = 100


class RegularizedEvolution(Strategy):
    """Aging evolution: the parent is the best of a random tournament among the youngest cells.

    The population is the last ``population_size`` evaluated cells, in the order of evaluation. A
    child is one edit away from its parent; a child whose network is known is mutated further until
    it is new, so no evaluation is spent twice.

    Args:
        space: the search space or its name.
        population_size: number of random cells at the start, and of cells that may be parents; at least 1.
        tournament_size: number of cells drawn, without replacement, to pick a parent from; 1..population_size.
        seed: seed of every random choice.

    Raises:
        ConfigError: a size is no integer, or out of its range.
    """

    name = "evolution"

    def __init__(
        self, space: str | SearchSpace, *, population_size: int = 50, tournament_size: int = 10, seed: int = 0
    ) -> None:
        for option, size in (("population_size", population_size), ("tournament_size", tournament_size)):
            if type(size) is not int or size < 1:
                raise ConfigError(f"evolution: {option} must be an integer of at least 1, got {size!r}")
        if tournament_size > population_size:
            raise ConfigError(
                f"evolution: tournament_size must be in 1..population_size={population_size}, got {tournament_size}"
            )
        super().__init__(space, seed=seed)
        self.population_size = population_size
        self.tournament_size = tournament_size

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        missing = self.population_size - len(self.codes) - len(self._pending)
        codes, values = self.observed
        if missing > 0 or len(codes) == 0:
            first = self.sample_new(n if len(codes) == 0 else min(n, missing), generator)
            sources = ["initial"] * len(first)
            if len(first) == n or len(codes) == 0:
                return Proposals(first, sources)
        else:
            first, sources = torch.empty(0, self.space.dim, dtype=torch.long), []
        children = [*first]
        taken = set(self.space.keys(first))
        population, fitness = codes[-self.population_size :], values[-self.population_size :]
        while len(children) < n:
            drawn = torch.randperm(len(population), generator=generator)[: self.tournament_size]
            child = self._mutate_until_new(population[drawn[fitness[drawn].argmax()]], taken, generator)
            source = "mutation"
            if child is None:
                try:
                    child, source = self.sample_new(1, generator, taken)[0], "random"
                except ExhaustedError:
                    if children:
                        break  # the last networks of the space
                    raise
            taken.add(self.space.keys(child[None])[0])
            children.append(child)
            sources.append(source)
        return Proposals(torch.stack(children), sources)

    def _mutate_until_new(self, parent: Tensor, taken: set[str], generator: torch.Generator) -> Tensor | None:
        child = parent[None]
        for _ in range(MUTATION_TRIES):
            child = self.space.mutate(child, seed=generator)
            if len(self.new_only(child, taken)[0]):
                return child[0]
        return None
