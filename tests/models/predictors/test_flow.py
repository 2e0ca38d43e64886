from __future__ import annotations

import torch

from latentnas.models.predictors.flow import FlowEncoder, OperationGates, mean_of_rows

from .cells import encoder


def test_a_type_of_two_parts_has_the_sum_of_their_gates() -> None:
    gates = OperationGates(4, embedding=3, features=0, hidden=5, layers=1, parts=[(), (1,), (2,), (1, 2)])
    none, first, second, both = gates(0, torch.arange(4), None)
    assert torch.equal(none, torch.zeros(5))
    assert torch.allclose(both, first + second)
    assert torch.allclose(first, (gates.layers[0](gates.embedding.weight[1])).sigmoid())


def test_features_of_zero_change_no_gate() -> None:
    gates = OperationGates(3, embedding=3, features=2, hidden=5, layers=1)
    ops = torch.tensor([2, 0, 2])
    found = gates(0, ops, torch.zeros(3, 2))
    torch.testing.assert_close(found[0], found[2])  # rows may be rounded apart
    plain = gates.embedding(ops) @ gates.layers[0].weight[:, :3].T + gates.layers[0].bias
    assert torch.allclose(found, plain.sigmoid())


def test_inputs_begin_with_their_vector_and_others_with_zero() -> None:
    made = encoder("gates", "darts")
    assert isinstance(made, FlowEncoder)
    state = made.begin(torch.tensor([1, -1, 0]))
    assert torch.equal(state, torch.stack([made.start[1], torch.zeros_like(made.start[0]), made.start[0]]))


def test_mean_is_over_the_vertices_that_exist() -> None:
    state = torch.tensor([[1.0], [2.0], [5.0]])
    rows = torch.tensor([[0, 2, 0], [1, 1, 2]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert mean_of_rows(state, rows, mask).tolist() == [[3.0], [3.0]]
