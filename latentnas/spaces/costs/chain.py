"""Costs of chains of layers with skip connections, in the network of ENAS macro (Pham et al., ICML 2018).

Stem of a 3 x 3 convolution with batch normalisation, then the L layers. From the second layer on, the
result of a layer's operation is concatenated with those of the layers that skip to it and brought back to
the layer's channels by ReLU, a 1 x 1 convolution and batch normalisation. After one and two thirds of the
layers (rounded down; not with fewer than three) a factorised reduction (two 1 x 1 convolutions of stride
2, batch normalisation) halves the height and width of everything computed so far and doubles its
channels. Global average pooling, one linear layer without bias.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..chain import ChainSpace
from .base import Block, OperationCosts, conv_norm, halved, linear, operation_costs_of


def chain_costs(
    space: ChainSpace,
    codes: Tensor,
    operation: Callable[[str, int, int], Block],
    *,
    channels: int,
    classes: int,
    image_size: int,
) -> OperationCosts:
    """Costs of the layers: [B, 1, L + 2], as the cell is the network.

    A layer carries its operation and the 1 x 1 convolution over what skips to it. The fixed part is the
    stem, the reductions and the classifier.

    Args:
        space: the space of the codes.
        codes: [B, D] long.
        operation: costs of an operation, by its vertex type's name, its channels and its height.
        channels: channels of the first layers.
        classes: number of classes.
        image_size: height and width of the images; reductions round up.
    """
    graphs = space.node_graphs(codes)
    width, size = channels, image_size
    fixed = conv_norm(3, 3, width, size)
    third = space.layers // 3
    nothing = [Block()] * len(space.node_types)
    table, widths, sizes = [nothing], [0], [size]
    for layer in range(1, space.layers + 1):
        table.append([Block(), Block(), *(operation(name, width, size) for name in space.node_types[2:])])
        widths.append(width)
        sizes.append(size)
        if third and layer in (third, 2 * third):
            size = halved(size)
            # stem and layers so far; each of the two convolutions returns half of the channels
            fixed += conv_norm(1, width, 2 * width, size) * (layer + 1)
            width *= 2
    fixed += linear(width, classes, bias=False)
    operations = operation_costs_of([[*table, nothing]], graphs.ops, fixed)

    device = graphs.ops.device
    # The first layer has nothing to be concatenated with, the output is no layer.
    outputs = torch.tensor([0, 0, *widths[2:], 0], device=device)  # [N]
    pixels = torch.tensor([*sizes, 0], device=device) ** 2
    weights = graphs.adj.sum(1) * outputs**2  # [B, N]; the in-degree counts the chain's edge, too
    params = operations.params + (weights + 2 * outputs)[:, None]
    macs = operations.macs + (weights * pixels)[:, None]
    return OperationCosts(params, macs, fixed.params, fixed.macs)
