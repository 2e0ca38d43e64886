"""Costs of GPNAS chains in the network of :mod:`~latentnas.spaces.costs.chain`; the paper fixes none of its own.

Operators: ``conv1x3-3x1`` and ``conv1x7-7x1`` are two convolutions in turn, ``dilconv3x3`` is one whose kernel
is spread, ``sepconv`` a depthwise and a pointwise one. None has a bias; batch normalisation and the
activation follow the last convolution of an operator. Pools and the identity have no weights.
Initialisation and activation cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..gpnas import GPNAS
from .base import Block, OperationCosts, Skeleton, conv, conv_norm, norm
from .chain import chain_costs


@dataclass(frozen=True)
class GPNASSkeleton(Skeleton):
    """The network of a GPNAS chain, with the sizes of ENAS's search on CIFAR-10 as defaults.

    Attributes:
        channels: channels of the first layers; they double at each of the two reductions.
        classes: number of classes.
        image_size: height and width of the images, which have three channels; reductions round up.
    """

    channels: int = 36
    classes: int = 10
    image_size: int = 32


def operation_costs(space: GPNAS, codes: Tensor, skeleton: GPNASSkeleton) -> OperationCosts:
    """Costs of the layers: [B, 1, L + 2]; see :func:`~latentnas.spaces.costs.chain.chain_costs`."""
    return chain_costs(
        space,
        codes,
        _operation,
        channels=skeleton.channels,
        classes=skeleton.classes,
        image_size=skeleton.image_size,
    )


_FACTORISED = {"conv1x3-3x1": 3, "conv1x7-7x1": 7}
"""Pairs of convolutions of 1 x k and k x 1."""


def _operation(name: str, width: int, size: int) -> Block:
    """Costs of one generalised operator that keeps ``width`` channels at ``size``."""
    operator = name.split("/")[0]
    if operator == "identity" or "pool" in operator:
        return Block()
    if operator in _FACTORISED:
        return conv(1, width, width, size) * (2 * _FACTORISED[operator]) + norm(width)
    kernel = int(operator[-1])
    if operator.startswith("sepconv"):
        return conv(kernel, width, width, size, groups=width) + conv_norm(1, width, width, size)
    return conv_norm(kernel, width, width, size)
