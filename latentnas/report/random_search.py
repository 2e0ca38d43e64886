"""What random search would have found: exact order statistics of a table of known values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ObservationError


@dataclass(frozen=True, eq=False)
class RandomCurve:
    """Best value so far of random search, after 1..K evaluations of distinct networks.

    Attributes:
        mean: [K] double, its expectation.
        low: [K] double, its 10% quantile.
        high: [K] double, its 90% quantile.
    """

    mean: Tensor
    low: Tensor
    high: Tensor


def best_of_draws(values: Tensor, draws: int, quantiles: Sequence[float] = ()) -> tuple[Tensor, Tensor]:
    """Distribution of the best of m values drawn without replacement, for m = 1..``draws``.

    With the N values in ascending order, the best of m draws is at most the i-th exactly when all m
    come from the first i: P(best <= v_(i)) = C(i, m) / C(N, m). It follows from m - 1 by the factor
    (i - m + 1) / (N - m + 1), so there is neither sampling nor an approximation.

    Args:
        values: [N] finite floats.
        draws: from 1 to N.
        quantiles: Q numbers in (0, 1).

    Returns:
        mean: [draws] double, the expectation.
        quantile: [Q, draws] double, the smallest value that the best does not exceed with that probability.

    Raises:
        ObservationError: no values, values that are not finite, or ``draws`` out of range.
    """
    ordered = torch.as_tensor(values).double().flatten().sort().values
    n = len(ordered)
    if n == 0 or not bool(ordered.isfinite().all()):
        raise ObservationError(f"best_of_draws: expected at least one value, all finite, got {n}")
    if not 1 <= draws <= n:
        raise ObservationError(f"best_of_draws: draws must be in 1..{n}, got {draws}")
    rank = torch.arange(1, n + 1, dtype=torch.double)
    below = torch.ones(n, dtype=torch.double)
    start = torch.zeros(1, dtype=torch.double)
    level = torch.tensor(list(quantiles), dtype=torch.double)
    mean = torch.empty(draws, dtype=torch.double)
    quantile = torch.empty(len(level), draws, dtype=torch.double)
    for m in range(1, draws + 1):
        below = below * ((rank - m + 1).clamp_min(0) / (n - m + 1))
        mean[m - 1] = (ordered * torch.diff(below, prepend=start)).sum()
        quantile[:, m - 1] = ordered[torch.searchsorted(below, level - 1e-12).clamp_max(n - 1)]
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


def random_search_curve(values: Tensor, keys: Sequence[str], evaluations: int) -> RandomCurve:
    """The curve of random search over a table, where codes of the same network are evaluated once.

    Codes are drawn uniformly without replacement (see :func:`best_of_draws`, exact); a code whose
    network was met before costs nothing, so the curve after k evaluations is read at the mean number
    of draws that meet k networks (see :func:`draws_for_distinct`), linearly between whole numbers.

    Args:
        values: [N] finite floats, of every code of the space.
        keys: N texts, equal for codes of the same network.
        evaluations: at least 1; beyond the number of networks the curve stays where it is.
    """
    sizes = list(Counter(keys).values())
    steps = min(evaluations, len(sizes))
    position = draws_for_distinct(sizes, steps)
    draws = min(int(position[-1].ceil()), len(values))
    mean, quantile = best_of_draws(values, draws, (0.1, 0.9))
    table = torch.cat([mean[None], quantile])
    left = (position.floor().long() - 1).clamp(0, draws - 1)
    right = (left + 1).clamp_max(draws - 1)
    share = (position - 1 - left).clamp(0, 1)
    curve = table[:, left] * (1 - share) + table[:, right] * share
    curve = torch.cat([curve, curve[:, -1:].expand(-1, evaluations - steps)], 1)
    return RandomCurve(*curve)
