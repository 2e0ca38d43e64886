"""Costs of operations as predictors read them: floats on a scale of about 1."""

from __future__ import annotations

import torch
from torch import Tensor

from ..base import SearchSpace
from . import operation_costs
from .base import Skeleton

SCALE = 10.0
"""What the logarithms are divided by: costs of 1 to 10^10 become 0 to 1."""


def cost_tensor(space: SearchSpace, codes: Tensor, skeleton: Skeleton | None = None) -> Tensor:
    """FLOPs and parameters of every operation in each of its places, as log10(1 + x) / 10.

    Costs of one network span many powers of ten, so that without the logarithm only the largest would be seen.

    Args:
        space: the space of the codes.
        codes: [B, D] long.
        skeleton: sizes of the network around the cells; None for the published one.

    Returns:
        [B, P, N, 2] float: multiply-adds, then parameters.

    Raises:
        ConfigError: the space has no image network.
    """
    costs = operation_costs(space, codes, skeleton)
    both = torch.stack([costs.macs, costs.params], 3)
    return (both.double().log1p() / (SCALE * torch.log(torch.tensor(10.0)).double())).float()
