from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch

from latentnas.models.predictors import CellEncoder, CellInputs, get_encoder
from latentnas.spaces import get_space

from .conformance import EncoderConformance
from .inputs import MAX_EPOCHS, cells, facts


class TestGPNASGCN(EncoderConformance):
    name = "gpnas-gcn"
    small: ClassVar = {"layers": 2, "hidden": 6, "op_embedding": 4, "epoch_embedding": 3}

    def test_agrees_with_a_loop_over_vertices(self) -> None:
        """Eq. 4-7."""
        encoder, inputs = self.encoder("nasbench101"), self.cells("nasbench101", 8, seed=5)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        for row, found in enumerate(encoder(inputs).detach()):
            graph = inputs.nodes[row]
            n = int(graph.mask.sum())
            near = [[v for v in range(n) if v == u or graph.adj[u, v] or graph.adj[v, u]] for u in range(n)]
            states = [p["operations.weight"][int(op)] for op in graph.ops[:n]]
            for layer in (0, 1):
                sums = [sum(states[v] / math.sqrt(len(near[u]) * len(near[v])) for v in near[u]) for u in range(n)]
                states = [(p[f"layers.{layer}.weight"] @ total).relu() for total in sums]
            torch.testing.assert_close(found, torch.stack(states).amax(0))


class TestGPNASGCNWithEpochs(EncoderConformance):
    name = "gpnas-gcn"
    small: ClassVar = {"layers": 2, "hidden": 6, "op_embedding": 4, "epoch_embedding": 3}
    spaces = ("nasbench101", "gpnas6")

    def encoder(self, space: str, seed: int = 0, **options: object) -> CellEncoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return get_encoder(self.name, facts(space, epochs=True), **{**self.small, **options}).double().eval()

    def cells(self, space: str, n: int, seed: int = 0) -> CellInputs:
        return cells(space, get_space(space).sample(n, seed=seed), epochs=True)

    def test_other_spaces_are_refused(self) -> None:
        """It applies everywhere."""

    def test_epochs_are_a_row_of_their_embedding(self) -> None:
        encoder, inputs = self.encoder("nasbench101"), self.cells("nasbench101", MAX_EPOCHS + 1)
        table = encoder.get_parameter("epochs.weight")
        assert table.shape == (MAX_EPOCHS + 1, 3)
        torch.testing.assert_close(encoder(inputs)[:, 6:], table)
        other = encoder(replace(inputs, epochs=torch.zeros(MAX_EPOCHS + 1, dtype=torch.long)))
        torch.testing.assert_close(other[:, :6], encoder(inputs)[:, :6])
