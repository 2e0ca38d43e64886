"""Labels measured after several numbers of epochs: ``trained_epochs`` of a Predictor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentnas import get_space
from latentnas.errors import ConfigError, ObservationError, WeightsError
from latentnas.predictor import Labels, Predictor
from latentnas.predictor.epochs import LONGEST, as_epochs, asked_epochs, label_epochs
from latentnas.weights import CONFIG

SPACE = get_space("nasbench201")
CODES = SPACE.networks()[::82][:60]
WORTH = (CODES == 3).sum(1) + 0.1 * (CODES == 1).sum(1).double()
SMALL = {"layers": 1, "hidden": 16, "op_embedding": 8, "epoch_embedding": 4}


def small(encoder: str = "gpnas-gcn", **settings: object) -> Predictor:
    own = {"options": SMALL} if encoder == "gpnas-gcn" else {}
    return Predictor(
        encoder,
        **{"epochs": 3, "learning_rate": 1e-2, "head": (16,), "dropout": 0.0, "device": "cpu"} | own | settings,  # type: ignore[arg-type]
    )


def table(model: Predictor, member: int = 0) -> Tensor:
    return model.members_[member].encoder.get_parameter("epochs.weight").detach().clone()


@pytest.fixture(scope="module")
def both() -> tuple[Tensor, Tensor, list[int]]:
    """Every cell after 12 epochs and after 200, when it is worth 5 more."""
    return CODES.repeat(2, 1), torch.cat([WORTH, WORTH + 5]), [12] * 60 + [200] * 60


@pytest.fixture(scope="module")
def fitted(both: tuple[Tensor, Tensor, list[int]]) -> Predictor:
    codes, values, epochs = both
    return small(epochs=60, ensemble=2).fit(codes, values, trained_epochs=epochs)


# --- at the door ----------------------------------------------------------------------------------


def test_one_number_or_one_a_cell() -> None:
    assert as_epochs(12, 3).tolist() == [12, 12, 12]
    for given in ([1, 2, LONGEST], torch.tensor([1, 2, LONGEST]), np.array([1, 2, LONGEST], np.uint32)):
        found = as_epochs(given, 3)  # type: ignore[arg-type]
        assert (found.dtype, found.tolist()) == (torch.long, [1, 2, LONGEST])
    assert as_epochs([], 0).shape == as_epochs(5, 0).shape == (0,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2, 3], r"one integer or one a cell, shape \[2\], got \[3\]"),
        ([[1, 2]], r"shape \[2\], got \[1, 2\]"),
        ([0, -3], r"must be in 1\.\.100000, got 0 \(2 of 2 are not\)"),
        (LONGEST + 1, r"got 100001 \(1 of 1 are not\)"),
        (2**64 - 1, "got 18446744073709551615"),
        ([12.0, 200.0], "must be integers, got float64"),
        (True, "must be integers, got bool"),
        ([12, None], "must be integers, got object"),
        ("12", "must be integers, got <U2"),
        ([[1], [1, 2]], r"must be integers, got \[\[1\], \[1, 2\]\]"),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16), "must be integers, got tensor"),
    ],
)
def test_numbers_that_are_refused(given: object, message: str) -> None:
    with pytest.raises(ObservationError, match=message):
        as_epochs(given, 2)  # type: ignore[arg-type]


def test_labels_have_them_every_time_or_never() -> None:
    without, with_ = Labels(CODES, WORTH), Labels(CODES, WORTH, torch.full((60,), 12))
    assert label_epochs("gates", None, 2) is None
    assert label_epochs("gates", None, 2, known=without) is None
    found = label_epochs("gpnas-gcn", 50, 2, known=with_)
    assert found is not None and found.tolist() == [50, 50]
    with pytest.raises(ObservationError, match="goes on from labels with trained_epochs, got labels without"):
        label_epochs("gpnas-gcn", None, 2, known=with_)
    with pytest.raises(ObservationError, match="goes on from labels without trained_epochs, got labels with"):
        label_epochs("gpnas-gcn", 50, 2, known=without)


def test_the_largest_is_asked_for_by_default(fitted: Predictor) -> None:
    for given, expected in ((None, [200, 200]), (12, [12, 12]), ([200, 12], [200, 12])):
        found = asked_epochs(fitted, given, 2)  # type: ignore[arg-type]
        assert found is not None and found.tolist() == expected
    with pytest.raises(ObservationError, match=r"no label was measured after 50, 90 epochs; known are 12, 200"):
        asked_epochs(fitted, [90, 50, 12], 3)


@pytest.mark.parametrize("encoder", ["gates", "auto"])
def test_encoders_that_do_not_read_them_refuse_them(encoder: str) -> None:
    settings = {"options": {"members": ["forest"]}} if encoder == "auto" else {"epochs": 1}
    model = Predictor(encoder, **settings)  # type: ignore[arg-type]
    message = rf"trained_epochs is for encoders that read it \(gpnas-gcn\), got encoder '{encoder}'"
    with pytest.raises(ConfigError, match=message):
        model.fit(CODES, WORTH, trained_epochs=12)
    model.fit(CODES, WORTH)
    with pytest.raises(ConfigError, match=message):
        model.partial_fit(CODES, WORTH, trained_epochs=12)
    for ask in (
        (model.predict, model.joint) if encoder == "auto" else (model.predict, model.member_scores, model.explain)
    ):
        with pytest.raises(ConfigError, match=message):
            ask(CODES, trained_epochs=12)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        model.score(CODES, WORTH, trained_epochs=12)


# --- a fitted predictor -----------------------------------------------------------------------------


def test_a_value_after_each_number_of_epochs_is_learned(fitted: Predictor) -> None:
    early, late = fitted.predict(CODES, trained_epochs=12), fitted.predict(CODES, trained_epochs=200)
    assert (late - early).mean() == pytest.approx(5, abs=1.5)
    assert (fitted.predict(CODES) == late).all()
    mixed = fitted.predict(CODES, trained_epochs=[12, 200] * 30)
    assert (mixed[::2] == early[::2]).all() and (mixed[1::2] == late[1::2]).all()
    assert fitted.score(CODES, WORTH, trained_epochs=12) > 0.6
    assert fitted.explain(CODES, trained_epochs=12) == {}
    mean, covariance = fitted.joint(CODES[:4], trained_epochs=12)
    value, std = fitted.predict(CODES[:4], return_std=True, trained_epochs=12)
    assert np.allclose(mean, value) and np.allclose(covariance.diagonal().sqrt(), std)
    assert fitted.predict(CODES[:0], trained_epochs=12).shape == (0,)


def test_isomorphic_cells_get_equal_scores(fitted: Predictor) -> None:
    codes = SPACE.sample(3000, seed=1)
    same = SPACE.canonical(codes)
    assert int((codes != same).any(1).sum()) > 500
    for epochs in (12, 200):
        assert (fitted.predict(codes, trained_epochs=epochs) == fitted.predict(same, trained_epochs=epochs)).all()


def test_without_them_there_is_no_embedding() -> None:
    model = small(epochs=1).fit(CODES, WORTH)
    assert model.members_[0].encoder.dim == SMALL["hidden"]
    with pytest.raises(ObservationError, match="fitted to labels without them"):
        model.predict(CODES, trained_epochs=12)
    with pytest.raises(ObservationError, match="without trained_epochs, got labels with"):
        model.partial_fit(CODES, WORTH, trained_epochs=12)


@pytest.mark.parametrize("loss", ["mse", "comparator"])
def test_every_kind_of_ranker_reads_them(loss: str, both: tuple[Tensor, Tensor, list[int]]) -> None:
    codes, values, epochs = both
    model = small(loss=loss, epochs=60).fit(codes, values, trained_epochs=epochs)
    assert model.score(codes, values, trained_epochs=epochs) > 0.6


def test_labels_after_more_epochs_arrive() -> None:
    model = small(ensemble=2, update_epochs=1, learning_rate=1e-6, schedule="constant")
    model.partial_fit(CODES[:30], WORTH[:30], trained_epochs=12)
    before, head = table(model, 1), model.members_[1].head[0].weight.detach().clone()
    assert before.shape == (13, 4)
    model.partial_fit(CODES, WORTH + 5, trained_epochs=[50] * 30 + [12] * 30)
    after = table(model, 1)
    assert after.shape == (51, 4)
    assert torch.allclose(after[:13], before, atol=1e-5)
    assert torch.allclose(model.members_[1].head[0].weight, head, atol=1e-5)
    assert len(model.labels_) == 30 + 30 + 30 and model.labels_.max_epochs == 50
    model.predict(CODES, trained_epochs=50)


def test_a_warm_start_keeps_the_embedding(both: tuple[Tensor, Tensor, list[int]], tmp_path: Path) -> None:
    codes, values, epochs = both
    model = small(warm_start=True, schedule="constant").fit(codes, values, trained_epochs=epochs)
    before = table(model)
    model.set_params(epochs=1, learning_rate=1e-6).fit(CODES, WORTH, trained_epochs=12)
    assert torch.allclose(table(model), before, atol=1e-5)
    assert model.labels_.max_epochs == 12
    with pytest.raises(ObservationError, match="with trained_epochs, got labels without"):
        model.fit(CODES, WORTH)
    again = Predictor.load(model.save(tmp_path / "warm"))
    assert (again.predict(CODES) == model.predict(CODES)).all()


def test_save_and_load(fitted: Predictor, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "gpnas")
    again = Predictor.load(folder, device="cpu")
    for epochs in (None, 12, 200):
        assert (again.predict(CODES, trained_epochs=epochs) == fitted.predict(CODES, trained_epochs=epochs)).all()
    assert again.labels_.epochs is not None
    assert torch.equal(again.labels_.epochs, fitted.labels_.epochs)  # type: ignore[arg-type]
    again.partial_fit(CODES[:5], WORTH[:5], trained_epochs=300)
    config = json.loads((folder / CONFIG).read_text())
    assert config["max_epochs"] == 200
    for wrong in (199, LONGEST + 1, True, None):
        (folder / CONFIG).write_text(json.dumps(config | {"max_epochs": wrong}))
        with pytest.raises(WeightsError, match=r"max_epochs must be an integer in 200\.\.100000"):
            Predictor.load(folder)
    changed = config["settings"] | {"encoder": "gates", "options": None}
    (folder / CONFIG).write_text(json.dumps(config | {"settings": changed}))
    with pytest.raises(WeightsError, match=r"labels\.epochs: Predictor: trained_epochs is for encoders"):
        Predictor.load(folder)
