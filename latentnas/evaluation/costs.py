"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Costs:
    """Costs of one network.

    Attributes:
        parameters: number of trainable parameters.
        macs: multiply-adds of convolutions and linear layers, without biases, for one image.
    """

    parameters: int
    macs: int


def count_costs(network: nn.Module, image_shape: Sequence[int]) -> Costs:
    """Count parameters and multiply-adds by running one image through the network.

    The network's weights, statistics and mode are as before afterwards. A network on the device
    "meta" is counted without computing anything.

    Args:
        network: takes images [1, *image_shape]; convolutions are ``nn.Conv2d``.
        image_shape: channels, height, width.
    """
    macs = 0

    def count_conv(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d)
        # weight [out, in / groups, kh, kw] is applied once at every position of the output
        macs += module.weight.numel() * output.shape[-2] * output.shape[-1]

    def count_linear(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Linear)
        macs += module.weight.numel() * (output.numel() // module.out_features)

    handles = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(count_conv))
        elif isinstance(module, nn.Linear):
            handles.append(module.register_forward_hook(count_linear))
    parameters = list(network.parameters())
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # batch statistics stay as they are
    try:
        with torch.no_grad():
            like = parameters[0] if parameters else torch.empty(0)
            network(torch.zeros(1, *image_shape, device=like.device, dtype=like.dtype))
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()
    return Costs(sum(p.numel() for p in parameters if p.requires_grad), macs)
