"""What a step minimises, computed whole or in shares that add up to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..models import GraphVAE
from ..models.likelihood import grammar_log_mass
from ..models.writer import GraphWriter
from ..spaces.grammar import Grammar
from ..spaces.graphs import NodeGraphs

Spread = tuple[Tensor, Tensor]
"""Mean and standard deviation of a batch's latents, two [d]."""


@dataclass(frozen=True)
class Share:
    """Part ``index`` of ``parts`` equal parts of a batch, cut along its rows.

    Attributes:
        index, parts: which part of how many.
        total: B, rows of the whole batch.
    """

    index: int
    parts: int
    total: int

    def of(self, total: int) -> slice:
        """The share's rows of ``total``; parts differ by at most one row, and may be empty."""
        return slice(total * self.index // self.parts, total * (self.index + 1) // self.parts)

    @property
    def count(self) -> int:
        """The share's rows of the batch, perhaps none."""
        rows = self.of(self.total)
        return rows.stop - rows.start

    @property
    def rows(self) -> slice:
        """The rows to compute: one, of no weight, where the share is empty, as every process must take part."""
        return self.of(self.total) if self.count else slice(0, 1)


class SharedNoise(TorchFunctionMode):
    """Inside it, ``torch.randn_like`` draws the noise of the whole batch and returns the share's rows.

    So the noise of a cell depends on its place in the batch and not on who computes it.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not torch.randn_like:
            return func(*args, **(kwargs or {}))
        like = args[0]
        whole = torch.randn(self.share.total, *like.shape[1:], dtype=like.dtype, device=like.device)
        return whole[self.share.rows]


class Objective(nn.Module):
    """The loss of a share of a batch, so weighted that the shares' sum is the loss of the batch.

    The loss is the model's negative evidence lower bound, plus ``prior_weight`` times the prior
    consistency term: latents z drawn from N(0, I), moved and scaled to those of the whole batch and a
    quarter as many, are decoded stochastically under the grammar; the term is minus the logarithm of the
    mass that the free decoder gives, on the way, to the choices that the grammar allows. So the decoder
    learns the grammar where no training cell lies, and is not made more certain of any allowed choice.

    Args:
        model: the autoencoder.
        grammar: the space's.
        prior_weight: weight of the prior consistency term.
        spread: mean and standard deviation of the batch's latents from those of a process' rows.
    """

    def __init__(
        self, model: GraphVAE, grammar: Grammar, prior_weight: float, spread: Callable[[Tensor], Spread]
    ) -> None:
        super().__init__()
        self.model, self.grammar, self.prior_weight, self.spread = model, grammar, prior_weight, spread

    def forward(self, graphs: NodeGraphs, share: Share, spread: Spread | None) -> tuple[Tensor, Tensor]:
        """The objective to minimise, and what to record of it.

        Args:
            graphs: the share's rows.
            share: which part of the batch they are.
            spread: of the whole batch's latents; None computes it from this share, where it is all
                that this process has of the batch.

        Returns:
            objective: scalar with a gradient.
            record: [3], sums over the share's graphs of loss, reconstruction and KL divergence.
        """
        with nullcontext() if share.parts == 1 else SharedNoise(share):
            loss = self.model.loss(graphs)
        objective = loss.loss * (share.count / share.total)
        if self.prior_weight > 0 and share.total > 1:
            if spread is None:
                spread = self.spread(loss.mean.detach()[: share.count])
            objective = objective + self.prior_weight * self._prior_nll(share, spread)
        record = share.count * torch.stack([loss.loss, loss.reconstruction, loss.kld]).detach()
        return objective, record

    def _prior_nll(self, share: Share, spread: Spread) -> Tensor:
        """The share of the prior consistency term, a mean over latents of the prior."""
        center, scale = spread
        size, decoder = max(1, share.total // 4), self.model.decoder
        z = center + scale * torch.randn(size, len(center), device=center.device)
        seed = int(torch.randint(2**31, ()))
        rows = share.of(size)
        if rows.start == rows.stop:
            return center.new_zeros(())
        writer = GraphWriter(size, decoder.num_nodes, z.device, grammar=self.grammar, stochastic=True, seed=seed)
        with torch.no_grad():  # every share writes all, so that what it draws does not depend on the shares
            decoder.write(z, writer)
        graphs, choices = writer.graphs()[rows], writer.choices[rows]
        return -grammar_log_mass(*decoder.logits(z[rows], graphs), graphs, choices).sum() / size
