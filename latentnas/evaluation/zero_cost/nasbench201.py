"""Networks of many NAS-Bench-201 cells side by side, and which operations of two cells are the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...spaces.nasbench201 import EDGES, OPERATIONS
from .passes import Part, Pass, neighbourhood_means
from .settings import NetworkSize
from .terms import mixed

KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
CONVOLUTIONS = [OPERATIONS.index(name) for name in KERNELS]
NONE, SKIP = OPERATIONS.index("none"), OPERATIONS.index("skip_connect")


def forward(run: Pass, codes: Tensor, images: Tensor, size: NetworkSize) -> Tensor:
    """Class scores of G networks, those of :class:`~latentnas.evaluation.networks.NASBench201Network`.

    Args:
        run: how layers are computed, and who keeps them.
        codes: [G, 6] long.
        images: [n, channels, h, w].
        size: the size of the networks.

    Returns:
        [n, G, classes].
    """
    x = images[:, None].expand(-1, len(codes), -1, -1, -1)  # [n, G, C, h, w]
    x = run.settle(run.norm(run.conv(run.whole("stem.0"), x, size.channels, 3)))
    block = 0
    for stage, width in enumerate(size.widths()):
        if stage > 0:
            x = run.settle(_reduction(run, f"body.{block}", x, width))
            block += 1
        for _ in range(size.layers):
            x = run.settle(_cell(run, f"body.{block}", x, codes))
            block += 1
    x = _relu(run, run.norm(x))
    return run.linear("head.4", x.mean((3, 4)), size.classes)


def _relu(run: Pass, x: Tensor) -> Tensor:
    return run.relu(x, run.every, torch.ones_like(run.every))


def _reduction(run: Pass, name: str, x: Tensor, width: int) -> Tensor:
    # [n, G, C, h, w] -> [n, G, 2 C, ceil(h / 2), ceil(w / 2)]
    y = run.norm(run.conv(run.whole(f"{name}.body.0.1"), _relu(run, x), width, 3, stride=2))
    y = run.norm(run.conv(run.whole(f"{name}.body.1.1"), _relu(run, y), width, 3))
    n, g, c, h, w = x.shape
    pooled = F.avg_pool2d(x.reshape(n, g * c, h, w), 2, stride=2, ceil_mode=True)
    return y + run.conv(run.whole(f"{name}.shortcut.1"), pooled.view(n, g, c, *pooled.shape[2:]), width, 1)


def _cell(run: Pass, name: str, x: Tensor, codes: Tensor) -> Tensor:
    # [n, G, C, h, w] -> the same shape
    vertices = [x, *(torch.zeros_like(x) for _ in range(3))]
    for source in range(3):
        # All edges into the source were added before. Edges that leave it and have equal operations are one call.
        leaving = [column for column, (start, _) in enumerate(EDGES) if start == source]
        convolutions = torch.isin(codes[:, leaving], torch.tensor(CONVOLUTIONS, device=codes.device))
        activated = run.relu(vertices[source], run.every, convolutions.sum(1))
        for op, kind in enumerate(OPERATIONS):
            parts = [
                Part(f"{name}.operations.{source}_{EDGES[column][1]}.1", rows, column)
                for column in leaving
                if len(rows := (codes[:, column] == op).nonzero()[:, 0])
            ]
            if op == NONE or not parts:
                continue
            values = activated if op in CONVOLUTIONS else vertices[source]
            y = values.index_select(1, torch.cat([part.rows for part in parts]))
            if op in CONVOLUTIONS:
                y = run.norm(run.conv(parts, y, y.shape[2], KERNELS[kind]))
            elif op != SKIP:
                y = neighbourhood_means(y)
            for part, value in zip(parts, y.split([len(part.rows) for part in parts], 1), strict=True):
                assert part.operation is not None
                vertices[EDGES[part.operation][1]].index_add_(1, part.rows, value)
    return vertices[3]


def operation_terms(codes: Tensor) -> Tensor:
    """What each operation computes, as a number: [G, 6] long, equal for equal terms, 0 for none.

    A term is an operation on the sum of the terms at its source, skip connections contracted, as in
    the space's keys. Cells with equal keys have the same terms. Operations that only zeros feed, that
    do not reach the output, and skip connections are no terms.
    """
    g = len(codes)
    sums = codes.new_zeros(4, g)  # of the terms at each vertex; a sum does not depend on their order
    sums[0] = mixed(codes.new_ones(g))
    fed = torch.zeros(4, g, dtype=torch.bool, device=codes.device)
    fed[0] = True
    terms = torch.zeros_like(codes)
    for column, (source, target) in enumerate(EDGES):  # every edge into a vertex precedes those that leave it
        op = codes[:, column]
        carries = fed[source] & (op != NONE)
        terms[:, column] = torch.where(carries & (op != SKIP), mixed(mixed(sums[source]) + op), 0)
        sums[target] += torch.where(carries & (op == SKIP), sums[source], terms[:, column])
        fed[target] |= carries
    useful = torch.zeros_like(fed)
    useful[3] = True
    for column in reversed(range(len(EDGES))):
        source, target = EDGES[column]
        useful[source] |= useful[target] & (codes[:, column] != NONE)
        terms[:, column] *= useful[target]
    return terms
