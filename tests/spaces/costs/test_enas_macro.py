"""latentnas/spaces/costs/enas_macro.py, against the network built of plain modules."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from latentnas.spaces.costs import ENASMacroSkeleton, operation_costs
from latentnas.spaces.enas_macro import ENASMacro

from .chain_network import ChainNetwork
from .layers import assert_built_networks_cost_the_same, conv, parameters

NAMES = ("conv3x3", "sepconv3x3", "conv5x5", "sepconv5x5", "avgpool3x3", "maxpool3x3")


def operation(name: str, channels: int) -> nn.Module:
    first = [conv(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    if "pool" in name:
        return nn.Sequential(*first, (nn.AvgPool2d if name.startswith("avg") else nn.MaxPool2d)(3, 1, padding=1))
    kernel = int(name[-1])
    if name.startswith("sep"):
        convolution = [conv(channels, channels, kernel, groups=channels), conv(channels, channels, 1)]
    else:
        convolution = [conv(channels, channels, kernel)]
    return nn.Sequential(*first, *convolution, nn.BatchNorm2d(channels), nn.ReLU())


def build(space: ENASMacro, code: Tensor, skeleton: ENASMacroSkeleton) -> ChainNetwork:
    layers = json.loads(space.format(code[None])[0])
    skips = [[j for j, bit in enumerate(layer[1:]) if bit] for layer in layers]
    names = [NAMES[layer[0]] for layer in layers]
    return ChainNetwork(names, skips, operation, skeleton.channels, skeleton.classes)


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("image_size", [8, 9])
def test_as_built(layers: int, image_size: int) -> None:
    space = ENASMacro(layers)
    skeleton = ENASMacroSkeleton(channels=4, classes=3, image_size=image_size)
    codes = space.sample(5, seed=layers)
    assert_built_networks_cost_the_same(space, codes, skeleton, lambda c: build(space, c, skeleton), image_size)


def test_operations_in_their_places() -> None:
    space, skeleton = ENASMacro(6), ENASMacroSkeleton(channels=4, image_size=8)
    code = torch.tensor([*range(6), *[1, 0, 1] * 5])
    network = build(space, code, skeleton)
    result = operation_costs(space, code[None], skeleton)
    expected = [parameters(layer) for layer in network.layers]
    for k in range(2, 7):
        expected[k - 1] += parameters(network.merges[str(k)])
    assert result.params.tolist() == [[[0, *expected, 0]]]
    fixed = sum(parameters(module) for module in (network.stem, network.reductions, network.classifier))
    assert result.fixed_params == fixed
