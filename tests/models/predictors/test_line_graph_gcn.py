from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.models.predictors.line_graph_gcn import edge_slots

from .conformance import EncoderConformance
from .inputs import facts


class TestLineGraphGCN(EncoderConformance):
    name = "line-graph-gcn"
    small: ClassVar = {"layers": 2, "hidden": 6, "op_embedding": 4}
    forms = ({}, {"directed": True, "self_loop": True}, {"self_loop": True})
    spaces = ("nasbench201", "darts", "enas_micro")
    refusal = "no edge view"

    @pytest.mark.parametrize("directed", [False, True])
    def test_agrees_with_a_loop_over_edges(self, directed: bool) -> None:
        encoder = self.encoder("nasbench201", directed=directed, self_loop=directed)
        inputs = self.cells("nasbench201", 5, seed=5)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        edges = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        if directed:
            senders = [[f for f in edges if f[1] == e[0] or f == e] for e in edges]
        else:
            senders = [[f for f in edges if set(e) & set(f) and e != f] for e in edges]
        assert inputs.edges is not None
        for ops, found in zip(inputs.edges.ops, encoder(inputs).detach(), strict=True):
            states = {e: p["operations.weight"][int(ops[e])] for e in edges}
            for layer in (0, 1):
                weight, bias = p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"]
                means = {
                    e: torch.stack([states[f] for f in own]).mean(0) for e, own in zip(edges, senders, strict=True)
                }
                states = {e: weight @ mean + bias for e, mean in means.items()}
                states = {e: state.relu() for e, state in states.items()} if layer == 0 else states
            torch.testing.assert_close(found, torch.cat([states[e] for e in edges]))

    def test_slots(self) -> None:
        """DARTS: each of two cells has 4 nodes that 2, 3, 4 and 5 vertices can feed."""
        source, target = edge_slots(facts("darts"))
        assert len(source) == 2 * (2 + 3 + 4 + 5)
        assert not set(target.tolist()) & {0, 1, 6, 7}
        assert bool((source < target).all()) and bool(((source < 6) == (target < 6)).all())

    def test_missing_edges_are_missing_vertices(self) -> None:
        encoder, inputs = self.encoder("darts"), self.cells("darts", 4)
        source, target = edge_slots(facts("darts"))
        assert inputs.edges is not None
        missing = inputs.edges.ops[:, source, target] == 0
        states = encoder(inputs).unflatten(1, (len(source), 6))
        assert bool(missing.any())
        assert not bool(states[missing].any())
        assert bool(states[~missing].any(1).all())

    def test_directed_needs_self_loops(self) -> None:
        with pytest.raises(ConfigError, match="directed needs self_loop"):
            self.encoder("nasbench201", directed=True)
