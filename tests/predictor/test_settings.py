from __future__ import annotations

import pytest

from latentnas import get_space
from latentnas.errors import ConfigError
from latentnas.predictor import AutoPredictor, Predictor
from latentnas.predictor.features import cell_costs, operation_costs
from latentnas.predictor.settings import auto_predictor, checked_space, measures_of, networks_read


def test_the_space_of_good_settings() -> None:
    assert checked_space(Predictor("hop", space="nasbench101")) is get_space("nasbench101")


def test_all_faults_are_listed_once_each() -> None:
    wrong = Predictor(
        "gates",
        loss="best",
        schedule="never",
        epochs=0,
        margin=-1.0,
        head=3,  # type: ignore[arg-type]
        canonical=1,  # type: ignore[arg-type]
        targets="beauty",
        options={"layers": 0, "depth": 2},
        latent="nasbench201-dvae-emb",
    )
    with pytest.raises(ConfigError) as caught:
        checked_space(wrong)
    message = str(caught.value)
    for part in ("loss must", "schedule must", "epochs must", "margin must", "head must", "canonical must",
                 "targets must", "layers must", "unknown option 'depth'", "latent is for"):  # fmt: skip
        assert message.count(part) == 1, part


def test_auto_gets_its_own_settings_and_refuses_others() -> None:
    made = auto_predictor(Predictor("auto", seed=3, threads=2, options={"folds": 4}))
    assert isinstance(made, AutoPredictor)
    assert (made.seed, made.threads, made.folds) == (3, 2, 4)
    with pytest.raises(ConfigError, match=r"head is not for the encoder 'auto'; loss is not .* options of 'auto' must"):
        auto_predictor(Predictor("auto", loss="mse", head=(3,), options={"layers": 2}))


def test_which_predictors_read_networks() -> None:
    assert networks_read(Predictor("gates++")) == ["zero_cost"]
    assert networks_read(Predictor("gates")) == []
    assert networks_read(Predictor("gates", targets="zero_cost")) == [], "of the cells trained on only"
    assert networks_read(Predictor("mlp", cell_features=["costs", "expressivity"])) == ["expressivity"]
    assert networks_read(Predictor("mlp", cell_features=lambda space, codes: codes)) == []
    assert networks_read(Predictor("auto")) == []
    assert networks_read(Predictor("auto", options={"zero_cost": True})) == ["expressivity"]


def test_measures_by_kind() -> None:
    assert measures_of("op_features")["costs"] is operation_costs
    assert measures_of("targets")["costs"] is measures_of("cell_features")["costs"] is cell_costs
