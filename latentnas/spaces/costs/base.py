"""What costs are, and what every skeleton (the network that a benchmark builds around its cells) has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from ...errors import ConfigError

CHUNK = 8192
"""Cells whose costs are worked out at once; bounds the memory of totals."""

S = TypeVar("S", bound="Skeleton")


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of B whole networks.

    Attributes:
        params: [B] long, trainable parameters (batch normalisation's scales and shifts included).
        macs: [B] long, multiply-adds of convolutions and linear layers, without biases, for one image.
    """

    params: Tensor
    macs: Tensor


@dataclass(frozen=True, eq=False)
class OperationCosts:
    """Costs of every operation of B cells in each of its P places in the network.

    Places are the cells of the network in the order in which an image passes them; N is the
    ``max_nodes`` of the space, and entry [b, p, v] belongs to vertex v of the node view.

    Attributes:
        params: [B, P, N] long, trainable parameters of the operation.
        macs: [B, P, N] long, its multiply-adds for one image.
        fixed_params: parameters of the rest of the network (stem, reductions, classifier).
        fixed_macs: multiply-adds of the rest.
    """

    params: Tensor
    macs: Tensor
    fixed_params: int
    fixed_macs: int

    def totals(self) -> Costs:
        """Costs of the whole networks: the sums over places and vertices, plus the fixed part."""
        return Costs(self.params.sum((1, 2)) + self.fixed_params, self.macs.sum((1, 2)) + self.fixed_macs)


@dataclass(frozen=True)
class Skeleton:
    """Base class of skeletons: sizes are integers of at least 1, options are True or False.

    Raises:
        ConfigError: sizes or options are wrong; names every one.
    """

    def __post_init__(self) -> None:
        wrong = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    wrong.append(f"{field.name} must be True or False, got {value!r}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                wrong.append(f"{field.name} must be an integer of at least 1, got {value!r}")
        if wrong:
            raise ConfigError(f"{type(self).__name__}: {'; '.join(wrong)}")


def checked_skeleton(skeleton: Skeleton | None, kind: type[S], space: str) -> S:
    """``skeleton``, or the published one of its kind for None.

    Raises:
        ConfigError: the skeleton belongs to another space.
    """
    if skeleton is None:
        return kind()
    if not isinstance(skeleton, kind):
        raise ConfigError(f"{space}: the skeleton must be a {kind.__name__}, got {skeleton!r}")
    return skeleton


def in_chunks(codes: Tensor, function: Callable[[Tensor], OperationCosts]) -> Costs:
    """Totals of ``function`` over chunks of the codes, so that memory stays bounded."""
    totals = [function(part).totals() for part in codes.split(CHUNK)]  # one empty part for no codes
    return Costs(torch.cat([part.params for part in totals]), torch.cat([part.macs for part in totals]))


def halved(size: int) -> int:
    """Height or width after a layer of stride 2 that rounds up."""
    return (size + 1) // 2


@dataclass(frozen=True)
class Block:
    """Costs of some layers at a known size: weights, normalisation, multiply-adds. Blocks add up.

    Attributes:
        params: trainable parameters.
        macs: multiply-adds for one image.
    """

    params: int = 0
    macs: int = 0

    def __add__(self, other: Block) -> Block:
        return Block(self.params + other.params, self.macs + other.macs)

    def __mul__(self, times: int) -> Block:
        return Block(self.params * times, self.macs * times)


def conv(kernel: int, inputs: int, outputs: int, size: int, *, groups: int = 1) -> Block:
    """A convolution without bias.

    Args:
        kernel: height and width of the kernel.
        inputs: channels that it reads.
        outputs: channels that it returns.
        size: height and width of what it returns.
        groups: groups of channels.
    """
    weights = kernel * kernel * (inputs // groups) * outputs
    return Block(weights, weights * size * size)


def norm(channels: int) -> Block:
    """Batch normalisation: a scale and a shift for each channel."""
    return Block(2 * channels)


def conv_norm(kernel: int, inputs: int, outputs: int, size: int) -> Block:
    """A convolution without bias, then batch normalisation."""
    return conv(kernel, inputs, outputs, size) + norm(outputs)


def linear(inputs: int, outputs: int, *, bias: bool = True) -> Block:
    """A linear layer, applied to one vector."""
    return Block(inputs * outputs + (outputs if bias else 0), inputs * outputs)


def operation_costs_of(table: Sequence[Sequence[Sequence[Block]]], situations: Tensor, fixed: Block) -> OperationCosts:
    """Costs of vertices by table.

    Args:
        table: costs [P][N][K] of vertex v at place p in situation k (its operation, for instance).
        situations: [B, N] long, the situation of every vertex, 0..K-1.
        fixed: costs of everything else.
    """
    device = situations.device
    vertices = torch.arange(situations.shape[1], device=device)
    params, macs = (
        torch.tensor([[[getattr(block, name) for block in row] for row in place] for place in table], device=device)
        .permute(1, 2, 0)[vertices, situations]  # [N, K, P] -> [B, N, P]
        .transpose(1, 2)
        for name in ("params", "macs")
    )
    return OperationCosts(params, macs, fixed.params, fixed.macs)
