"""Torch modules: operation embeddings, encoders, decoders, autoencoders. They know tensors only."""

from .adjacency import AdjacencyEncoder
from .decoder import DVAEDecoder
from .dvae import DVAEEncoder, GatedSum
from .embedding import OneHotOperations, OperationEmbedding, operation_embedding
from .gcn import GCNEncoder
from .gcn_pyg import PyGGCNEncoder
from .graphrnn import GraphRNNDecoder
from .svae import StringEncoder, SVAEDecoder
from .vae import ENCODERS, GraphVAE, VAEConfig, VAELoss

__all__ = [
    "ENCODERS",
    "AdjacencyEncoder",
    "DVAEDecoder",
    "DVAEEncoder",
    "GCNEncoder",
    "GatedSum",
    "GraphRNNDecoder",
    "GraphVAE",
    "OneHotOperations",
    "OperationEmbedding",
    "PyGGCNEncoder",
    "SVAEDecoder",
    "StringEncoder",
    "VAEConfig",
    "VAELoss",
    "operation_embedding",
]
