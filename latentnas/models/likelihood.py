"""Log-probabilities of graphs from the logits of the decisions on the way to them, for all decoders."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..spaces.graphs import NodeGraphs
from .writer import Choices


def graph_log_likelihood(types: Tensor, edges: Tensor, graphs: NodeGraphs) -> Tensor:
    """Log-probability of the types of vertices 1..n-1 and of the edges u -> v, u < v: [B], in nats.

    Args:
        types: [B, n-1, T], logits of the types.
        edges: [B, n, n], logits of the edges.
        graphs: the graphs, n vertices; padding does not count.
    """
    nll = F.cross_entropy(types.transpose(1, 2), graphs.ops[:, 1:], reduction="none")  # [B, n-1]
    bce = F.binary_cross_entropy_with_logits(edges, graphs.adj.to(edges.dtype), reduction="none").triu(1)
    return -torch.where(graphs.mask[:, 1:], nll + bce.sum(1)[:, 1:], 0).sum(1)


def grammar_log_mass(types: Tensor, edges: Tensor, graphs: NodeGraphs, choices: Choices) -> Tensor:
    """Log of the probability that no decision on the way to ``graphs`` breaks the grammar: [B], in nats.

    At every decision, the mass that a free decoder gives to what the grammar allows.

    Args:
        types, edges: as in :func:`graph_log_likelihood`, for N vertices.
        graphs: graphs that were written under the grammar, N vertices.
        choices: what the grammar allowed on the way.
    """
    allowed = types.masked_fill(~choices.types[:, 1:], -torch.inf).logsumexp(2)
    outside = types.logsumexp(2) - allowed  # [B, N-1]
    bce = F.binary_cross_entropy_with_logits(edges, graphs.adj.to(edges.dtype), reduction="none")
    forced = bce.masked_fill(choices.edges, 0).triu(1).sum(1)[:, 1:]
    return -torch.where(graphs.mask[:, 1:], outside + forced, 0).sum(1)
