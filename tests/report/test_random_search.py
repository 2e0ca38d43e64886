"""Order statistics against counting every subset, and the curve against simulated searches."""

from __future__ import annotations

import itertools
import math
from itertools import combinations

import pytest
import torch

from latentnas.errors import ObservationError
from latentnas.report.random_search import best_of_draws, draws_for_distinct, random_search_curve


@pytest.mark.parametrize("values", [[3.0, 1.0, 4.0, 1.5, 9.0], [2.0, 2.0, 1.0, 2.0, 0.5, 7.0]])
def test_best_of_draws_counts_subsets(values: list[float]) -> None:
    mean, quantile = best_of_draws(torch.tensor(values), len(values), (0.1, 0.5, 0.9))
    for m in range(1, len(values) + 1):
        best = sorted(max(subset) for subset in combinations(values, m))
        assert float(mean[m - 1]) == pytest.approx(sum(best) / len(best))
        for row, level in enumerate((0.1, 0.5, 0.9)):
            smallest = next(b for b in best if sum(x <= b for x in best) / len(best) >= level - 1e-12)
            assert float(quantile[row, m - 1]) == smallest


def test_drawing_everything_finds_the_best() -> None:
    values = torch.rand(400, generator=torch.Generator().manual_seed(0))
    mean, quantile = best_of_draws(values, 400, (0.1,))
    assert float(mean[-1]) == pytest.approx(float(values.max()))
    assert float(quantile[0, -1]) == pytest.approx(float(values.max()))
    assert bool((mean.diff() >= -1e-12).all())


@pytest.mark.parametrize(
    ("values", "draws", "message"),
    [
        ([], 1, "at least one value"),
        ([1.0, float("nan")], 1, "all finite"),
        ([1.0], 2, r"1\.\.1"),
        ([1.0], 0, r"1\.\.1"),
    ],
)
def test_best_of_draws_refuses(values: list[float], draws: int, message: str) -> None:
    with pytest.raises(ObservationError, match=message):
        best_of_draws(torch.tensor(values), draws)


def test_draws_for_distinct_by_hand() -> None:
    assert draws_for_distinct([1, 1, 1], 3).tolist() == [1.0, 2.0, 3.0]
    # Codes a, a, b: one draw meets 1 network, two meet 5/3, three meet 2.
    assert draws_for_distinct([2, 1], 2).tolist() == pytest.approx([1.0, 3.0])
    # Codes a, a, b, b: two draws meet 1 + 2/3, three always meet 2.
    assert draws_for_distinct([2, 2], 2).tolist() == pytest.approx([1.0, 3.0])
    with pytest.raises(ObservationError, match=r"1\.\.2"):
        draws_for_distinct([2, 1], 3)


def test_curve_of_distinct_codes_is_best_of_draws() -> None:
    values = torch.arange(12.0)
    curve = random_search_curve(values, [str(k) for k in range(12)], 5)
    mean, quantile = best_of_draws(values, 5, (0.1, 0.9))
    torch.testing.assert_close(curve.mean, mean)
    torch.testing.assert_close(torch.stack([curve.low, curve.high]), quantile)


def test_curve_stays_when_every_network_is_known() -> None:
    curve = random_search_curve(torch.tensor([1.0, 2.0, 3.0]), ["a", "b", "c"], 6)
    assert curve.mean.tolist() == pytest.approx([2.0, 8 / 3, 3.0, 3.0, 3.0, 3.0])


def test_curve_agrees_with_simulated_searches() -> None:
    generator = torch.Generator().manual_seed(0)
    # 500 codes of 200 networks; codes of one network differ by noise, as in measured tables.
    network = torch.randint(200, (500,), generator=generator)
    quality = 90 + 3 * torch.rand(200, generator=generator).double().sqrt()
    values = quality[network] + 0.02 * torch.randn(500, generator=generator, dtype=torch.double)
    keys = [str(int(n)) for n in network]
    runs = []
    for _ in range(1500):
        best, seen, curve = -1.0, set(), []
        for row in torch.randperm(500, generator=generator).tolist():
            if keys[row] not in seen:
                seen.add(keys[row])
                best = max(best, float(values[row]))
                curve.append(best)
            if len(curve) == 40:
                break
        runs.append(curve)
    simulated = torch.tensor(runs, dtype=torch.double)
    error = simulated.std(0) / len(runs) ** 0.5
    expected = random_search_curve(values, keys, 40)
    assert bool(((simulated.mean(0) - expected.mean).abs() <= 4 * error + 0.01).all())
    inside = ((simulated >= expected.low) & (simulated <= expected.high)).double().mean(0)
    # A quantile of a table is one of its values, which counts as inside: rather more than 80% than less.
    assert float(inside.min()) > 0.75
    assert float(inside.max()) < 0.9


def test_draws_without_a_value_against_every_order() -> None:
    # Three values and two draws without one; best of m of the five, over every order of them.
    values, missing = [1.0, 2.0, 4.0], 2
    mean, quantile = best_of_draws(torch.tensor(values), 5, (0.1, 0.5), missing=missing)
    for m in range(1, 6):
        bests = [max(order[:m]) for order in itertools.permutations([*values, -math.inf, -math.inf])]
        found = sorted(best for best in bests if best > -math.inf)
        assert float(mean[m - 1]) == pytest.approx(sum(found) / len(found))
        for q, level in enumerate((0.1, 0.5)):
            at = sorted(bests)[math.ceil(level * len(bests) - 1e-9) - 1]
            if at == -math.inf:
                assert math.isnan(quantile[q, m - 1])
            else:
                assert float(quantile[q, m - 1]) == at


def test_long_curves_leave_only_what_is_negligible_out() -> None:
    # The mean of the best of m of the ranks 1..n is m (n + 1) / (m + 1).
    n, draws = 20_000, 2_000
    mean, _ = best_of_draws(torch.arange(1, n + 1), draws)
    m = torch.arange(1, draws + 1, dtype=torch.double)
    torch.testing.assert_close(mean, m * (n + 1) / (m + 1), rtol=1e-9, atol=0)


def test_codes_without_a_value_are_failed_evaluations() -> None:
    values = torch.tensor([math.nan, 1.0, math.nan, 3.0], dtype=torch.double)
    curve = random_search_curve(values, [0, 1, 2, 3], 4)
    assert curve is not None
    # First draw: 1 or 3 as likely. Two draws: none in 1 of 6 pairs, 1 in 2, 3 in 3 of 6.
    assert curve.mean.tolist() == pytest.approx([2.0, (2 * 1 + 3 * 3) / 5, 2.5, 3.0])
    assert math.isnan(curve.low[0]) and float(curve.high[0]) == 3.0
    assert random_search_curve(torch.full((3,), math.nan), [0, 1, 2], 2) is None
