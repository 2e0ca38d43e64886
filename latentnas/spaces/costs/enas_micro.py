"""Costs in the CIFAR network of ENAS micro cells (Pham et al., ICML 2018), as the authors train it from scratch.

Stem of a 3 x 3 convolution with three times the channels; a chain of cells, each reading the two before
it; two reduction cells, which double the channels and halve height and width. A cell first brings both
inputs to its channels where they have others (ReLU, 1 x 1 convolution, batch normalisation; a factorised
reduction where the first input is twice as large), and passes the second one through ReLU, one more 1 x 1
convolution and batch normalisation. Separable convolutions are applied twice. In a reduction cell
operations on the inputs have stride 2, and identities are factorised reductions there.

A cell returns the concatenation of its loose ends. As in the authors' code, an input that no operation
reads is a loose end, too, and in a reduction cell it passes a factorised reduction of its own. How
many channels a cell returns therefore depends on the cell. Global average pooling, one linear layer
without bias. The auxiliary classifier of the training is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..enas_micro import ENASMicro
from ..graphs import NodeGraphs
from .base import Block, OperationCosts, Skeleton, conv, conv_norm, halved, norm, operation_costs_of


@dataclass(frozen=True)
class ENASMicroSkeleton(Skeleton):
    """The network of ENAS micro cells; the defaults are the published ones.

    Attributes:
        channels: channels of the first cells' nodes; they double at each of the two reductions.
        layers: number of normal cells; with the two reduction cells there are two more places.
        classes: number of classes.
        image_size: height and width of the images, which have three channels; reductions round up.
    """

    channels: int = 36
    layers: int = 15
    classes: int = 10
    image_size: int = 32

    @property
    def reductions(self) -> frozenset[int]:
        """Places of the reduction cells, counted from 0."""
        return frozenset({self.layers // 3, 2 * (self.layers // 3) + 1})


def operation_costs(space: ENASMicro, codes: Tensor, skeleton: ENASMicroSkeleton) -> OperationCosts:
    """Costs of the operations of both cells: [B, layers + 2, N].

    At every place one of the two cells costs nothing. Vertices 0 and 1, the cell's inputs, carry what
    brings them to the cell's channels; the output carries the reductions of inputs that nothing reads
    and, at the last place, the classifier. Sums cost nothing.
    """
    graphs = space.node_graphs(codes)
    types, own = len(space.node_types), 3 * space.nodes
    loose, unread = _loose_ends(graphs, space.nodes)  # [B, 2] each: of the normal and of the reduction cell
    situations = graphs.ops + types * graphs.adj[:, :2].any(1).long()
    size, width = skeleton.image_size, skeleton.channels
    fixed = conv_norm(3, 3, 3 * width, size)
    older = newer = loose.new_full((len(graphs),), 3 * width)  # [B], channels of the two cells before
    older_size = size
    free, table, weights, norms, sizes = [Block()] * (2 * types), [], [], [], []
    for place in range(skeleton.layers + 2):
        reduction = place in skeleton.reductions
        width *= 2 if reduction else 1
        # Inputs: [B] weights of 1 x 1 convolutions, each followed by a normalisation of ``width`` channels.
        first = (older != width) | (older_size != size)
        second = newer != width
        after = halved(size) if reduction else size
        ends = unread[:, 1] if after < size else torch.zeros_like(older)
        row = torch.zeros_like(graphs.ops)
        row[:, 0], row[:, 1], row[:, -1] = older * width * first, (newer * second + width) * width, ends * width**2
        weights.append(row)
        row = torch.zeros_like(graphs.ops)
        row[:, 0], row[:, 1], row[:, -1] = first, second.long() + 1, ends
        norms.append(2 * width * row)
        sizes.append([size, size, after])
        inner = [_operation(name, width, after, stride=1) for name in space.node_types]
        outer = [_operation(name, width, after, stride=2 if reduction else 1) for name in space.node_types]
        begin = 2 + (own if reduction else 0)
        rows = [free] * space.max_nodes
        rows[begin : begin + own] = [inner + outer] * own
        table.append(rows)
        older, newer, older_size, size = newer, loose[:, int(reduction)] * width, size, after
    operations = operation_costs_of(table, situations, fixed)
    pixels = torch.zeros(len(sizes), space.max_nodes, dtype=torch.long, device=codes.device)
    pixels[:, [0, 1, -1]] = torch.tensor(sizes, device=codes.device) ** 2
    convolutions = torch.stack(weights, 1)  # [B, P, N]
    params = operations.params + convolutions + torch.stack(norms, 1)
    macs = operations.macs + convolutions * pixels
    params[:, -1, -1] += newer * skeleton.classes
    macs[:, -1, -1] += newer * skeleton.classes
    return OperationCosts(params, macs, fixed.params, fixed.macs)


def _loose_ends(graphs: NodeGraphs, nodes: int) -> tuple[Tensor, Tensor]:
    """How many values a cell concatenates, and how many of them are its inputs: [B, 2] each."""
    loose, unread = [], []
    for cell in range(2):
        begin = 2 + 3 * nodes * cell
        block = slice(begin, begin + 3 * nodes)
        inputs = 2 - graphs.adj[:, :2, block].any(2).sum(1)
        unread.append(inputs)
        loose.append(inputs + graphs.adj[:, block, -1].sum(1))
    return torch.stack(loose, 1), torch.stack(unread, 1)


def _operation(name: str, width: int, size: int, *, stride: int) -> Block:
    """Costs of one operation that returns ``width`` channels at ``size``."""
    if name.startswith("sep_conv"):
        depthwise = conv(int(name[-1]), width, width, size, groups=width)
        return (depthwise + conv(1, width, width, size) + norm(width)) * 2
    if name == "identity" and stride == 2:
        return conv_norm(1, width, width, size)  # two convolutions, each to half of the channels
    return Block()
