"""Costs in the networks of DARTS (Liu, Simonyan and Yang, ICLR 2019), as they are trained from scratch.

Stem of a 3 x 3 convolution with three times the channels; a chain of cells, each reading the two before it;
the cells at one and two thirds of the depth are reduction cells, which halve height and width and double
the channels. A cell first brings both inputs to its channels (ReLU, 1 x 1 convolution, batch
normalisation; a factorised reduction, where the input is twice as large), and returns the concatenation
of its four nodes. Global average pooling, one linear layer with bias.

The ImageNet network has another stem: three 3 x 3 convolutions of stride 2, to half of the channels, to all,
and to all again, each with batch normalisation. The first cell reads the results of the second and of the
third one, the first of which is twice as large.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...errors import ConfigError
from ..base import SearchSpace
from .base import Block, OperationCosts, Skeleton, conv, conv_norm, linear, operation_costs_of

NODES = 4
"""Nodes of a cell, all of which are concatenated."""

_CELL_VERTICES = 3 * NODES
"""Vertices of each cell in the node view: two operations and their sum for every node."""


@dataclass(frozen=True)
class DARTSSkeleton(Skeleton):
    """The networks of DARTS; the defaults are those published for CIFAR, :meth:`for_imagenet` has the others.

    With other sizes alone (``channels=48, layers=14, classes=1000``) it stays the CIFAR network, whose
    stem keeps the size of the images.

    Attributes:
        channels: channels of the first cells' nodes; they double at each of the two reductions.
        layers: number of cells.
        classes: number of classes.
        image_size: height and width of the images, which have three channels; divisible by 4, with
            ``imagenet`` by 32.
        auxiliary: count the auxiliary classifier too, which is used in training alone. The published
            parameter counts are without it. It needs images of 32 to 40, with ``imagenet`` of 224 or 256.
        imagenet: the stem and the auxiliary classifier of the ImageNet network.
    """

    channels: int = 36
    layers: int = 20
    classes: int = 10
    image_size: int = 32
    auxiliary: bool = False
    imagenet: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.imagenet and (self.image_size % 32 or self.channels % 2):
            raise ConfigError(
                "DARTSSkeleton: with imagenet, image_size must be divisible by 32, as the stem halves it three times "
                "and two cells do, and channels by 2, "
                f"got image_size={self.image_size}, channels={self.channels}"
            )
        if self.image_size % 4:
            raise ConfigError(
                f"DARTSSkeleton: image_size must be divisible by 4, as two cells halve it, got {self.image_size}"
            )
        sizes = range(224, 257) if self.imagenet else range(32, 41)
        if self.auxiliary and not (self.layers >= 2 and self.image_size in sizes):
            raise ConfigError(
                f"DARTSSkeleton: the auxiliary classifier needs at least 2 layers and image_size in "
                f"{sizes[0]}..{sizes[-1]}, got layers={self.layers}, image_size={self.image_size}"
            )

    @classmethod
    def for_imagenet(cls, channels: int = 48, layers: int = 14, *, auxiliary: bool = False) -> DARTSSkeleton:
        """The published ImageNet network: 14 cells of 48 channels, 1,000 classes, images of 224 x 224.

        In it DARTS_V2 has 4.7 million parameters, as published. Its convolutions and linear layers take
        529,911,552 multiply-adds, the same when the network is built and counted; the paper's table says
        574 million and does not say what they count.
        """
        return cls(channels, layers, classes=1000, image_size=224, auxiliary=auxiliary, imagenet=True)

    @property
    def reductions(self) -> frozenset[int]:
        """Places of the reduction cells, counted from 0."""
        return frozenset({self.layers // 3, 2 * self.layers // 3})


def operation_costs(space: SearchSpace, codes: Tensor, skeleton: DARTSSkeleton) -> OperationCosts:
    """Costs of the operations of both cells: [B, layers, 27].

    At every place one of the two cells costs nothing. Vertices 0 and 1, the cell's inputs, carry what
    brings them to the cell's channels. Sums and the output cost nothing.
    """
    graphs = space.node_graphs(codes)
    types = len(space.node_types)
    # Situation of a vertex: its type, and whether an input of the cell feeds it.
    fed = graphs.adj[:, :2].any(1)
    situations = graphs.ops + types * fed.long()
    table, fixed = _table(space.node_types, space.max_nodes, skeleton)
    return operation_costs_of(table, situations, fixed)


def _table(node_types: tuple[str, ...], nodes: int, skeleton: DARTSSkeleton) -> tuple[list[list[list[Block]]], Block]:
    """Costs [P][N][2 K] by place, vertex and situation, and the fixed part."""
    size, width = skeleton.image_size, skeleton.channels
    if skeleton.imagenet:
        size //= 8
        fixed = conv_norm(3, 3, width // 2, 4 * size) + conv_norm(3, width // 2, width, 2 * size)
        fixed += conv_norm(3, width, width, size)
        older = newer = width
    else:
        fixed = conv_norm(3, 3, 3 * width, size)
        older = newer = 3 * width  # channels of the two cells before
    free = [Block()] * (2 * len(node_types))
    table = []
    for place in range(skeleton.layers):
        reduction = place in skeleton.reductions
        width *= 2 if reduction else 1
        # Convolutions of the first input: 1 x 1 at this cell's size, also as a factorised reduction.
        preprocess0 = conv_norm(1, older, width, size)
        preprocess1 = conv_norm(1, newer, width, size)
        size //= 2 if reduction else 1
        inner = [_operation(name, width, size, stride=1) for name in node_types]
        outer = [_operation(name, width, size, stride=2 if reduction else 1) for name in node_types]
        first = 2 + (_CELL_VERTICES if reduction else 0)
        rows = [free] * nodes
        rows[0], rows[1] = [preprocess0] * len(free), [preprocess1] * len(free)
        rows[first : first + _CELL_VERTICES] = [inner + outer] * _CELL_VERTICES
        table.append(rows)
        older, newer = newer, NODES * width
        if skeleton.auxiliary and place == 2 * skeleton.layers // 3:
            # in the ImageNet network no normalisation follows the second convolution
            last = conv(2, 128, 768, 1) if skeleton.imagenet else conv_norm(2, 128, 768, 1)
            fixed += conv_norm(1, newer, 128, 2) + last + linear(768, skeleton.classes)
    return table, fixed + linear(newer, skeleton.classes)


def _operation(name: str, width: int, size: int, *, stride: int) -> Block:
    """Costs of one operation that returns ``width`` channels at ``size``."""
    if name.startswith(("sep_conv", "dil_conv")):
        kernel = int(name[-1])
        once = conv(kernel, width, width, size, groups=width) + conv_norm(1, width, width, size)
        return once * (2 if name.startswith("sep_conv") else 1)  # separable ones are applied twice
    if name == "skip_connect" and stride == 2:
        return conv_norm(1, width, width, size)  # two convolutions, each to half of the channels
    return Block()
