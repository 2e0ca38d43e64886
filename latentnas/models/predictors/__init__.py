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
from .gates import GATESEncoder
from .gates_plus_plus import GATESPlusPlusEncoder
from .gcn import GCNPredictorEncoder
from .gpnas_gcn import GPNASEncoder
from .hop import HOPEncoder
from .latent import LatentEncoder
from .line_graph_gcn import LineGraphGCNEncoder
from .losses import LOSSES
from .lstm import LSTMEncoder
from .mlp import MLPEncoder
from .nar import NAREncoder
from .nar_ranker import NARRanker
from .ranker import Comparator, Perceptron, Ranker
from .renas import ReNASEncoder
from .simplified_gates import SimplifiedGATESEncoder

__all__ = [
    "ENCODERS",
    "LOSSES",
    "CellEncoder",
    "CellFacts",
    "CellInputs",
    "Comparator",
    "GATESEncoder",
    "GATESPlusPlusEncoder",
    "GCNPredictorEncoder",
    "GPNASEncoder",
    "HOPEncoder",
    "LSTMEncoder",
    "LatentEncoder",
    "LineGraphGCNEncoder",
    "MLPEncoder",
    "NAREncoder",
    "NARRanker",
    "Perceptron",
    "Ranker",
    "ReNASEncoder",
    "SimplifiedGATESEncoder",
    "encoder_class",
    "encoder_faults",
    "get_encoder",
    "list_encoders",
    "register_encoder",
]
