"""latentnas/spaces/costs/nasbench201.py, against published counts and networks that are built."""

from __future__ import annotations

import pytest
import torch

from latentnas.evaluation.networks.nasbench201 import Cell, NASBench201Network
from latentnas.spaces.costs import NASBench201Skeleton, costs, operation_costs
from latentnas.spaces.nasbench201 import NASBench201

from .layers import assert_built_networks_cost_the_same, parameters

SPACE = NASBench201()


def test_published_costs() -> None:
    codes = torch.tensor([[3] * 6, [3, 3, 2, 1, 3, 3], [0, 0, 0, 4, 1, 0]])
    result = costs(SPACE, codes)
    assert result.params.tolist() == [1_531_546, 1_073_466, 73_306]
    assert result.macs.tolist() == [220_119_680, 153_272_960, 7_783_040]


@pytest.mark.parametrize(
    "skeleton",
    [
        NASBench201Skeleton(channels=4, cells=2, stages=3, classes=7, image_size=9),
        NASBench201Skeleton(channels=3, cells=1, stages=1, classes=2, image_size=4),
    ],
)
def test_as_built(skeleton: NASBench201Skeleton) -> None:
    def build(code: torch.Tensor) -> NASBench201Network:
        return NASBench201Network(
            code,
            channels=skeleton.channels,
            cells=skeleton.cells,
            stages=skeleton.stages,
            classes=skeleton.classes,
        )

    assert_built_networks_cost_the_same(SPACE, SPACE.sample(20, seed=0), skeleton, build, skeleton.image_size)


def test_operations_in_their_places() -> None:
    """Entry [p, v] is what the p-th cell's module of edge v holds."""
    skeleton = NASBench201Skeleton(channels=4, cells=2, stages=2)
    code = torch.tensor([3, 2, 0, 1, 4, 3])
    result = operation_costs(SPACE, code[None], skeleton)
    network = NASBench201Network(code, channels=4, cells=2, stages=2)
    cells = [module for module in network.modules() if isinstance(module, Cell)]
    assert result.params.shape == (1, 4, 8)
    for place, cell in enumerate(cells):
        built = {name: parameters(module) for name, module in cell.operations.items()}
        names = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
        assert result.params[0, place].tolist() == [0, *(built.get(name, 0) for name in names), 0]
    # 3 x 3 convolution of 4 channels on 32 x 32; of 8 channels on 16 x 16
    assert result.macs[0, 0, 1] == 9 * 16 * 1024
    assert result.macs[0, 3, 1] == 9 * 64 * 256
