"""The published search in a latent space: a Gaussian process on latents, expected improvement, decode."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import ConfigError, ExhaustedError
from ..latent import LatentSpace
from ..spaces import SearchSpace
from .acquisition import maximize_acquisition
from .base import Proposals, Strategy
from .shipped import resolve_latent
from .surrogates import EXACT_LIMIT, NUM_INDUCING, FeatureGroup, check_surrogate_options, fit_gp

WIDENINGS = 8
TRIES = 64


class LatentEI(Strategy):
    """Batch Bayesian optimisation on latents alone, as in section 4.3 of the operation-embedding paper.

    A Gaussian process with one lengthscale per dimension is fitted to the latents of all evaluated
    cells; a batch of latents is chosen by BoTorch's qLogExpectedImprovement, sequential greedy, in
    the box that the training latents span; each is decoded. Where a latent decodes to a known cell,
    points around it are decoded, farther and farther away, until a new cell appears.

    It is the baseline that :class:`~latentnas.optimization.LatentBO` improves on.

    Args:
        space: the search space or its name.
        latent: a LatentSpace of this space, a folder, or a shipped name; None takes the shipped one.
        initial: number of random cells before the model takes over.
        target: how observed values are transformed, "rank" or "standardize".
        exact_limit: most observations of an exact Gaussian process.
        num_inducing: inducing points of the sparse one.
        seed: seed of every random choice.
    """

    name = "latent-ei"

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        latent: LatentSpace | str | Path | None = None,
        initial: int = 10,
        target: str = "standardize",
        exact_limit: int = EXACT_LIMIT,
        num_inducing: int = NUM_INDUCING,
        seed: int = 0,
    ) -> None:
        super().__init__(space, seed=seed)
        if initial < 2:
            raise ConfigError(f"{self.name}: initial must be at least 2, got {initial}")
        check_surrogate_options(self.name, target, exact_limit, num_inducing)
        self.latent = resolve_latent(self.space, latent)
        self.initial, self.target = initial, target
        self.exact_limit, self.num_inducing = exact_limit, num_inducing

    def _standardized(self, codes: Tensor) -> Tensor:
        z = self.latent.encode(codes)
        return ((z - self.latent.center) / self.latent.scale.clamp_min(1e-6)).double()

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        codes, values = self.observed
        missing = self.initial - len(self.codes) - len(self.pending)
        if missing > 0 or len(codes) < 2:
            first = self.sample_new(min(n, missing) if missing > 0 else n, generator)
            return Proposals(first, ["initial"] * len(first), latents=self.latent.encode(first).double())
        x = self._standardized(codes)
        surrogate = fit_gp(
            x,
            values,
            [FeatureGroup(0, x.shape[1], ard=True)],
            target=self.target,
            exact_limit=self.exact_limit,
            num_inducing=self.num_inducing,
            seed=self.seed,
        )
        scale = self.latent.scale.clamp_min(1e-6)
        points, acquisition = maximize_acquisition(
            surrogate.model,
            float(surrogate.transform.forward().max()),
            (self.latent.bounds - self.latent.center) / scale,
            n,
            pending=self._standardized(self.pending) if len(self.pending) else None,
            seed=int(torch.randint(2**31, (1,), generator=generator)),
        )
        chosen: list[Tensor] = []
        sources, notes = [], []
        taken: set[str] = set()
        for z in points.float() * scale + self.latent.center:
            try:
                code, source, distance = self._decode_new(z, taken, generator)
            except ExhaustedError:
                if chosen:
                    break  # the last networks of the space
                raise
            if source == "random":
                notes.append("around a proposed latent every decoded cell was known; a random cell took its place")
            elif distance > 1:
                notes.append(f"a proposed latent decoded to known cells up to {distance:.1f} standard deviations away")
            taken.add(self.space.keys(code[None])[0])
            chosen.append(code)
            sources.append(source)
        proposed = torch.stack(chosen)
        points, acquisition = points[: len(chosen)], acquisition[: len(chosen)]
        mean, std = surrogate.predict(points)
        latents = points * scale + self.latent.center
        return Proposals(proposed, sources, latents, acquisition, mean, std, notes)

    def _decode_new(self, z: Tensor, taken: set[str], generator: torch.Generator) -> tuple[Tensor, str, float]:
        """A new cell at ``z`` or around it, its source, and how far away it was looked for (in std)."""
        decoded = self.latent.decode(z[None])
        if len(self.new_only(decoded, taken)[0]):
            return decoded[0], "acquisition", 0.0
        low, high = self.latent.bounds
        distance = 0.1
        for _ in range(WIDENINGS):
            step = torch.randn(TRIES, len(z), generator=generator) * self.latent.scale * distance
            decoded = self.latent.decode(torch.maximum(torch.minimum(z + step, high), low))
            index, _ = self.new_only(decoded, taken)
            if len(index):
                return decoded[index[0]], "neighbourhood", distance
            distance *= 1.6
        return self.sample_new(1, generator, taken)[0], "random", distance
