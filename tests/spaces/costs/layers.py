"""Layers of the published networks, as plain modules, and how to compare built networks with worked-out costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentnas.evaluation.costs import count_costs
from latentnas.spaces import SearchSpace
from latentnas.spaces.costs import Skeleton, costs


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int], *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Convolution without bias whose padding keeps the size at stride 1."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (sides[0] // 2, sides[1] // 2)
    return nn.Conv2d(inputs, outputs, sides, stride=stride, padding=padding, groups=groups, bias=False)


class ReLUConvBN(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.ReLU(), conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))


class FactorizedReduce(nn.Module):
    """Two 1 x 1 convolutions of stride 2, the second one on the image shifted by a pixel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = conv(inputs, outputs // 2, 1, stride=2)
        self.second = conv(inputs, outputs // 2, 1, stride=2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.first(x), self.second(shifted)], 1))


class SepConv(nn.Sequential):
    """ReLU, depthwise and pointwise convolution, batch normalisation: twice, the first time with the stride."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        layers: list[nn.Module] = []
        for step in (stride, 1):
            layers += [nn.ReLU(), conv(channels, channels, kernel, stride=step, groups=channels)]
            layers += [conv(channels, channels, 1), nn.BatchNorm2d(channels)]
        super().__init__(*layers)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def assert_built_networks_cost_the_same(
    space: SearchSpace, codes: Tensor, skeleton: Skeleton, build: Callable[[Tensor], nn.Module], image_size: int
) -> None:
    """Build a network of every code, run an image through it and compare what was counted with ``costs``."""
    counted = [count_costs(build(code), (3, image_size, image_size)) for code in codes]
    result = costs(space, codes, skeleton)
    assert result.params.tolist() == [count.parameters for count in counted]
    assert result.macs.tolist() == [count.macs for count in counted]
