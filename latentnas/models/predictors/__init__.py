"""Encoders of predictors, ranking heads and losses. They know tensors only."""

from .base import (
    ENCODERS,
    CellEncoder,
    CellFacts,
    CellInputs,
    encoder_class,
    encoder_faults,
    get_encoder,
    list_encoders,
    register_encoder,
)
from .gcn import GCNPredictorEncoder
from .gpnas_gcn import GPNASEncoder, GPNASHead
from .latent import LatentEncoder
from .line_graph_gcn import LineGraphGCNEncoder
from .lstm import LSTMEncoder
from .mlp import MLPEncoder
from .nar import NAREncoder
from .renas import ReNASEncoder

__all__ = [
    "ENCODERS",
    "CellEncoder",
    "CellFacts",
    "CellInputs",
    "GCNPredictorEncoder",
    "GPNASEncoder",
    "GPNASHead",
    "LSTMEncoder",
    "LatentEncoder",
    "LineGraphGCNEncoder",
    "MLPEncoder",
    "NAREncoder",
    "ReNASEncoder",
    "encoder_class",
    "encoder_faults",
    "get_encoder",
    "list_encoders",
    "register_encoder",
]
