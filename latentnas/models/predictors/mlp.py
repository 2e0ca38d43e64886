"""The MLP baseline: four fully-connected layers on the row of integers that a cell is.

Section 6.2 of GATES++ (Ning et al., TPAMI 2023), after AlphaX (Wang et al., 2019): the serialised cell goes through
layers of 512, 2048, 2048 and 512 units with ReLU between them, and the last 512 values are the embedding (three layers
of 128, 128 and 32 on NAS-Bench-301). What is published feeds the integers as they are; one-hot columns, which do not
claim that operation 3 lies between 2 and 4, are the default here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, register_encoder, widths_fault

READINGS = ("one-hot", "integers")


@register_encoder("mlp")
class MLPEncoder(CellEncoder):
    """Fully-connected layers on codes.

    Args:
        facts: the space.
        widths: units of each layer; the last is the size of the embedding.
        reading: "one-hot" columns, or the "integers" themselves (published).
    """

    needs = ("codes",)

    def __init__(
        self, facts: CellFacts, *, widths: Sequence[int] = (512, 2048, 2048, 512), reading: str = "one-hot"
    ) -> None:
        super().__init__()
        self.one_hot = reading == "one-hot"
        self.dim = widths[-1]
        high = torch.tensor(facts.cardinalities)
        self.register_buffer("offsets", high.cumsum(0) - high, persistent=False)
        self.columns = sum(facts.cardinalities)
        sizes = [self.columns if self.one_hot else len(high), *widths]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    offsets: Tensor

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        """As published: the layers are wide."""
        return 1e-3

    def forward(self, inputs: CellInputs) -> Tensor:
        codes = inputs.codes
        dtype = next(self.parameters()).dtype
        if self.one_hot:
            x = torch.zeros(len(codes), self.columns, dtype=dtype, device=codes.device)
            x = x.scatter(1, codes + self.offsets, 1)  # [B, sum of cardinalities]
        else:
            x = codes.to(dtype)  # [B, D]
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        embedding: Tensor = self.layers[-1](x)
        return embedding

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        return widths_fault(options, "widths") + choice_fault(options, "reading", READINGS)
