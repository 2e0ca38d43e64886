"""latentnas/spaces/contraction.py; against a walk along paths: tests/models/predictors/test_simplified_gates.py."""

from __future__ import annotations

import torch

from latentnas.spaces.contraction import simplified


def test_parallel_skip_connections_are_counted() -> None:
    # input 0 -> skip 1, skip 2 -> conv 3 -> output 4
    ops = torch.tensor([[0, 2, 2, 3, 1]])
    adj = torch.zeros(1, 5, 5, dtype=torch.bool)
    for u, v in ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4)):
        adj[0, u, v] = True
    paths, present = simplified(ops, adj, ops == 0, ops == 1, identity_types=(2,), zero_types=())
    assert paths[0].nonzero().tolist() == [[0, 3], [3, 4]] and int(paths[0, 0, 3]) == 2
    assert present.tolist() == [[True, False, False, True, True]]
    dead, present = simplified(ops, adj, ops == 0, ops == 1, identity_types=(), zero_types=(3,))
    assert not bool(dead.any()) and present.tolist() == [[True, False, False, False, True]]
