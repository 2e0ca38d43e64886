"""An encoder with a head: what a predictor trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import losses
from .base import CellEncoder, CellInputs


class Perceptron(nn.Sequential):
    """Linear layers with ReLU and dropout between them.

    Args:
        inputs: size of a row.
        hidden: sizes of the hidden layers.
        outputs: size of the result.
        dropout: share of the hidden units that training leaves out.
        batch_norm: batch normalisation before every ReLU, as in GPNAS.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(inputs, size), *([nn.BatchNorm1d(size)] if batch_norm else [])]
            layers += [nn.ReLU(inplace=True), nn.Dropout(dropout)]
            inputs = size
        super().__init__(*layers, nn.Linear(inputs, outputs))


class Ranker(nn.Module):
    """Scores of cells: encoder and perceptron, trained by a loss of :mod:`.losses`.

    The perceptron reads the embedding and, beside it, the measures of whole cells.

    Args:
        encoder: the encoder; its dtype and device are the model's.
        loss: a name of ``losses.SCORE_LOSSES``.
        margin: the margin, for losses that have one.
        hidden: sizes of the head's hidden layers.
        dropout: in the head.
        batch_norm: batch normalisation in the head.
        targets: number of auxiliary targets, 0 for none. They are fitted by a head of their own on the embedding,
            eq. 13 of the GATES++ paper (ETS, the enhanced training scheme).
        target_weight: factor of that loss.
        cell_features: F' of ``CellInputs.cell_features``, 0 without them. The head of the targets does not read them.
    """

    def __init__(
        self,
        encoder: CellEncoder,
        *,
        loss: str = "hinge",
        margin: float = losses.MARGIN,
        hidden: Sequence[int] = (300, 300, 300),
        dropout: float = 0.1,
        batch_norm: bool = False,
        targets: int = 0,
        target_weight: float = 1.0,
        cell_features: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.dim = encoder, encoder.dim + cell_features
        self.loss, self.margin, self.target_weight = loss, margin, target_weight
        self.head = self._head(hidden, dropout, batch_norm)
        self.target_head = None
        if targets:
            self.target_head = Perceptron(encoder.dim, hidden, targets, dropout=dropout, batch_norm=batch_norm)

    def _head(self, hidden: Sequence[int], dropout: float, batch_norm: bool) -> Perceptron:
        return Perceptron(self.dim, hidden, 1, dropout=dropout, batch_norm=batch_norm)

    def embed(self, inputs: CellInputs) -> Tensor:
        """What the head reads, embeddings with the measures of the cells beside them: float [B, dim]."""
        return self._with_features(self.encoder(inputs), inputs)

    def _with_features(self, embedding: Tensor, inputs: CellInputs) -> Tensor:
        if self.dim == self.encoder.dim:
            return embedding
        assert inputs.cell_features is not None
        return torch.cat([embedding, inputs.cell_features.to(embedding.dtype)], 1)

    def forward(self, inputs: CellInputs) -> Tensor:
        """Scores, larger is better: float [B]."""
        return self.head(self.embed(inputs)).squeeze(1)

    def training_loss(self, inputs: CellInputs, values: Tensor, targets: Tensor | None = None) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            inputs: B cells.
            values: [B] float, what they are worth.
            targets: [B, n] float, the auxiliary targets, NaN where they are not known.
        """
        embedding = self.embed(inputs)
        return self._ranking_loss(embedding, values) + self._target_loss(embedding, targets)

    def _target_loss(self, embedding: Tensor, targets: Tensor | None) -> Tensor:
        """The weighted auxiliary loss, 0 without targets."""
        if self.target_head is None or targets is None:
            return embedding.new_zeros(())
        known = ~targets.isnan()
        found = self.target_head(embedding[:, : self.encoder.dim])
        error = (found - targets.nan_to_num()).square() * known
        return self.target_weight * error.sum() / known.sum().clamp_min(1)

    def _ranking_loss(self, embedding: Tensor, values: Tensor) -> Tensor:
        scores = self.head(embedding).squeeze(1)
        if self.loss in losses.MARGIN_LOSSES:
            hinge = losses.pairwise_hinge if self.loss == "hinge" else losses.cellwise_hinge
            return hinge(scores, values, self.margin)
        return losses.SCORE_LOSSES[self.loss](scores, values)


class Comparator(Ranker):
    """Compares cells two by two, section 4.4 of the GATES paper: a perceptron on both embeddings, eq. 9.

    ``forward`` sorts the batch by randomised quick-sort with :meth:`prefer` and returns places as scores, so the score
    of a cell depends on the others of its batch. Pivots are drawn from PyTorch's global generator.
    """

    def _head(self, hidden: Sequence[int], dropout: float, batch_norm: bool) -> Perceptron:
        return Perceptron(2 * self.dim, hidden, 1, dropout=dropout)

    def forward(self, inputs: CellInputs) -> Tensor:
        """Places in the sorted batch, 0 for the worst: float [B]."""
        return self.rank(self.embed(inputs))

    def rank(self, embedding: Tensor) -> Tensor:
        """The same from embeddings: [B, dim] -> float [B]."""
        left, right = self._halves(embedding)

        def prefer(a: Tensor, b: Tensor) -> Tensor:
            a, b = a.to(left.device), b.to(left.device)
            return self._compare(left[a], right[b])

        return losses.quick_sort(prefer, len(embedding)).to(embedding.device, embedding.dtype)

    def prefer(self, first: Tensor, second: Tensor) -> Tensor:
        """Positive where the first is better: embeddings [M, dim], [M, dim] -> [M]."""
        return self.head(torch.cat([first, second], 1)).squeeze(1)

    def _halves(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """What the head's first layer makes of a cell in the first and in the second place: two [B, h]."""
        first = self.head[0]
        assert isinstance(first, nn.Linear)
        left, right = first.weight.chunk(2, 1)
        return embedding @ left.T + first.bias, embedding @ right.T

    def _compare(self, left: Tensor, right: Tensor) -> Tensor:
        result = left + right
        for layer in list(self.head)[1:]:
            result = layer(result)
        return result.squeeze(-1)

    def _ranking_loss(self, embedding: Tensor, values: Tensor) -> Tensor:
        left, right = self._halves(embedding)
        preferences = self._compare(left[:, None], right[None, :])  # [B, B]
        return losses.comparator_hinge(preferences, values, self.margin)
