"""Costs of ENAS macro networks (Pham et al., ICML 2018), trained from scratch.

The network of :mod:`~latentnas.spaces.costs.chain`, which is the published code's for a fixed
architecture, with one branch a layer: the operation chosen, as it is in the code's one-shot model. It is a
1 x 1 convolution with batch normalisation and ReLU, followed by the k x k convolution (plain, or depthwise
and pointwise) with batch normalisation and ReLU, or by the pooling.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..enas_macro import ENASMacro
from .base import Block, OperationCosts, Skeleton, conv, conv_norm
from .chain import chain_costs


@dataclass(frozen=True)
class ENASMacroSkeleton(Skeleton):
    """The network of an ENAS macro cell; the defaults are the published ones.

    Attributes:
        channels: channels of the first layers; they double at each of the two reductions.
        classes: number of classes.
        image_size: height and width of the images, which have three channels; reductions round up.
    """

    channels: int = 96
    classes: int = 10
    image_size: int = 32


def operation_costs(space: ENASMacro, codes: Tensor, skeleton: ENASMacroSkeleton) -> OperationCosts:
    """Costs of the layers: [B, 1, L + 2]; see :func:`~latentnas.spaces.costs.chain.chain_costs`."""
    return chain_costs(
        space,
        codes,
        _operation,
        channels=skeleton.channels,
        classes=skeleton.classes,
        image_size=skeleton.image_size,
    )


def _operation(name: str, width: int, size: int) -> Block:
    """Costs of one operation that keeps ``width`` channels at ``size``."""
    first = conv_norm(1, width, width, size)
    if name.endswith("pool3x3"):
        return first
    kernel = int(name[-1])
    if name.startswith("sepconv"):
        return first + conv(kernel, width, width, size, groups=width) + conv_norm(1, width, width, size)
    return first + conv_norm(kernel, width, width, size)
