"""latentnas/spaces/costs/base.py."""

from __future__ import annotations

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.spaces.costs import DARTSSkeleton, NASBench201Skeleton, OperationCosts
from latentnas.spaces.costs.base import (
    CHUNK,
    Block,
    checked_skeleton,
    conv,
    conv_norm,
    in_chunks,
    linear,
    norm,
    operation_costs_of,
)


def test_blocks_by_hand() -> None:
    assert conv(3, 4, 8, 5) == Block(9 * 4 * 8, 9 * 4 * 8 * 25)
    assert conv(3, 8, 8, 5, groups=8) == Block(72, 72 * 25)
    assert norm(8) == Block(16, 0)
    assert conv_norm(1, 4, 8, 2) == Block(32 + 16, 32 * 4)
    assert linear(8, 10) == Block(90, 80)
    assert linear(8, 10, bias=False) == Block(80, 80)
    assert (Block(1, 2) + Block(3, 4)) * 2 == Block(8, 12)


def test_table() -> None:
    """Two places, three vertices, two situations."""
    table = [[[Block(100 * p + 10 * v + k, -k) for k in range(2)] for v in range(3)] for p in range(2)]
    result = operation_costs_of(table, torch.tensor([[0, 1, 0], [1, 1, 1]]), Block(7, 8))
    assert result.params.tolist() == [[[0, 11, 20], [100, 111, 120]], [[1, 11, 21], [101, 111, 121]]]
    assert result.macs.tolist() == [[[0, -1, 0]] * 2, [[-1, -1, -1]] * 2]
    assert result.totals().params.tolist() == [362 + 7, 366 + 7]
    assert result.totals().macs.tolist() == [-2 + 8, -6 + 8]


def test_chunks() -> None:
    sizes = []

    def function(codes: torch.Tensor) -> OperationCosts:
        sizes.append(len(codes))
        return OperationCosts(codes[:, None], 2 * codes[:, None], 1, 0)

    codes = torch.arange(2 * CHUNK + 5)[:, None]
    result = in_chunks(codes, function)
    assert sizes == [CHUNK, CHUNK, 5]
    assert torch.equal(result.params, codes[:, 0] + 1)
    assert torch.equal(result.macs, codes[:, 0] * 2)


def test_wrong_skeletons() -> None:
    with pytest.raises(ConfigError) as error:
        NASBench201Skeleton(channels=0, cells=2.5, stages=True)  # type: ignore[arg-type]
    assert str(error.value) == (
        "NASBench201Skeleton: channels must be an integer of at least 1, got 0; "
        "cells must be an integer of at least 1, got 2.5; stages must be an integer of at least 1, got True"
    )
    with pytest.raises(ConfigError, match="auxiliary must be True or False, got 1"):
        DARTSSkeleton(auxiliary=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"darts: the skeleton must be a DARTSSkeleton, got NASBench201Skeleton\("):
        checked_skeleton(NASBench201Skeleton(), DARTSSkeleton, "darts")
    assert checked_skeleton(None, DARTSSkeleton, "darts") == DARTSSkeleton()
