"""Torch modules: operation embeddings, encoders, decoders, autoencoders. They know tensors only."""

from .decoder import DVAEDecoder
from .dvae import DVAEEncoder, GatedSum
from .embedding import OneHotOperations, OperationEmbedding, operation_embedding
from .vae import ENCODERS, GraphVAE, VAEConfig, VAELoss

__all__ = [
    "ENCODERS",
    "DVAEDecoder",
    "DVAEEncoder",
    "GatedSum",
    "GraphVAE",
    "OneHotOperations",
    "OperationEmbedding",
    "VAEConfig",
    "VAELoss",
    "operation_embedding",
]
