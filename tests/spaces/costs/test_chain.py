"""latentnas/spaces/costs/chain.py, by hand; the whole network is built in test_enas_macro.py and test_gpnas.py."""

from __future__ import annotations

import torch

from latentnas.spaces.costs.base import Block
from latentnas.spaces.costs.chain import chain_costs
from latentnas.spaces.enas_macro import ENASMacro


def test_by_hand() -> None:
    """Four layers of 2 channels on 4 x 4: reductions after layers 1 and 2, skips 0 -> 2, 0 -> 4 and 2 -> 4."""
    space = ENASMacro(layers=4)
    code = torch.tensor([[0, 0, 0, 0, 1, 0, 0, 1, 0, 1]])
    result = chain_costs(
        space, code, lambda name, width, size: Block(1000 * width, size), channels=2, classes=5, image_size=4
    )
    # widths 2, 4, 8, 8 at 4, 2, 1, 1; a layer's 1 x 1 convolution reads its own result and what skips to it
    merged = [0, 2 * 16, 1 * 64, 3 * 64]
    expected = [2000, 4000 + merged[1] + 8, 8000 + merged[2] + 16, 8000 + merged[3] + 16]
    assert result.params.tolist() == [[[0, *expected, 0]]]
    assert result.macs.tolist() == [[[0, 4, 2 + 4 * merged[1], 1 + merged[2], 1 + merged[3], 0]]]
    # stem; two tensors from 2 to 4 channels at 2 x 2; three from 4 to 8 at 1 x 1; classifier without bias
    assert result.fixed_params == 54 + 4 + 2 * (8 + 8) + 3 * (32 + 16) + 40
    assert result.fixed_macs == 54 * 16 + 2 * 8 * 4 + 3 * 32 + 40


def test_no_reduction_with_fewer_than_three_layers() -> None:
    space = ENASMacro(layers=2)
    result = chain_costs(space, space.sample(1, seed=0), lambda *_: Block(), channels=3, classes=2, image_size=4)
    assert result.fixed_params == 81 + 6 + 6
