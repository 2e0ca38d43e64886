"""latentnas/evaluation/zero_cost/passes.py: small functions on tensors."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import avg_pool2d

from latentnas.evaluation.zero_cost.passes import (
    log_determinant,
    log_flow,
    neighbourhood_means,
    principal_entropy,
)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 9, 16])
def test_neighbourhood_means_are_average_pooling(size: int) -> None:
    x = torch.randn(2, 3, 4, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = avg_pool2d(x.flatten(1, 2), 3, stride=1, padding=1, count_include_pad=False).view_as(x)
    torch.testing.assert_close(neighbourhood_means(x), expected)


def test_log_determinant() -> None:
    # [[3, 1], [1, 3]]: 8. Equal rows: 0. Three images of which two have one code: 0.
    kernels = torch.tensor([[[3.0, 1.0], [1.0, 3.0]], [[4.0, 4.0], [4.0, 4.0]]], dtype=torch.float64)
    assert log_determinant(kernels).tolist() == pytest.approx([math.log(8), 0])
    twins = torch.tensor([[[1e6, 1e6, 7.0], [1e6, 1e6, 7.0], [7.0, 7.0, 1e6]]], dtype=torch.float64)
    assert log_determinant(twins).tolist() == [0]


def test_log_flow() -> None:
    flow = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    scale = torch.tensor([5.0, 0.0, 1000.0], dtype=torch.float64)
    assert log_flow(flow, scale).tolist() == pytest.approx([0, math.log(2), math.log(2) + 1000])


def test_entropy_of_principal_components() -> None:
    """Two channels of equal variance: log 2; of one value or two that are proportional: 0."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(12, 3, generator=generator, dtype=torch.float64))[0].T  # orthonormal
    ones = torch.ones(12, dtype=torch.float64)

    def entropy(*channels: torch.Tensor, center: bool = False) -> float:
        x = torch.stack(channels).view(1, len(channels), 3, 2, 2).permute(2, 0, 1, 3, 4)
        (found,) = principal_entropy(x, center=center).tolist()
        return found

    assert entropy(rows[0], rows[1]) == pytest.approx(math.log(2))
    assert entropy(rows[0], rows[1], rows[2]) == pytest.approx(math.log(3))
    assert entropy(1e-20 * rows[0], 1e-20 * rows[1]) == pytest.approx(math.log(2)), "whatever the scale"
    assert entropy(rows[0], 3 * rows[0]) == pytest.approx(0, abs=1e-9)
    assert entropy(2 * rows[0], rows[1]) == pytest.approx(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2)))
    assert entropy(ones, 5 * ones, center=True) == 0
    assert entropy(ones * (1 / 3), 7 / 9 * ones + 1e-9 * rows[0], center=True) == 0, "rounding is no variance"
    assert entropy(0 * ones, 0 * ones) == 0
    mean = ones / 12**0.5
    first = rows[0] - (rows[0] @ mean) * mean
    assert entropy(first + 9 * ones, 2 * first, center=True) == pytest.approx(0, abs=1e-9)
