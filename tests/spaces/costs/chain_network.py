"""The network around chains of layers, as plain modules: what ENAS's authors build for a fixed macro architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .layers import FactorizedReduce, ReLUConvBN, conv


class ChainNetwork(nn.Module):
    """Chain of layers.

    Args:
        names: what is done in each layer.
        skips: for each layer the earlier vertices that skip to it, 0 the stem.
        operation: makes the module of a layer, from its name and channels.
    """

    def __init__(
        self,
        names: Sequence[str],
        skips: Sequence[Sequence[int]],
        operation: Callable[[str, int], nn.Module],
        channels: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.skips = skips
        third = len(names) // 3
        self.stem = nn.Sequential(conv(3, channels, 3), nn.BatchNorm2d(channels))
        self.layers, self.merges, self.reductions = nn.ModuleList(), nn.ModuleDict(), nn.ModuleDict()
        for k, (name, sources) in enumerate(zip(names, skips, strict=True), start=1):
            self.layers.append(operation(name, channels))
            if k > 1:
                self.merges[str(k)] = ReLUConvBN((1 + len(sources)) * channels, channels)
            if third > 0 and k in (third, 2 * third):
                self.reductions[str(k)] = nn.ModuleList(FactorizedReduce(channels, 2 * channels) for _ in range(k + 1))
                channels *= 2
        self.classifier = nn.Linear(channels, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        values = [self.stem(images)]
        for k, layer in enumerate(self.layers, start=1):
            value = layer(values[-1])
            if k > 1:
                value = self.merges[str(k)](torch.cat([value, *(values[j] for j in self.skips[k - 1])], 1))
            values.append(value)
            if str(k) in self.reductions:
                reductions = self.reductions[str(k)]
                assert isinstance(reductions, nn.ModuleList)
                values = [reduce(value) for reduce, value in zip(reductions, values, strict=True)]
        return self.classifier(values[-1].mean((2, 3)))
