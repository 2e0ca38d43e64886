"""A fitted Predictor as a BoTorch model of cells' values, for BoTorch's acquisition functions."""

from __future__ import annotations

import torch
from botorch.models.ensemble import EnsembleModel
from torch import Tensor

from ..errors import ConfigError
from .predictor import Predictor


class PredictorModel(EnsembleModel):
    """The members of a Predictor's ensemble as equally likely functions of a cell.

    Points are codes, ``codes.double()``; values are those of ``Predictor.member_scores``, in units of the labels. The
    posterior is BoTorch's ``EnsemblePosterior``: a joint sample at q points is one member's values, and acquisition
    functions draw members with replacement. There are no gradients: cells are discrete.

    Args:
        predictor: fitted, an ensemble of at least 2, of any loss but "comparator".

    Raises:
        ConfigError: the predictor has a single member, or its values depend on the cells asked with it.
        ObservationError: it is not fitted.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        if predictor.ensemble < 2:
            raise ConfigError("PredictorModel: needs a Predictor with an ensemble of at least 2, got ensemble=1")
        if predictor.loss == "comparator":
            raise ConfigError("PredictorModel: a comparator's values depend on the cells they are asked with")
        predictor._check_fitted()
        self.predictor = predictor
        self._num_outputs = 1

    @property
    def batch_shape(self) -> torch.Size:
        """No batches of models."""
        return torch.Size()

    def forward(self, X: Tensor) -> Tensor:  # noqa: N803 (BoTorch's name)
        """Values of the members: codes as floats [*batch, q, D] -> [*batch, members, q, 1]."""
        shape = X.shape[:-1]
        codes = X.detach().reshape(-1, X.shape[-1]).round().long().cpu()
        scores = self.predictor.member_scores(codes)  # [members, B]
        scores = scores.reshape(len(scores), *shape).movedim(0, -2)  # [*batch, members, q]
        return scores[..., None].to(X)
