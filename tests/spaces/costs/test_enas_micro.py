"""latentnas/spaces/costs/enas_micro.py, against the authors' network, built of plain modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentnas.spaces.costs import ENASMicroSkeleton, operation_costs
from latentnas.spaces.enas_micro import ENASMicro

from .layers import FactorizedReduce, ReLUConvBN, SepConv, assert_built_networks_cost_the_same, conv, parameters


def operation(number: int, channels: int, stride: int) -> nn.Module:
    if number in (0, 1):
        return SepConv(channels, (3, 5)[number], stride)
    if number == 2:
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if number == 3:
        return nn.MaxPool2d(3, stride, padding=1)
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)


class Cell(nn.Module):
    """One cell: inputs brought to its channels where they differ, nodes, loose ends."""

    def __init__(self, arc: list[int], older: int, newer: int, channels: int, reduction: bool, after: bool) -> None:
        super().__init__()
        self.pairs = [(arc[i], arc[i + 1]) for i in range(0, len(arc), 2)]
        calibrate: nn.Module = nn.Identity()
        if after:
            calibrate = nn.Sequential(nn.ReLU(), FactorizedReduce(older, channels))
        elif older != channels:
            calibrate = ReLUConvBN(older, channels)
        second = [ReLUConvBN(newer, channels)] if newer != channels else []
        self.inputs = nn.ModuleList([calibrate, nn.Sequential(*second, ReLUConvBN(channels, channels))])
        self.operations = nn.ModuleList(
            operation(number, channels, 2 if reduction and source < 2 else 1) for source, number in self.pairs
        )
        read = {source for source, _ in self.pairs}
        self.loose = [i for i in range(len(self.pairs) // 2 + 2) if i not in read]
        self.reductions = nn.ModuleDict(
            {str(i): FactorizedReduce(channels, channels) for i in self.loose if i < 2 and reduction}
        )
        self.channels = channels * len(self.loose)

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        states = [self.inputs[0](older), self.inputs[1](newer)]
        for k in range(0, len(self.pairs), 2):
            terms = [self.operations[i](states[self.pairs[i][0]]) for i in (k, k + 1)]
            states.append(terms[0] + terms[1])
        ends = [self.reductions[str(i)](states[i]) if str(i) in self.reductions else states[i] for i in self.loose]
        return torch.cat(ends, 1)


class Network(nn.Module):
    def __init__(self, code: Tensor, skeleton: ENASMicroSkeleton) -> None:
        super().__init__()
        arc, half = code.tolist(), len(code) // 2
        channels = skeleton.channels
        self.stem = nn.Sequential(conv(3, 3 * channels, 3), nn.BatchNorm2d(3 * channels))
        older = newer = 3 * channels
        after = False
        third = skeleton.layers // 3
        self.cells = nn.ModuleList()
        for place in range(skeleton.layers + 2):
            reduction = place in (third, 2 * third + 1)
            channels *= 2 if reduction else 1
            cell = Cell(arc[half:] if reduction else arc[:half], older, newer, channels, reduction, after)
            self.cells.append(cell)
            older, newer, after = newer, cell.channels, reduction
        self.classifier = nn.Linear(newer, skeleton.classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        older = newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(newer.relu().mean((2, 3)))


@pytest.mark.parametrize(
    ("nodes", "skeleton"),
    [
        (5, ENASMicroSkeleton(channels=4, layers=3, classes=3, image_size=8)),
        (5, ENASMicroSkeleton(channels=2, layers=6, classes=3, image_size=9)),
        (2, ENASMicroSkeleton(channels=4, layers=1, classes=3, image_size=4)),
        (1, ENASMicroSkeleton(channels=4, layers=4, classes=3, image_size=8)),
    ],
)
def test_as_built(nodes: int, skeleton: ENASMicroSkeleton) -> None:
    space = ENASMicro(nodes)
    codes = space.sample(8, seed=nodes)
    codes[0] = 0  # every node reads the same input, so that an input and almost all nodes are loose ends
    codes[1, 0::4] = codes[1, 2::4] = torch.arange(1, nodes + 1).repeat(2)  # a chain: a single loose node
    assert_built_networks_cost_the_same(space, codes, skeleton, lambda c: Network(c, skeleton), skeleton.image_size)


def test_operations_in_their_places() -> None:
    space, skeleton = ENASMicro(), ENASMicroSkeleton(channels=4, layers=3, image_size=8)
    codes = space.sample(3, seed=0)
    codes[0] = 0
    for code in codes:
        network = Network(code, skeleton)
        result = operation_costs(space, code[None], skeleton)
        for place, cell in enumerate(network.cells):
            expected = [0] * 33
            expected[:2] = map(parameters, cell.inputs)
            first = 2 + (15 if place in (1, 3) else 0)
            for k in range(5):
                expected[first + 3 * k : first + 3 * k + 2] = map(parameters, cell.operations[2 * k : 2 * k + 2])
            expected[-1] = parameters(cell.reductions)
            if place == 4:
                expected[-1] += parameters(network.classifier)
            assert result.params[0, place].tolist() == expected
        assert result.fixed_params == parameters(network.stem)
