"""The network that NAS-Bench-201 (Dong and Yang, ICLR 2020) builds around a cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...spaces import get_space
from ...spaces.nasbench201 import EDGES, OPERATIONS


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch normalisation; keeps height and width at stride 1."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class Cell(nn.Module):
    """Four vertices; the value of a vertex is the sum of its incoming edges' operations.

    An edge with operation 'none' adds nothing and passes no gradient; a vertex without any other
    incoming edge is zero. Operations that are fed by zeros or lead nowhere are built all the same,
    as in the published network, so that the parameter count is the published one.

    Args:
        code: 6 operations, one for each of ``EDGES``.
        channels: channels of input and output.
    """

    def __init__(self, code: list[int], channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleDict()
        for (source, target), op in zip(EDGES, code, strict=True):
            if OPERATIONS[op] != "none":
                self.operations[f"{source}_{target}"] = _operation(OPERATIONS[op], channels)

    def forward(self, x: Tensor) -> Tensor:
        # x [n, channels, h, w] -> the same shape
        vertices = [x]
        for target in range(1, 4):
            terms = [
                self.operations[f"{source}_{target}"](vertices[source])
                for source in range(target)
                if f"{source}_{target}" in self.operations
            ]
            vertices.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(x))
        return vertices[-1]


def _operation(name: str, channels: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity()
    if name == "nor_conv_1x1":
        return ReLUConvBN(channels, channels, 1)
    if name == "nor_conv_3x3":
        return ReLUConvBN(channels, channels, 3)
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


class ReductionBlock(nn.Module):
    """Residual block between stages: halves height and width (rounding up), changes the channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReLUConvBN(in_channels, out_channels, 3, stride=2), ReLUConvBN(out_channels, out_channels, 3)
        )
        # ceil_mode changes nothing for even sizes; for odd ones it agrees with the strided convolution.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        # x [n, in_channels, h, w] -> [n, out_channels, ceil(h / 2), ceil(w / 2)]
        return self.body(x) + self.shortcut(x)


class NASBench201Network(nn.Module):
    """Stem, stages of equal cells with a reduction block between two stages, pooling, classifier.

    The published configuration is ``channels=16, cells=5, stages=3`` on 3 x 32 x 32 images with 10
    classes. Channels double at every reduction.

    Args:
        code: [6] long, or 6 integers: the cell.
        channels: channels of the first stage, at least 1.
        cells: cells in each stage, at least 1.
        stages: number of stages, at least 1.
        classes: number of classes, at least 1.
        in_channels: channels of the images, at least 1.

    Raises:
        InvalidCodeError: the code is no cell of nasbench201.
        ConfigError: a size is less than 1.
    """

    def __init__(
        self,
        code: Tensor | list[int],
        *,
        channels: int = 16,
        cells: int = 5,
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
            raise ConfigError(f"NASBench201Network: sizes must be at least 1, got {', '.join(wrong)}")
        row = code[None] if isinstance(code, Tensor) else [code]
        operations = get_space("nasbench201").check_codes(row)[0].tolist()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        body: list[nn.Module] = []
        for stage in range(stages):
            width = channels * 2**stage
            if stage > 0:
                body.append(ReductionBlock(width // 2, width))
            body += [Cell(operations, width) for _ in range(cells)]
        self.body = nn.Sequential(*body)
        self.head = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [n, classes] of images [n, in_channels, h, w]."""
        return self.head(self.body(self.stem(images)))
