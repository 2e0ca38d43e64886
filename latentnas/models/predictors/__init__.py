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
from .hop import HOPEncoder
from .losses import LOSSES
from .ranker import Comparator, Perceptron, Ranker

__all__ = [
    "ENCODERS",
    "LOSSES",
    "CellEncoder",
    "CellFacts",
    "CellInputs",
    "Comparator",
    "GATESEncoder",
    "HOPEncoder",
    "Perceptron",
    "Ranker",
    "encoder_class",
    "encoder_faults",
    "get_encoder",
    "list_encoders",
    "register_encoder",
]
