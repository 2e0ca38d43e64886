"""latentnas/predictor/features.py, and the encoder that takes measures by itself."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.evaluation import zero_cost
from latentnas.evaluation.zero_cost import ZeroCostMetrics
from latentnas.predictor import CELL_FEATURES, OP_FEATURES, Predictor
from latentnas.predictor.features import (
    NETWORK_METRICS,
    OPERATION_METRICS,
    Standardizer,
    cell_costs,
    get_measure,
    measure_faults,
)
from latentnas.predictor.settings import measure_of
from latentnas.spaces import SearchSpace

SPACE = get_space("nasbench201")
CODES = torch.tensor(
    [[3, 0, 2, 4, 1, 3], [2, 3, 0, 0, 0, 1], [3, 3, 3, 3, 3, 3], [0, 0, 2, 0, 0, 0], [1, 3, 1, 2, 0, 1]]
)


@pytest.fixture(autouse=True)
def metrics(monkeypatch: pytest.MonkeyPatch) -> partial[ZeroCostMetrics]:
    """Zero-cost metrics of small networks, in the place of the default ones."""
    small = partial(zero_cost.zero_cost_metrics, channels=4, image_size=8, batch=8, device="cpu")
    monkeypatch.setattr(zero_cost, "zero_cost_metrics", small)
    return small


def test_zero_cost_metrics_stand_at_the_vertices_of_their_operations(metrics: partial[ZeroCostMetrics]) -> None:
    found = metrics(SPACE, CODES)
    features = OP_FEATURES["zero_cost"](SPACE, CODES)
    assert features.shape == (5, 8, 5)
    assert not features[:, [0, 7]].any()
    for column, name in enumerate(OPERATION_METRICS):
        assert torch.equal(features[:, 1:7, column], found.operations[name])
    kinds = SPACE.node_graphs(CODES).ops[:, 1:7]
    weighty = torch.isin(kinds, torch.tensor([SPACE.node_types.index(n) for n in ("nor_conv_1x1", "nor_conv_3x3")]))
    assert torch.equal(features[2, 1:7].all(1), weighty[2])
    assert not features[:, 1:7][~weighty].any()
    cells = CELL_FEATURES["zero_cost"](SPACE, CODES)
    assert torch.equal(cells, torch.stack([found.network[name] for name in NETWORK_METRICS], 1))


def test_measures_of_a_space_with_cells_of_several_sizes() -> None:
    space = get_space("nasbench101")
    codes = space.sample(4, seed=0)
    features = OP_FEATURES["zero_cost"](space, codes)
    graphs = space.node_graphs(codes)
    assert features.shape == (4, 7, 5)
    assert not features[~graphs.mask].any()
    assert not features[graphs.ops < 2].any(), "input and output have none"
    assert bool(features.any())


def test_spaces_that_cannot_be_measured() -> None:
    darts, graphs = get_space("darts"), get_space("nas_bench_graph")
    for known in (OP_FEATURES, CELL_FEATURES):
        assert not [fault for measure in known.values() for fault in measure_faults(measure, SPACE)]
        assert measure_faults(known["costs"], darts) == []
        (fault,) = measure_faults(known["zero_cost"], darts)
        assert "cells of darts cannot be built as networks" in fault and "nasbench201" in fault
        assert "no image network" in measure_faults(known["costs"], graphs)[0]
    with pytest.raises(
        ConfigError, match=r"op_features: zero-cost metrics: cells of darts.*targets: zero-cost metrics"
    ):
        Predictor("gates++", space="darts").checked_space()


def test_measures_are_scaled_by_the_training_cells() -> None:
    cells = Standardizer.of(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert cells(torch.tensor([[4.0, 6.0]])).tolist() == [[2.0, 1.0]]
    operations = Standardizer.of(torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [4.0, 2.0]]]))
    scaled = operations(torch.tensor([[[0.0, 0.0], [3.0, 0.0], [4.5, 2.0]]]))[0]  # means 3.5, 1; deviations 0.5, 1
    expected = torch.tensor([[0, 0], [1, 1], [4, 3]]) / math.sqrt(5)
    torch.testing.assert_close(scaled, expected, msg="no measure stays 0")
    assert Standardizer.of(torch.zeros(2, 3, 1))(torch.zeros(1, 3, 1)).tolist() == [[[0], [0], [0]]]


def test_an_encoder_takes_its_own_measures_unless_others_are_given() -> None:
    plus = Predictor("gates++")
    assert [measure_of(plus, kind) for kind in ("op_features", "cell_features", "targets")] == [
        "zero_cost",
        None,
        "zero_cost",
    ]
    assert measure_of(Predictor("gates"), "targets") is None
    assert measure_of(Predictor("gates++", targets="costs"), "targets") == "costs"
    assert measure_of(Predictor("gates", op_features="zero_cost"), "op_features") == "zero_cost"


def test_gates_plus_plus(tmp_path: Path) -> None:
    other = SPACE.canonical(CODES)
    assert (other != CODES).any()
    settings = {"epochs": 2, "head": (8,), "device": "cpu", "options": {"layers": 2, "hidden": 8}}
    model = Predictor("gates++", **settings).fit(CODES, torch.arange(5.0))  # type: ignore[arg-type]
    member = model.members_[0]
    assert member.encoder.name == "gates++"
    assert member.target_head is not None and member.target_head[-1].out_features == len(NETWORK_METRICS)
    assert model._inputs(CODES).edge_features is not None
    scores = model.predict(CODES)
    assert (model.predict(other) == scores).all(), "isomorphic cells get equal scores"
    loaded = Predictor.load(model.save(tmp_path / "gates++"), device="cpu")
    assert loaded.encoder == "gates++" and (loaded.predict(CODES) == scores).all()


def test_networks_of_cells_that_were_never_measured_are_measured_in_predict() -> None:
    settings: dict[str, Any] = {"epochs": 1, "head": (8,), "device": "cpu", "options": {"layers": 2, "hidden": 8}}
    model = Predictor("gates++", **settings).fit(CODES, torch.arange(5.0))
    new = SPACE.sample(3, seed=9)
    first = model.predict(new)
    assert (model.predict(new) == first).all(), "measured, then from the cache"


def test_measuring_shows_progress_where_training_does(capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"epochs": 1, "head": (8,), "device": "cpu", "options": {"layers": 2, "hidden": 8}}
    model = Predictor("gates++", progress=True, **settings).fit(CODES, torch.arange(5.0))
    assert "zero-cost metrics: network 5/5" in capsys.readouterr().err
    model.predict(SPACE.sample(3, seed=9))
    assert "zero-cost metrics: network 3/3" in capsys.readouterr().err
    model.set_params(progress=False).predict(SPACE.sample(4, seed=8))
    assert capsys.readouterr().err == ""


def test_a_measure_of_your_own_may_take_gradients() -> None:
    def steepness(space: SearchSpace, codes: Tensor) -> Tensor:
        values = codes[:, :1].float().requires_grad_()
        return torch.autograd.grad((values**2).sum(), values)[0]

    model = Predictor("mlp", cell_features=steepness, epochs=1, device="cpu").fit(CODES, torch.arange(5.0))
    assert model.predict(CODES).shape == (5,)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gates-simplified", {}),
        ("gcn", {}),
        ("nar", {"loss": "nar"}),
        ("mlp", {"loss": "comparator"}),
        ("gates", {"targets": "costs"}),
    ],
)
def test_measures_of_cells_stand_beside_the_embedding(name: str, options: dict[str, str], tmp_path: Path) -> None:
    settings = {"epochs": 3, "head": (8,), "device": "cpu", "seed": 1, **options}
    model = Predictor(name, cell_features="costs", **settings).fit(CODES, torch.arange(5.0))  # type: ignore[arg-type]
    member, inputs = model.members_[0], model._inputs(CODES)
    assert inputs.cell_features is not None
    embedding = member.encoder(inputs)
    torch.testing.assert_close(member.embed(inputs), torch.cat([embedding, inputs.cell_features], 1))
    plain = Predictor(name, **settings).fit(CODES, torch.arange(5.0))  # type: ignore[arg-type]
    assert (model.predict(CODES) != plain.predict(CODES)).any(), "they are read"
    if member.target_head is not None:
        assert member.target_head[0].in_features == member.encoder.dim, "but not by the head that could copy them"
    loaded = Predictor.load(model.save(tmp_path / name), device="cpu")
    assert (loaded.predict(CODES) == model.predict(CODES)).all()


def test_scores_follow_a_measure_that_decides() -> None:
    """Cells of 5,000 codes, labelled by something that only the measure knows."""

    def luck(space: object, codes: torch.Tensor) -> torch.Tensor:
        return (codes.double() @ torch.tensor([3.0, 1, 4, 1, 5, 9], dtype=torch.double)).sin()[:, None]

    codes = SPACE.canonical(SPACE.sample(60, seed=3, over="networks"))
    model = Predictor("gates", cell_features=luck, epochs=60, device="cpu", seed=0, options={"layers": 1, "hidden": 2})
    model.fit(codes[:40], luck(SPACE, codes[:40])[:, 0])
    assert model.score(codes[40:], luck(SPACE, codes[40:])[:, 0]) > 0.6


def test_expressivity_is_measured_by_block(metrics: partial[ZeroCostMetrics]) -> None:
    found = metrics(SPACE, CODES, layers=5)
    measured = CELL_FEATURES["expressivity"](SPACE, CODES)
    blocks = 1 + 3 * 5 + 2
    assert measured.shape == (len(CODES), 2 * blocks)
    assert torch.equal(measured[:, :blocks], found.blocks["expressivity"])
    assert torch.equal(measured[:, blocks:], found.blocks["backward_expressivity"])
    assert torch.equal(found["expressivity"], found.blocks["expressivity"].sum(1))


def test_several_measures_stand_side_by_side(tmp_path: Path) -> None:
    both = get_measure(("costs", "zero_cost"), CELL_FEATURES, "measure")(SPACE, CODES)
    assert torch.equal(both[:, :2], cell_costs(SPACE, CODES)) and both.shape == (5, 2 + len(NETWORK_METRICS))
    model = Predictor("gcn", cell_features=["costs", "expressivity"], epochs=1, device="cpu").fit(
        CODES, torch.arange(5.0)
    )
    scores = model.predict(CODES)
    assert (Predictor.load(model.save(tmp_path / "gcn"), device="cpu").predict(CODES) == scores).all()
    for wrong in ([], ["costs", "looks"], 3):
        with pytest.raises(ConfigError, match="cell_features must be one or several of links, flow, costs, "):
            Predictor("gcn", cell_features=wrong).checked_space()  # type: ignore[arg-type]


def test_measures_of_operations_are_for_encoders_that_read_them() -> None:
    with pytest.raises(ConfigError, match=r"op_features is for .*gates, gates\+\+, hop; got 'mlp'"):
        Predictor("mlp", op_features="costs").checked_space()
