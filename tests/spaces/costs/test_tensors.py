from __future__ import annotations

import math

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.spaces import get_space
from latentnas.spaces.costs.tensors import cost_tensor


def test_a_3x3_convolution_of_nasbench201() -> None:
    """16 channels at 32 x 32: 9 * 16 * 16 = 2,304 weights, 32 scales and shifts; 2,304 * 1,024 multiply-adds."""
    space = get_space("nasbench201")
    codes = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    costs = cost_tensor(space, codes)
    assert costs.shape == (1, 15, 8, 2)
    assert costs.dtype == torch.float
    assert costs[0, 0, 1].tolist() == pytest.approx([math.log10(1 + 2304 * 1024) / 10, math.log10(1 + 2336) / 10])
    assert costs[0, 0, 6].tolist() == pytest.approx([math.log10(1 + 256 * 1024) / 10, math.log10(1 + 288) / 10])
    assert not bool(costs[:, :, [0, 2, 3, 4, 5, 7]].any()), "pooling, skip connections and 'none' cost nothing"


def test_a_space_without_an_image_network() -> None:
    space = get_space("nas_bench_graph")
    with pytest.raises(ConfigError, match="no image network"):
        cost_tensor(space, space.sample(2, seed=0))
