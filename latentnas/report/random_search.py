"""What random search would have found: exact order statistics of a table of known values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ObservationError


@dataclass(frozen=True, eq=False)
class RandomCurve:
    """Best value so far of random search, after 1..K evaluations of distinct networks.

    Attributes:
        mean: [K] double, its expectation over the runs that have met a value.
        low: [K] double, its 10% quantile; NaN while more than 10% of the runs have met none.
        high: [K] double, its 90% quantile; NaN while more than 90% of the runs have met none.
    """

    mean: Tensor
    low: Tensor
    high: Tensor


NEGLIGIBLE = 1e-18
"""Ranks that the best stays below with less than this probability are left out of the sums."""


def best_of_draws(
    values: Tensor, draws: int, quantiles: Sequence[float] = (), *, missing: int = 0
) -> tuple[Tensor, Tensor]:
    """Distribution of the best of m values drawn without replacement, for m = 1..``draws``.

    With the N values in ascending order, the best of m draws is at most the i-th exactly when all m
    come from the first i: P(best <= v_(i)) = C(i, m) / C(N, m). It follows from m - 1 by the factor
    (i - m + 1) / (N - m + 1), so there is neither sampling nor an approximation. Draws without a value
    count as ranks below all values.

    Args:
        values: [n] finite floats.
        draws: from 1 to N = n + ``missing``.
        quantiles: Q numbers in (0, 1).
        missing: how many further draws give no value.

    Returns:
        mean: [draws] double, the expectation where there is a value.
        quantile: [Q, draws] double, the smallest value that the best does not exceed with that probability;
            NaN where with that probability there is none.

    Raises:
        ObservationError: no values, values that are not finite, or ``draws`` out of range.
    """
    ordered = torch.as_tensor(values).double().flatten().sort().values
    if len(ordered) == 0 or not bool(ordered.isfinite().all()):
        raise ObservationError(f"best_of_draws: expected at least one value, all finite, got {len(ordered)}")
    n = len(ordered) + missing
    if not 1 <= draws <= n:
        raise ObservationError(f"best_of_draws: draws must be in 1..{n}, got {draws}")
    # Rank 0 stands for "no value", the others for the values.
    rank = missing + torch.arange(len(ordered) + 1, dtype=torch.double)
    below = torch.ones(len(rank), dtype=torch.double)
    level = torch.tensor(list(quantiles), dtype=torch.double)
    mean = torch.empty(draws, dtype=torch.double)
    quantile = torch.empty(len(level), draws, dtype=torch.double)
    for m in range(1, draws + 1):
        below = below * ((rank - m + 1).clamp_min(0) / (n - m + 1))
        mean[m - 1] = (ordered * below.diff()).sum() / (1 - below[0])
        place = torch.searchsorted(below, level - 1e-12)
        found = ordered[(place - 1).clamp(0, len(ordered) - 1)]
        quantile[:, m - 1] = found.where(place > 0, torch.nan)
        # The more draws, the fewer low ranks matter; leaving them out makes long curves of large tables cheap.
        cut = int(torch.searchsorted(below, NEGLIGIBLE)) - 1
        if cut > 0:
            rank, below, ordered = rank[cut:], below[cut:], ordered[cut:]
    return mean, quantile


def draws_for_distinct(sizes: Sequence[int], distinct: int) -> Tensor:
    """How many codes random search draws to meet k different networks, for k = 1..``distinct``.

    Where network i has n_i of the N codes, m draws without replacement meet on average
    sum_i (1 - C(N - n_i, m) / C(N, m)) networks; this is that function's inverse, linear between
    whole m.

    Args:
        sizes: the number of codes of every network.
        distinct: from 1 to the number of networks.

    Returns:
        [distinct] double, increasing, the first is 1.
    """
    if not 1 <= distinct <= len(sizes):
        raise ObservationError(f"draws_for_distinct: distinct must be in 1..{len(sizes)}, got {distinct}")
    groups = Counter(sizes)
    size = torch.tensor(list(groups), dtype=torch.double)
    count = torch.tensor(list(groups.values()), dtype=torch.double)
    n = int((size * count).sum())
    unseen = torch.ones_like(size)
    met = [0.0]
    needed: list[float] = []
    for m in range(n):
        unseen = unseen * ((n - size - m).clamp_min(0) / (n - m))
        met.append(float((count * (1 - unseen)).sum()))
        while len(needed) < distinct and met[-1] >= len(needed) + 1 - 1e-9:
            needed.append(m + (len(needed) + 1 - met[-2]) / (met[-1] - met[-2]))
        if len(needed) == distinct:
            break
    return torch.tensor(needed, dtype=torch.double)


def random_search_curve(values: Tensor, keys: Sequence[Hashable], evaluations: int) -> RandomCurve | None:
    """The curve of random search over a space, where codes of the same network are evaluated once.

    Codes are drawn uniformly without replacement (see :func:`best_of_draws`, exact); a code whose
    network was met before costs nothing, so the curve after k evaluations is read at the mean number
    of draws that meet k networks (see :func:`draws_for_distinct`), linearly between whole numbers.

    Args:
        values: [N] floats, of every code of the space; NaN where there is none, which is a failed evaluation.
        keys: N texts or numbers, equal for codes of the same network.
        evaluations: at least 1; beyond the number of networks the curve stays where it is.

    Returns:
        The curve; None where no code has a value.
    """
    given = values[values.isfinite()]
    if len(given) == 0:
        return None
    sizes = list(Counter(keys).values())
    steps = min(evaluations, len(sizes))
    position = draws_for_distinct(sizes, steps)
    draws = min(int(position[-1].ceil()), len(values))
    mean, quantile = best_of_draws(given, draws, (0.1, 0.9), missing=len(values) - len(given))
    table = torch.cat([mean[None], quantile])
    left = (position.floor().long() - 1).clamp(0, draws - 1)
    right = (left + 1).clamp_max(draws - 1)
    share = (position - 1 - left).clamp(0, 1)
    curve = torch.where(share > 0, table[:, left] * (1 - share) + table[:, right] * share, table[:, left])
    curve = torch.cat([curve, curve[:, -1:].expand(-1, evaluations - steps)], 1)
    return RandomCurve(*curve)
