"""Exact costs of cells, per network and per operation, in the network that the benchmark builds around them.

Parameters are trainable ones; multiply-adds are those of convolutions and linear layers for one image.
Everything is worked out from codes in batches; no network is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...errors import ConfigError
from ..base import SearchSpace
from ..darts import DARTS
from ..enas_macro import ENASMacro
from ..enas_micro import ENASMicro
from ..gpnas import GPNAS
from ..nasbench1shot1 import NASBench1Shot1
from ..nasbench101 import NASBench101
from ..nasbench201 import NASBench201
from ..random_wired import RandomWired
from . import darts, enas_macro, enas_micro, gpnas, nasbench101, nasbench201, random_wired
from .base import Costs, OperationCosts, Skeleton, checked_skeleton, in_chunks
from .darts import DARTSSkeleton
from .enas_macro import ENASMacroSkeleton
from .enas_micro import ENASMicroSkeleton
from .gpnas import GPNASSkeleton
from .nasbench101 import NASBench101Skeleton
from .nasbench201 import NASBench201Skeleton
from .random_wired import RandomWiredSkeleton

_FAMILIES: tuple[tuple[type[SearchSpace], type[Skeleton], Callable[..., OperationCosts]], ...] = (
    (DARTS, DARTSSkeleton, darts.operation_costs),
    (ENASMacro, ENASMacroSkeleton, enas_macro.operation_costs),
    (ENASMicro, ENASMicroSkeleton, enas_micro.operation_costs),
    (GPNAS, GPNASSkeleton, gpnas.operation_costs),
    (NASBench101, NASBench101Skeleton, nasbench101.operation_costs),
    (NASBench1Shot1, NASBench101Skeleton, nasbench101.operation_costs),
    (NASBench201, NASBench201Skeleton, nasbench201.operation_costs),
    (RandomWired, RandomWiredSkeleton, random_wired.operation_costs),
)


def costs(space: SearchSpace, codes: Tensor, skeleton: Skeleton | None = None) -> Costs:
    """Parameters and multiply-adds of whole networks, one a cell.

    Args:
        space: the space of the codes.
        codes: [B, D] long.
        skeleton: sizes of the network around the cells; None for the published one.

    Returns:
        Costs of [B] long tensors on the device of the codes.

    Raises:
        ConfigError: the space has no image network, or the skeleton is one of another space.
        InvalidCodeError: a row is no cell of the space.
    """
    function, skeleton = _family(space, skeleton)
    return in_chunks(space.check_codes(codes), lambda part: function(space, part, skeleton))


def operation_costs(space: SearchSpace, codes: Tensor, skeleton: Skeleton | None = None) -> OperationCosts:
    """Parameters and multiply-adds of every operation in each of its places in the network.

    Args:
        space: the space of the codes.
        codes: [B, D] long.
        skeleton: sizes of the network around the cells; None for the published one.

    Returns:
        OperationCosts of [B, P, N] long tensors on the device of the codes: P places of a cell in the
        network, N = ``space.max_nodes``.

    Raises:
        ConfigError: the space has no image network, or the skeleton is one of another space.
        InvalidCodeError: a row is no cell of the space.
    """
    function, skeleton = _family(space, skeleton)
    return function(space, space.check_codes(codes), skeleton)


def published_skeleton(space: SearchSpace) -> Skeleton:
    """The network that the space's authors build around its cells.

    Raises:
        ConfigError: the space has no image network.
    """
    return _family(space, None)[1]


def _family(space: SearchSpace, skeleton: Skeleton | None) -> tuple[Callable[..., Any], Skeleton]:
    for kind, skeletons, function in _FAMILIES:
        if isinstance(space, kind):
            return function, checked_skeleton(skeleton, skeletons, space.name)
    known = ", ".join(kind.__name__ for kind, _, _ in _FAMILIES)
    raise ConfigError(f"{space.name} has no image network whose costs are known; spaces that have one: {known}")


__all__ = [
    "Costs",
    "DARTSSkeleton",
    "ENASMacroSkeleton",
    "ENASMicroSkeleton",
    "GPNASSkeleton",
    "NASBench101Skeleton",
    "NASBench201Skeleton",
    "OperationCosts",
    "RandomWiredSkeleton",
    "Skeleton",
    "costs",
    "operation_costs",
    "published_skeleton",
]
