"""Structure of a batch of graphs in numbers: clustering coefficients and average path length.

The operation-embedding paper (section 4.4) compares "the clustering coefficient" and "the average path length" with
the accuracy of cells. Vertices are those of the mask, input and output included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .graphs import NodeGraphs


def clustering_coefficient(graphs: NodeGraphs) -> Tensor:
    r"""Average of the local clustering coefficients (Watts and Strogatz, Nature 1998): [B] double, in [0, 1].

    Edges count without direction. The coefficient of a vertex is the share of pairs of its neighbours that are
    neighbours themselves, :math:`2 t / (k (k - 1))` for k neighbours and t triangles, and 0 for k below 2. (The
    directed coefficient of Fagiolo, 2007, is half of it in a graph without two-way edges.)
    """
    triangles, pairs = _triangles(graphs)
    share = triangles / pairs.clamp_min(1)
    return share.sum(1) / graphs.mask.sum(1).clamp_min(1)


def transitivity(graphs: NodeGraphs) -> Tensor:
    """Global clustering coefficient of every graph: [B] double, in [0, 1].

    The share of all pairs of neighbours of a vertex, over all vertices at once, that are neighbours themselves (three
    times the triangles, divided by the paths of two edges); 0 where there is no such pair. Edges count without
    direction.
    """
    triangles, pairs = _triangles(graphs)
    return triangles.sum(1) / pairs.sum(1).clamp_min(1)


def average_path_length(graphs: NodeGraphs, *, directed: bool) -> Tensor:
    """Mean length in edges of the shortest paths of every graph, over the pairs that a path joins: [B] double.

    Args:
        graphs: B graphs.
        directed: whether paths follow the edges' direction; otherwise edges may be walked both ways.

    Returns:
        [B]; NaN where no path joins two vertices.
    """
    edges = _edges(graphs)
    if not directed:
        edges = edges | edges.transpose(1, 2)
    eye = torch.eye(graphs.num_nodes, dtype=torch.bool, device=edges.device)
    reached = eye.expand_as(edges)
    step = edges.double()
    total = torch.zeros(len(graphs), dtype=torch.double, device=edges.device)
    pairs = torch.zeros_like(total)
    for length in range(1, graphs.num_nodes):
        further = (reached.double() @ step > 0) & ~reached
        count = further.sum((1, 2)).double()
        total, pairs = total + length * count, pairs + count
        reached = reached | further
    return total / pairs


def _triangles(graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
    """Of every vertex the triangles that it is a corner of, and the pairs of its neighbours: two [B, N] double."""
    sides = _edges(graphs)
    sides = (sides | sides.transpose(1, 2)).double()
    degree = sides.sum(2)
    return (sides @ sides * sides).sum(2) / 2, degree * (degree - 1) / 2


def _edges(graphs: NodeGraphs) -> Tensor:
    """Edges between vertices that exist: [B, N, N] bool."""
    return graphs.adj & graphs.mask[:, :, None] & graphs.mask[:, None, :]


__all__ = ["average_path_length", "clustering_coefficient", "transitivity"]
