"""The network that NAS-Bench-101 (Ying et al., ICML 2019) builds around a cell."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...spaces import OUTPUT, NodeGraphs, SearchSpace, get_space
from ...spaces.costs.nasbench101 import check_width, pruned, vertex_channels


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; keeps height and width."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class Cell(nn.Module):
    """Operations on vertices; the values of those that feed the output are concatenated.

    A vertex sums what feeds it: values of other vertices, cut to its channels, and a 1 x 1 projection
    of the cell's input. An edge from the input to the output adds a projection to the concatenation.

    Args:
        graph: one pruned cell: batch of 1.
        names: name of the operation of each vertex type.
        in_channels: channels that the cell reads.
        out_channels: channels that it returns, at least the number of vertices that feed the output.
    """

    def __init__(self, graph: NodeGraphs, names: tuple[str, ...], in_channels: int, out_channels: int) -> None:
        super().__init__()
        widths = vertex_channels(graph, torch.tensor([out_channels]))[0, 0].tolist()
        types, adj = graph.ops[0].tolist(), graph.adj[0].tolist()
        vertices = graph.mask[0].nonzero()[:, 0].tolist()
        self.output = next(v for v in vertices if types[v] == OUTPUT)
        self.widths = widths
        self.sources = {v: [s for s in vertices if s > 0 and adj[s][v]] for v in vertices if v > 0}
        self.projections = nn.ModuleDict(
            {str(v): ConvBNReLU(in_channels, widths[v], 1) for v in self.sources if adj[0][v]}
        )
        self.operations = nn.ModuleDict(
            {str(v): _OPERATIONS[names[types[v]]](widths[v]) for v in self.sources if v != self.output}
        )

    def forward(self, x: Tensor) -> Tensor:
        # x [n, in_channels, h, w] -> [n, out_channels, h, w]
        values: dict[int, Tensor] = {}
        for vertex, sources in self.sources.items():
            if vertex == self.output:
                terms = [torch.cat([values[s] for s in sources], 1)] if sources else []
            else:
                terms = [values[s][:, : self.widths[vertex]] for s in sources]
            if str(vertex) in self.projections:
                terms.append(self.projections[str(vertex)](x))
            total = sum(terms[1:], terms[0])
            values[vertex] = total if vertex == self.output else self.operations[str(vertex)](total)
        return values[self.output]


_OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "conv3x3-bn-relu": lambda channels: ConvBNReLU(channels, channels, 3),
    "conv1x1-bn-relu": lambda channels: ConvBNReLU(channels, channels, 1),
    "maxpool3x3": lambda channels: nn.MaxPool2d(3, stride=1, padding=1),
}


class NASBench101Network(nn.Module):
    """Stem, stages of equal cells with a max pooling between two stages, pooling, classifier.

    The published configuration is ``channels=128, cells=3, stages=3`` on 3 x 32 x 32 images with 10
    classes. Channels double after every max pooling. Batch normalisation has PyTorch's momentum, not the
    published 0.003, whose running statistics need thousands of steps.

    Args:
        code: [D] long, or D integers: the cell. Vertices on no path from input to output are left out.
        space: the space of the code, or its name: nasbench101 or one of its sub-spaces.
        channels: channels of the stem and the first stage, at least 1, and at least the number of
            vertices that feed the cell's output.
        cells: cells in each stage, at least 1.
        stages: number of stages, at least 1.
        classes: number of classes, at least 1.
        in_channels: channels of the images, at least 1.

    Raises:
        InvalidCodeError: the code is no cell of the space.
        ConfigError: a size is less than 1, or there are too few channels for the cell.
    """

    def __init__(
        self,
        code: Tensor | list[int],
        *,
        space: str | SearchSpace = "nasbench101",
        channels: int = 128,
        cells: int = 3,
        stages: int = 3,
        classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        sizes = {
            "channels": channels,
            "cells": cells,
            "stages": stages,
            "classes": classes,
            "in_channels": in_channels,
        }
        wrong = [f"{name}={size}" for name, size in sizes.items() if size < 1]
        if wrong:
            raise ConfigError(f"NASBench101Network: sizes must be at least 1, got {', '.join(wrong)}")
        space = get_space(space)
        row = code[None] if isinstance(code, Tensor) else [code]
        graph = pruned(space.node_graphs(space.check_codes(row).cpu()))
        check_width(graph, channels)
        self.stem = ConvBNReLU(in_channels, channels, 3)
        body: list[nn.Module] = []
        previous = channels
        for stage in range(stages):
            width = channels * 2**stage
            if stage > 0:
                # ceil_mode changes nothing for even sizes; for odd ones it is TensorFlow's padding "same".
                body.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
            for _ in range(cells):
                body.append(Cell(graph, space.node_types, previous, width))
                previous = width
        self.body = nn.Sequential(*body)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [n, classes] of images [n, in_channels, h, w]."""
        return self.head(self.body(self.stem(images)))
