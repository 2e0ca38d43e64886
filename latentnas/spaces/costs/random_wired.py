"""Costs of randomly wired networks (Xie et al., ICCV 2019), small regime.

Two 3 x 3 convolutions of stride 2, to half of the channels and to all; stages of the same wiring, whose
channels double from one to the next; a 1 x 1 convolution to 1,280 channels, global average pooling and one
linear layer with bias. Batch normalisation follows every convolution of these. A node is ReLU, a 3 x 3
depthwise and a pointwise convolution, and batch normalisation; nodes that read the input of their stage
have stride 2 and bring it to the channels of the stage. All others have one learned weight for each of
their inputs.

The paper draws the stages of a network independently; here a code is one stage, which the network repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...errors import ConfigError
from ..random_wired import RandomWired
from .base import Block, OperationCosts, Skeleton, conv, conv_norm, halved, linear, operation_costs_of

HEAD_CHANNELS = 1280


@dataclass(frozen=True)
class RandomWiredSkeleton(Skeleton):
    """The network of randomly wired stages; the defaults are the paper's small regime on ImageNet.

    Attributes:
        channels: C, channels of the second convolution and of the first stage; even.
        stages: number of stages.
        classes: number of classes.
        image_size: height and width of the images, which have three channels; it is halved by both
            convolutions and by every stage, rounding up.
    """

    channels: int = 78
    stages: int = 3
    classes: int = 1000
    image_size: int = 224

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels % 2:
            raise ConfigError(
                f"RandomWiredSkeleton: channels must be even, as the first convolution has half of them, "
                f"got {self.channels}"
            )


def operation_costs(space: RandomWired, codes: Tensor, skeleton: RandomWiredSkeleton) -> OperationCosts:
    """Costs of the nodes in every stage: [B, stages, N + 2]; input and output cost nothing."""
    graphs = space.node_graphs(codes)
    inner = graphs.adj[:, 1:].sum(1)  # [B, N + 2], inputs that are nodes
    inner[:, -1] = 0  # the output is a plain mean
    width, size = skeleton.channels, halved(skeleton.image_size)
    fixed = conv_norm(3, 3, width // 2, size)
    size = halved(size)
    fixed += conv_norm(3, width // 2, width, size)
    inputs, table = width, []
    for _ in range(skeleton.stages):
        size = halved(size)
        # Situations: input or output; a node that reads the input of the stage; any other node.
        row = [Block(), _node(inputs, width, size), _node(width, width, size)]
        table.append([row] * space.max_nodes)
        inputs, width = width, 2 * width
    fixed += conv_norm(1, inputs, HEAD_CHANNELS, size) + linear(HEAD_CHANNELS, skeleton.classes)
    is_node = graphs.ops == space.node_types.index("sepconv3x3")
    operations = operation_costs_of(table, is_node * (2 - graphs.adj[:, 0].long()), fixed)
    return OperationCosts(operations.params + inner[:, None], operations.macs, fixed.params, fixed.macs)


def _node(inputs: int, outputs: int, size: int) -> Block:
    """Depthwise and pointwise convolution and batch normalisation."""
    return conv(3, inputs, inputs, size, groups=inputs) + conv_norm(1, inputs, outputs, size)
