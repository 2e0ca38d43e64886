from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from latentnas.spaces import INPUT, OUTPUT, ENASMacro, SearchSpace, get_space
from latentnas.spaces.features import flow_statistics, link_counts, one_hot_features, path_counts, path_length


def paths(space: SearchSpace, code: torch.Tensor) -> list[tuple[int, ...]]:
    """Operations along every path from input to output, found by walking; paths through zeros are left out."""
    graphs = space.node_graphs(code[None])
    ops, adj = graphs.ops[0].tolist(), graphs.adj[0].tolist()

    def walk(vertex: int, so_far: tuple[int, ...]) -> list[tuple[int, ...]]:
        op = ops[vertex]
        if op == OUTPUT:
            return [so_far]
        if op in space.zero_types:
            return []
        if vertex != 0 and op not in space.identity_types:
            so_far = (*so_far, op)
        return [p for w in range(vertex + 1, len(ops)) if adj[vertex][w] for p in walk(w, so_far)]

    return walk(0, ())


@pytest.mark.parametrize("length", [0, 1, 2, 3])
@pytest.mark.parametrize("space", [get_space("nasbench201"), ENASMacro(layers=4)], ids=lambda s: s.name)
def test_paths_agree_with_a_walk(space: SearchSpace, length: int) -> None:
    codes = space.sample(60, seed=length)
    counts = path_counts(space, codes, length)
    proper = len(set(range(2, len(space.node_types))) - {*space.identity_types, *space.zero_types})
    assert counts.shape == (60, sum(proper**k for k in range(length + 1)))
    assert counts.dtype == torch.double
    columns: dict[tuple[int, ...], int] = {}
    for row, code in zip(counts, codes, strict=True):
        expected = Counter(path[len(path) - length :] if len(path) > length else path for path in paths(space, code))
        assert sorted(row[row > 0].tolist()) == sorted(float(v) for v in expected.values())
        for ending, count in expected.items():
            fits = [i for i in (row == count).nonzero()[:, 0].tolist() if columns.get(ending, i) == i]
            assert fits, f"{ending} moved to another column"
            if len(fits) == 1:
                assert columns.setdefault(ending, fits[0]) == fits[0]
    assert len(set(columns.values())) == len(columns), "two endings share a column"


def test_sequences_are_numbered_by_length_then_base() -> None:
    """NAS-Bench-201: proper operations c1, c3, p are digits 0, 1, 2 in base 3, the last operation the last digit."""
    space = get_space("nasbench201")
    codes = space.parse(
        [
            "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|",
            "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|nor_conv_1x1~2|",
        ]
    )
    counts = path_counts(space, codes)
    assert counts.shape == (2, 1 + 3 + 9 + 27)
    assert counts[0].nonzero()[:, 0].tolist() == [0]
    assert float(counts[0, 0]) == 2.0, "0->3 and 0->1->3, both without operations"
    assert counts[1].nonzero()[:, 0].tolist() == [1 + 3 + 9 + (1 * 9 + 2 * 3 + 0)]


def test_one_hot_concatenates_columns() -> None:
    features = one_hot_features(ENASMacro(layers=2), torch.tensor([[5, 0, 1]]))
    assert features.dtype == torch.double
    assert features.tolist() == [[*(0, 0, 0, 0, 0, 1), *(1, 0, 0, 0, 0, 0), *(0, 1)]]


def test_no_rows() -> None:
    space = get_space("nasbench201")
    empty = torch.empty(0, 6, dtype=torch.long)
    assert path_counts(space, empty).shape == (0, 40)
    assert one_hot_features(space, empty).shape == (0, 30)
    assert link_counts(space, empty).shape == (0, 49)


def test_path_length_shrinks_with_the_vocabulary() -> None:
    # 1 + 3 + 9 + 27 = 40 and 1 + 6 + 36 + 216 = 259 columns; with 30 operations 1 + 30 + 900 = 931
    assert path_length(get_space("nasbench201")) == 3
    assert path_length(get_space("enas_macro6")) == 3
    many = ENASMacro(layers=2)
    many.node_types = ("input", "output", *map(str, range(30)))
    assert path_length(many) == 2
    many.node_types = ("input", "output", *map(str, range(5000)))
    assert path_length(many) == 1


def test_flow_statistics_by_hand() -> None:
    """Paths 0 -> 1 -> 3 (3x3, 1x1 convolution) and 0 -> 3 (skip connection) of a NAS-Bench-201 cell."""
    space = get_space("nasbench201")
    code = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    found = flow_statistics(space, code)[0]
    assert found.shape == (3 * 4 + 1 + 2 * 6,)
    proper = [name for name in space.node_types if "conv" in name or "pool" in name]
    one, three, pool = (proper.index(name) for name in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"))
    most = found[:4]
    assert (most[one], most[three], most[pool], most[3]) == (1, 1, 0, 2)
    assert found[4:8].tolist() == [0, 0, 0, 0], "the skip connection has no operation"
    mean = found[8:12]
    assert (mean[one], mean[three], mean[pool], mean[3]) == (0.5, 0.5, 0, 1)
    assert float(found[12]) == pytest.approx(math.log(3))


def test_flow_statistics_without_a_path() -> None:
    space = get_space("nasbench201")
    found = flow_statistics(space, torch.zeros(1, 6).long())[0]
    assert found[:8].tolist() == [-1] * 8
    assert found[8:13].tolist() == [0] * 5


def test_link_counts_by_hand() -> None:
    """0 -> 1 -> 3 (3x3, 1x1 convolution), 0 -> 3 (skip), and 0 -> 2 (3x3) from which nothing leads on."""
    space = get_space("nasbench201")
    code = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    found = link_counts(space, code)[0].reshape(len(space.node_types), -1)
    one, three = (space.node_types.index(name) for name in ("nor_conv_1x1", "nor_conv_3x3"))
    expected = torch.zeros_like(found)
    expected[INPUT, three] = expected[three, one] = expected[one, OUTPUT] = expected[INPUT, OUTPUT] = 1
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["nasbench101", "enas_macro6", "darts"])
def test_link_counts_of_isomorphic_cells(name: str) -> None:
    space = get_space(name)
    codes = space.sample(50, seed=0)
    assert torch.equal(link_counts(space, codes), link_counts(space, space.canonical(codes)))
    assert len(link_counts(space, codes).unique(dim=0)) > 10
