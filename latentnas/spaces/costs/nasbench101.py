"""Costs in the network of NAS-Bench-101 (Ying et al., ICML 2019), as its table counts them.

Stem of a 3 x 3 convolution; stacks of equal cells; between two stacks a 2 x 2 max pooling, after which
the channels double; global average pooling; one linear layer with bias. Every convolution is followed by
batch normalisation and ReLU.

Inside a cell with C output channels, C is divided equally among the vertices that feed the output, whose
values are concatenated; what remains of the division goes to the first of them, one channel each. Every
other vertex has the largest number of channels among the vertices that it feeds. A value with too many
channels for a vertex is truncated; only the cell's input is projected, by a 1 x 1 convolution for each
vertex that it feeds. An edge from the input to the output is a projection that is added to the
concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import ConfigError
from ..base import SearchSpace
from ..graphs import OUTPUT, NodeGraphs
from .base import OperationCosts, Skeleton, conv_norm, halved, linear

_KERNELS = {"conv3x3-bn-relu": 9, "conv1x1-bn-relu": 1}
"""Weights of an operation for each pair of channels; the others have none."""


@dataclass(frozen=True)
class NASBench101Skeleton(Skeleton):
    """The network around NAS-Bench-101's cells; the defaults are the published ones.

    Attributes:
        stem_channels: channels of the stem and of the first stack's cells.
        stacks: number of stacks; channels double between two, height and width halve (rounding up).
        cells: cells in each stack.
        classes: number of classes.
        image_size: height and width of the images, which have three channels.
    """

    stem_channels: int = 128
    stacks: int = 3
    cells: int = 3
    classes: int = 10
    image_size: int = 32


def operation_costs(space: SearchSpace, codes: Tensor, skeleton: NASBench101Skeleton) -> OperationCosts:
    """Costs of cells of nasbench101 or of its sub-spaces; see :func:`graph_costs`."""
    return graph_costs(space.node_graphs(codes), space.node_types, skeleton)


def pruned(graphs: NodeGraphs) -> NodeGraphs:
    """The graphs without the edges of vertices that are on no path from the input to the output.

    Vertices keep their numbers. The benchmark prunes so before it builds a network.
    """
    adj = graphs.adj & graphs.mask[:, :, None] & graphs.mask[:, None, :]
    nodes = graphs.num_nodes
    used = graphs.mask.clone()
    for vertex in range(1, nodes):  # topological order: all sources are settled
        used[:, vertex] &= (adj[:, :, vertex] & used).any(1)
    is_output = (graphs.ops == OUTPUT) & graphs.mask
    for vertex in range(nodes - 1, -1, -1):
        used[:, vertex] &= is_output[:, vertex] | (adj[:, vertex] & used).any(1)
    return NodeGraphs(graphs.ops, adj & used[:, :, None] & used[:, None, :], used)


def vertex_channels(graphs: NodeGraphs, channels: Tensor) -> Tensor:
    """Channels of every vertex of pruned cells, for several numbers of output channels.

    Args:
        graphs: B pruned graphs of N vertices.
        channels: [S] long, numbers of output channels.

    Returns:
        [B, S, N] long: ``channels`` at the output, 0 at the input and at vertices that are not there.
    """
    is_output = (graphs.ops == OUTPUT) & graphs.mask  # [B, N]
    inner = graphs.adj.clone()
    inner[:, 0] = False  # the input is projected, not split
    feeds = (inner & is_output[:, None, :]).any(2)  # [B, N]
    degree = feeds.sum(1).clamp(min=1)[:, None]  # [B, 1]
    share, rest = channels // degree, channels % degree  # [B, S]
    place = feeds.cumsum(1)  # 1 for the first vertex that feeds the output
    extra = (place[:, None, :] <= rest[:, :, None]).long()
    width = torch.where(feeds[:, None, :], share[:, :, None] + extra, 0)  # [B, S, N]
    between = inner & ~is_output[:, None, :]
    for vertex in range(graphs.num_nodes - 2, 0, -1):  # backwards: all targets are settled
        widest = (width * between[:, None, vertex, :]).amax(2)  # [B, S]
        width[:, :, vertex] = torch.where(feeds[:, None, vertex], width[:, :, vertex], widest)
    return torch.where(is_output[:, None, :], channels[:, None], width)


def graph_costs(graphs: NodeGraphs, node_types: Sequence[str], skeleton: NASBench101Skeleton) -> OperationCosts:
    """Costs of cells given as graphs; vertices on no path from input to output cost nothing.

    A vertex carries its operation and the projection of the cell's input, where it is fed by it; the
    output carries the projection of an edge from input to output. The numbering of the vertices
    counts: what remains of the division of channels goes to the first ones.

    Args:
        graphs: B graphs.
        node_types: names of the vertex types.
        skeleton: sizes of the network.

    Raises:
        ConfigError: fewer channels than vertices that feed the output of some cell.
    """
    graphs = pruned(graphs)
    device = graphs.ops.device
    powers = 2 ** torch.arange(skeleton.stacks, device=device)
    outputs = skeleton.stem_channels * powers  # [S]
    width = vertex_channels(graphs, outputs)  # [B, S, N]
    check_width(graphs, skeleton.stem_channels)
    inner = graphs.mask & (graphs.ops != OUTPUT)
    kernels = torch.tensor([_KERNELS.get(name, 0) for name in node_types], device=device)
    kernel = (kernels[graphs.ops] * inner)[:, None, :]  # [B, 1, N]
    weights = kernel * width**2
    norms = 2 * width * (kernel > 0)
    projected = graphs.adj[:, None, 0, :]  # [B, 1, N]
    # The first cell of a stack reads half as many channels as it returns, but for the first stack.
    inputs = outputs[:, None].repeat(1, skeleton.cells)  # [S, cells]
    inputs[1:, 0] //= 2
    projection = width[:, :, None, :] * inputs[None, :, :, None] * projected[:, :, None, :]  # [B, S, cells, N]
    weights = weights[:, :, None, :] + projection
    params = weights + (norms + 2 * width * projected)[:, :, None, :]
    sizes = [skeleton.image_size]
    for _ in range(skeleton.stacks - 1):
        sizes.append(halved(sizes[-1]))
    macs = weights * torch.tensor(sizes, device=device)[:, None, None] ** 2
    stem = conv_norm(3, 3, skeleton.stem_channels, skeleton.image_size)
    fixed = stem + linear(int(outputs[-1]), skeleton.classes)
    return OperationCosts(params.flatten(1, 2), macs.flatten(1, 2), fixed.params, fixed.macs)


def check_width(graphs: NodeGraphs, channels: int) -> None:
    """Raise ConfigError where a cell would have vertices without channels.

    Args:
        graphs: pruned graphs.
        channels: output channels of the narrowest cell.
    """
    is_output = (graphs.ops == OUTPUT) & graphs.mask
    feeding = (graphs.adj[:, 1:] & is_output[:, None, :]).flatten(1).sum(1)
    most = int(feeding.max()) if len(feeding) else 0
    if most > channels:
        raise ConfigError(
            f"nasbench101: a cell divides its channels among {most} vertices, so the first stack must have "
            f"at least as many, got {channels}"
        )
