from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch

from .conformance import EncoderConformance


class TestGCN(EncoderConformance):
    name = "gcn"
    small: ClassVar = {"layers": 2, "hidden": 6, "op_embedding": 4}
    forms = ({}, {"readout": "mean"})

    @pytest.mark.parametrize("readout", ["global", "mean"])
    def test_agrees_with_a_loop_over_vertices(self, readout: str) -> None:
        encoder, inputs = self.encoder("nasbench101", readout=readout), self.cells("nasbench101", 8, seed=5)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        for row, found in enumerate(encoder(inputs).detach()):
            graph = inputs.nodes[row]
            n = int(graph.mask.sum())
            types = graph.ops[:n].tolist()
            senders = {v: [v, *(u for u in range(n) if graph.adj[u, v])] for v in range(n)}
            if readout == "global":
                types.append(5)
                senders[n] = list(range(n + 1))
            states = [p["operations.weight"][t] for t in types]
            for layer in (0, 1):
                weight, bias = p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"]
                totals = [
                    sum(states[u] / math.sqrt(len(senders[u]) * len(senders[v])) for u in senders[v]) for v in senders
                ]
                states = [weight @ total + bias for total in totals]
                states = [state.relu() for state in states] if layer == 0 else states
            expected = states[-1] if readout == "global" else torch.stack(states).mean(0)
            torch.testing.assert_close(found, expected)
