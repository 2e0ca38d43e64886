"""latentnas/evaluation/networks/nasbench201.py, against published parameter counts and hand computation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.evaluation.costs import count_costs
from latentnas.evaluation.networks import NASBench201Network, build_network, list_networks
from latentnas.evaluation.networks.nasbench201 import Cell, ReductionBlock
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
NONE, SKIP, CONV1, CONV3, POOL = range(5)


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [
        # 3 x 3 convolutions everywhere: published as 1.531546 M parameters and 220.11969 M operations, the
        # latter with the classifier's 10 biases.
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_531_546,
            220_119_680,
        ),
        # The published best cell on CIFAR-10: 1.073466 M parameters, 153.27297 M operations.
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_073_466,
            153_272_960,
        ),
        # No convolution: published as 0.073306 M parameters and 7.78305 M operations.
        ("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|skip_connect~1|none~2|", 73_306, 7_783_040),
    ],
)
def test_published_configuration_has_the_published_costs(text: str, parameters: int, macs: int) -> None:
    network = NASBench201Network(SPACE.parse(text)[0])
    assert sum(p.numel() for p in network.parameters()) == parameters
    costs = count_costs(network.to("meta"), (3, 32, 32))
    assert (costs.parameters, costs.macs) == (parameters, macs)


def test_cell_adds_what_its_edges_carry() -> None:
    """Cells of skips and pooling only, against sums written out."""
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Cell([NONE] * 6, 3)(x), torch.zeros_like(x))
    torch.testing.assert_close(Cell([SKIP] * 6, 3)(x), 4 * x)
    torch.testing.assert_close(Cell([SKIP, NONE, SKIP, SKIP, NONE, SKIP], 3)(x), 2 * x)
    # The mean over the neighbours that exist: 4 in a corner, 9 inside.
    pooled = Cell([NONE, NONE, NONE, POOL, NONE, NONE], 3)(x)
    torch.testing.assert_close(pooled[0, 0, 0, 0], x[0, 0, :2, :2].mean())
    torch.testing.assert_close(pooled[0, 0, 2, 2], x[0, 0, 1:4, 1:4].mean())


def test_convolution_is_relu_convolution_normalisation() -> None:
    cell = Cell([NONE, NONE, NONE, CONV1, NONE, NONE], 2)
    conv = next(module for module in cell.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]])[:, :, None, None])
    x = torch.tensor([[-1.0, 4.0], [3.0, 1.0]])[:, :, None, None]  # relu: [0, 4], [3, 1] -> conv: [8, -4], [5, -1]
    expected = torch.tensor([[8.0, -4.0], [5.0, -1.0]])
    expected = (expected - expected.mean(0)) / (expected.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(cell(x)[:, :, 0, 0], expected)


def test_edges_feed_the_right_vertices() -> None:
    """Gradient reaches an edge's weights exactly where the edge lies on a path to the output."""
    code = [CONV3, NONE, NONE, NONE, CONV3, CONV3]  # 0-1, 1-3 on the path; 2-3 is fed by zeros
    cell = Cell(code, 2)
    cell(torch.randn(4, 2, 4, 4)).square().sum().backward()
    grads = {
        name: float(p.grad.abs().sum()) for name, p in cell.named_parameters() if p.ndim == 4 and p.grad is not None
    }
    assert grads["operations.0_1.1.weight"] > 0
    assert grads["operations.1_3.1.weight"] > 0
    assert grads["operations.2_3.1.weight"] == 0


@pytest.mark.parametrize("size", [1, 7, 8])
def test_reduction_halves_every_size_rounding_up(size: int) -> None:
    block = ReductionBlock(2, 4)
    assert block(torch.randn(3, 2, size, size)).shape == (3, 4, (size + 1) // 2, (size + 1) // 2)


def test_options_change_the_shapes() -> None:
    code = SPACE.sample(1, seed=0)[0]
    network = NASBench201Network(code, channels=4, cells=2, stages=1, classes=7, in_channels=1)
    assert network(torch.randn(3, 1, 9, 11)).shape == (3, 7)
    assert sum(isinstance(module, Cell) for module in network.modules()) == 2
    assert not any(isinstance(module, ReductionBlock) for module in network.modules())


def test_a_cell_that_returns_zero_gives_every_image_the_same_scores() -> None:
    network = NASBench201Network([NONE] * 6, channels=4, cells=1)
    scores = network(torch.randn(5, 3, 8, 8))
    torch.testing.assert_close(scores, scores[:1].expand(5, -1))
    scores.sum().backward()


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="at least 1, got cells=0, classes=-1"):
        NASBench201Network([0] * 6, cells=0, classes=-1)
    with pytest.raises(InvalidCodeError, match="nasbench201"):
        NASBench201Network([0] * 5)
    with pytest.raises(InvalidCodeError, match="is 7"):
        NASBench201Network(torch.tensor([7] * 6))


def test_registry() -> None:
    sizes = {"channels": 2, "cells": 1, "stages": 1, "classes": 2, "in_channels": 1}
    assert "nasbench201" in list_networks()
    assert isinstance(build_network("nasbench201", [0] * 6, **sizes), NASBench201Network)
    with pytest.raises(ConfigError, match=r"enas_macro6 cannot be built.*nasbench201"):
        build_network("enas_macro6", [0] * 21, **sizes)
