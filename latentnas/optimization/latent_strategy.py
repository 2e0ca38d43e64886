"""What strategies that search in a latent space share."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import ConfigError
from ..latent import LatentSpace, resolve_latent
from ..models.gaussian_process import check_surrogate_options
from ..spaces import SearchSpace
from .base import Proposals, Strategy


class LatentStrategy(Strategy):
    """A strategy with a latent space, random cells first, and a Gaussian process after them.

    Args:
        space: the search space or its name.
        latent: a LatentSpace of this space, a folder, or a shipped name; None takes the shipped one.
        initial: number of random cells before the model takes over, at least 2.
        target: how observed values are transformed, "rank" or "standardize".
        exact_limit: most observations of an exact Gaussian process.
        num_inducing: inducing points of the sparse one.
        seed: seed of every random choice.

    Raises:
        ConfigError: a value out of range, or a latent space of another space.
        WeightsError: the latent space cannot be loaded.
    """

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        latent: LatentSpace | str | Path | None,
        initial: int,
        target: str,
        exact_limit: int,
        num_inducing: int,
        seed: int,
    ) -> None:
        super().__init__(space, seed=seed)
        if not isinstance(initial, int) or initial < 2:
            raise ConfigError(f"{self.name}: initial must be an integer above 1, got {initial!r}")
        check_surrogate_options(self.name, target, exact_limit, num_inducing)
        self.latent = resolve_latent(self.space, latent)
        self.initial, self.target = initial, target
        self.exact_limit, self.num_inducing = exact_limit, num_inducing

    def config(self) -> dict[str, object]:
        return {**super().config(), "latent_sha256": self.latent.fingerprint()}

    def _random_start(self, n: int, generator: torch.Generator) -> Proposals | None:
        """Random cells while the model has too few observations, else None."""
        missing = self.initial - len(self.codes) - len(self.pending)
        if missing <= 0 and len(self.observed[0]) >= 2:
            return None
        return self._random(min(n, missing) if missing > 0 else n, "initial", generator)

    def _random(self, n: int, source: str, generator: torch.Generator) -> Proposals:
        """At most ``n`` random new cells, all from ``source``."""
        codes = self.sample_new(n, generator)
        return Proposals(codes, [source] * len(codes), latents=self.latent.encode(codes).double())
