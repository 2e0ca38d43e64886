from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional as F

from .conformance import EVERY_SPACE, EncoderConformance

WITH_COSTS = [space for space in EVERY_SPACE if space != "nas_bench_graph"]


class TestReNAS(EncoderConformance):
    name = "renas"
    small: ClassVar = {"channels": 8, "hidden": 10, "dim": 7}
    spaces = WITH_COSTS
    refusal = "reads FLOPs and parameters"

    def test_layers_of_lenet(self) -> None:
        encoder, inputs = self.encoder("nasbench101"), self.cells("nasbench101", 4)
        c1, b1, c2, b2, w3, b3, w4, b4 = (p.detach() for p in encoder.parameters())
        x = encoder.encoding(inputs)
        x = F.max_pool2d(F.conv2d(F.pad(x, (1, 1, 1, 1)), c1, b1).relu(), 2, ceil_mode=True)
        assert x.shape == (4, 8, 4, 4)
        x = F.max_pool2d(F.conv2d(F.pad(x, (1, 1, 1, 1)), c2, b2).relu(), 2)
        assert x.shape == (4, 16, 2, 2)
        expected = (x.flatten(1) @ w3.T + b3).relu() @ w4.T + b4
        torch.testing.assert_close(encoder(inputs).detach(), expected)


class TestReNASOnVertices(TestReNAS):
    small: ClassVar = {"channels": 8, "hidden": 10, "dim": 7, "view": "nodes"}
