r"""NAR: a transformer that matches a cell with the embeddings of quality tiers.

Guo et al., "Generalized Global Ranking-Aware Neural Architecture Ranker for Efficient Image Classifier Search" (CVPR
2022), section 3.1. The stack of matrices of a cell (:mod:`.tensor_encoding`) is a sequence of N patches
:math:`x_p \in R^{N \times P^2}`, and

.. math:: x_0 = x_p E + E_{pos} \quad (4)
.. math:: x'_l = \mathrm{MSA}(\mathrm{LN}(x_{l-1})) + x_{l-1}, \quad l = 1, \dots, L \quad (5)
.. math:: x_l = \mathrm{FFN}(\mathrm{LN}(x'_l)) + x'_l \quad (6)
.. math:: x_\alpha = \mathrm{LN}(x_L) \quad (7)

with sine and cosine positions. The relative metric :math:`\hat y_\alpha = \max(0, x_\alpha W_r^1) W_r^2` (8) is the
ranker's head with one hidden layer, on the mean of the patches. The decoder matches the cell with each tier embedding
:math:`e_i` (:class:`.tiers.TierMemory`): from :math:`e_i + E_{pos}`, each of its L layers lets the tier look at itself
(5), at the cell,

.. math:: z_i^l = \mathrm{MSA}(\mathrm{LN}(q_i^{l-1}), x_\alpha) + q_i^{l-1} \quad (10)

and go through (6); with :math:`z = \sum_i \mathrm{LN}(z_i^L)` the probabilities of the tiers are

.. math:: p_\alpha = \mathrm{softmax}(\max(0, z W_p^1) W_p^2) \quad (11)

and the loss is :math:`L = L_2 + \lambda L_1` (12): cross-entropy of the tiers, and the pairwise logistic loss (9) of
the metrics. :class:`.nar_ranker.NARRanker` trains so.

The paper's six layers of the original transformer's width (512) have 44 million weights; the defaults are sized for a
CPU and a few hundred labels.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import CellFacts, CellInputs, register_encoder
from .tensor_encoding import TensorEncoder
from .tiers import TIERS, TierMemory


class Attention(nn.Module):
    """Multi-head attention, MSA: the rows of ``x`` look at those of ``source``.

    Args:
        dim: D, size of a row.
        heads: attention heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """[B, n, D] and [B, m, D] -> [B, n, D]."""
        query = self._split(self.query(x))  # [B, heads, n, D / heads]
        key, value = (self._split(part) for part in self.key_value(source).chunk(2, -1))
        mixed = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Eq. 5 and 6."""

    def __init__(self, dim: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.feed = nn.Sequential(nn.Linear(dim, feed_forward), nn.ReLU(), nn.Linear(feed_forward, dim))

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        x = self.look(x)
        feed: Tensor = self.feed(self.feed_norm(x))
        return feed + x

    def look(self, x: Tensor) -> Tensor:
        """Eq. 5."""
        normed = self.attention_norm(x)
        attended: Tensor = self.attention(normed, normed)
        return attended + x


class DecoderLayer(EncoderLayer):
    """Eq. 5, 10 and 6."""

    def __init__(self, dim: int, heads: int, feed_forward: int) -> None:
        super().__init__(dim, heads, feed_forward)
        self.match_norm = nn.LayerNorm(dim)
        self.match = Attention(dim, heads)

    def meet(self, q: Tensor, cells: Tensor) -> Tensor:
        """What follows eq. 5: queries [B, N, D] meet cells [B, N, D] -> [B, N, D]."""
        z = self.match(self.match_norm(q), cells) + q  # eq. 10
        feed: Tensor = self.feed(self.feed_norm(z))
        return feed + z


@register_encoder("nar")
class NAREncoder(TensorEncoder):
    """The encoder and the tier-matching decoder of NAR.

    Args:
        facts: the space; the costs of its operations must be known.
        layers: L, of encoder and decoder.
        dim: D.
        heads: attention heads.
        feed_forward: units of an FFN's inner layer.
        tiers: quality tiers.
        ranking_weight: lambda of eq. 12, whose value the paper does not give; above 0. It says which loss the layers
            heed that both train: the tier decoder learns from the tiers alone, the ranker's head from the ranking.
        view, types: see :class:`.tensor_encoding.TensorEncoding`.
    """

    sizes = ("layers", "dim", "heads", "feed_forward", "tiers")

    def __init__(
        self,
        facts: CellFacts,
        *,
        layers: int = 2,
        dim: int = 32,
        heads: int = 4,
        feed_forward: int = 64,
        tiers: int = TIERS,
        ranking_weight: float = 16.0,
        view: str = "auto",
        types: str = "one-hot",
    ) -> None:
        super().__init__(facts, view=view, types=types)
        self.dim, self.ranking_weight = dim, ranking_weight
        patches = self.encoding.patches
        self.project = nn.Linear(self.encoding.width**2, dim)
        self.register_buffer("positions", sinusoids(patches, dim), persistent=False)
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, feed_forward) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.memory = TierMemory(tiers, (patches, dim))
        self.decoder = nn.ModuleList(DecoderLayer(dim, heads, feed_forward) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(dim)
        self.classifier = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, tiers))

    positions: Tensor

    def features(self, inputs: CellInputs) -> Tensor:
        """Eq. 4-7: x [B, N, D]."""
        x = self.project(self.encoding(inputs).flatten(2)) + self.positions
        for layer in self.layers:
            x = layer(x)
        normed: Tensor = self.norm(x)
        return normed

    def forward(self, inputs: CellInputs) -> Tensor:
        return self.embed(self.features(inputs))

    def embed(self, features: Tensor) -> Tensor:
        """The embedding of a cell, the mean of its patches: [B, N, D] -> [B, D]."""
        return features.mean(1)

    def tier_logits(self, features: Tensor) -> Tensor:
        """Eq. 10 and 11 before the softmax: features [B, N, D] -> [B, tiers]."""
        batch, tiers = len(features), len(self.memory.counts)
        q = self.memory.embeddings + self.positions  # [T, N, D]
        cells = features.repeat_interleave(tiers, 0)  # [B T, N, D]
        for number, layer in enumerate(self.decoder):
            assert isinstance(layer, DecoderLayer)
            q = layer.look(q)
            if number == 0:  # until here the tiers have not seen the cell
                q = q.repeat(batch, 1, 1)  # [B T, N, D]
            q = layer.meet(q, cells)
        z = self.decoder_norm(q).unflatten(0, (batch, tiers)).sum(1)  # [B, N, D]
        logits: Tensor = self.classifier(z.mean(1))
        return logits

    def explain(self, inputs: CellInputs) -> dict[str, Tensor]:
        """The probabilities of the tiers, eq. 11: "tiers" [B, T], the best tier first."""
        return {"tiers": self.tier_logits(self.features(inputs)).softmax(1)}

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = super().faults(facts, options)
        if not found and options["dim"] % options["heads"]:
            found.append(f"dim must be a multiple of heads, got {options['dim']} and {options['heads']}")
        if not found and options["dim"] % 2:
            found.append(f"dim must be even, got {options['dim']}")
        weight = options["ranking_weight"]
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < math.inf:
            found.append(f"ranking_weight must be a number above 0, got {weight!r}")
        return found


def sinusoids(length: int, dim: int) -> Tensor:
    r"""The positions of the original transformer: sines in even columns 2i of :math:`n / 10000^{2i/d}`, cosines in odd.

    Returns:
        [length, dim] float.
    """
    rates = torch.exp(-math.log(10_000) * torch.arange(0, dim, 2) / dim)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
