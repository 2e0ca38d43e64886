r"""NAR's search: sample by the statistics of the best quality tier, classify and score with the trained ranker.

Guo et al., "Generalized Global Ranking-Aware Neural Architecture Ranker" (CVPR 2022), section 3.3 and Algorithms 1 and
2. The ranker is trained once, on the first cells. Then each batch of proposals comes from ``sample_size`` cells: a
share of them uniform, the others drawn by what is known of the best tier. Their operations follow the frequencies
:math:`\hat\pi_{T_1}^{operations}`, and cells that exceed a constraint on FLOPs or parameters are rejected; constraints
are drawn from :math:`\hat\pi_{T_1}^{FLOPs}` and :math:`\hat\pi_{T_1}^{params}` (eq. 15) where Algorithm 2 keeps these,
else uniformly from their interval. Of the cells that the ranker puts into tier 1 those of the highest score are
proposed; of the others only where there are too few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ConfigError, ExhaustedError
from ..models.predictors.tiers import Histogram, histogram, select_distribution, tier_labels
from ..seeding import derive_seed
from ..spaces import SearchSpace
from .base import Proposals, Strategy

if TYPE_CHECKING:
    from ..predictor import Predictor

BINS = 10
"""q of eq. 14."""

DIVERGENCE, FEW, BAD_TIER = 2.5, 0.1, 4
"""zeta, theta and beta of Algorithm 2."""

REUSE = 25
"""Cells that are drawn under one pair of constraints."""

POOL = 20
"""Cells to draw from, per cell of the sample."""

LEARNING_RATE = 4e-3


class NARSearch(Strategy):
    """NAR's sampling, see the module.

    Args:
        space: the search space or its name; costs of its networks must be known.
        initial: random cells first, from which the ranker learns; at least 5 (one a tier).
        sample_size: k, cells that are scored for each batch of proposals.
        random_share: share of them that is drawn uniformly.
        epochs: of the ranker's training.
        options: of the encoder, see :class:`latentnas.models.predictors.NAREncoder`.
        seed: seed of every random choice.

    Raises:
        ConfigError: an option is out of its range, or the space has no image network.
    """

    name = "nar"

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        initial: int = 100,
        sample_size: int = 256,
        random_share: float = 0.5,
        epochs: int = 150,
        options: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        faults = []
        for option, value, least in (("initial", initial, 5), ("sample_size", sample_size, 1), ("epochs", epochs, 1)):
            if type(value) is not int or value < least:
                faults.append(f"{option} must be an integer of at least {least}, got {value!r}")
        if not isinstance(random_share, int | float) or not 0 <= random_share <= 1:
            faults.append(f"random_share must be a number in 0..1, got {random_share!r}")
        if faults:
            raise ConfigError("nar: " + "; ".join(faults))
        super().__init__(space, seed=seed)
        self.space.costs(self.space.sample(1, seed=0))  # raises where they are not known
        self.initial, self.sample_size, self.epochs = initial, sample_size, epochs
        self.random_share, self.options = random_share, options
        self._ranker: Predictor | None = None
        self._trained_on = torch.empty(0, self.space.dim, dtype=torch.long)

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        missing = self.initial - len(self.codes) - len(self._pending)
        codes, values = self.observed
        codes, values = codes[: self.initial], values[: self.initial]
        if len(codes.unique(dim=0)) < 2 or bool((values == values[0]).all()):  # no order to learn yet
            first = self.sample_new(n if missing <= 0 else min(n, missing), generator)
            return Proposals(first, ["initial"] * len(first))
        if missing > 0:
            first = self.sample_new(min(n, missing), generator)
            return Proposals(first, ["initial"] * len(first))
        ranker = self._trained(codes, values)
        return self._best(n, ranker, self._sample(codes, values, generator), generator)

    def _trained(self, codes: Tensor, values: Tensor) -> Predictor:
        """The ranker after training on the first cells; trained again only where these have changed."""
        from ..predictor import Predictor

        if self._ranker is None or not torch.equal(self._trained_on, codes):
            self._ranker = Predictor(
                "nar",
                space=self.space,
                options=self.options,
                loss="nar",
                epochs=self.epochs,
                learning_rate=LEARNING_RATE,
                head=(32,),
                seed=derive_seed(self.seed, self.name, "ranker"),
                device="cpu",
            ).fit(codes, values)
            self._trained_on = codes
        return self._ranker

    # --- sampling -------------------------------------------------------------------------------

    def _sample(self, codes: Tensor, values: Tensor, generator: torch.Generator) -> Tensor:
        """k cells, a share of them uniform and the others by the statistics of tier 1: [k, D] long."""
        uniform = round(self.random_share * self.sample_size)
        drawn = [self.space.sample(uniform, seed=generator)]
        wanted = self.sample_size - uniform
        if wanted:
            labels = tier_labels(values)
            pool = self.space.sample(POOL * wanted, seed=generator)
            weights = operation_weights(self.space, pool, codes[labels == 0], codes)
            known, costs = self.space.costs(codes), self.space.costs(pool)
            limits = [
                (histogram(getattr(known, name), labels, BINS), getattr(costs, name)) for name in ("macs", "params")
            ]
            for start in range(0, wanted, REUSE):
                allowed = torch.ones(len(pool), dtype=torch.bool)
                for found, cost in limits:
                    allowed &= cost <= draw_constraint(found, len(codes), generator)
                count = min(REUSE, wanted - start, int(allowed.sum()))
                if count:
                    drawn.append(pool[torch.multinomial(weights * allowed, count, generator=generator)])
        return torch.cat(drawn)

    def _best(self, n: int, ranker: Predictor, sample: Tensor, generator: torch.Generator) -> Proposals:
        """The new cells of tier 1 with the highest scores, then those of other tiers, then random ones."""
        index, _ = self.new_only(sample)
        sample = sample[index]
        sources: list[str] = []
        scores = torch.empty(0, dtype=torch.double)
        if len(sample):
            scores = torch.from_numpy(ranker.predict(sample))
            best_tier = ranker.explain(sample)["tiers"].argmax(1) == 0
            order = scores.argsort(descending=True, stable=True)
            order = order[best_tier[order].long().argsort(descending=True, stable=True)][:n]
            sample, scores, best_tier = sample[order], scores[order], best_tier[order]
            sources = ["tier 1" if best else "other tier" for best in best_tier.tolist()]
        if len(sample) < n:
            try:
                more = self.sample_new(n - len(sample), generator, set(self.space.keys(sample)))
            except ExhaustedError:
                if not len(sample):
                    raise
                more = sample[:0]
            scores = torch.cat([scores, torch.from_numpy(ranker.predict(more))])
            sample, sources = torch.cat([sample, more]), sources + ["random"] * len(more)
        return Proposals(sample, sources, acquisition=scores)


def operation_weights(space: SearchSpace, pool: Tensor, best: Tensor, all_cells: Tensor) -> Tensor:
    r"""How much likelier each cell is under the operations of the best tier than under those of all cells.

    Drawing uniform cells with these weights leaves connections uniform and makes operations follow
    :math:`\hat\pi_{T_1}^{operations}`: the product over a cell's vertices of the ratio of both frequencies (with one
    count added to each, so that nothing unseen is impossible).

    Args:
        space: the space.
        pool, best, all_cells: codes [m, D], [b, D] and [n, D].

    Returns:
        [m] double, the largest 1.
    """
    ratio = (_frequencies(space, best) / _frequencies(space, all_cells)).log()
    graphs = space.node_graphs(pool)
    logs = (ratio[graphs.ops] * graphs.mask).sum(1)
    return (logs - logs.max()).exp()


def _frequencies(space: SearchSpace, codes: Tensor) -> Tensor:
    graphs = space.node_graphs(codes)
    counts = 1 + torch.bincount(graphs.ops[graphs.mask], minlength=len(space.node_types)).double()
    return counts / counts.sum()


def draw_constraint(found: Histogram, batch: int, generator: torch.Generator) -> int:
    """An upper bound of a cost, from the distribution of tier 1 or its interval (Algorithm 2)."""
    chosen = select_distribution(found, batch=batch, factor=FEW, threshold=DIVERGENCE, tier=BAD_TIER)
    slot = torch.multinomial(chosen, 1, generator=generator)
    return int(found.bounds(slot)[1])
