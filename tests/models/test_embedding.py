from __future__ import annotations

import pytest
import torch

from latentnas.models import OneHotOperations, OperationEmbedding, operation_embedding
from latentnas.spaces import get_space

from .reference import vae


def test_one_hot_is_the_identity_and_has_no_parameters() -> None:
    operations = operation_embedding(5, None)
    assert isinstance(operations, OneHotOperations)
    assert operations.dim == 5
    assert list(operations.parameters()) == []
    assert operations.state_dict() == {}
    assert operations(torch.tensor([[3, 0]])).tolist() == [[[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]]


def test_learnable_embedding_looks_up_its_table() -> None:
    operations = operation_embedding(5, 3)
    assert isinstance(operations, OperationEmbedding)
    assert operations.dim == 3
    assert [tuple(p.shape) for p in operations.parameters()] == [(5, 3)]
    ops = torch.tensor([[4, 1], [1, 1]])
    assert torch.equal(operations(ops), operations.weight[ops])


def test_encoder_and_decoder_share_one_table() -> None:
    model = vae("nasbench201", op_embedding=3)
    table = model.operations.weight
    assert model.encoder.operations.weight is table
    assert model.decoder.operations.weight is table
    assert sum(p is table for p in model.parameters()) == 1


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_gradient_reaches_the_table_from_both_sides(part: str) -> None:
    model, space = vae("nasbench201", op_embedding=3), get_space("nasbench201")
    graphs = space.node_graphs(torch.tensor([[1, 2, 3, 1, 2, 3]]))
    if part == "encoder":
        model.encode(graphs)[0].sum().backward()
    else:
        model.decoder.log_likelihood(torch.ones(1, 5, dtype=torch.double), graphs).sum().backward()
    gradient = model.operations.weight.grad
    assert gradient is not None
    touched = gradient.abs().sum(1) > 0
    # the last vertex's own state matters to the encoder only: the decoder's edges into it read the state too
    assert touched[[0, 1, 3, 4, 5]].all()
    assert not touched[[2, 6]].any(), "operations that no vertex has"


def test_decoder_reuses_the_encoders_messages() -> None:
    model = vae("nasbench201")
    assert model.decoder.messages is model.encoder.sum_forward
