"""latentnas/spaces/costs/nasbench101.py, against the published table, a plain reference and networks that are built."""

from __future__ import annotations

import json

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.evaluation.networks.nasbench101 import Cell, NASBench101Network
from latentnas.spaces.costs import NASBench101Skeleton, costs, operation_costs
from latentnas.spaces.costs.nasbench101 import graph_costs, pruned, vertex_channels
from latentnas.spaces.graphs import NodeGraphs
from latentnas.spaces.nasbench1shot1 import NASBench1Shot1
from latentnas.spaces.nasbench101 import NASBench101

from .layers import assert_built_networks_cost_the_same, parameters

SPACE = NASBench101()
CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


def text(edges: str, *ops: str) -> str:
    """A cell by its edges, e.g. "01 12", and its operations."""
    nodes = len(ops) + 2
    matrix = [[int(f"{i}{j}" in edges.split()) for j in range(nodes)] for i in range(nodes)]
    return json.dumps({"matrix": matrix, "ops": ["input", *ops, "output"]})


README = text("01 02 03 05 16 26 34 46 56", CONV1, CONV3, CONV3, CONV3, POOL)
"""The cell that the README of the benchmark shows."""

PUBLISHED = [
    (README, 2_694_282, 402_002_944),
    (text("01"), 882_570, 137_761_792),
    (text("01 02 12", CONV1), 2_793_866, 422_974_464),
    # three vertices feed the output, so 128, 256 and 512 channels do not divide evenly
    (text("01 04 06 12 23 26 36 45 56", POOL, POOL, POOL, CONV3, CONV3), 3_514_282, 524_435_456),
    (text("01 06 12 13 26 34 45 46 56", CONV3, POOL, POOL, CONV1, POOL), 2_332_463, 352_382_592),
    (text("01 04 05 12 23 26 35 45 56", CONV3, POOL, CONV3, CONV3, CONV1), 8_555_530, 1_261_835_264),
]
"""Trainable parameters and multiply-adds of the published table."""


def channels_of(matrix: list[list[int]], channels: int) -> list[int]:
    """Channels of every vertex, written out plainly."""
    last = len(matrix) - 1
    ends = [v for v in range(1, last) if matrix[v][last]]
    result = [0] * last + [channels]
    for place, v in enumerate(ends):
        result[v] = channels // len(ends) + (place < channels % len(ends))
    for v in reversed(range(1, last)):
        if v not in ends:
            result[v] = max(result[w] for w in range(v + 1, last) if matrix[v][w])
    return result


def test_published_costs() -> None:
    cells, params, macs = zip(*PUBLISHED, strict=True)
    result = costs(SPACE, SPACE.parse(cells))
    assert result.params.tolist() == list(params)
    assert result.macs.tolist() == list(macs)


def test_vertex_channels() -> None:
    codes = SPACE.sample(300, seed=0)
    outputs = [5, 128, 512]
    result = vertex_channels(SPACE.node_graphs(codes), torch.tensor(outputs))
    for cell, rows in zip(SPACE.format(codes), result.tolist(), strict=True):
        matrix = json.loads(cell)["matrix"]
        padding = [0] * (7 - len(matrix))
        assert rows == [channels_of(matrix, c) + padding for c in outputs]


@pytest.mark.parametrize(
    "skeleton",
    [
        NASBench101Skeleton(stem_channels=7, stacks=3, cells=2, classes=3, image_size=9),
        NASBench101Skeleton(stem_channels=5, stacks=1, cells=1, classes=3, image_size=4),
    ],
)
def test_as_built(skeleton: NASBench101Skeleton) -> None:
    def build(code: torch.Tensor) -> NASBench101Network:
        return NASBench101Network(
            code,
            space=SPACE,
            channels=skeleton.stem_channels,
            cells=skeleton.cells,
            stages=skeleton.stacks,
            classes=skeleton.classes,
        )

    codes = torch.cat([SPACE.parse([cell for cell, _, _ in PUBLISHED]), SPACE.sample(20, seed=0)])
    assert_built_networks_cost_the_same(SPACE, codes, skeleton, build, skeleton.image_size)


def test_operations_in_their_places() -> None:
    """Entry [p, v] is what the p-th cell's modules of vertex v hold: its operation and its projection."""
    skeleton = NASBench101Skeleton(stem_channels=6, stacks=2, cells=2)
    for code in torch.cat([SPACE.parse(README), SPACE.sample(5, seed=1)]):
        network = NASBench101Network(code, space=SPACE, channels=6, cells=2, stages=2)
        result = operation_costs(SPACE, code[None], skeleton)
        cells = [module for module in network.modules() if isinstance(module, Cell)]
        assert result.params.shape == (1, 4, 7)
        for place, cell in enumerate(cells):
            expected = [0] * 7
            for modules in (cell.operations, cell.projections):
                for vertex, module in modules.items():
                    expected[int(vertex)] += parameters(module)
            assert result.params[0, place].tolist() == expected
        assert result.fixed_params == parameters(network.stem) + parameters(network.head)


def test_multiply_adds_by_hand() -> None:
    """input -> conv3x3 -> output and input -> output, 4 channels on 6 x 6, two stacks of one cell."""
    code = SPACE.parse(text("01 02 12", CONV3))
    result = operation_costs(SPACE, code, NASBench101Skeleton(stem_channels=4, stacks=2, cells=1, image_size=6))
    first = [0, (16 + 9 * 16) * 36, 16 * 36, 0, 0, 0, 0]
    second = [0, (4 * 8 + 9 * 64) * 9, 4 * 8 * 9, 0, 0, 0, 0]
    assert result.macs[0].tolist() == [first, second]
    assert result.fixed_macs == 27 * 4 * 36 + 8 * 10


def test_vertices_on_no_path_cost_nothing() -> None:
    """Vertex 1 leads nowhere, vertex 2 is fed by nothing; what is left is input -> 3 -> output."""
    edges = ((0, 1), (2, 3), (0, 3), (3, 4))
    adj = torch.zeros(1, 5, 5, dtype=torch.bool)
    for i, j in edges:
        adj[0, i, j] = True
    graphs = NodeGraphs(torch.tensor([[0, 2, 2, 2, 1]]), adj, torch.ones(1, 5, dtype=torch.bool))
    assert pruned(graphs).mask.tolist() == [[True, False, False, True, True]]
    skeleton = NASBench101Skeleton()
    result = graph_costs(graphs, SPACE.node_types, skeleton)
    assert bool((result.params[:, :, [1, 2]] == 0).all())
    left = costs(SPACE, SPACE.parse(text("01 12", CONV3)), skeleton)
    assert (result.totals().params, result.totals().macs) == (left.params, left.macs)


@pytest.mark.parametrize("variant", [1, 2, 3])
def test_sub_spaces_cost_what_their_pruned_cells_cost(variant: int) -> None:
    space = NASBench1Shot1(variant)
    codes = space.sample(500, seed=0)
    own, whole = costs(space, codes), costs(SPACE, space.to_nasbench101(codes))
    assert torch.equal(own.params, whole.params)
    assert torch.equal(own.macs, whole.macs)


def test_too_few_channels() -> None:
    codes = SPACE.parse([text("01"), README])
    with pytest.raises(ConfigError, match=r"a cell divides its channels among 4 vertices.*got 3"):
        costs(SPACE, codes, NASBench101Skeleton(stem_channels=3))
    assert len(costs(SPACE, codes[:1], NASBench101Skeleton(stem_channels=1)).params) == 1
