from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from .conformance import EncoderConformance


class TestLSTM(EncoderConformance):
    name = "lstm"
    small: ClassVar = {"embedding": 4, "hidden": 5}
    forms = ({}, {"layers": 2}, {"positions": False})

    def test_columns_of_equal_cardinality_share_tokens(self) -> None:
        """NAS-Bench-101: 3 operations in each of 5 columns, 21 bits, 6 numbers of vertices."""
        tokens = next(p for name, p in self.encoder("nasbench201").named_parameters() if name == "tokens.weight")
        assert tokens.shape == (5, 4)

    @pytest.mark.parametrize("positions", [True, False])
    def test_one_step_of_the_published_cell(self, positions: bool) -> None:
        """i, f, g, o gates of the last of six steps, from the equations of the LSTM."""
        encoder = self.encoder("nasbench201", positions=positions)
        inputs = self.cells("nasbench201", 3)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        hidden = cell = torch.zeros(3, 5, dtype=torch.double)
        for number, column in enumerate(inputs.codes.T):
            x = p["tokens.weight"][column]
            if positions:
                x = x + p["columns"][number]
            gates = x @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"]
            gates = gates + hidden @ p["lstm.weight_hh_l0"].T + p["lstm.bias_hh_l0"]
            i, f, g, o = gates.chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
        torch.testing.assert_close(encoder(inputs).detach(), hidden)
