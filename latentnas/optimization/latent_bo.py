"""Bayesian optimisation in a latent space that judges the cells which latents decode to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ExhaustedError
from ..latent import LatentSpace
from ..models.gaussian_process import EXACT_LIMIT, NUM_INDUCING, FeatureGroup, fit_gp
from ..models.targets import target_transform
from ..seeding import derive_seed
from ..spaces import SearchSpace
from ..spaces.features import one_hot_features, path_counts
from .acquisition import JointPosterior, greedy_batch, log_expected_improvement
from .base import Proposals
from .judges import GP, Judge, checked_options, fit_judge
from .latent_strategy import LatentStrategy

JOINT = 1024
"""Candidates that enter the joint posterior; the rest have the lowest expected improvement."""

JUDGES = ("structure", "latent")
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
    """The VAE proposes, two Gaussian processes judge: one on the latent, one on the structure.

    Each :meth:`ask` after the ``initial`` random cells:

    1. fits two Gaussian processes to all evaluated cells (exact with few observations, sparse with
       many): one reads the latent, the other the one-hot code and the input-to-output paths;
    2. draws latents from the prior and from neighbourhoods of the best cells, inside the range of
       the training latents, decodes them under the grammar, adds one- and two-edit mutants of the
       best cells, and drops what is known; where the decoder keeps giving known cells, prior,
       neighbourhoods and range are widened, with a note;
    3. refines the candidates around those of highest expected improvement, once for each process;
    4. picks the batch by sequential greedy log expected improvement, the two processes in turn,
       taking cells that are still being evaluated into account.

    The processes judge the *decoded* cell, not the latent it came from: what is evaluated is the
    cell, and two latents of one cell must get one value. That they take turns makes runs more even
    than one process alone does (the README's figures).

    With ``surrogate`` a predictor (:mod:`latentnas.predictor`) judges in their place: an ensemble
    trained from different seeds, whose mean and covariance over the members take the place of the
    posterior; to be improved on is the highest mean of an observed cell. It is trained anew in every
    :meth:`ask`, on all observations, from a seed made of the strategy's and their number. It learns an
    order: while all observed values are equal there is none, and cells are drawn at random, with a note.

    Args:
        space: the search space or its name.
        latent: a LatentSpace of this space, a folder, or a shipped name; None takes the shipped one.
        initial: number of random cells before the models take over.
        candidates: latents decoded per source and round.
        judges: what the processes read, in the order of their turns: "structure", "latent", or both.
        ard: one lengthscale for each latent dimension instead of one for all; it did not help on
            NAS-Bench-201 (scripts/benchmark_search.py --ard).
        target: how observed values are transformed, "rank" or "standardize".
        exact_limit: most observations of an exact Gaussian process.
        num_inducing: inducing points of the sparse one.
        surrogate: what judges the cells, of :func:`.judges.list_surrogates`: None or "gp" for the Gaussian processes,
            "auto", "forest", or an encoder of a predictor ("latent" trains that of ``latent`` further). With a
            predictor, judges, ard, exact_limit and num_inducing have no meaning and are refused.
        surrogate_options: settings of the predictor, JSON types: those of :class:`latentnas.predictor.Predictor`,
            ``AutoPredictor`` or ``ForestPredictor`` but :data:`.judges.OWN`; an encoder's defaults are
            :data:`.judges.ENSEMBLE`, those of "auto" :data:`.judges.AUTO`, on the CPU.
        seed: seed of every random choice.

    Raises:
        UnknownNameError: there is no such surrogate.
        ConfigError: an option is wrong, or the predictor is not for this space.
    """

    name = "latent-bo"

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        latent: LatentSpace | str | Path | None = None,
        initial: int = 10,
        candidates: int = 1024,
        judges: Sequence[str] = JUDGES,
        ard: bool = False,
        target: str = "rank",
        exact_limit: int = EXACT_LIMIT,
        num_inducing: int = NUM_INDUCING,
        surrogate: str | None = None,
        surrogate_options: Mapping[str, Any] | None = None,
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
        if not isinstance(candidates, int) or isinstance(candidates, bool) or candidates < 1:
            raise ConfigError(f"{self.name}: candidates must be a positive integer, got {candidates!r}")
        names = (judges,) if isinstance(judges, str) else tuple(judges)
        if not names or len(set(names)) < len(names) or not set(names) <= set(JUDGES):
            raise ConfigError(f"{self.name}: judges must be one or both of {', '.join(JUDGES)}, got {judges!r}")
        self.candidates = candidates
        self.surrogate = None if surrogate == GP else surrogate
        self.surrogate_options = checked_options(
            self.name, GP if surrogate is None else surrogate, self.latent, surrogate_options
        )
        self.judges, self.ard = names, ard
        if self.surrogate is not None:
            self._refuse_process_options()
            self.judges = (self.surrogate,)

    def _refuse_process_options(self) -> None:
        defaults = {"judges": JUDGES, "ard": False, "exact_limit": EXACT_LIMIT, "num_inducing": NUM_INDUCING}
        given = [option for option, default in defaults.items() if getattr(self, option) != default]
        if given:
            are = "is an option" if len(given) == 1 else "are options"
            raise ConfigError(
                f"{self.name}: {', '.join(given)} {are} of the Gaussian processes, not of the surrogate "
                f"{self.surrogate!r}"
            )

    def config(self) -> dict[str, object]:
        chosen = {"surrogate": self.surrogate, "surrogate_options": self.surrogate_options}
        return {**super().config(), **(chosen if self.surrogate is not None else {})}

    # --- the batch ------------------------------------------------------------------------------

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        start = self._random_start(n, generator)
        if start is not None:
            return start
        codes, values = self.observed
        surrogates = self.fit(codes, values)
        best = surrogates[self.judges[0]].best
        parents = codes[values.argsort(descending=True, stable=True)[:INCUMBENTS]]
        pool, notes = self._pool(n, parents, generator)
        for judge, surrogate in surrogates.items():
            pool = self._refine(pool, judge, surrogate, best, generator)
        return self._pick(n, pool, surrogates, best, notes)

    def _random_start(self, n: int, generator: torch.Generator) -> Proposals | None:
        start = super()._random_start(n, generator)
        if start is not None or self.surrogate is None:
            return start
        values = self.observed[1]
        targets = target_transform(self.target)(values).forward()
        if bool((targets != targets[0]).any()):
            return None
        proposals = self._random(n, "random", generator)
        proposals.notes.append(
            f"all {len(values):,} values are {float(values[0]):g}: {self.surrogate} has no order to learn yet; "
            "cells are drawn at random"
        )
        return proposals

    def fit(self, codes: Tensor, values: Tensor) -> Mapping[str, Judge]:
        """The surrogates of evaluated cells, by judge: codes [m, D] long, values [m]."""
        if self.surrogate is not None:
            judge = fit_judge(
                self.surrogate,
                self.latent,
                codes,
                values,
                options=self.surrogate_options,
                target=self.target,
                seed=derive_seed(self.seed, self.name, "surrogate", len(codes)),
            )
            return {self.surrogate: judge}
        return {
            judge: fit_gp(
                x := self.features(codes, judge),
                values,
                [FeatureGroup(0, x.shape[1], ard=self.ard and judge == "latent")],
                target=self.target,
                exact_limit=self.exact_limit,
                num_inducing=self.num_inducing,
                seed=self.seed,
            )
            for judge in self.judges
        }

    def features(self, codes: Tensor, judge: str) -> Tensor:
        """What a judge reads of cells: [m, D] long -> [m, f] double; a predictor reads the codes.

        It is read off the canonical code, so that cells that are the same network look the same.
        """
        if self.surrogate is not None:
            return codes
        codes = self.space.canonical(codes)
        if judge == "latent":
            scale = self.latent.scale.clamp_min(1e-6)
            return ((self.latent.encode(codes) - self.latent.center) / scale).double()
        paths = (path_counts(self.space, codes) > 0).double()
        return torch.cat([one_hot_features(self.space, codes), paths], 1)

    def _pick(self, n: int, pool: Pool, surrogates: Mapping[str, Judge], best: float, notes: list[str]) -> Proposals:
        pending = self.pending
        ahead = len(pending)
        features = {judge: self.features(torch.cat([pending, pool.codes]), judge) for judge in surrogates}
        marginals = {judge: surrogates[judge].marginals(x[ahead:]) for judge, x in features.items()}
        short: list[int] = []
        for mean, std in marginals.values():
            order = log_expected_improvement(mean, std, best).argsort(descending=True, stable=True)
            short += order[: max(JOINT // len(surrogates), 4 * n)].tolist()
        order = torch.tensor(list(dict.fromkeys(short)))
        posteriors = []
        for judge, x in features.items():
            mean, covariance = surrogates[judge].joint(torch.cat([x[:ahead], x[ahead:][order]]))
            posteriors.append(JointPosterior(mean, covariance, surrogates[judge].noise))
        batch = greedy_batch(posteriors, best, min(n, len(order)), num_pending=ahead)
        index = order[batch.index - ahead]
        means = torch.stack([mean[index] for mean, _ in marginals.values()])
        variances = torch.stack([std[index].square() for _, std in marginals.values()])
        mean = means.mean(0)  # of the judges' equal mixture
        std = (variances.mean(0) + means.var(0, correction=0)).sqrt()
        value_mean, value_std = surrogates[self.judges[0]].transform.inverse_moments(mean, std)
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

    def _refine(self, pool: Pool, judge: str, surrogate: Judge, best: float, generator: torch.Generator) -> Pool:
        """Add mutants and neighbours of the candidates with the highest expected improvement."""
        mean, std = surrogate.marginals(self.features(pool.codes, judge))
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
