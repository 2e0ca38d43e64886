from __future__ import annotations

import math

import pytest
import torch

from latentnas.models.predictors.tensor_encoding import TensorEncoding
from latentnas.spaces import get_space

from .inputs import cells, facts


def log10(x: int) -> float:
    return math.log10(1 + x) / 10


def test_nasbench101_has_the_published_shape_and_entries() -> None:
    """19 matrices of 7 x 7. input -> conv3x3 -> output, 128 channels at 32 x 32 in the first cell."""
    space = get_space("nasbench101")
    matrix = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    codes = space.parse([{"matrix": matrix, "ops": ["input", "conv3x3-bn-relu", "output"]}])
    encoding = TensorEncoding(facts("nasbench101"), types="numbers")
    found = encoding(cells("nasbench101", codes))[0]
    assert found.shape == (19, 7, 7)
    conv = space.node_types.index("conv3x3-bn-relu")
    types = torch.zeros(7, 7)
    types[0, 1], types[1, 2] = (conv + 1) / 5, 2 / 5
    torch.testing.assert_close(found[0], types)
    # the vertex: a 1x1 projection 128 -> 128 and the 3x3 convolution, each with batch normalisation
    weights = 128 * 128 + 9 * 128 * 128
    assert float(found[1, 0, 1]) == pytest.approx(log10(weights * 1024))
    assert float(found[2, 0, 1]) == pytest.approx(log10(weights + 2 * 2 * 128))
    assert int(found.count_nonzero()) == 2 + 18, "the output costs nothing"


def test_nasbench201_has_the_published_shape_and_entries() -> None:
    """31 matrices of 4 x 4: an entry belongs to the operation of its edge."""
    space = get_space("nasbench201")
    codes = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    found = TensorEncoding(facts("nasbench201"), types="numbers")(cells("nasbench201", codes))[0]
    assert found.shape == (31, 4, 4)
    expected = torch.tensor([[0, 3, 0, 4], [0, 0, 1, 0], [0, 0, 0, 2], [0, 0, 0, 0]]) / 5
    torch.testing.assert_close(found[0], expected)
    for place, (width, size) in enumerate([(16, 32)] * 5 + [(32, 16)] * 5 + [(64, 8)] * 5):
        flops, params = found[1 + 2 * place], found[2 + 2 * place]
        assert float(flops[0, 1]) == pytest.approx(log10(9 * width**2 * size**2))
        assert float(params[0, 1]) == pytest.approx(log10(9 * width**2 + 2 * width))
        assert float(params[2, 3]) == pytest.approx(log10(width**2 + 2 * width))
        assert int(flops.count_nonzero()) == int(params.count_nonzero()) == 2


def test_parallel_operations_of_enas_micro_add_up() -> None:
    inputs = cells("enas_micro", get_space("enas_micro").sample(200, seed=0))
    found = TensorEncoding(facts("enas_micro"), types="numbers")(inputs)
    assert found.shape == (200, 35, 14, 14)
    assert inputs.op_costs is not None and inputs.vertex_edges is not None
    of_operations = inputs.op_costs * (inputs.vertex_edges >= 0)[:, None, :, None]
    torch.testing.assert_close(found[:, 1:].flatten(2).sum(2), of_operations.sum(2).flatten(1))


def test_vertices_of_a_space_with_edges() -> None:
    encoding = TensorEncoding(facts("nasbench201"), view="nodes", types="numbers")
    found = encoding(cells("nasbench201", get_space("nasbench201").sample(3, seed=0)))
    assert found.shape == (3, 31, 8, 8)
    assert not bool(found.tril().any())


@pytest.mark.parametrize(
    ("name", "view"), [("nasbench101", "nodes"), ("nasbench201", "edges"), ("nasbench201", "nodes")]
)
def test_one_matrix_a_type(name: str, view: str) -> None:
    """Weighed by their numbers, the matrices add up to the single one."""
    inputs = cells(name, get_space(name).sample(50, seed=0))
    whole, each = (TensorEncoding(facts(name), view=view, types=types) for types in ("numbers", "one-hot"))
    count = each.patches - whole.patches + 1
    assert each.num_types == count == {"nodes": len(get_space(name).node_types), "edges": 4}[view]
    single, several = whole(inputs), each(inputs)
    assert several.shape[1] == each.patches and set(several[:, :count].unique().tolist()) == {0, 1}
    numbers = torch.arange(1.0, count + 1) / (count + (view == "edges"))
    torch.testing.assert_close(torch.einsum("t,btij->bij", numbers, several[:, :count]), single[:, 0])
    assert torch.equal(several[:, count:], single[:, 1:])
