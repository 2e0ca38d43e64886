from __future__ import annotations

from typing import ClassVar

import torch

from latentnas.spaces import get_space

from .conformance import EncoderConformance


class TestMLP(EncoderConformance):
    name = "mlp"
    small: ClassVar = {"widths": (6, 5)}
    forms = ({}, {"reading": "integers"})

    def test_one_hot_columns_by_hand(self) -> None:
        """With widths (3,) the embedding is the bias plus a column of the weight for each operation."""
        encoder = self.encoder("nasbench201", widths=(3,))
        codes = torch.tensor([[4, 0, 1, 2, 3, 0]])
        inputs = self.cells("nasbench201", 1)
        weight, bias = (p.detach() for p in encoder.parameters())
        columns = [5 * d + int(value) for d, value in enumerate(codes[0])]
        expected = bias + weight[:, columns].sum(1)
        found = encoder(type(inputs)(codes, get_space("nasbench201").node_graphs(codes)))
        torch.testing.assert_close(found[0].detach(), expected)

    def test_published_sizes(self) -> None:
        encoder = self.encoder("nasbench201", widths=(512, 2048, 2048, 512), reading="integers")
        assert [tuple(p.shape) for p in encoder.parameters()][::2] == [(512, 6), (2048, 512), (2048, 2048), (512, 2048)]
