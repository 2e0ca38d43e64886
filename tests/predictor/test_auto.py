from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from latentnas import Predictor, get_space
from latentnas.errors import ConfigError, ObservationError, WeightsError
from latentnas.evaluation.metrics import kendall_tau
from latentnas.models.targets import NormalScores
from latentnas.predictor import CELL_FEATURES, AutoPredictor, auto
from latentnas.predictor.auto import MEMBERS

SPACE = get_space("nasbench201")
QUICK = {"members": ("gp", "forest"), "folds": 2}


def worth(codes: torch.Tensor) -> torch.Tensor:
    codes = SPACE.canonical(codes)
    return (codes == 3).sum(1) + 0.3 * (codes == 1).sum(1).double()


def test_learns_with_all_members() -> None:
    codes, others = SPACE.sample(24, seed=0), SPACE.sample(200, seed=1)
    model = AutoPredictor(members=("gp", "gates", "forest"), ensemble=1, folds=2).fit(codes, worth(codes))
    assert list(model.members_) == list(model.weights_) == list(model.cv_scores_) == ["gp", "gates", "forest"]
    assert sum(model.weights_.values()) == pytest.approx(1)
    assert model.score(others, worth(others)) > 0.6
    mean, std = model.predict(others, return_std=True)
    assert mean.shape == std.shape == (200,) and bool((std >= 0).all())
    assert np.array_equal(model.predict(others), model.predict(SPACE.canonical(others)))
    assert mean.min() > -2 and mean.max() < 9, "in units of the values"
    assert len(model.predict(others[:0])) == 0


def test_few_labels_are_not_cross_validated() -> None:
    codes = SPACE.sample(12, seed=0)
    model = AutoPredictor(**QUICK).fit(codes, worth(codes))
    assert model.weights_ == {"gp": 0.5, "forest": 0.5} and model.cv_scores_ == {}
    same = torch.zeros(30)
    same[0] = 1  # one fold holds the only cell that differs
    assert AutoPredictor(**QUICK).fit(SPACE.sample(30, seed=3), same).cv_scores_ == {}


def test_folds_hold_every_label_once() -> None:
    scores = torch.arange(31.0)
    parts = AutoPredictor(folds=3)._folds(scores, 2)
    assert torch.cat(parts).sort().values.tolist() == list(range(31))
    assert max(abs(float(part.double().mean()) - 15) for part in parts) < 1.1, "stratified by value"


def test_of_many_labels_a_single_fold_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = SPACE.sample(60, seed=0)
    monkeypatch.setattr(auto, "ONE_FOLD_LABELS", 40)
    model = AutoPredictor(members=("gp", "forest"), folds=3)
    parts = model._folds(torch.arange(60.0), 2)
    assert [len(part) for part in parts] == [20]
    model.fit(codes, worth(codes))
    assert sum(model.weights_.values()) == pytest.approx(1)
    scores = NormalScores(model.labels_.values).forward()
    (part,) = model._folds(scores, 2)
    rest = torch.ones(len(scores), dtype=torch.bool)
    rest[part] = False
    process = model.new_member("gp", SPACE).fit(model.labels_.codes[rest], scores[rest])
    held = torch.from_numpy(process.predict(model.labels_.codes[part]))
    assert model.cv_scores_["gp"] == pytest.approx(kendall_tau(held, scores[part])), "what was not held out counts"


def test_predictor_auto_is_the_auto_predictor() -> None:
    codes, others = SPACE.sample(40, seed=0), SPACE.sample(50, seed=1)
    made = Predictor("auto", seed=3, options=QUICK)
    with pytest.raises(ObservationError, match="not fitted"):
        made.predict(codes)
    direct = AutoPredictor(seed=3, **QUICK).fit(codes, worth(codes))
    assert np.array_equal(made.fit(codes, worth(codes)).predict(others), direct.predict(others))
    assert made.score(others, worth(others)) == direct.score(others, worth(others))
    assert len(made.predict(others, return_std=True)) == 2
    assert len(made.partial_fit(others, worth(others)).labels_) > len(direct.labels_)
    for refused in (made.explain, made.member_scores):
        with pytest.raises(ConfigError, match="for a single encoder, not for 'auto'"):
            refused(codes)
    with pytest.raises(ConfigError, match="no epochs"):
        made.fit(codes, worth(codes), on_epoch=print)


def quick_network(name: str, space: object, seed: int) -> Predictor:
    view = {} if name == "hop" else {"view": "nodes" if name == "gates" else "edges"}
    options = {**view, "layers": 2, "hidden": 8}
    return Predictor(
        "hop" if name == "hop" else "gates", options=options, epochs=2, ensemble=2, average=0.2, seed=seed, device="cpu"
    )


def test_what_is_stored_predicts_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = AutoPredictor._new

    def quick(self: AutoPredictor, name: str, space: Any, labels: str, *, ensemble: int) -> Any:
        if name in ("gp", "forest"):
            return original(self, name, space, labels, ensemble=ensemble)
        return quick_network(name, space, self.seed)

    monkeypatch.setattr(AutoPredictor, "_new", quick)
    codes, others = SPACE.sample(30, seed=0), SPACE.sample(50, seed=1)
    members = ("gp", "gates", "gates-edges", "hop", "forest")
    model = Predictor("auto", seed=3, options={"members": members, "folds": 2}).fit(codes, worth(codes))
    loaded = Predictor.load(model.save(tmp_path / "auto"))
    assert loaded.auto_.weights_ == pytest.approx(model.auto_.weights_)
    assert loaded.auto_.cv_scores_ == model.auto_.cv_scores_ and len(model.auto_.cv_scores_) == 5
    for mine, its in zip(model.predict(others, return_std=True), loaded.predict(others, return_std=True), strict=True):
        assert np.allclose(mine, its, rtol=0, atol=1e-9)
    again = Predictor.load(loaded.save(tmp_path / "again"))
    assert np.allclose(again.predict(others), model.predict(others), rtol=0, atol=1e-9)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    codes = SPACE.sample(30, seed=0)
    folder = Predictor("auto", options={"members": ("gp", "forest")}).fit(codes, worth(codes)).save(tmp_path / "auto")
    tensors = load_file(folder / "model.safetensors")
    for name, tensor, words in (
        ("shares", torch.tensor([3.0, -2]).double(), "shares must be at least 0"),
        ("gp.mean_module.raw_constant", torch.tensor(torch.nan), "raw_constant has values that are not finite"),
        ("shares", torch.ones(3).double(), r"shares has shape \[3\], expected \[2\]"),
        ("gp.mean_module.raw_constant", torch.ones(2).double(), "gp: .*of another shape: .*raw_constant"),
        ("gp.unknown", torch.ones(2).double(), "gp: .*unknown or of another shape: .*unknown"),
    ):
        save_file({**tensors, name: tensor}, folder / "model.safetensors")
        with pytest.raises(WeightsError, match=words):
            Predictor.load(folder)


def test_scikit_learn_habits() -> None:
    codes = SPACE.sample(30, seed=0)
    model = Predictor("auto", options={"members": ("forest",)})
    assert clone(model).get_params() == model.get_params()
    assert clone(AutoPredictor(**QUICK)).get_params() == AutoPredictor(**QUICK).get_params()
    scores = cross_val_score(model, codes.numpy(), worth(codes).numpy(), cv=2)
    assert bool(np.isfinite(scores).all())


def test_members_are_those_that_the_space_has() -> None:
    AutoPredictor(members=("gp", "gates-edges", "hop")).checked_space()
    with pytest.raises(ConfigError, match="list some of gp, gates-simplified, gates, hop, forest, each once"):
        AutoPredictor(space="nasbench101", members=("gates-edges",)).checked_space()


def test_zero_cost_metrics_are_read_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, others = SPACE.sample(30, seed=0), SPACE.sample(20, seed=1)
    asked: list[int] = []

    def measure(space: object, codes: torch.Tensor) -> torch.Tensor:
        asked.append(len(codes))
        return worth(codes)[:, None]

    monkeypatch.setitem(CELL_FEATURES, "expressivity", measure)
    with_metrics = AutoPredictor(members=("gp",), zero_cost=True).fit(codes, worth(codes) ** 3)
    assert sum(asked) > 0
    assert with_metrics.score(others, worth(others)) > 0.9, "the metric is the truth here"
    networks = AutoPredictor(zero_cost=True), AutoPredictor()
    made = [[each.new_member(name, SPACE) for name in MEMBERS[1:5]] for each in networks]
    read = [[network.get_params()["cell_features"] for network in each] for each in made]
    assert read == [[None] + [["expressivity"]] * 3, [None] * 4]
    small = networks[0].new_member("gates", SPACE)
    assert isinstance(small, Predictor)
    small.set_params(epochs=2, ensemble=1).fit(codes, worth(codes))
    assert small._inputs(codes).cell_features.shape == (30, 1)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"zero_cost: .*cannot be built as networks"):
        AutoPredictor(space="darts", zero_cost=True).checked_space()


def test_where_operations_are_on_vertices_a_network_reads_features_of_the_graph() -> None:
    space = get_space("nasbench101")
    model = AutoPredictor(space=space, zero_cost=True, ensemble=1)
    assert model.member_names(space) == ("gp", "gates-simplified", "gates", "hop")
    assert AutoPredictor().member_names(SPACE) == ("gp", "gates-simplified", "gates")
    made = [model.new_member(name, space).get_params() for name in ("gates-simplified", "gates", "hop")]
    assert [each["cell_features"] for each in made] == [["links", "flow", "costs"], ["expressivity"], ["expressivity"]]
    graph = get_space("nas_bench_graph")
    assert AutoPredictor().new_member("gates-simplified", graph).get_params()["cell_features"] == ["links", "flow"]


def test_the_members_of_a_space_are_stored_with_it(tmp_path: Path) -> None:
    space = get_space("nas_bench_graph")
    codes = space.sample(16, seed=0)
    made = Predictor("auto", space=space, device="cpu", options={"ensemble": 1, "least": 99})
    made.fit(codes, torch.arange(16.0))
    assert list(made.auto_.members_) == ["gp", "gates-simplified", "gates", "hop"]
    again = Predictor.load(made.save(tmp_path / "auto"), device="cpu")
    assert (again.predict(codes) == made.predict(codes)).all()


def test_a_space_without_costs() -> None:
    space = get_space("nas_bench_graph")
    codes = space.sample(12, seed=0)
    model = AutoPredictor(space=space, **QUICK).fit(codes, torch.arange(12.0))
    assert np.isfinite(model.predict(codes)).all()


def test_bad_settings_are_named() -> None:
    codes, values = SPACE.sample(5, seed=0), torch.arange(5.0)
    with pytest.raises(
        ConfigError, match=r"members must be None or list some of gp, gates.*; zero_cost must be.*; folds must be an"
    ):
        AutoPredictor(members=("gp", "gp"), zero_cost=1, folds=1).fit(codes, values)
    with pytest.raises(
        ConfigError, match=r"head is not for the encoder 'auto'; loss is not .*; options of 'auto' must"
    ):
        Predictor("auto", loss="mse", head=(3,), options={"layers": 2}).fit(codes, values)
    with pytest.raises(ObservationError, match="not fitted yet"):
        AutoPredictor().predict(codes)
