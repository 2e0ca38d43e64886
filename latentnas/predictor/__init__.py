"""Predictors: fitted on a few evaluated cells, they rank the space."""

from .auto import AutoPredictor
from .classical import ForestPredictor, GaussianProcessPredictor
from .features import CELL_FEATURES, OP_FEATURES
from .inputs import cell_facts, cell_inputs
from .labels import Labels, checked_labels
from .predictor import Predictor

__all__ = [
    "CELL_FEATURES",
    "OP_FEATURES",
    "AutoPredictor",
    "ForestPredictor",
    "GaussianProcessPredictor",
    "Labels",
    "Predictor",
    "cell_facts",
    "cell_inputs",
    "checked_labels",
]
