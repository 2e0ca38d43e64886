"""Measures of operations and of cells that predictors take beside the graphs, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import ConfigError, UnknownNameError
from ..spaces import SearchSpace

Measure: TypeAlias = Callable[[SearchSpace, Tensor], Tensor]
"""Takes a space and codes [B, D]; returns floats, [B, N, F] by vertex of the node view, or [B, F] of whole cells."""


def operation_costs(space: SearchSpace, codes: Tensor) -> Tensor:
    """Parameters and multiply-adds of every operation in the published network, all its copies: [B, N, 2]."""
    costs = space.operation_costs(codes)
    return torch.stack([costs.params.sum(1), costs.macs.sum(1)], 2).double()


def cell_costs(space: SearchSpace, codes: Tensor) -> Tensor:
    """Parameters and multiply-adds of the published network: [B, 2]."""
    costs = space.costs(codes)
    return torch.stack([costs.params, costs.macs], 1).double()


OP_FEATURES: dict[str, Measure] = {"costs": operation_costs}
"""Measures of operations, by name."""

CELL_FEATURES: dict[str, Measure] = {"costs": cell_costs}
"""Measures of whole cells, by name."""


def get_measure(name: str | Measure, known: dict[str, Measure], what: str) -> Measure:
    """The measure of that name, or the function itself.

    Raises:
        UnknownNameError: there is no measure of that name.
    """
    if not isinstance(name, str):
        return name
    if name not in known:
        raise UnknownNameError(what, name, known)
    return known[name]


def measured(measure: Measure, space: SearchSpace, codes: Tensor, dims: int) -> Tensor:
    """What the measure says of B cells, damped: sign(x) log(1 + |x|), in float: [B, N, F] or [B, F].

    Saliencies and costs span orders of magnitude.

    Raises:
        ConfigError: the result has a wrong shape or values that are not finite.
    """
    found = torch.as_tensor(measure(space, codes)).detach().double().cpu()
    leading = (len(codes), space.max_nodes)[: dims - 1]
    if found.ndim != dims or found.shape[: dims - 1] != leading:
        expected = ", ".join([*map(str, leading), "F"])
        raise ConfigError(f"a measure must return floats of shape [{expected}], got {list(found.shape)}")
    if not bool(found.isfinite().all()):
        raise ConfigError("a measure returned values that are not finite")
    return (found.sign() * found.abs().log1p()).float()


@dataclass(frozen=True, eq=False)
class Standardizer:
    """Shifts and scales the last dimension to mean 0 and standard deviation 1 over the training cells.

    Attributes:
        center, scale: [F] float.
    """

    center: Tensor
    scale: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Standardizer:
        """From training values [..., F]; of operations those that have any measure count. A constant keeps scale 1."""
        flat = values.reshape(-1, values.shape[-1])
        if values.ndim == 3 and bool(flat.any()):
            flat = flat[flat.any(1)]
        scale = flat.std(0, unbiased=False)
        return cls(flat.mean(0), torch.where(scale > 1e-6, scale, torch.ones_like(scale)))

    def __call__(self, values: Tensor) -> Tensor:
        """The same shape; operations without any measure stay zero."""
        scaled = (values - self.center) / self.scale
        return scaled * values.any(-1, keepdim=True) if values.ndim == 3 else scaled
