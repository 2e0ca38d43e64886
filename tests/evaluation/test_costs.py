"""latentnas/evaluation/costs.py, against hand computation."""

from __future__ import annotations

import torch
from torch import nn

from latentnas.evaluation.costs import count_costs


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),  # 8 * 3 * 9 weights at 4 x 4 positions; 8 biases
        nn.BatchNorm2d(8),  # 16 parameters, nothing counted
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),  # 8 * 2 * 9 weights at 4 x 4 positions
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),  # 40 weights, 5 biases
    )


def test_by_hand() -> None:
    costs = count_costs(network(), (3, 8, 8))
    assert costs.parameters == 216 + 8 + 16 + 144 + 40 + 5
    assert costs.macs == 216 * 16 + 144 * 16 + 40


def test_counting_leaves_the_network_as_it_was() -> None:
    model = network()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_costs(model, (3, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert not model[1].training
    assert model[2].training
    assert not any(module._forward_hooks for module in model.modules())


def test_frozen_parameters_are_not_counted_and_shared_modules_count_every_use() -> None:
    linear = nn.Linear(4, 4, bias=False)
    model = nn.Sequential(nn.Flatten(), linear, linear)
    assert count_costs(model, (1, 2, 2)).macs == 32
    assert count_costs(model, (1, 2, 2)).parameters == 16
    linear.weight.requires_grad_(False)
    assert count_costs(model, (1, 2, 2)).parameters == 0
