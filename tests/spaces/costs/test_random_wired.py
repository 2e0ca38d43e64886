"""latentnas/spaces/costs/random_wired.py, against the paper's figures and the network built of plain modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentnas.errors import ConfigError
from latentnas.spaces.costs import RandomWiredSkeleton, costs, operation_costs
from latentnas.spaces.random_wired import RandomWired

from .layers import assert_built_networks_cost_the_same, conv, parameters


class Node(nn.Module):
    def __init__(self, sources: list[int], inputs: int, outputs: int) -> None:
        super().__init__()
        self.sources = sources
        if sources:
            self.weights = nn.Parameter(torch.zeros(len(sources)))
            inputs = outputs
        self.body = nn.Sequential(
            nn.ReLU(),
            conv(inputs, inputs, 3, stride=1 if sources else 2, groups=inputs),
            conv(inputs, outputs, 1),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor, values: list[Tensor]) -> Tensor:
        if self.sources:
            terms = [self.weights[i].sigmoid() * values[j] for i, j in enumerate(self.sources)]
            x = torch.stack(terms).sum(0)
        return self.body(x)


class Stage(nn.Module):
    def __init__(self, edges: list[tuple[int, int]], nodes: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(Node([i for i, j in edges if j == n], inputs, outputs) for n in range(nodes))
        self.ends = [n for n in range(nodes) if all(i != n for i, _ in edges)]

    def forward(self, x: Tensor) -> Tensor:
        values: list[Tensor] = []
        for node in self.nodes:
            values.append(node(x, values))
        return torch.stack([values[n] for n in self.ends]).mean(0)


def build(space: RandomWired, code: Tensor, skeleton: RandomWiredSkeleton) -> nn.Sequential:
    words = space.format(code[None])[0].split()[1:]
    edges = [(int(i), int(j)) for i, j in (word.split("-") for word in words)]
    width = skeleton.channels
    layers: list[nn.Module] = [conv(3, width // 2, 3, stride=2), nn.BatchNorm2d(width // 2), nn.ReLU()]
    layers += [conv(width // 2, width, 3, stride=2), nn.BatchNorm2d(width)]
    inputs = width
    for stage in range(skeleton.stages):
        width = skeleton.channels * 2**stage
        layers.append(Stage(edges, space.nodes, inputs, width))
        inputs = width
    layers += [nn.ReLU(), conv(inputs, 1280, 1), nn.BatchNorm2d(1280), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, skeleton.classes))


@pytest.mark.parametrize(
    ("nodes", "skeleton"),
    [
        (5, RandomWiredSkeleton(channels=4, classes=3, image_size=32)),
        (8, RandomWiredSkeleton(channels=6, stages=2, classes=3, image_size=19)),
        (2, RandomWiredSkeleton(channels=2, stages=1, classes=3, image_size=8)),
    ],
)
def test_as_built(nodes: int, skeleton: RandomWiredSkeleton) -> None:
    space = RandomWired(nodes)
    codes = torch.cat([torch.zeros(1, space.dim).long(), torch.ones(1, space.dim).long(), space.sample(6, seed=0)])
    assert_built_networks_cost_the_same(
        space, codes, skeleton, lambda code: build(space, code, skeleton), skeleton.image_size
    )


def test_small_regime_has_the_costs_of_the_paper() -> None:
    """RandWire-WS with C = 78 on ImageNet: 583 M multiply-adds and 5.6 M parameters, the mean of five draws."""
    space = RandomWired(32)
    result = costs(space, space.sample_graphs(200, model="ws", seed=0))
    assert result.params.double().mean() / 1e6 == pytest.approx(5.6, abs=0.1)
    assert result.macs.double().mean() / 1e6 == pytest.approx(583, rel=0.02)


def test_operations_in_their_places() -> None:
    space, skeleton = RandomWired(6), RandomWiredSkeleton(channels=4, classes=3, image_size=32)
    code = space.sample(1, seed=3)[0]
    stages = [module for module in build(space, code, skeleton) if isinstance(module, Stage)]
    result = operation_costs(space, code[None], skeleton)
    assert result.params[0].tolist() == [[0, *map(parameters, stage.nodes), 0] for stage in stages]


def test_channels_must_be_even() -> None:
    with pytest.raises(ConfigError, match=r"channels must be even.*got 7"):
        RandomWiredSkeleton(channels=7)
