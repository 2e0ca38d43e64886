"""latentnas/evaluation/networks/nasbench101.py, against published counts and hand computation.

Parameters and multiply-adds of random cells are compared with the worked-out ones in
tests/spaces/costs/test_nasbench101.py.
"""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from latentnas.errors import ConfigError, InvalidCodeError
from latentnas.evaluation.costs import count_costs
from latentnas.evaluation.networks import NASBench101Network, build_network, list_networks
from latentnas.evaluation.networks.nasbench101 import Cell
from latentnas.evaluation.training import TrainingEvaluator
from latentnas.spaces import get_space

SPACE = get_space("nasbench101")
CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


def code(edges: str, *ops: str) -> Tensor:
    """A cell by its edges, e.g. "01 12", and its operations."""
    nodes = len(ops) + 2
    matrix = [[int(f"{i}{j}" in edges.split()) for j in range(nodes)] for i in range(nodes)]
    return SPACE.parse(json.dumps({"matrix": matrix, "ops": ["input", *ops, "output"]}))[0]


def cell(row: Tensor, in_channels: int, out_channels: int) -> Cell:
    return Cell(SPACE.node_graphs(row[None]), SPACE.node_types, in_channels, out_channels)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


README = code("01 02 03 05 16 26 34 46 56", CONV1, CONV3, CONV3, CONV3, POOL)


def test_published_configuration_has_the_published_costs() -> None:
    """The cell of the benchmark's README: 2,694,282 trainable parameters."""
    network = NASBench101Network(README).to("meta")
    costs = count_costs(network, (3, 32, 32))
    assert (costs.parameters, costs.macs) == (2_694_282, 402_002_944)


def test_cell_sums_inside_and_concatenates_at_the_output() -> None:
    """input -> pool 1 -> pool 2, both to the output, and input -> output, against operations written out."""
    module = cell(code("01 12 13 23 03", POOL, POOL), 2, 6).eval()
    x = images(2, 2, 5, 5)
    projected = module.projections["1"](x)
    first = nn.functional.max_pool2d(projected, 3, 1, 1)
    second = nn.functional.max_pool2d(first, 3, 1, 1)
    expected = torch.cat([first, second], 1) + module.projections["3"](x)
    assert projected.shape[1] == 3
    torch.testing.assert_close(module(x), expected)


def test_too_many_channels_are_cut_from_the_end() -> None:
    """Of 3 channels the first end gets 2; the second, which it feeds, takes the first one of them."""
    module = cell(code("01 12 13 23", POOL, POOL), 2, 3).eval()
    x = images(2, 2, 4, 4)
    values = module(x)
    assert values.shape == (2, 3, 4, 4)
    torch.testing.assert_close(values[:, 2:], nn.functional.max_pool2d(values[:, :1], 3, 1, 1))


def test_projection_is_convolution_normalisation_relu() -> None:
    module = cell(code("01"), 2, 2)
    conv = next(module for module in module.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]])[:, :, None, None])
    x = torch.tensor([[-1.0, 4.0], [3.0, 1.0]])[:, :, None, None]
    expected = torch.tensor([[7.0, -4.0], [5.0, -1.0]])
    expected = (expected - expected.mean(0)) / (expected.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(module(x)[:, :, 0, 0], expected.relu())


def test_gradient_reaches_every_parameter() -> None:
    for row in torch.cat([README[None], SPACE.sample(5, seed=0)]):
        network = NASBench101Network(row, channels=8, cells=2, stages=2)
        network(images(8, 3, 8, 8)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.abs().sum() > 0), name


def test_options_change_the_shapes() -> None:
    network = NASBench101Network(README, channels=5, cells=2, stages=3, classes=7, in_channels=1)
    assert network(images(3, 1, 9, 11)).shape == (3, 7)
    assert sum(isinstance(module, Cell) for module in network.modules()) == 6
    assert network.body(network.stem(images(3, 1, 9, 11))).shape == (3, 20, 3, 3)


def test_sub_spaces_build_the_pruned_cell() -> None:
    space = get_space("nasbench1shot1-2")
    sizes = {"channels": 6, "cells": 1, "stages": 2, "classes": 3, "in_channels": 3}
    for row in space.sample(10, seed=0):
        own = build_network(space, row, **sizes)
        pruned = build_network("nasbench101", space.to_nasbench101(row[None])[0], **sizes)
        assert [p.shape for p in own.parameters()] == [p.shape for p in pruned.parameters()]
        with torch.no_grad():
            for a, b in zip(own.parameters(), pruned.parameters(), strict=True):
                a.copy_(b)
        torch.testing.assert_close(own(images(2, 3, 8, 8)), pruned(images(2, 3, 8, 8)))


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="at least 1, got cells=0, classes=-1"):
        NASBench101Network(README, cells=0, classes=-1)
    with pytest.raises(InvalidCodeError, match="nasbench101"):
        NASBench101Network([0] * 5)
    with pytest.raises(ConfigError, match=r"among 4 vertices.*got 3"):
        NASBench101Network(README, channels=3)


def test_registry() -> None:
    sizes = {"channels": 4, "cells": 1, "stages": 1, "classes": 2, "in_channels": 1}
    assert {"nasbench101", "nasbench1shot1-1", "nasbench1shot1-2", "nasbench1shot1-3"} <= set(list_networks())
    assert isinstance(build_network("nasbench101", README, **sizes), NASBench101Network)


def test_training_evaluator_trains_cells() -> None:
    evaluator = TrainingEvaluator("nasbench101", channels=4, cells=1, stages=2, epochs=1, device="cpu")
    (evaluation,) = evaluator.evaluate(code("01 12", CONV3)[None])
    assert evaluation.failure is None
    # stem 36 + 8; cells of 4 and 8 channels: projection and convolution; classifier of 10 classes
    first, second = (16 + 8) + (144 + 8), (32 + 16) + (576 + 16)
    assert evaluation.metrics["parameters"] == 44 + first + second + 90
