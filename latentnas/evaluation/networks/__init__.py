"""PyTorch networks built from codes, one module a space."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from ...errors import ConfigError
from ...spaces import SearchSpace, get_space
from .nasbench101 import NASBench101Network
from .nasbench201 import NASBench201Network

_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "nasbench101": NASBench101Network,
    **{name: partial(NASBench101Network, space=name) for name in (f"nasbench1shot1-{v}" for v in (1, 2, 3))},
    "nasbench201": NASBench201Network,
}


def list_networks() -> list[str]:
    """Names of the spaces whose cells :func:`build_network` turns into networks, sorted."""
    return sorted(_NETWORKS)


def build_network(
    space: str | SearchSpace,
    code: Tensor | list[int],
    *,
    channels: int,
    cells: int,
    stages: int,
    classes: int,
    in_channels: int,
) -> nn.Module:
    """An untrained network: images [n, in_channels, h, w] -> class scores [n, classes].

    Args:
        space: the space of the code, or its name.
        code: [D] long, one cell.
        channels: channels of the first stage; they double with every stage.
        cells: cells in each stage.
        stages: number of stages; height and width halve between two.
        classes: number of classes.
        in_channels: channels of the images.

    Raises:
        ConfigError: the space has no network, or a size is less than 1.
        InvalidCodeError: the code is no cell of the space.
    """
    name = get_space(space).name
    if name not in _NETWORKS:
        raise ConfigError(
            f"cells of {name} cannot be built as networks yet; spaces that can: {', '.join(list_networks())}"
        )
    return _NETWORKS[name](
        code, channels=channels, cells=cells, stages=stages, classes=classes, in_channels=in_channels
    )


__all__ = ["NASBench101Network", "NASBench201Network", "build_network", "list_networks"]
