"""Bayesian optimisation in a latent space, judging the cells that latents decode to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ConfigError, ExhaustedError
from ..latent import LatentSpace
from ..spaces import SearchSpace
from .acquisition import greedy_batch, log_expected_improvement
from .base import Proposals
from .features import one_hot_features, path_counts
from .latent_strategy import LatentStrategy
from .surrogates import EXACT_LIMIT, NUM_INDUCING, FeatureGroup, Surrogate, fit_gp

JOINT = 1024
"""Candidates that enter the joint posterior; the rest have the lowest expected improvement."""

WIDENINGS = 5
INCUMBENTS = 10


@dataclass(frozen=True)
class Pool:
    """Candidate cells: distinct networks, none known.

    Attributes:
        codes: [m, D] long.
        sources: m words: "prior", "neighbourhood", "mutation" or "random".
        keys: m keys.
    """

    codes: Tensor
    sources: list[str]
    keys: list[str]


class LatentBO(LatentStrategy):
    """The VAE proposes, a Gaussian process judges.

    Each :meth:`ask` after the ``initial`` random cells:

    1. fits a Gaussian process to all evaluated cells, on their one-hot codes and path indicators
       (exact with few observations, sparse with many);
    2. draws latents from the prior and from neighbourhoods of the best cells, inside the range of
       the training latents, decodes them under the grammar, adds one- and two-edit mutants of the
       best cells, and drops what is known; where the decoder keeps giving known cells, the
       neighbourhoods and the prior are widened, with a note;
    3. refines the candidates twice around those of highest expected improvement;
    4. picks the batch by sequential greedy log expected improvement, taking cells that are still
       being evaluated into account.

    The process judges the *decoded* cell, not the latent it came from: what is evaluated is the
    cell, and two latents of one cell must get one value.

    Args:
        space: the search space or its name.
        latent: a LatentSpace of this space, a folder, or a shipped name; None takes the shipped one.
        initial: number of random cells before the model takes over.
        candidates: latents decoded per source and round.
        target: how observed values are transformed, "rank" or "standardize".
        exact_limit: most observations of an exact Gaussian process.
        num_inducing: inducing points of the sparse one.
        use_latent: whether the latent is among the features, with a kernel of its own. On
            NAS-Bench-201 it costs evaluations (scripts/benchmark_search.py --use-latent); it is there
            for spaces whose structure the other features do not tell.
        seed: seed of every random choice.
    """

    name = "latent-bo"

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        latent: LatentSpace | str | Path | None = None,
        initial: int = 10,
        candidates: int = 1024,
        target: str = "rank",
        exact_limit: int = EXACT_LIMIT,
        num_inducing: int = NUM_INDUCING,
        use_latent: bool = False,
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
        if not isinstance(candidates, int) or candidates < 1:
            raise ConfigError(f"{self.name}: candidates must be a positive integer, got {candidates!r}")
        self.candidates = candidates
        self.use_latent = use_latent

    # --- the batch ------------------------------------------------------------------------------

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        start = self._random_start(n, generator)
        if start is not None:
            return start
        codes, values = self.observed
        surrogate = self.fit(codes, values)
        best = float(surrogate.transform.forward().max())
        parents = codes[values.argsort(descending=True, stable=True)[:INCUMBENTS]]
        pool, notes = self._pool(n, parents, generator)
        for _ in range(2):
            pool = self._refine(pool, surrogate, best, generator)
        return self._pick(n, pool, surrogate, best, notes)

    def fit(self, codes: Tensor, values: Tensor) -> Surrogate:
        """The Gaussian process of evaluated cells: codes [m, D], values [m]."""
        features, groups = self.features(codes)
        return fit_gp(
            features,
            values,
            groups,
            target=self.target,
            exact_limit=self.exact_limit,
            num_inducing=self.num_inducing,
            seed=self.seed,
        )

    def features(self, codes: Tensor) -> tuple[Tensor, list[FeatureGroup]]:
        """Features of cells [m, f] double, and the groups of columns that share a kernel.

        They are those of the canonical code, so that cells that are the same network look the same.
        """
        codes = self.space.canonical(codes)
        structure = torch.cat([one_hot_features(self.space, codes), (path_counts(self.space, codes) > 0).double()], 1)
        groups = [FeatureGroup(0, structure.shape[1])]
        if not self.use_latent:
            return structure, groups
        latents = ((self.latent.encode(codes) - self.latent.center) / self.latent.scale.clamp_min(1e-6)).double()
        groups.append(FeatureGroup(structure.shape[1], structure.shape[1] + latents.shape[1]))
        return torch.cat([structure, latents], 1), groups

    def _pick(self, n: int, pool: Pool, surrogate: Surrogate, best: float, notes: list[str]) -> Proposals:
        pending = self.pending
        features, _ = self.features(torch.cat([pending, pool.codes]))
        ahead, x = features[: len(pending)], features[len(pending) :]
        mean, std = surrogate.marginals(x)
        order = log_expected_improvement(mean, std, best).argsort(descending=True, stable=True)[: max(JOINT, 4 * n)]
        joint_mean, covariance = surrogate.joint(torch.cat([ahead, x[order]]))
        batch = greedy_batch(
            joint_mean, covariance, best, min(n, len(order)), noise=surrogate.noise, num_pending=len(pending)
        )
        index = order[batch.index - len(pending)]
        value_mean, value_std = surrogate.transform.inverse_moments(mean[index], std[index])
        chosen = pool.codes[index]
        return Proposals(
            chosen,
            [pool.sources[i] for i in index.tolist()],
            latents=self.latent.encode(chosen).double(),
            acquisition=batch.acquisition,
            mean=value_mean,
            std=value_std,
            notes=notes,
        )

    # --- candidates -----------------------------------------------------------------------------

    def _pool(self, n: int, parents: Tensor, generator: torch.Generator) -> tuple[Pool, list[str]]:
        """Decoded latents and mutants that are new.

        Where few of the decoded latents are new cells, prior, neighbourhoods and range are widened.
        """
        notes: list[str] = []
        pool = Pool(torch.empty(0, self.space.dim, dtype=torch.long), [], [])
        drawn, fresh, width = 0, 0, 1.0
        for attempt in range(WIDENINGS + 1):
            width = 1.5**attempt
            latents = torch.cat([self._prior(width, generator), self._neighbours(parents, width, generator)])
            drawn += len(latents)
            sources = ["prior"] * self.candidates + ["neighbourhood"] * self.candidates
            pool = self._extend(pool, self.latent.decode(latents), sources)
            fresh = len(pool.keys)
            if fresh >= 2 * n:
                break
        if width > 1:
            notes.append(
                f"the decoder keeps giving known cells: {drawn:,} latents gave {fresh:,} new ones, though the search "
                f"was widened {width:.1f}-fold"
            )
        mutants = self._mutants(parents, generator, edits=2 if fresh >= 2 * n else 2 + WIDENINGS)
        pool = self._extend(pool, mutants, ["mutation"] * len(mutants))
        if len(pool.keys) < n:
            try:
                rest = self.sample_new(n - len(pool.keys), generator, set(pool.keys))
            except ExhaustedError:
                if not pool.keys:
                    raise
                rest = torch.empty(0, self.space.dim, dtype=torch.long)
            pool = self._extend(pool, rest, ["random"] * len(rest))
            notes.append(f"decoder and mutations gave too few new cells; {len(rest)} were drawn at random")
        return pool, notes

    def _refine(self, pool: Pool, surrogate: Surrogate, best: float, generator: torch.Generator) -> Pool:
        """Add mutants and neighbours of the candidates with the highest expected improvement."""
        mean, std = surrogate.marginals(self.features(pool.codes)[0])
        top = log_expected_improvement(mean, std, best).argsort(descending=True, stable=True)[: 2 * INCUMBENTS]
        parents = pool.codes[top]
        decoded = self.latent.decode(self._neighbours(parents, 1.0, generator))
        mutants = self._mutants(parents, generator, edits=1)
        sources = ["neighbourhood"] * len(decoded) + ["mutation"] * len(mutants)
        return self._extend(pool, torch.cat([decoded, mutants]), sources)

    def _extend(self, pool: Pool, codes: Tensor, sources: list[str]) -> Pool:
        index, keys = self.new_only(codes, set(pool.keys))
        return Pool(
            torch.cat([pool.codes, codes[index]]),
            pool.sources + [sources[i] for i in index.tolist()],
            pool.keys + keys,
        )

    def _prior(self, width: float, generator: torch.Generator) -> Tensor:
        """Prior samples [candidates, d], spread ``width`` times, inside the widened range."""
        z = self.latent.sample_prior(self.candidates, seed=generator)
        return self._inside(self.latent.center + width * (z - self.latent.center), width)

    def _neighbours(self, parents: Tensor, width: float, generator: torch.Generator) -> Tensor:
        """Latents [candidates, d] around those of ``parents``, at log-uniform distances.

        Each point moves along a random part of the dimensions, as TuRBO (Eriksson et al., NeurIPS
        2019) does: in many dimensions moving along all of them never stays near.
        """
        z = self.latent.encode(parents)
        count, d = self.candidates, z.shape[1]
        z = z[torch.arange(count) % len(z)]
        radius = width * 10 ** -torch.rand(count, 1, generator=generator)  # 0.1 to 1 standard deviations
        share = torch.rand(count, 1, generator=generator).clamp_min(2 / d)
        moved = torch.rand(count, d, generator=generator) < share
        step = torch.randn(count, d, generator=generator) * self.latent.scale * radius
        return self._inside(z + step * moved, width)

    def _inside(self, z: Tensor, width: float) -> Tensor:
        low, high = self.latent.bounds
        middle, half = (low + high) / 2, (high - low) / 2
        return torch.maximum(torch.minimum(z, middle + width * half), middle - width * half)

    def _mutants(self, parents: Tensor, generator: torch.Generator, *, edits: int) -> Tensor:
        """One to ``edits`` successive mutations of every parent: [k, D]."""
        generation = parents.repeat_interleave(max(1, self.candidates // (4 * len(parents))), 0)
        mutants = []
        for _ in range(edits):
            generation = self.space.mutate(generation, seed=generator)
            mutants.append(generation)
        return torch.cat(mutants)
