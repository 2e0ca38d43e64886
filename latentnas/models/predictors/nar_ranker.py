"""How NAR is trained: tiers are classified, cells are ranked, tier embeddings are remembered."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError
from .base import CellEncoder, CellInputs
from .losses import pairwise_bce
from .nar import NAREncoder
from .ranker import Ranker
from .tiers import tier_labels


class NARRanker(Ranker):
    r"""The ranker of the NAR paper: :math:`L = L_2 + \lambda L_1` (eq. 12), Algorithm 1 without its statistics.

    :math:`L_2` is the cross-entropy of the tiers of the batch, :math:`L_1` the pairwise logistic loss (eq. 9, as a mean
    over pairs), and lambda the encoder's ``ranking_weight``. After each batch its features go to the memory of its true
    tiers (eq. 13).

    Args:
        encoder: a NAR encoder.
        options: further arguments of :class:`.ranker.Ranker`; ``loss`` and ``margin`` are not used.

    Raises:
        ConfigError: it is another encoder.
    """

    encoder: NAREncoder

    def __init__(self, encoder: CellEncoder, **options: Any) -> None:
        if not isinstance(encoder, NAREncoder):
            raise ConfigError(f"the loss 'nar' classifies tiers, which the encoder 'nar' has; got {encoder.name!r}")
        super().__init__(encoder, **options)

    def training_loss(self, inputs: CellInputs, values: Tensor, targets: Tensor | None = None) -> Tensor:
        """Eq. 12 of a batch of B cells, a scalar; in training the memory takes the batch in."""
        encoder = self.encoder
        features = encoder.features(inputs)  # [B, N, D]
        labels = tier_labels(values, len(encoder.memory.counts))
        tiers = F.cross_entropy(encoder.tier_logits(features), labels)
        embedding = self._with_features(encoder.embed(features), inputs)
        ranking = encoder.ranking_weight * self._ranking_loss(embedding, values)
        loss = tiers + ranking + self._target_loss(embedding, targets)
        if self.training:
            encoder.memory.update(features, labels)
        return loss

    def _ranking_loss(self, embedding: Tensor, values: Tensor) -> Tensor:
        return pairwise_bce(self.head(embedding).squeeze(1), values)
