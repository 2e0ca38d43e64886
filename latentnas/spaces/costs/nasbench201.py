"""Costs in the network of NAS-Bench-201 (Dong and Yang, ICLR 2020).

Stem of a 3 x 3 convolution; stages of equal cells; between two stages a residual block that halves height
and width and doubles the channels; batch normalisation, global average pooling, one linear layer with bias.
Operations that do not reach the output are built, and cost, all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..nasbench201 import OPERATIONS, NASBench201
from .base import Block, OperationCosts, Skeleton, conv, conv_norm, halved, linear, norm, operation_costs_of


@dataclass(frozen=True)
class NASBench201Skeleton(Skeleton):
    """The network around NAS-Bench-201's cells; the defaults are the published ones.

    Attributes:
        channels: channels of the first stage; they double with every stage.
        cells: cells in each stage.
        stages: number of stages; height and width halve between two (rounding up).
        classes: number of classes.
        image_size: height and width of the images, which have three channels.
    """

    channels: int = 16
    cells: int = 5
    stages: int = 3
    classes: int = 10
    image_size: int = 32


def operation_costs(space: NASBench201, codes: Tensor, skeleton: NASBench201Skeleton) -> OperationCosts:
    """Costs of the six operations in every cell of the network; input and output cost nothing."""
    graphs = space.node_graphs(codes)
    width, size = skeleton.channels, skeleton.image_size
    fixed = conv_norm(3, 3, width, size)
    table = []
    for stage in range(skeleton.stages):
        if stage > 0:
            size = halved(size)
            shortcut = conv(1, width, 2 * width, size)
            fixed += conv_norm(3, width, 2 * width, size) + conv_norm(3, 2 * width, 2 * width, size) + shortcut
            width *= 2
        costs = {"nor_conv_1x1": conv_norm(1, width, width, size), "nor_conv_3x3": conv_norm(3, width, width, size)}
        row = [Block(), Block(), *(costs.get(name, Block()) for name in OPERATIONS)]  # by vertex type
        table += [[row] * space.max_nodes] * skeleton.cells
    fixed += norm(width) + linear(width, skeleton.classes)
    return operation_costs_of(table, graphs.ops, fixed)
