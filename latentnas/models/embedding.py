"""Operation embeddings: vectors that stand for vertex types."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OneHotOperations(nn.Module):
    """The fixed one-hot encoding of vertex types, as D-VAE uses it.

    Args:
        num_types: T, the number of vertex types.
    """

    weight: Tensor

    def __init__(self, num_types: int) -> None:
        super().__init__()
        self.dim = num_types
        self.register_buffer("weight", torch.eye(num_types), persistent=False)

    def forward(self, ops: Tensor) -> Tensor:
        """[...] long -> [..., T]."""
        return self.weight[ops]


class OperationEmbedding(nn.Embedding):
    r"""Learnable operation embeddings :math:`\mathcal{O}: K \to \mathbb{R}^{d_{op}}`.

    Section 3.3, eq. 3 of Chatzianastasis et al., "Graph-based Neural Architecture Search with
    Operation Embeddings" (ICCV 2021 workshop). The rows start from N(0, 1) and are trained with the
    other weights; encoder and decoder of a VAE hold the same module, so the same table.

    Args:
        num_types: |K|, the number of vertex types.
        dim: d_op, the embedding dimension (3 in the paper).
    """

    def __init__(self, num_types: int, dim: int = 3) -> None:
        super().__init__(num_types, dim)
        self.dim = dim


def operation_embedding(num_types: int, dim: int | None) -> OneHotOperations | OperationEmbedding:
    """Learnable embeddings of dimension ``dim``, or the one-hot encoding where ``dim`` is None."""
    return OneHotOperations(num_types) if dim is None else OperationEmbedding(num_types, dim)
