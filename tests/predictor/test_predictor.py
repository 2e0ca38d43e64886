"""latentnas/predictor: what users rely on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import Tensor

from latentnas import get_space
from latentnas.errors import ConfigError, InvalidCodeError, ObservationError, WeightsError
from latentnas.predictor import Predictor
from latentnas.spaces import SearchSpace

SPACE = get_space("nasbench201")
SMALL = {"layers": 2, "hidden": 16, "op_embedding": 8, "input_embedding": 8}


def worth(codes: Tensor) -> Tensor:
    """A made-up accuracy of NB201 cells: convolutions are good, on the straight road most of all."""
    good = torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5], dtype=torch.double)[codes]
    return good @ torch.tensor([1.0, 0.5, 1.0, 2.0, 0.5, 1.5], dtype=torch.double)


def small(encoder: str = "gates", **settings: object) -> Predictor:
    return Predictor(
        encoder, **{"epochs": 40, "learning_rate": 5e-3, "head": (16,), "options": SMALL, "device": "cpu"} | settings
    )


@pytest.fixture(scope="module")
def fitted() -> Predictor:
    codes = SPACE.sample(150, seed=0)
    return small(ensemble=2).fit(codes, worth(codes))


CODES = SPACE.sample(400, seed=1)


@pytest.mark.parametrize("loss", ["hinge", "hinge-cell", "bce", "listmle", "mse", "comparator"])
def test_every_loss_learns(loss: str) -> None:
    codes = SPACE.sample(120, seed=0)
    model = small(loss=loss, epochs=80).fit(codes, worth(codes))
    assert model.score(CODES, worth(CODES)) > 0.5


def test_fit_is_a_function_of_the_seed() -> None:
    codes = SPACE.sample(60, seed=0)
    state = torch.get_rng_state()
    first, again, other = (small(seed=s, epochs=5).fit(codes, worth(codes)).predict(CODES) for s in (0, 0, 1))
    assert (first == again).all()
    assert not (first == other).all()
    assert torch.equal(state, torch.get_rng_state())


def test_predictions_are_in_units_of_the_labels(fitted: Predictor) -> None:
    values = fitted.labels_.values
    mean = fitted.predict(fitted.labels_.codes)
    assert mean.mean() == pytest.approx(float(values.mean()))
    assert abs(mean - values.numpy()).mean() < float(values.std())


def test_the_deviation_is_that_of_the_members(fitted: Predictor) -> None:
    mean, std = fitted.predict(CODES, return_std=True)
    scores = fitted.member_scores(CODES)
    assert scores.shape == (2, 400)
    assert np.allclose(mean, scores.mean(0))
    assert np.allclose(std, (scores[0] - scores[1]).abs() / math.sqrt(2))
    with pytest.raises(ConfigError, match="ensemble of at least 2"):
        small().predict(CODES, return_std=True)


def test_isomorphic_cells_get_equal_scores(fitted: Predictor) -> None:
    codes = SPACE.enumerate()
    same = SPACE.canonical(codes)
    pairs = (codes != same).any(1)
    assert int(pairs.sum()) > 5000
    assert (fitted.predict(codes[pairs]) == fitted.predict(same[pairs])).all()


def test_isomorphic_cells_of_nasbench101_get_equal_scores() -> None:
    space = get_space("nasbench101")
    codes = space.sample(80, seed=0)
    model = small(space="nasbench101", epochs=2).fit(codes, torch.arange(80.0))
    many = space.sample(8000, seed=1)
    relabelled = space.canonical(many)
    pairs = (many != relabelled).any(1)
    assert int(pairs.sum()) > 2000
    assert (model.predict(many[pairs]) == model.predict(relabelled[pairs])).all()


def test_scores_do_not_depend_on_the_cells_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    space = get_space("nasbench101")
    codes = space.sample(40, seed=0)
    model = small(space="nasbench101", epochs=2).fit(codes, torch.arange(40.0))
    many = space.sample(500, seed=1)
    together = model.predict(many)
    monkeypatch.setattr("latentnas.predictor.scoring.CHUNK", 7)
    assert np.allclose(model.predict(many), together, rtol=0, atol=1e-4 * together.std())


def test_scoring_keeps_to_its_threads(fitted: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    inputs = fitted._inputs
    monkeypatch.setattr(fitted, "_inputs", lambda *asked: (seen.append(torch.get_num_threads()), inputs(*asked))[1])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fitted.predict(CODES)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {fitted.threads}


def test_habits_of_scikit_learn() -> None:
    model = small(epochs=8, seed=3)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(loss="bce").loss == "bce"
    codes = SPACE.sample(60, seed=0)
    scores = cross_val_score(model, codes.numpy(), worth(codes).numpy(), cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert cross_val_score(model, codes, worth(codes), cv=3).tolist() == scores.tolist()


def test_repeated_cells_count_once_with_their_mean() -> None:
    codes = torch.tensor([[1, 2, 3, 4, 0, 1], [2, 2, 2, 2, 2, 2], [1, 2, 3, 4, 0, 1]])
    model = small(epochs=1, canonical=False).fit(codes, [1.0, 5.0, 4.0])
    assert model.labels_.codes.tolist() == codes[:2].tolist()
    assert model.labels_.values.tolist() == [2.5, 5.0]


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        (3, [1.0, math.nan, 2.0], r"accuracies\[1\] is nan, 1 of 3 are not finite; leave failed evaluations out"),
        (3, [1.0, 2.0, -math.inf], r"accuracies\[2\] is -inf"),
        (3, [1.0, 1.0, 1.0], "all 3 cells have the accuracy 1.0"),
        (1, [1.0], "at least two different cells, got 1"),
        (0, [], "at least two different cells, got 0"),
        (3, [1.0, 2.0], r"shape \[3\], got \[2\]"),
        (3, [[1.0], [2.0], [3.0]], r"shape \[3\], got \[3, 1\]"),
    ],
)
def test_labels_that_teach_nothing_are_refused(rows: int, values: list[float], message: str) -> None:
    codes = torch.tensor([[0, 1, 2, 3, 4, 0], [3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]])[:rows]
    with pytest.raises(ObservationError, match=message):
        small().fit(codes, values)


def test_codes_are_checked() -> None:
    with pytest.raises(InvalidCodeError, match="must be in"):
        small().fit([[9, 0, 0, 0, 0, 0]], [1.0])


def test_all_faults_are_named() -> None:
    codes = SPACE.sample(5, seed=0)
    wrong = small(loss="rank", epochs=0, head=3, dropout=1, op_features="x", options={"layers": 0, "deep": 1})
    with pytest.raises(ConfigError) as caught:
        wrong.fit(codes, worth(codes))
    for part in ("loss must", "epochs must", "head must", "dropout must", "op_features must", "'deep'", "layers must"):
        assert part in str(caught.value)
    for other in (small("gate"), small(space="nb")):
        with pytest.raises(ConfigError, match="unknown"):
            other.fit(codes, worth(codes))


def test_not_fitted() -> None:
    with pytest.raises(ObservationError, match="not fitted"):
        small().predict(CODES)


def test_labels_that_arrive() -> None:
    codes = SPACE.sample(80, seed=0)
    model = small(epochs=30, update_epochs=10)
    model.partial_fit(codes[:40], worth(codes[:40]))
    before = model.score(CODES, worth(CODES))
    model.partial_fit(codes[40:], worth(codes[40:]))
    assert len(model.labels_) == len(torch.unique(SPACE.canonical(codes), dim=0))
    assert model.score(CODES, worth(CODES)) > before - 0.1
    weights = [p.clone() for p in model.members_[0].parameters()]
    model.set_params(warm_start=True, epochs=1, learning_rate=1e-6, schedule="constant").fit(codes, worth(codes))
    moved = [float((a - b).detach().abs().max()) for a, b in zip(weights, model.members_[0].parameters(), strict=True)]
    assert 0 < max(moved) < 1e-5


def test_averaged_weights() -> None:
    codes = SPACE.sample(40, seed=0)
    seen: list[list[Tensor]] = []
    model = small(epochs=6, average=0.5, schedule="constant")
    plain = small(epochs=6, schedule="constant")
    plain.fit(codes, worth(codes), on_epoch=lambda _: seen.append([p.clone() for p in plain.members_[0].parameters()]))
    model.fit(codes, worth(codes))
    for number, mean in enumerate(model.members_[0].parameters()):
        assert torch.allclose(mean, torch.stack([epoch[number] for epoch in seen[3:]]).mean(0), atol=1e-6)


def test_measures_are_read_and_learned() -> None:
    codes = SPACE.sample(60, seed=0)

    def marks(space: SearchSpace, codes: Tensor) -> Tensor:
        return torch.nn.functional.pad(worth(codes)[:, None, None].expand(-1, 6, -1), (0, 0, 1, 1))

    scores = [
        small(op_features=measure, targets=target, epochs=80, canonical=False)
        .fit(codes, worth(codes))
        .score(CODES, worth(CODES))
        for measure, target in ((None, None), (marks, "costs"))
    ]
    assert scores[1] > scores[0] + 0.05  # the answer is among the features
    with pytest.raises(ConfigError, match="op_features is a function"):
        small(op_features=marks, epochs=1).fit(codes, worth(codes)).save("nowhere")

    def wrong(space: SearchSpace, codes: Tensor) -> Tensor:
        return torch.zeros(len(codes), 3)

    with pytest.raises(ConfigError, match=r"shape \[60, 8, F\]"):
        small(op_features=wrong).fit(SPACE.networks()[:60], torch.arange(60.0))


@pytest.mark.parametrize("space", ["darts", "enas_micro", "enas_macro6", "nas_bench_graph"])
@pytest.mark.parametrize("encoder", ["gates", "hop"])
def test_every_space_has_a_predictor(encoder: str, space: str) -> None:
    codes = get_space(space).sample(12, seed=0)
    model = small(encoder, space=space, epochs=2).fit(codes, torch.arange(12.0))
    assert np.isfinite(model.predict(codes)).all()
    assert model.predict(codes[:0]).shape == (0,)


def test_save_and_load(fitted: Predictor, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "ranker")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded = Predictor.load(folder, device="cpu")
    assert (loaded.predict(CODES) == fitted.predict(CODES)).all()
    assert loaded.labels_.codes.tolist() == fitted.labels_.codes.tolist()
    loaded.partial_fit(CODES[:5], worth(CODES[:5]))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"settings": config["settings"] | {"epochs": -1}}))
    with pytest.raises(WeightsError, match="epochs must"):
        Predictor.load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        Predictor.load(folder)
    with pytest.raises(WeightsError, match="not for"):
        Predictor.load(folder, space=get_space("nasbench101"))
    with pytest.raises(WeightsError, match="no saved predictor"):
        Predictor.load(tmp_path)


def test_explain_returns_attention() -> None:
    codes = SPACE.sample(30, seed=0)
    model = small("hop", epochs=1).fit(codes, worth(codes))
    found = model.explain(codes[:4])
    assert found["attention"].shape == (4, 2, 4, 4)
    assert found["layer_gates"].shape == (4, 2)
    assert small(epochs=1).fit(codes, worth(codes)).explain(codes) == {}


def test_an_unknown_encoder_is_told_of_auto() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown encoder 'xyz'. Known: auto, gates, gates\+\+, gates-simplified, gcn.*renas"
    ):
        Predictor("xyz").checked_space()
