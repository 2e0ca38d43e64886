"""The LSTM baseline: the row of integers that a cell is, read as a string.

Section 6.2 of GATES++ (Ning et al., TPAMI 2023), after AlphaX (Wang et al., 2019) and NAO (Luo et al., NeurIPS 2018):
one token for every column of the code, embeddings and hidden state of 100 values (48 and 128 on NAS-Bench-301), one
layer; the last hidden state is the embedding. Columns that take equally many values share their tokens, as the six
operations of NAS-Bench-201 and the edge bits of NAS-Bench-101 do. Published, the LSTM has to count where it is; here
the embedding of its column is added to every token, so that a few labels teach which edge a bit stands for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, register_encoder, size_faults


@register_encoder("lstm")
class LSTMEncoder(CellEncoder):
    """An LSTM over the columns of codes.

    Args:
        facts: the space.
        embedding: size of a token's embedding.
        hidden: size of the state, and so of the cell's embedding.
        layers: LSTM layers.
        positions: whether the embedding of its column is added to every token (published: no).
    """

    needs = ("codes",)

    def __init__(
        self,
        facts: CellFacts,
        *,
        embedding: int = 100,
        hidden: int = 100,
        layers: int = 1,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.dim = hidden
        first: dict[int, int] = {}
        tokens = 0
        for cardinality in facts.cardinalities:
            if cardinality not in first:
                first[cardinality] = tokens
                tokens += cardinality
        self.register_buffer("offsets", torch.tensor([first[c] for c in facts.cardinalities]), persistent=False)
        self.tokens = nn.Embedding(tokens, embedding)
        self.columns = nn.Parameter(torch.randn(len(facts.cardinalities), embedding)) if positions else None
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)

    offsets: Tensor

    def forward(self, inputs: CellInputs) -> Tensor:
        if not len(inputs):  # nn.LSTM refuses a batch of none
            return self.tokens.weight.new_zeros(0, self.dim)
        tokens = self.tokens(inputs.codes + self.offsets)  # [B, D, embedding]
        _, (state, _) = self.lstm(tokens if self.columns is None else tokens + self.columns)  # [layers, B, hidden]
        last: Tensor = state[-1]
        return last

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = size_faults(options, "embedding", "hidden", "layers")
        return found + choice_fault(options, "positions", (True, False))
