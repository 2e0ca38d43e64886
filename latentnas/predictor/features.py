"""Measures of operations and of cells that predictors take beside the graphs, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ConfigError, LatentNASError, UnknownNameError
from ..spaces import SearchSpace
from ..spaces.features import flow_statistics, link_counts

if TYPE_CHECKING:
    from ..evaluation.zero_cost import ZeroCostMetrics

Measure: TypeAlias = Callable[[SearchSpace, Tensor], Tensor]
"""Takes a space and codes [B, D]; returns floats, [B, N, F] by vertex of the node view, or [B, F] of whole cells."""

MeasureSetting: TypeAlias = str | Sequence[str] | Measure
"""A measure as it is asked for: by its name, by several names, or as a function."""


def operation_costs(space: SearchSpace, codes: Tensor) -> Tensor:
    """Parameters and multiply-adds of every operation in the published network, all its copies: [B, N, 2]."""
    costs = space.operation_costs(codes)
    return torch.stack([costs.params.sum(1), costs.macs.sum(1)], 2).double()


def cell_costs(space: SearchSpace, codes: Tensor) -> Tensor:
    """Parameters and multiply-adds of the published network: [B, 2]."""
    costs = space.costs(codes)
    return torch.stack([costs.params, costs.macs], 1).double()


OPERATION_METRICS = ("grad_norm", "snip", "synflow", "params", "flops")
"""Zero-cost metrics of operations: the paper's six without ``plain``, which a batch normalisation after every
convolution makes 0 but for rounding."""

NETWORK_METRICS = ("grad_norm", "plain", "snip", "synflow", "relu_logdet")
"""Zero-cost metrics of networks, the paper's five."""


def operation_zero_cost(space: SearchSpace, codes: Tensor) -> Tensor:
    """Zero-cost metrics of every operation, ``OPERATION_METRICS`` in this order: [B, N, 5], double.

    By vertex of the node view; 0 at the input, the output, operations without weights, and those that do not matter
    to the output. GATES++ (Ning et al., TPAMI 2023), eq. 11.

    Raises:
        ConfigError: no networks are built for cells of the space.
    """
    found = network_metrics("zero_cost", space, codes).operations
    return functional.pad(torch.stack([found[name] for name in OPERATION_METRICS], 2), (0, 0, 1, 1))


def cell_zero_cost(space: SearchSpace, codes: Tensor) -> Tensor:
    """Zero-cost metrics of the untrained network, ``NETWORK_METRICS`` in this order: [B, 5], double.

    GATES++ (Ning et al., TPAMI 2023), section 5.2.

    Raises:
        ConfigError: no networks are built for cells of the space.
    """
    found = network_metrics("zero_cost", space, codes).network
    return torch.stack([found[name] for name in NETWORK_METRICS], 1)


EXPRESSIVITY = ("expressivity", "backward_expressivity")
"""Zero-cost metrics of every block."""

STAGE_CELLS = {"nasbench201": 5}
"""Cells in each stage of the networks whose expressivity is measured, by space: as in the published ones, which
elsewhere have the 3 of the other metrics. With 5 a Gaussian process ranked held-out cells of NAS-Bench-201 by 0.003
better."""


def cell_expressivity(space: SearchSpace, codes: Tensor) -> Tensor:
    """``EXPRESSIVITY`` of the untrained network after each of its L blocks: [B, 2 L], double.

    Raises:
        ConfigError: no networks are built for cells of the space.
    """
    found = network_metrics("expressivity", space, codes).blocks
    return torch.cat([found[name] for name in EXPRESSIVITY], 1)


UNTRAINED = {
    "zero_cost": tuple(dict.fromkeys((*NETWORK_METRICS, *OPERATION_METRICS))),
    "expressivity": EXPRESSIVITY,
}
"""The measures that take a pass of every cell's untrained network, and the metrics that they take from it."""


def network_metrics(name: str, space: SearchSpace, codes: Tensor, *, progress: bool = False) -> ZeroCostMetrics:
    """What the measure ``name`` of :data:`UNTRAINED` rests on, of cells [B, D]; kept on disk for the next call.

    Raises:
        ConfigError: no networks are built for cells of the space.
    """
    from ..evaluation.zero_cost import NetworkSize, zero_cost_metrics

    layers = NetworkSize().layers
    if name == "expressivity":
        layers = STAGE_CELLS.get(space.name, layers)
    return zero_cost_metrics(space, codes, metrics=UNTRAINED[name], layers=layers, progress=progress)


OP_FEATURES: dict[str, Measure] = {"costs": operation_costs, "zero_cost": operation_zero_cost}
"""Measures of operations, by name."""

CELL_FEATURES: dict[str, Measure] = {
    "links": link_counts,
    "flow": flow_statistics,
    "costs": cell_costs,
    "zero_cost": cell_zero_cost,
    "expressivity": cell_expressivity,
}
"""Measures of whole cells, by name."""


def names_of(given: str | Sequence[str]) -> list[str]:
    """The names of a measure that is asked for by one or by several."""
    return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True)
class SideBySide:
    """Several measures as one; can be pickled."""

    measures: tuple[Measure, ...]

    def __call__(self, space: SearchSpace, codes: Tensor) -> Tensor:
        return torch.cat([torch.as_tensor(measure(space, codes)) for measure in self.measures], -1)


def get_measure(given: MeasureSetting, known: dict[str, Measure], what: str) -> Measure:
    """The measure of that name, those of several names side by side, or the function itself.

    Raises:
        UnknownNameError: there is no measure of a name.
    """
    if callable(given):
        return given
    names = names_of(given)
    for name in names:
        if name not in known:
            raise UnknownNameError(what, name, known)
    if len(names) == 1:
        return known[names[0]]
    return SideBySide(tuple(known[name] for name in names))


def measure_faults(measure: Measure, space: SearchSpace) -> list[str]:
    """Why a measure that has a name cannot be taken of cells of ``space``, as sentences."""
    try:
        measure(space, torch.zeros(0, space.dim, dtype=torch.long))
    except LatentNASError as error:
        return [str(error)]
    return []


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
    """Shifts and scales the last dimension by the training cells: measures of cells to mean 0 and standard deviation 1.

    Measures of operations are brought to mean 2 and standard deviation 1 over the operations that have any, then
    divided by the square root of 5, for a root mean square of 1: an operation without any keeps 0, as published, and
    stands below small ones. With the mean at 0 a skip connection would stand between a small and a large convolution.

    Attributes:
        center, scale: [F] float.
    """

    center: Tensor
    scale: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Standardizer:
        """From training values [B, F] of cells or [B, N, F] of operations. Without variation scale is 1."""
        flat = values if values.ndim == 2 or not bool(values.any()) else values[values.any(2)]  # [M, F]
        flat = flat.reshape(-1, values.shape[-1])
        center, scale = flat.mean(0), flat.std(0, unbiased=False)
        scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
        return cls(center, scale) if values.ndim == 2 else cls(center - 2 * scale, math.sqrt(5) * scale)

    def __call__(self, values: Tensor) -> Tensor:
        """The same shape; operations without any measure stay zero."""
        scaled = (values - self.center) / self.scale
        return scaled * values.any(-1, keepdim=True) if values.ndim == 3 else scaled
