"""latentnas/evaluation/zero_cost/passes.py: small functions on tensors."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import avg_pool2d

from latentnas.evaluation.zero_cost.passes import log_determinant, log_flow, neighbourhood_means


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
