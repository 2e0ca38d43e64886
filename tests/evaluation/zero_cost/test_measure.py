"""latentnas/evaluation/zero_cost/measure.py, against metrics of one network at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas.errors import ConfigError, InvalidCodeError, UnknownNameError
from latentnas.evaluation.costs import count_costs
from latentnas.evaluation.zero_cost import METRICS, NetworkSize, ZeroCost, zero_cost_metrics
from latentnas.spaces import get_space
from latentnas.spaces.graphs import random_topological_order, relabel
from latentnas.spaces.nasbench201 import EDGES

from .plain import OPTIONS, SIZE, images_and_labels, network_of, plain_metrics

SPACE = get_space("nasbench201")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
TINY = {"channels": 3, "layers": 1, "stages": 2, "batch": 4, "image_size": 4, "device": "cpu", "cache": False}
IMAGES, LABELS = images_and_labels()


@pytest.mark.parametrize(("name", "cells"), [("nasbench201", 8), ("nasbench101", 6), ("nasbench1shot1-1", 3)])
def test_metrics_are_those_of_single_networks(name: str, cells: int) -> None:
    space = get_space(name)
    codes = space.canonical(space.sample(cells, seed=1))
    found = zero_cost_metrics(space, codes, images=IMAGES, labels=LABELS, **OPTIONS)
    for row, code in enumerate(codes):
        expected, _, blocks = plain_metrics(space, code)
        for metric, value in expected.items():
            assert float(found[metric][row]) == pytest.approx(value, rel=1e-6, abs=1e-9), (metric, row)
        assert sorted(found.blocks) == sorted(blocks) == ["backward_expressivity", "expressivity"]
        for metric, values in blocks.items():
            assert found.blocks[metric][row].tolist() == pytest.approx(values, rel=1e-6, abs=1e-9), (metric, row)
        costs = count_costs(network_of(space, code, IMAGES.shape[1]), IMAGES.shape[1:])
        assert (found["params"][row], found["flops"][row]) == (costs.parameters, costs.macs)


def test_operations_average_over_their_copies() -> None:
    """nasbench201, cells in which no two operations compute the same."""
    codes = torch.tensor([[CONV3, CONV1, POOL, SKIP, CONV3, CONV1], [CONV1, NONE, NONE, CONV3, POOL, NONE]])
    codes = SPACE.canonical(codes)
    found = zero_cost_metrics(SPACE, codes, images=IMAGES, labels=LABELS, **OPTIONS).operations
    assert sorted(found) == sorted(set(METRICS) - {"relu_logdet", "expressivity", "backward_expressivity"})
    for row, code in enumerate(codes):
        _, layers, _ = plain_metrics(SPACE, code)
        for column, (source, target) in enumerate(EDGES):
            copies = [value for name, value in layers.items() if f"operations.{source}_{target}." in name]
            assert len(copies) == (4 if code[column] in (CONV1, CONV3) else 0)
            for metric in ("grad_norm", "plain", "snip", "synflow"):
                mean = sum(copy[metric] for copy in copies) / 4
                mean = math.log1p(mean) if metric == "synflow" else mean
                assert float(found[metric][row, column]) == pytest.approx(mean, rel=1e-6, abs=1e-9)
    # 3 x 3 and 1 x 1 at 5 and 10 channels, two cells each; with scales and shifts.
    expected = {CONV3: (9 * 25 + 10 + 9 * 100 + 20) / 2, CONV1: (25 + 10 + 100 + 20) / 2}
    assert found["params"].tolist() == [[expected.get(op, 0) for op in code] for code in codes.tolist()]


def test_vertices_carry_their_projections() -> None:
    """nasbench101: x -> conv3x3 -> conv1x1 -> output, and x -> conv1x1."""
    space = get_space("nasbench101")
    matrix, ops = "[[0,1,1,0],[0,0,1,0],[0,0,0,1],[0,0,0,0]]", '["input","conv3x3-bn-relu","conv1x1-bn-relu","output"]'
    text = f'{{"matrix": {matrix}, "ops": {ops}}}'
    code = space.canonical(space.parse(text))
    found = zero_cost_metrics(space, code, images=IMAGES, labels=LABELS, **OPTIONS).operations
    _, layers, _ = plain_metrics(space, code[0])
    for vertex in (1, 2):
        of_vertex = [v for name, v in layers.items() if re.search(rf"(operations|projections)\.{vertex}\.", name)]
        assert len(of_vertex) == 8
        for metric in ("grad_norm", "snip"):
            mean = sum(layer[metric] for layer in of_vertex) / SIZE.places
            assert float(found[metric][0, vertex - 1]) == pytest.approx(mean, rel=1e-6)
    assert not found["snip"][:, 2:].any()


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "nasbench1shot1-1"])
def test_many_cells_are_as_each_alone(name: str) -> None:
    space = get_space(name)
    codes = space.sample(5, seed=0)
    options = {**TINY, "channels": 5}
    together = zero_cost_metrics(space, codes, **options)
    for row, code in enumerate(codes):
        alone = zero_cost_metrics(space, code[None], **options)
        for metric in METRICS:
            torch.testing.assert_close(alone[metric][0], together[metric][row], rtol=1e-3, atol=1e-3)


def test_more_cells_than_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = SPACE.sample(7, seed=3)
    whole = zero_cost_metrics(SPACE, codes, **TINY)
    monkeypatch.setattr("latentnas.evaluation.zero_cost.measure._MAX_CHUNK", 2)
    parts = zero_cost_metrics(SPACE, codes, **TINY)
    for metric in METRICS:
        torch.testing.assert_close(parts[metric], whole[metric], rtol=1e-3, atol=1e-3)


def test_isomorphic_cells_have_equal_values() -> None:
    every = SPACE.enumerate()
    keys = SPACE.keys(every)
    chosen = [row for row, key in enumerate(keys) if key == "c1(x)+c3(c1(x))"]
    assert len(chosen) > 2
    found = zero_cost_metrics(SPACE, every[chosen], **TINY)
    for metric in METRICS:
        assert len(found[metric].unique()) == 1
    for values in found.operations.values():
        # Each operation takes what the same operation has in the canonical network, wherever it stands.
        for op in (CONV1, CONV3):
            seen = {float(v) for row, v in zip(every[chosen], values, strict=True) for v in v[row == op] if v != 0}
            assert len(seen) <= 2


def test_relabelled_cells_of_nasbench101_have_equal_values() -> None:
    """Operations are renumbered with their vertices."""
    space = get_space("nasbench101")
    codes = space.sample(6, seed=2)
    graphs = space.node_graphs(codes)
    order = random_topological_order(graphs, torch.Generator().manual_seed(1))
    order = torch.where(graphs.mask, order, torch.arange(graphs.num_nodes))
    relabelled, valid = space.from_node_graphs(relabel(graphs, order))
    assert bool(valid.all())
    assert not torch.equal(relabelled, codes)
    options = {**TINY, "channels": 5}
    found, moved = (zero_cost_metrics(space, rows, **options) for rows in (codes, relabelled))
    for metric in METRICS:
        assert torch.equal(found[metric], moved[metric])
    for metric, values in found.operations.items():
        padded = torch.nn.functional.pad(values, (1, 1))
        assert torch.equal(padded.gather(1, order)[:, 1:-1], moved.operations[metric])
    assert found.operations["flops"].any()


def test_shared_value_of_an_operation_is_found_on_its_edge() -> None:
    """c3 on 0-1 then a skip is the network with c3 on 0-3; operations that lead nowhere are worth nothing."""
    moved = torch.tensor([[CONV3, CONV1, NONE, NONE, SKIP, NONE], [NONE, NONE, NONE, CONV3, NONE, NONE]])
    assert len(set(SPACE.keys(moved))) == 1
    found = zero_cost_metrics(SPACE, moved, **TINY).operations
    for values in found.values():
        assert values[0].tolist() == [values[1, 3], 0, 0, 0, 0, 0]
    assert found["snip"][0, 0] > 0


def test_a_network_without_a_path_is_worth_zero() -> None:
    cut = torch.tensor([[NONE] * 6, [CONV3, NONE, NONE, NONE, NONE, CONV3]])
    found = zero_cost_metrics(SPACE, cut, **TINY)
    for metric in ("grad_norm", "plain", "snip", "synflow", "relu_logdet"):
        assert found[metric].tolist() == [0, 0]
    assert (found["params"] > 0).all()
    assert not any(values.any() for values in found.operations.values())


def test_all_values_are_finite() -> None:
    for name in ("nasbench201", "nasbench101"):
        found = zero_cost_metrics(name, get_space(name).sample(20, seed=5), **{**TINY, "channels": 5})
        assert all(v.isfinite().all() for v in (*found.network.values(), *found.operations.values()))


def test_synflow_of_deep_networks_does_not_overflow() -> None:
    """Gains of 60 layers, in float32, as the same in float64."""
    codes = torch.tensor([[CONV3] * 6])
    options = {**TINY, "metrics": ["synflow"], "layers": 20, "channels": 16, "stages": 1}
    single = zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 4), **options)
    double = zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 4, dtype=torch.float64), **options)
    assert float(single["synflow"]) == pytest.approx(float(double["synflow"]), rel=1e-5)
    assert float(single["synflow"]) > 90  # more than float32 can hold


def test_images_that_no_relu_tells_apart_give_no_determinant() -> None:
    images = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    found = zero_cost_metrics(SPACE, SPACE.sample(2, seed=0), images=images, metrics=["relu_logdet"], **TINY)
    assert found["relu_logdet"].tolist() == [0, 0]
    assert list(found.network) == ["relu_logdet"]
    assert found.operations == {}


def test_seeds() -> None:
    codes = SPACE.sample(3, seed=1)
    first, same, other = (zero_cost_metrics(SPACE, codes, seed=seed, **TINY) for seed in (0, 0, 1))
    for metric in ("grad_norm", "snip", "synflow"):
        assert torch.equal(first[metric], same[metric])
        assert not torch.equal(first[metric], other[metric])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_random_state_and_gradient_mode_do_not_matter(mode: Callable[[], Any]) -> None:
    codes = SPACE.sample(2, seed=1)
    images = IMAGES.clone()
    before = torch.get_rng_state()
    with mode():
        inside = zero_cost_metrics(SPACE, codes.clone(), **TINY)
        on_images = zero_cost_metrics(SPACE, codes, **TINY | {"images": images.clone()})
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("snip", "synflow"):
        assert torch.equal(inside[name], zero_cost_metrics(SPACE, codes, **TINY)[name])
    assert torch.equal(on_images["snip"], zero_cost_metrics(SPACE, codes, **TINY | {"images": images})["snip"])


def test_a_stopped_computation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = SPACE.networks()[100:108]
    options = {"size": NetworkSize(3, 1, 1), "batch": 4, "image_size": 4, "device": "cpu", "cache": tmp_path}
    monkeypatch.setattr("latentnas.evaluation.zero_cost.measure._MAX_CHUNK", 2)
    expected = ZeroCost(SPACE, **{**options, "cache": False})(codes)
    stopped, done = ZeroCost(SPACE, **options), []
    measure = stopped._measure

    def twice(part: torch.Tensor) -> torch.Tensor:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(part)
        return measure(part)

    monkeypatch.setattr(stopped, "_measure", twice)
    with pytest.raises(KeyboardInterrupt):
        stopped(codes)
    resumed = ZeroCost(SPACE, **options)
    assert len(resumed.store) == 4
    computed = []
    measure_again = resumed._measure
    monkeypatch.setattr(resumed, "_measure", lambda part: computed.append(part) or measure_again(part))
    found = resumed(codes)
    assert torch.cat(computed).tolist() == codes[4:].tolist()
    for metric in METRICS:
        assert torch.equal(found[metric], expected[metric])
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"] * 2
    # Nothing is left to compute; and another seed is another file.
    monkeypatch.setattr(ZeroCost, "_measure", lambda self, part: pytest.fail("computed again"))
    ZeroCost(SPACE, **options)(codes)
    assert len(ZeroCost(SPACE, **options, seed=1).store) == 0


def test_further_metrics_are_added_to_a_cache(tmp_path: Path) -> None:
    codes = SPACE.networks()[50:53]
    options = {**TINY, "cache": tmp_path}
    zero_cost_metrics(SPACE, codes, metrics=["synflow"], **options)
    both = zero_cost_metrics(SPACE, codes, metrics=["synflow", "snip"], **options)
    whole = zero_cost_metrics(SPACE, codes, **{**options, "cache": False})
    assert torch.equal(both["synflow"], whole["synflow"])
    assert torch.equal(both["snip"], whole["snip"])
    assert len(list(tmp_path.iterdir())) == 1


def test_no_cells() -> None:
    found = zero_cost_metrics(SPACE, SPACE.sample(0, seed=0), **TINY)
    assert found["synflow"].shape == (0,)
    assert found.operations["snip"].shape == (0, 6)


def test_wrong_arguments() -> None:
    codes = SPACE.sample(1, seed=0)
    with pytest.raises(ConfigError, match="enas_macro6 cannot be built as networks yet; spaces that can: nasbench101"):
        zero_cost_metrics("enas_macro6", torch.zeros(1, 21))
    with pytest.raises(UnknownNameError, match="Did you mean 'synflow'"):
        zero_cost_metrics(SPACE, codes, metrics=["sinflow"])
    with pytest.raises(ConfigError, match=r"channels must be an integer of at least 1, got 0; batch .* 2, got 1"):
        zero_cost_metrics(SPACE, codes, channels=0, batch=1)
    with pytest.raises(ConfigError, match=r"got 1\.5"):
        zero_cost_metrics(SPACE, codes, layers=1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"shape \[n >= 2, channels, size, size\], got \[2, 3, 4, 5\]"):
        zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 5))
    with pytest.raises(ConfigError, match=r"float32 or float64, got torch.int64"):
        zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 4).long())
    with pytest.raises(ConfigError, match="NaN or infinite"):
        zero_cost_metrics(SPACE, codes, images=torch.full((2, 3, 4, 4), torch.nan))
    with pytest.raises(ConfigError, match=r"labels must be in 0..9, got 0..10"):
        zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 4), labels=torch.tensor([0, 10]))
    with pytest.raises(ConfigError, match="labels must be 2 integers"):
        zero_cost_metrics(SPACE, codes, images=torch.zeros(2, 3, 4, 4), labels=torch.zeros(3).long())
    with pytest.raises(ConfigError, match="at most 3 stages"):
        zero_cost_metrics(SPACE, codes, stages=4, image_size=4)
    with pytest.raises(InvalidCodeError):
        zero_cost_metrics(SPACE, torch.full((1, 6), 9), **TINY)
    ops = '["input", "maxpool3x3", "maxpool3x3", "output"]'
    text = f'{{"matrix": [[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]], "ops": {ops}}}'
    with pytest.raises(ConfigError, match="divides its channels among 2 vertices"):
        zero_cost_metrics("nasbench101", get_space("nasbench101").parse(text), **{**TINY, "channels": 1})
