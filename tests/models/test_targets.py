from __future__ import annotations

from statistics import NormalDist

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentnas.errors import ObservationError, UnknownNameError
from latentnas.models.targets import NormalScores, Standardize, target_transform

QUANTILE = NormalDist().inv_cdf
VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=1, max_size=30)
TRANSFORMS = ["rank", "standardize"]


def double(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


def test_normal_scores_by_hand() -> None:
    scores = NormalScores(double([3.0, 1.0, 100.0, 2.0])).forward()
    expected = [QUANTILE(2.5 / 4), QUANTILE(0.5 / 4), QUANTILE(3.5 / 4), QUANTILE(1.5 / 4)]
    torch.testing.assert_close(scores, double(expected), rtol=1e-10, atol=1e-10)


def test_ties_share_the_mean_of_their_ranks() -> None:
    scores = NormalScores(double([7.0, 1.0, 7.0, 7.0, 9.0])).forward()
    middle = QUANTILE((3 - 0.5) / 5)  # ranks 2, 3, 4
    expected = [middle, QUANTILE(0.1), middle, middle, QUANTILE(0.9)]
    torch.testing.assert_close(scores, double(expected), rtol=1e-10, atol=1e-10)


def test_standardize_by_hand() -> None:
    transform = Standardize(double([1.0, 3.0, 5.0]))
    spread = (8 / 3) ** 0.5
    torch.testing.assert_close(transform.forward(), double([-2 / spread, 0, 2 / spread]))
    torch.testing.assert_close(transform.inverse(double([0.5])), double([3 + 0.5 * spread]))


def test_rank_inverse_interpolates_and_goes_on_beyond() -> None:
    transform = NormalScores(double([10.0, 20.0, 40.0]))
    high = QUANTILE(2.5 / 3)
    assert float(transform.inverse(double([high / 2]))) == pytest.approx(30)
    slope = (40 - 20) / high
    assert float(transform.inverse(double([high + 1]))) == pytest.approx(40 + slope)
    assert float(transform.inverse(double([-high - 1]))) == pytest.approx(10 - (20 - 10) / high)


@pytest.mark.parametrize("name", TRANSFORMS)
@given(values=VALUES)
def test_inverse_undoes_forward(name: str, values: list[float]) -> None:
    transform = target_transform(name)(double(values))
    torch.testing.assert_close(transform.inverse(transform.forward()), double(values), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", TRANSFORMS)
@given(values=VALUES)
def test_both_ways_are_monotone(name: str, values: list[float]) -> None:
    transform = target_transform(name)(double(values))
    order = double(values).argsort()
    assert bool((transform.forward()[order].diff() >= -1e-12).all())
    grid = torch.linspace(-6, 6, 101, dtype=torch.double)
    assert bool((transform.inverse(grid).diff() >= -1e-9).all())


@pytest.mark.parametrize("name", TRANSFORMS)
def test_constant_values_become_zeros(name: str) -> None:
    transform = target_transform(name)(double([4.0, 4.0, 4.0]))
    assert transform.forward().tolist() == [0.0, 0.0, 0.0]
    assert float(transform.inverse(double([0.0]))) == 4.0


def test_moments_are_images_of_mean_and_spread() -> None:
    transform = Standardize(double([0.0, 2.0]))  # mean 1, standard deviation 1
    mean, std = transform.inverse_moments(double([2.0]), double([0.25]))
    assert (float(mean), float(std)) == pytest.approx((3.0, 0.25))


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_values_that_define_no_transform(name: str, values: list[float]) -> None:
    with pytest.raises(ObservationError, match="at least one finite value"):
        target_transform(name)(double(values))


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rank'"):
        target_transform("ranks")
