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


@dataclass(frozen=True, eq=False)
class _Values:
    """Values of one vertex in the R networks that have it.

    Attributes:
        values: [n, R, W, h, w], W the most channels that it has; narrower ones are filled up with zeros.
        place: [G] long, where in ``values`` a network is.
    """

    values: Tensor
    place: Tensor

    def of(self, rows: Tensor, channels: int) -> Tensor:
        """The first channels of the networks ``rows`` [R']: [n, R', channels, h, w]."""
        chosen = self.values.index_select(1, self.place[rows])
        return chosen if channels == chosen.shape[2] else chosen[:, :, :channels]


def _cell(run: Pass, name: str, x: Tensor, cells: _Cells, width: int) -> Tensor:
    # [n, G, C, h, w] -> [n, G, width, h, w]
    adj = cells.graphs.adj
    known: dict[int, _Values] = {}
    for vertex in range(1, cells.graphs.num_nodes):
        there = cells.graphs.mask[:, vertex] & (cells.output != vertex)
        if not bool(there.any()):
            continue
        kinds = torch.stack([cells.kernels[:, vertex], cells.widths[:, vertex]], 1)  # [G, 2]
        widest = int(cells.widths[there, vertex].max())
        done, order = [], []
        for kernel, channels in kinds[there].unique(dim=0).tolist():
            rows = (there & (kinds[:, 0] == kernel) & (kinds[:, 1] == channels)).nonzero()[:, 0]
            terms = [_projection(run, name, x, adj, vertex, rows, channels)]
            for source, values in known.items():
                place = adj[rows, source, vertex].nonzero()[:, 0]
                terms.append((place, values.of(rows[place], channels)) if len(place) else None)
            y = _sum_of([term for term in terms if term is not None], len(rows))
            if kernel > 0:
                y = _conv_norm_relu(run, f"{name}.operations.{vertex}.0", y, channels, kernel, rows, vertex - 1)
            else:
                y = F.max_pool2d(y.flatten(1, 2), 3, stride=1, padding=1).view_as(y)
            done.append(y if channels == widest else F.pad(y, (0, 0, 0, 0, 0, widest - channels)))
            order.append(rows)
        rows = torch.cat(order)
        place = torch.zeros_like(cells.output).index_copy_(0, rows, torch.arange(len(rows), device=x.device))
        known[vertex] = _Values(done[0] if len(done) == 1 else torch.cat(done, 1), place)
    return _outputs(run, name, x, cells, known, width)


def _projection(
    run: Pass, name: str, x: Tensor, adj: Tensor, vertex: int, rows: Tensor, channels: int
) -> tuple[Tensor, Tensor] | None:
    """Projections of the cell's input at a vertex of the networks ``rows`` [R]: which have one, and their values."""
    place = adj[rows, 0, vertex].nonzero()[:, 0]
    if len(place) == 0:
        return None
    fed = x.index_select(1, rows[place])
    return place, _conv_norm_relu(run, f"{name}.projections.{vertex}.0", fed, channels, 1, rows[place], vertex - 1)


def _sum_of(terms: list[tuple[Tensor, Tensor]], networks: int) -> Tensor:
    """The sum of values [n, R', C, h, w] that some of the networks have (their numbers [R'], ascending)."""
    whole = [values for place, values in terms if len(place) == networks]
    some = [(place, values) for place, values in terms if len(place) < networks]
    if some:
        n, _, *rest = some[0][1].shape
        total = some[0][1].new_zeros(n, networks, *rest)
        for place, values in some:
            total.index_add_(1, place, values)
        whole.append(total)
    return sum(whole[1:], whole[0])


def _outputs(run: Pass, name: str, x: Tensor, cells: _Cells, known: dict[int, _Values], width: int) -> Tensor:
    """The concatenation of what feeds the output, in the order of the vertices: [n, G, width, h, w]."""
    n, g, _, h, w = x.shape
    total = x.new_zeros(n, g, width, h, w)
    filled = torch.zeros_like(cells.output)  # channels of each network that are filled already
    for vertex, values in known.items():
        widths = cells.widths[:, vertex]
        feeds = cells.graphs.adj[run.every, vertex, cells.output]
        spans = torch.stack([filled, widths], 1)
        for start, channels in spans[feeds].unique(dim=0).tolist():
            rows = (feeds & (filled == start) & (widths == channels)).nonzero()[:, 0]
            y = values.of(rows, channels)
            if channels < width:
                y = F.pad(y, (0, 0, 0, 0, start, width - start - channels))
            total.index_add_(1, rows, y)
        filled = filled + feeds * widths
    # A projection of the cell's input is added where an edge joins it to the output; the output has a name per cell.
    joined = cells.graphs.adj[run.every, 0, cells.output]
    for vertex in cells.output[joined].unique().tolist():
        rows = (joined & (cells.output == vertex)).nonzero()[:, 0]
        fed = x.index_select(1, rows)
        total.index_add_(1, rows, _conv_norm_relu(run, f"{name}.projections.{vertex}.0", fed, width, 1, rows, None))
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
