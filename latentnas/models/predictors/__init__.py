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

__all__ = [
    "ENCODERS",
    "CellEncoder",
    "CellFacts",
    "CellInputs",
    "encoder_class",
    "encoder_faults",
    "get_encoder",
    "list_encoders",
    "register_encoder",
]
