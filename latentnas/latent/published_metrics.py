"""The measures by which D-VAE and the operation-embedding paper compare autoencoders of DAGs.

Section 4.1 of both papers (Zhang et al., NeurIPS 2019; after Kusner et al., ICML 2017): accuracy of stochastic
reconstruction, validity of what the prior decodes to, uniqueness and novelty of what is valid. Everything is
counted on graphs as they were written, so a graph that is valid by the published rule and still no cell of the
space (fewer layers) is counted as there. :mod:`latentnas.latent.quality` has the deterministic counterparts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from ..seeding import Seed, as_generator
from ..spaces.graphs import INPUT, OUTPUT, NodeGraphs
from .space import CHUNK, LatentSpace

Validity = Callable[[NodeGraphs], Tensor]
"""B graphs -> [B] bool."""


def stochastic_reconstruction(
    latent: LatentSpace, codes: Tensor, times: int = 100, *, constrained: bool = False, seed: Seed = None
) -> float:
    """Share of stochastic decodings of the cells' posterior means that give exactly the cell, in [0, 1].

    Args:
        latent: the latent space.
        codes: [n, D] long, n at least 1; published: the test cells.
        times: decodings of every cell (published: 10 encodings, all of them the mean, of 10 decodings each).
        constrained: whether the grammar constrains the decoder; published without.
        seed: of the decisions.

    Raises:
        ConfigError: no cell, or ``times`` below 1.
        InvalidCodeError: a row is no cell.
    """
    if len(codes) == 0 or times < 1:
        raise ConfigError(
            f"stochastic_reconstruction: needs at least 1 cell and 1 decoding, got {len(codes)} and {times}"
        )
    truth = latent.space.node_graphs(codes.to(latent.device))
    exact = 0
    for rows, graphs in _decodings(latent, latent.encode(codes), times, constrained, seed):
        exact += int(_equal(graphs, truth[rows]).sum())
    return exact / (len(codes) * times)


@dataclass(frozen=True)
class PriorQuality:
    """Shares, in [0, 1], of what latents drawn from the prior decode to.

    Attributes:
        validity: valid graphs among all.
        cells: graphs that are cells of the space among all; at most ``validity``.
        uniqueness: distinct graphs among the valid ones.
        novelty: valid graphs that no training cell has, among the valid ones.
    """

    validity: float
    cells: float
    uniqueness: float
    novelty: float

    def to_dict(self) -> dict[str, float]:
        """Plain floats by name."""
        return asdict(self)


@torch.no_grad()
def prior_quality(
    latent: LatentSpace,
    train: Tensor,
    n: int = 1_000,
    times: int = 10,
    *,
    validity: Validity | None = None,
    constrained: bool = False,
    seed: Seed = None,
) -> PriorQuality:
    """Decode latents from N(0, I), scaled and shifted per dimension to those of the training cells, and count.

    Args:
        latent: the latent space.
        train: [m, D] long, the training cells, m at least 2.
        n: latents.
        times: stochastic decodings of each.
        validity: which graphs are valid, such as :func:`valid_chains`; by default those that are cells of the space.
        constrained: whether the grammar constrains the decoder; published without.
        seed: of the latents and the decisions.

    Raises:
        ConfigError: fewer than 2 training cells, or a number below 1.
        InvalidCodeError: a row is no cell.
    """
    if len(train) < 2 or n < 1 or times < 1:
        raise ConfigError(
            f"prior_quality: needs at least 2 training cells, 1 latent and 1 decoding, got {len(train)}, {n}, {times}"
        )
    generator = as_generator(seed)
    means = latent.encode(train)
    z = means.mean(0) + means.std(0) * torch.randn(n, latent.latent_dim, generator=generator)
    known = _rows(latent.space.node_graphs(train.to(latent.device)))
    cells, valid, written = [], [], []
    for _, graphs in _decodings(latent, z, times, constrained, generator):
        is_cell = latent.space.from_node_graphs(graphs)[1]
        cells.append(is_cell)
        valid.append(is_cell if validity is None else validity(graphs))
        written.append(_rows(graphs)[valid[-1]])
    decoded = torch.cat(written)
    count = max(1, len(decoded))
    number = torch.cat([known, decoded]).unique(dim=0, return_inverse=True)[1]
    ours = number[len(known) :]
    return PriorQuality(
        validity=float(torch.cat(valid).double().mean()),
        cells=float(torch.cat(cells).double().mean()),
        uniqueness=len(ours.unique()) / count,
        novelty=float((~torch.isin(ours, number[: len(known)])).sum()) / count,
    )


def valid_chains(graphs: NodeGraphs) -> Tensor:
    """The published rule for ENAS macro cells ("is_valid_ENAS" of the public D-VAE code): [B] bool.

    One input and one output vertex; no other vertex without predecessor or without successor; every vertex but the
    output fed by the one before it; the output fed by one vertex. It does not count layers, so shorter chains pass.
    A cell of the space (:meth:`~latentnas.spaces.SearchSpace.from_node_graphs`) also has all its layers.
    """
    ops, adj, mask = graphs.ops, graphs.adj, graphs.mask
    size = mask.sum(1)  # [B], vertices
    place = torch.arange(graphs.num_nodes, device=ops.device)
    last = (size - 1)[:, None]
    edges = adj & mask[:, :, None] & mask[:, None, :]
    inner = mask & (place > 0) & (place < last)
    valid = (size >= 2) & (ops[:, 0] == INPUT) & (ops.gather(1, last.clamp_min(0))[:, 0] == OUTPUT)
    valid &= ~(inner & ((ops == INPUT) | (ops == OUTPUT))).any(1)
    in_degree, out_degree = edges.sum(1), edges.sum(2)
    valid &= ~(mask & (place > 0) & (in_degree == 0)).any(1)
    valid &= ~(mask & (place < last) & (out_degree == 0)).any(1)
    chained = torch.cat([mask[:, :1], edges.diagonal(1, 1, 2)], 1)  # [B, N], vertex v is fed by v - 1
    valid &= (chained | ~inner).all(1)
    return valid & (in_degree.gather(1, last.clamp_min(0))[:, 0] == 1)


@torch.no_grad()
def _decodings(
    latent: LatentSpace, z: Tensor, times: int, constrained: bool, seed: Seed
) -> Iterator[tuple[Tensor, NodeGraphs]]:
    """Stochastic decodings of latents [n, d] in portions: rows of ``z`` [b], each ``times`` times, and b graphs."""
    generator = as_generator(seed)
    grammar = latent.space.grammar if constrained else None
    for rows in torch.arange(len(z)).repeat_interleave(times).split(CHUNK):
        some = z[rows].to(latent.device, torch.float32)
        yield rows, latent.model.decoder.decode(some, grammar=grammar, stochastic=True, seed=generator)


def _rows(graphs: NodeGraphs) -> Tensor:
    """One row of bytes a graph, equal exactly for equal graphs: [B, N + N (N - 1) / 2]."""
    ops = torch.where(graphs.mask, graphs.ops + 1, 0)
    i, j = torch.triu_indices(graphs.num_nodes, graphs.num_nodes, 1, device=ops.device)
    return torch.cat([ops, graphs.adj[:, i, j].to(ops.dtype)], 1).to(torch.uint8)


def _equal(a: NodeGraphs, b: NodeGraphs) -> Tensor:
    """Which graphs are the same, vertex by vertex: [B] bool."""
    return (a.mask == b.mask).all(1) & (a.ops == b.ops).all(1) & (a.adj == b.adj).flatten(1).all(1)


__all__ = ["PriorQuality", "prior_quality", "stochastic_reconstruction", "valid_chains"]
