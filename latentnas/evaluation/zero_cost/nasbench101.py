"""Networks of many NAS-Bench-101 cells side by side, and which operations of two cells are the same.

Vertices of different cells have different numbers of channels. Their values are kept in one tensor with
as many channels as the widest has; vertices of equal operation and width are computed together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...spaces import OUTPUT, NodeGraphs
from ...spaces.costs.nasbench101 import check_width, pruned, vertex_channels
from .passes import Part, Pass
from .settings import NetworkSize
from .terms import mixed

KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
_ROUNDS = 7
"""Rounds of refinement: as many as a cell has vertices at most."""


@dataclass(frozen=True, eq=False)
class _Cells:
    """G pruned cells at one number of output channels.

    Attributes:
        graphs: the cells.
        kernels: [G, N] long, size of the vertex's convolution, 0 for a max pooling.
        widths: [G, N] long, channels of the vertices.
        output: [G] long, the output vertex.
    """

    graphs: NodeGraphs
    kernels: Tensor
    widths: Tensor
    output: Tensor


def forward(run: Pass, graphs: NodeGraphs, node_types: tuple[str, ...], images: Tensor, size: NetworkSize) -> Tensor:
    """Class scores of G networks, those of :class:`~latentnas.evaluation.networks.NASBench101Network`.

    Args:
        run: how layers are computed, and who keeps them.
        graphs: G cells.
        node_types: names of the vertex types.
        images: [n, channels, h, w].
        size: the size of the networks.

    Returns:
        [n, G, classes].

    Raises:
        ConfigError: too few channels for a cell.
    """
    graphs = pruned(graphs)
    check_width(graphs, size.channels)
    kernels = torch.tensor([KERNELS.get(name, 0) for name in node_types], device=graphs.ops.device)[graphs.ops]
    output = ((graphs.ops == OUTPUT) & graphs.mask).long().argmax(1)
    x = images[:, None].expand(-1, len(graphs), -1, -1, -1)  # [n, G, C, h, w]
    x = run.settle(_conv_norm_relu(run, "stem.0", x, size.channels, 3, run.every, None))
    block = 0
    for stage, width in enumerate(size.widths()):
        if stage > 0:
            n, g, c = x.shape[:3]
            x = F.max_pool2d(x.flatten(1, 2), 2, stride=2, ceil_mode=True)
            x = x.view(n, g, c, *x.shape[2:])
            block += 1
        widths = vertex_channels(graphs, torch.tensor([width], device=images.device))[:, 0]
        cells = _Cells(graphs, kernels, widths, output)
        for _ in range(size.layers):
            x = run.settle(_cell(run, f"body.{block}", x, cells, width))
            block += 1
    return run.linear("head.2", x.mean((3, 4)), size.classes)


def _conv_norm_relu(
    run: Pass, name: str, x: Tensor, width: int, kernel: int, rows: Tensor, operation: int | None
) -> Tensor:
    y = run.norm(run.conv([Part(name, rows, operation)], x, width, kernel))
    return run.relu(y, rows, torch.ones_like(rows))


def _cell(run: Pass, name: str, x: Tensor, cells: _Cells, width: int) -> Tensor:
    # [n, G, C, h, w] -> [n, G, width, h, w]
    n, g, _, h, w = x.shape
    adj = cells.graphs.adj
    values: dict[int, Tensor] = {}
    for vertex in range(1, cells.graphs.num_nodes):
        there = cells.graphs.mask[:, vertex] & (cells.output != vertex)
        if not bool(there.any()):
            continue
        groups = torch.stack([cells.kernels[:, vertex], cells.widths[:, vertex]], 1)  # [G, 2]
        widest = int(cells.widths[there, vertex].max())
        value = x.new_zeros(n, g, widest, h, w)
        for kernel, channels in groups[there].unique(dim=0).tolist():
            chosen = there & (groups == torch.tensor([kernel, channels], device=x.device)).all(1)
            rows = chosen.nonzero()[:, 0]
            y = _projected(run, name, x, adj, vertex, rows, channels)
            for source, earlier in values.items():
                y = _add_some(y, earlier[:, :, :channels], rows, adj[rows, source, vertex])
            layer = f"{name}.operations.{vertex}.0"
            if kernel > 0:
                y = _conv_norm_relu(run, layer, y, channels, kernel, rows, vertex - 1)
            else:
                y = F.max_pool2d(y.flatten(1, 2), 3, stride=1, padding=1).view_as(y)
            value = value.index_add(1, rows, F.pad(y, (0, 0, 0, 0, 0, widest - channels)))
        values[vertex] = value
    return _outputs(run, name, x, cells, values, width)


def _projected(run: Pass, name: str, x: Tensor, adj: Tensor, vertex: int, rows: Tensor, channels: int) -> Tensor:
    """The projections of the cell's input at a vertex of the networks ``rows`` [R], zeros where it is no source."""
    n, _, _, h, w = x.shape
    y = x.new_zeros(n, len(rows), channels, h, w)
    place = adj[rows, 0, vertex].nonzero()[:, 0]
    if len(place) == 0:
        return y
    fed = rows[place]
    layer = f"{name}.projections.{vertex}.0"
    return y.index_add(1, place, _conv_norm_relu(run, layer, x[:, fed], channels, 1, fed, vertex - 1))


def _add_some(total: Tensor, values: Tensor, rows: Tensor, wanted: Tensor) -> Tensor:
    """Add the values of networks ``rows`` [R] to ``total`` [n, R, C, h, w] where ``wanted`` [R]."""
    place = wanted.nonzero()[:, 0]
    return total.index_add(1, place, values[:, rows[place]]) if len(place) else total


def _outputs(run: Pass, name: str, x: Tensor, cells: _Cells, values: dict[int, Tensor], width: int) -> Tensor:
    """The concatenation of what feeds the output, in the order of the vertices: [n, G, width, h, w]."""
    n, g, _, h, w = x.shape
    total = x.new_zeros(n, g, width, h, w)
    filled = torch.zeros_like(cells.output)  # channels of each network that are filled already
    rows_of = torch.arange(g, device=x.device)
    for vertex, value in values.items():
        feeds = cells.graphs.adj[rows_of, vertex, cells.output]
        spans = torch.stack([filled, cells.widths[:, vertex]], 1)
        for start, channels in spans[feeds].unique(dim=0).tolist():
            rows = (feeds & (filled == start) & (cells.widths[:, vertex] == channels)).nonzero()[:, 0]
            y = F.pad(value[:, rows, :channels], (0, 0, 0, 0, start, width - start - channels))
            total = total.index_add(1, rows, y)
        filled = filled + feeds * cells.widths[:, vertex]
    # A projection of the cell's input is added where an edge joins it to the output; the output has a name per cell.
    joined = cells.graphs.adj[rows_of, 0, cells.output]
    for vertex in cells.output[joined].unique().tolist():
        rows = (joined & (cells.output == vertex)).nonzero()[:, 0]
        y = _conv_norm_relu(run, f"{name}.projections.{vertex}.0", x[:, rows], width, 1, rows, None)
        total = total.index_add(1, rows, y)
    return total


def operation_terms(graphs: NodeGraphs) -> Tensor:
    """What each operation is to its cell, as a number: [G, N - 2] long, 0 where there is none.

    Colour refinement (Weisfeiler and Leman) of the pruned cell with operations as first colours and
    sources and targets told apart: operations that an isomorphism takes to each other have equal numbers.
    """
    graphs = pruned(graphs)
    colors = mixed(graphs.ops + 1) * graphs.mask
    for _ in range(_ROUNDS):
        sources = (mixed(colors)[:, :, None] * graphs.adj).sum(1)
        targets = (mixed(~colors)[:, None, :] * graphs.adj).sum(2)
        colors = mixed(mixed(mixed(colors) + sources) ^ targets) * graphs.mask
    inner = graphs.mask & (graphs.ops != OUTPUT)
    return (colors * inner)[:, 1:-1]
