"""The published search in a latent space: a Gaussian process on latents, expected improvement, decode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ExhaustedError
from ..latent import LatentSpace
from ..models.gaussian_process import EXACT_LIMIT, NUM_INDUCING, FeatureGroup, fit_gp
from ..spaces import SearchSpace
from .acquisition import log_expected_improvement, maximize_acquisition
from .base import Proposals
from .latent_strategy import LatentStrategy

WIDENINGS = 8
TRIES = 64


@dataclass(frozen=True)
class _Decoded:
    """A new cell [D], the latent [d] it stands at, where it came from, and what the user should know."""

    code: Tensor
    latent: Tensor
    source: str
    note: str = ""


class LatentEI(LatentStrategy):
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
        super().__init__(
            space,
            latent=latent,
            initial=initial,
            target=target,
            exact_limit=exact_limit,
            num_inducing=num_inducing,
            seed=seed,
        )

    def _standardized(self, codes: Tensor) -> Tensor:
        z = self.latent.encode(codes)
        return ((z - self.latent.center) / self.latent.scale.clamp_min(1e-6)).double()

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        start = self._random_start(n, generator)
        if start is not None:
            return start
        codes, values = self.observed
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
        best = surrogate.best
        points, acquisition = maximize_acquisition(
            surrogate.model,
            best,
            (self.latent.bounds - self.latent.center) / scale,
            n,
            pending=self._standardized(self.pending) if len(self.pending) else None,
            seed=int(torch.randint(2**31, (1,), generator=generator)),
        )
        found: list[_Decoded] = []
        taken: set[str] = set()
        for z in points.float() * scale + self.latent.center:
            try:
                found.append(self._decode_new(z, taken, generator))
            except ExhaustedError:
                if found:
                    break  # the last networks of the space
                raise
            taken.add(self.space.keys(found[-1].code[None])[0])
        latents = torch.stack([cell.latent for cell in found])
        # what is stored is what holds at the latent that was decoded in the end
        x = ((latents - self.latent.center) / scale).double()
        mean, std = surrogate.marginals(x)
        moved = torch.tensor([cell.source != "acquisition" for cell in found])
        acquisition = torch.where(
            moved, log_expected_improvement(mean, std, best), acquisition[: len(found)].expand(len(found))
        )
        return Proposals(
            torch.stack([cell.code for cell in found]),
            [cell.source for cell in found],
            latents.double(),
            acquisition,
            *surrogate.transform.inverse_moments(mean, std),
            notes=[cell.note for cell in found if cell.note],
        )

    def _decode_new(self, z: Tensor, taken: set[str], generator: torch.Generator) -> _Decoded:
        """A new cell at ``z`` [d] or, farther and farther away, around it; a random one if there is none."""
        decoded = self.latent.decode(z[None])
        if len(self.new_only(decoded, taken)[0]):
            return _Decoded(decoded[0], z, "acquisition")
        low, high = self.latent.bounds
        distance = 0.1
        for _ in range(WIDENINGS):
            step = torch.randn(TRIES, len(z), generator=generator) * self.latent.scale * distance
            around = torch.maximum(torch.minimum(z + step, high), low)
            decoded = self.latent.decode(around)
            index, _ = self.new_only(decoded, taken)
            if len(index):
                note = f"a proposed latent decoded to known cells up to {distance:.1f} standard deviations away"
                return _Decoded(decoded[index[0]], around[index[0]], "neighbourhood", note if distance > 1 else "")
            distance *= 1.6
        code = self.sample_new(1, generator, taken)
        note = "around a proposed latent every decoded cell was known; a random cell took its place"
        return _Decoded(code[0], self.latent.encode(code)[0], "random", note)
