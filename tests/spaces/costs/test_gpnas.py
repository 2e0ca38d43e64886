"""latentnas/spaces/costs/gpnas.py, against the network built of plain modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentnas.spaces.costs import GPNASSkeleton, costs
from latentnas.spaces.gpnas import GPNAS, OPERATORS

from .chain_network import ChainNetwork
from .layers import assert_built_networks_cost_the_same, conv

ACTIVATIONS = {"selu": nn.SELU, "relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh}


def operation(name: str, channels: int) -> nn.Module:
    operator, _, activation = name.split("/")
    after = [nn.BatchNorm2d(channels), ACTIVATIONS[activation]()]
    kernel = int(operator[-1]) if operator != "identity" else 0
    if operator == "identity":
        return ACTIVATIONS[activation]()
    if "pool" in operator:
        pool = nn.AvgPool2d if operator.startswith("avg") else nn.MaxPool2d
        return nn.Sequential(pool(kernel, 1, padding=kernel // 2), ACTIVATIONS[activation]())
    if operator == "conv1x3-3x1":
        return nn.Sequential(conv(channels, channels, (1, 3)), conv(channels, channels, (3, 1)), *after)
    if operator == "conv1x7-7x1":
        return nn.Sequential(conv(channels, channels, (1, 7)), conv(channels, channels, (7, 1)), *after)
    if operator == "dilconv3x3":
        return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=2, dilation=2, bias=False), *after)
    if operator.startswith("sepconv"):
        depthwise = conv(channels, channels, kernel, groups=channels)
        return nn.Sequential(depthwise, conv(channels, channels, 1), *after)
    return nn.Sequential(conv(channels, channels, kernel), *after)


@pytest.mark.parametrize("layers", [1, 4, 13])
def test_as_built(layers: int) -> None:
    space = GPNAS(layers)
    skeleton = GPNASSkeleton(channels=4, classes=3, image_size=9)
    codes = space.sample(4, seed=0)
    codes[0, 0 : 3 * layers : 3] = torch.arange(layers)  # with 13 layers every operator

    def build(code: Tensor) -> ChainNetwork:
        parts = [part.split() for part in space.format(code[None])[0].split("|")]
        skips = [[j for j, bit in enumerate("".join(part[1:])) if bit == "1"] for part in parts]
        return ChainNetwork([part[0] for part in parts], skips, operation, skeleton.channels, skeleton.classes)

    assert_built_networks_cost_the_same(space, codes, skeleton, build, skeleton.image_size)


def test_single_layers_by_hand() -> None:
    """One layer of 4 channels: stem 108 + 8, classifier 40, the rest is the operator."""
    space = GPNAS(1)
    codes = torch.tensor([[OPERATORS.index(name), 0, 0] for name in ("identity", "conv1x7-7x1", "sepconv5x5")])
    result = costs(space, codes, GPNASSkeleton(channels=4, image_size=2))
    assert [n - 156 for n in result.params.tolist()] == [0, 2 * 7 * 16 + 8, 25 * 4 + 16 + 8]
    assert [n - 108 * 4 - 40 for n in result.macs.tolist()] == [0, 2 * 7 * 16 * 4, (25 * 4 + 16) * 4]
