"""latentnas/spaces/costs/darts.py, against published counts and the published network, built of plain modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentnas.errors import ConfigError
from latentnas.spaces.costs import DARTSSkeleton, costs, operation_costs
from latentnas.spaces.darts import DARTS

from .layers import FactorizedReduce, ReLUConvBN, SepConv, assert_built_networks_cost_the_same, conv, parameters

SPACE = DARTS()
V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
    "reduce_concat=[2, 3, 4, 5])"
)
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)
Edges = list[tuple[str, int]]


def genotype(code: Tensor) -> tuple[Edges, Edges]:
    """The (operation, input) pairs of both cells, read from the published text."""
    namespace = {"Genotype": lambda normal, normal_concat, reduce, reduce_concat: (normal, reduce), "range": range}
    return eval(SPACE.format(code[None])[0], namespace)


def operation(name: str, channels: int, stride: int) -> nn.Module:
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    if name.startswith("sep_conv"):
        return SepConv(channels, kernel, stride)
    if name.startswith("dil_conv"):
        depthwise = nn.Conv2d(
            channels, channels, kernel, stride, padding=kernel - 1, dilation=2, groups=channels, bias=False
        )
        return nn.Sequential(nn.ReLU(), depthwise, conv(channels, channels, 1), nn.BatchNorm2d(channels))
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return nn.Identity() if stride == 1 else nn.Sequential(nn.ReLU(), FactorizedReduce(channels, channels))


class Cell(nn.Module):
    def __init__(self, edges: Edges, older: int, newer: int, channels: int, reduction: bool, after: bool) -> None:
        super().__init__()
        self.edges = edges
        shrink = nn.Sequential(nn.ReLU(), FactorizedReduce(older, channels))
        self.inputs = nn.ModuleList([shrink if after else ReLUConvBN(older, channels), ReLUConvBN(newer, channels)])
        self.operations = nn.ModuleList(
            operation(name, channels, 2 if reduction and source < 2 else 1) for name, source in edges
        )

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        states = [self.inputs[0](older), self.inputs[1](newer)]
        terms = zip(self.edges, self.operations, strict=True)
        for (_, a), first in terms:
            (_, b), second = next(terms)
            states.append(first(states[a]) + second(states[b]))
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    """The CIFAR network that DARTS trains from scratch, or the ImageNet network."""

    def __init__(self, code: Tensor, skeleton: DARTSSkeleton) -> None:
        super().__init__()
        normal, reduce = genotype(code)
        channels, layers = skeleton.channels, skeleton.layers
        self.stem = nn.Sequential(conv(3, 3 * channels, 3), nn.BatchNorm2d(3 * channels))
        self.second: nn.Module = nn.Identity()
        older = newer = 3 * channels
        after = False
        if skeleton.imagenet:
            half, whole = (nn.Sequential(conv(a, b, 3, stride=2), nn.BatchNorm2d(b))
                           for a, b in ((3, channels // 2), (channels // 2, channels)))  # fmt: skip
            self.stem = nn.Sequential(half, nn.ReLU(), whole)
            self.second = nn.Sequential(nn.ReLU(), conv(channels, channels, 3, stride=2), nn.BatchNorm2d(channels))
            older = newer = channels
            after = True
        self.cells = nn.ModuleList()
        self.auxiliary: nn.Module | None = None
        self.auxiliary_place = 2 * layers // 3
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            self.cells.append(Cell(reduce if reduction else normal, older, newer, channels, reduction, after))
            older, newer, after = newer, 4 * channels, reduction
            if skeleton.auxiliary and i == self.auxiliary_place:
                self.auxiliary = nn.Sequential(
                    nn.ReLU(),
                    nn.AvgPool2d(5, stride=2 if skeleton.imagenet else 3, count_include_pad=False),
                    nn.Conv2d(newer, 128, 1, bias=False),
                    nn.BatchNorm2d(128),
                    nn.ReLU(),
                    nn.Conv2d(128, 768, 2, bias=False),
                    nn.Identity() if skeleton.imagenet else nn.BatchNorm2d(768),
                    nn.ReLU(),
                    nn.Flatten(),
                    nn.Linear(768, skeleton.classes),
                )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(newer, skeleton.classes))

    def forward(self, images: Tensor) -> Tensor:
        older = self.stem(images)
        newer = self.second(older)
        for i, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer)
            if self.auxiliary is not None and i == self.auxiliary_place:
                self.auxiliary(newer)
        return self.head(newer)


def test_published_parameters() -> None:
    """The authors' code logs "param size = 3.169414MB" for DARTS_V1 and 3.349342MB for DARTS_V2."""
    assert costs(SPACE, SPACE.parse([V1, V2])).params.tolist() == [3_169_414, 3_349_342]


@pytest.mark.parametrize(
    "skeleton",
    [
        DARTSSkeleton(channels=4, layers=5, classes=3, image_size=8),
        DARTSSkeleton(channels=3, layers=1, image_size=4),
        DARTSSkeleton(channels=3, layers=2, image_size=4),
        DARTSSkeleton(channels=2, layers=3, image_size=32, auxiliary=True),
        DARTSSkeleton(channels=2, layers=4, image_size=40, auxiliary=True),
        DARTSSkeleton(channels=4, layers=5, classes=3, image_size=32, imagenet=True),
        DARTSSkeleton(channels=2, layers=1, image_size=64, imagenet=True),
        DARTSSkeleton(channels=2, layers=2, classes=7, image_size=224, imagenet=True, auxiliary=True),
    ],
)
def test_as_built(skeleton: DARTSSkeleton) -> None:
    codes = torch.cat([SPACE.parse([V1, V2]), SPACE.sample(4, seed=0)])
    assert_built_networks_cost_the_same(
        SPACE, codes, skeleton, lambda code: Network(code, skeleton), skeleton.image_size
    )


def test_published_imagenet_network() -> None:
    """DARTS_V2 on ImageNet: 4.7 million parameters (Table 3 of the paper), without the auxiliary classifier."""
    code = SPACE.parse(V2)
    skeleton = DARTSSkeleton.for_imagenet()
    found = costs(SPACE, code, skeleton)
    assert round(found.params.item() / 1e6, 1) == 4.7
    assert_built_networks_cost_the_same(SPACE, code, skeleton, lambda row: Network(row, skeleton), 224)


def test_operations_in_their_places() -> None:
    """Entry [p, v] is what the p-th cell's modules hold; the other cell's vertices cost nothing there."""
    skeleton = DARTSSkeleton(channels=4, layers=6, image_size=8)
    for code in SPACE.sample(3, seed=1):
        params = operation_costs(SPACE, code[None], skeleton).params[0]
        assert params.shape == (6, 27)
        for place, cell in enumerate(Network(code, skeleton).cells):
            expected = [0] * 27
            expected[:2] = map(parameters, cell.inputs)
            first = 14 if place in (2, 4) else 2
            for k in range(4):
                operations = cell.operations[2 * k : 2 * k + 2]
                expected[first + 3 * k : first + 3 * k + 2] = map(parameters, operations)
            assert params[place].tolist() == expected


def test_wrong_sizes() -> None:
    with pytest.raises(ConfigError, match="divisible by 4, as two cells halve it, got 30"):
        DARTSSkeleton(image_size=30)
    with pytest.raises(ConfigError, match="got layers=20, image_size=44"):
        DARTSSkeleton(image_size=44, auxiliary=True)
    with pytest.raises(ConfigError, match=r"divisible by 32.* got image_size=48, channels=36"):
        DARTSSkeleton(image_size=48, imagenet=True)
    with pytest.raises(ConfigError, match="channels by 2, got image_size=224, channels=5"):
        DARTSSkeleton.for_imagenet(channels=5)
    with pytest.raises(ConfigError, match=r"in 224\.\.256, got layers=20, image_size=32"):
        DARTSSkeleton(imagenet=True, auxiliary=True)
    with pytest.raises(ConfigError, match="got layers=1, image_size=32"):
        DARTSSkeleton(layers=1, auxiliary=True)
