"""latentnas/models/predictors/simplified_gates.py."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from .conformance import EncoderConformance
from .inputs import cells, facts


def paths_by_walking(ops: list[int], senders: dict[int, list[int]], identity: set[int], zero: set[int]) -> torch.Tensor:
    """Paths from every vertex that stays along identities alone, counted one by one."""
    found = torch.zeros(len(ops), len(ops), dtype=torch.long)

    def sources(v: int) -> list[int]:
        origins: list[int] = []
        for u in senders[v]:
            if ops[u] not in zero:
                origins += sources(u) if ops[u] in identity else [u]
        return origins

    for v, op in enumerate(ops):
        if op not in identity | zero:
            for u in sources(v):
                found[u, v] += 1
    return found


class TestSimplifiedGATES(EncoderConformance):
    name = "gates-simplified"
    small: ClassVar = {"layers": 2, "hidden": 6, "op_embedding": 4, "input_embedding": 3}

    @pytest.mark.parametrize("space", ["nasbench201", "nasbench101", "darts"])
    def test_agrees_with_a_loop_over_vertices(self, space: str) -> None:
        encoder, inputs, known = self.encoder(space), self.cells(space, 12, seed=5), facts(space)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        for row, found in enumerate(encoder(inputs).detach()):
            graph = inputs.nodes[row]
            n = int(graph.mask.sum())
            types = graph.ops[:n].tolist()
            senders = {v: [u for u in range(n) if graph.adj[u, v]] for v in range(n)}
            paths = paths_by_walking(types, senders, {*known.identity_types}, {*known.zero_types})
            reach = (paths > 0).double() + torch.eye(n)
            for _ in range(n):
                reach = ((reach @ reach) > 0).double()
            present = [v in (0, n - 1) or bool(reach[0, v] and reach[v, n - 1]) for v in range(n)]
            states = [p["start"] if v == 0 else torch.zeros(3).double() for v in range(n)]
            for layer in (0, 1):
                carried = [p[f"carry.{layer}.weight"] @ state for state in states]
                gates = p["operations.weight"] @ p[f"gates.{layer}.weight"].T + p[f"gates.{layer}.bias"]
                arrived = [carried[v] + sum(paths[u, v] * carried[u] for u in range(n) if present[u]) for v in range(n)]
                states = [gates[types[v]].sigmoid() * arrived[v] * present[v] for v in range(n)]
                states = [state.relu() for state in states] if layer == 0 else states
            expected = torch.cat([torch.stack(states).sum(0) * 2 / known.num_nodes, states[-1]])
            torch.testing.assert_close(found, expected)

    def test_cells_that_compute_the_same_get_equal_embeddings(self) -> None:
        """Two skip connections in a row, or one; a path through 'none', or none."""
        pairs = [
            # 0->1, 0->2, 1->2, 0->3, 1->3, 2->3; 0 none, 1 skip, 3 conv3x3
            ([1, 0, 1, 0, 0, 3], [0, 1, 0, 0, 0, 3]),
            ([3, 0, 0, 0, 3, 1], [3, 0, 0, 0, 3, 0]),
            ([1, 0, 0, 3, 3, 0], [0, 1, 0, 3, 0, 3]),
        ]
        encoder = self.encoder("nasbench201")
        for first, second in pairs:
            codes = torch.tensor([first, second])
            one, two = encoder(cells("nasbench201", codes))
            torch.testing.assert_close(one, two)
        one, two = encoder(cells("nasbench201", torch.tensor([[3, 0, 0, 0, 3, 0], [1, 0, 0, 0, 3, 0]])))
        assert not torch.allclose(one, two)
