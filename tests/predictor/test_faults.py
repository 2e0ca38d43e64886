"""Fits that fail, settings that change, inputs of all kinds: nothing is lost, and one clear error."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentnas import get_space
from latentnas.errors import ConfigError, InvalidCodeError, LatentNASError, ObservationError
from latentnas.predictor import AutoPredictor, ForestPredictor, GaussianProcessPredictor, Predictor

SPACE = get_space("nasbench201")
CODES, OTHERS = SPACE.sample(12, seed=3), SPACE.sample(5, seed=4)
VALUES = torch.arange(12.0)


def small(encoder: str = "gates", **settings: Any) -> Predictor:
    return Predictor(encoder, **{"epochs": 3, "head": (8,), "device": "cpu"} | settings)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode: Any, tmp_path: Path) -> None:
    makers = [small, lambda: GaussianProcessPredictor(), lambda: AutoPredictor(members=("gp", "forest"))]
    expected = [make().fit(CODES, VALUES).predict(OTHERS) for make in makers]
    with mode():
        found = [make().fit(CODES.clone(), VALUES.clone()).predict(OTHERS.clone()) for make in makers]
        folder = small().fit(CODES.clone(), VALUES.clone()).save(tmp_path / "gates")
        loaded = Predictor.load(folder, device="cpu")
        loaded.partial_fit(OTHERS.clone(), torch.arange(5.0))
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one, other)
    loaded.partial_fit(OTHERS, torch.arange(5.0))


def test_a_fit_that_fails_leaves_the_predictor_as_it_was() -> None:
    wrong = {"learning_rate": 0.99, "weight_decay": 1e30, "loss": "mse"}
    first = small(**wrong)
    with pytest.raises(ObservationError, match="the loss is not finite"):
        first.fit(CODES, VALUES)
    with pytest.raises(ObservationError, match="not fitted yet"):
        first.predict(OTHERS)

    for warm in (False, True):
        model = small(warm_start=warm, loss="mse").fit(CODES, VALUES)
        before, labels = model.predict(OTHERS), model.labels_
        model.set_params(**wrong)
        with pytest.raises(ObservationError, match="the loss is not finite"):
            model.fit(OTHERS, torch.arange(5.0))
        assert np.array_equal(model.predict(OTHERS), before) and model.labels_ is labels


def test_an_interrupted_fit_leaves_the_predictor_as_it_was() -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    model = small().fit(CODES, VALUES)
    before = model.predict(OTHERS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(CODES, -VALUES, on_epoch=interrupt)
    assert np.array_equal(model.predict(OTHERS), before)


@pytest.mark.parametrize(
    "changed",
    [{"ensemble": 2}, {"loss": "comparator"}, {"head": (16,)}, {"cell_features": "links"}, {"encoder": "mlp"}],
)
def test_what_members_are_built_from_stays_until_a_fresh_fit(changed: dict[str, Any], tmp_path: Path) -> None:
    model = small(warm_start=True).fit(CODES, VALUES).set_params(**changed)
    (name,) = changed
    for use in (
        lambda: model.fit(CODES, VALUES),
        lambda: model.partial_fit(CODES, VALUES),
        lambda: model.predict(OTHERS),
        lambda: model.save(tmp_path / "model"),
    ):
        with pytest.raises(ConfigError, match=f"fitted with other settings, changed since: {name} from"):
            use()
    assert len(model.set_params(warm_start=False).fit(CODES, VALUES).predict(OTHERS)) == 5
    assert len(model.set_params(epochs=4, learning_rate=0.1).predict(OTHERS)) == 5, "how it is trained may change"


def test_accuracies_that_cannot_be_scaled() -> None:
    for values in ([*range(11), -1.7e308], [1e308, -1e308] * 6, [1e-320 * i for i in range(12)]):
        with pytest.raises(ObservationError, match="cannot be scaled: their standard deviation comes out as"):
            small().fit(CODES, values)


def test_several_measures_are_pickled() -> None:
    model = small(cell_features=["links", "flow"]).fit(CODES, VALUES)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(OTHERS), model.predict(OTHERS))


def test_no_cell_is_alone_in_a_step() -> None:
    model = small(batch_norm=True, batch_size=2).fit(CODES[:9], VALUES[:9])
    assert np.isfinite(model.predict(OTHERS)).all()


class Frame:
    """What converts itself to an array, as a data frame does."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return CODES.numpy().astype(">i8")


def test_inputs_of_all_kinds() -> None:
    model = small().fit(CODES, VALUES)
    same = small().fit(Frame(), VALUES.numpy())  # type: ignore[arg-type]
    assert np.array_equal(model.predict(OTHERS), same.predict(OTHERS.numpy().astype(np.int16)))
    assert model.score(CODES, VALUES.bfloat16().requires_grad_()) == model.score(CODES, VALUES)
    for predictor in (model, ForestPredictor().fit(CODES, VALUES), AutoPredictor(members=("gp",)).fit(CODES, VALUES)):
        for values in ([None] * 12, ["a"] * 12, [[1.0], [2.0, 3.0]], VALUES.numpy().astype(object), VALUES * 1j):
            with pytest.raises(ObservationError, match="accuracies must be"):
                predictor.score(CODES, values)  # type: ignore[arg-type]
    for codes in (CODES.numpy().astype(object), CODES.numpy().astype(str), CODES.numpy() * 1.0):
        with pytest.raises(InvalidCodeError, match="codes must be integers, got an array of"):
            model.predict(codes)  # type: ignore[arg-type]


def test_numpy_settings_are_stored_and_seeds_checked(tmp_path: Path) -> None:
    model = small(seed=np.int64(3), epochs=np.int64(2)).fit(CODES, VALUES)
    assert Predictor.load(model.save(tmp_path / "model"), device="cpu").get_params()["seed"] == 3
    for seed in (-1, 1.5, None, "a", [1]):
        with pytest.raises(LatentNASError, match="a seed must be an integer"):
            small(seed=seed).fit(CODES, VALUES)
    assert len(ForestPredictor(seed=2**40, trees=3).fit(CODES, VALUES).predict(OTHERS)) == 5
    with pytest.raises(ConfigError, match="head must be a list"):
        small(head=[True]).fit(CODES, VALUES)


def test_a_loaded_predictor_knows_its_latent_space(tmp_path: Path) -> None:
    model = small("latent", latent="nasbench201-dvae-emb", options={"frozen": True}).fit(CODES, VALUES)
    loaded = Predictor.load(model.save(tmp_path / "latent"), device="cpu")
    assert loaded.get_params()["latent"] == "nasbench201-dvae-emb"
    assert np.allclose(loaded.predict(OTHERS), model.predict(OTHERS), atol=1e-6)
    again = loaded.fit(CODES, VALUES).predict(OTHERS)
    assert np.array_equal(again, model.predict(OTHERS)), "not trained from a random encoder"


def test_measures_of_operations_where_edges_are_not_vertices() -> None:
    darts = get_space("darts")
    codes = darts.sample(9, seed=0)
    with pytest.raises(
        ConfigError, match=r"op_features of operations on edges are known for nasbench201; for darts give"
    ):
        small(space=darts, op_features="costs").fit(codes, VALUES[:9])
    model = small(space=darts, op_features="costs", options={"view": "nodes", "layers": 1}).fit(codes, VALUES[:9])
    assert np.isfinite(model.predict(codes)).all()
