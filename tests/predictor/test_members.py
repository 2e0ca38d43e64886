from __future__ import annotations

import torch

from latentnas import get_space
from latentnas.models.predictors import Comparator, Ranker
from latentnas.predictor import Predictor
from latentnas.predictor.members import Reader, grown_member, new_member

SPACE = get_space("nasbench201")
CODES = SPACE.sample(20, seed=0)


def test_measures_are_standardised_over_the_training_cells() -> None:
    reader = Reader(SPACE, Predictor(cell_features="costs", targets="costs")).standardize(CODES)
    found = reader.inputs(CODES).cell_features
    assert found is not None
    assert torch.allclose(found.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(found.std(0, unbiased=False), torch.ones(2), atol=1e-5)
    assert torch.equal(found, reader.targets(CODES))  # type: ignore[arg-type]
    assert (reader.facts.cell_features, reader.facts.op_features, reader.num_targets) == (2, 0, 2)


def test_without_measures_there_is_nothing_to_scale() -> None:
    reader = Reader(SPACE, Predictor()).standardize(CODES)
    assert reader.targets(CODES) is None
    assert reader.inputs(CODES).op_costs is None
    assert Reader(SPACE, Predictor("renas")).inputs(CODES).op_costs is not None
    assert (reader.num_targets, reader.standardizers) == (0, {})


def test_members_differ_by_number_and_come_from_the_seed() -> None:
    predictor = Predictor(seed=5)
    reader = Reader(SPACE, predictor)
    first, again, other = (new_member(predictor, reader, number).head[0].weight for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert type(new_member(Predictor(loss="comparator"), reader, 0)) is Comparator
    assert type(new_member(predictor, reader, 0)) is Ranker


def test_epochs_reach_the_encoder() -> None:
    reader = Reader(SPACE, Predictor("gpnas-gcn"), 200)
    assert reader.facts.max_epochs == 200
    epochs = torch.arange(1, 21)
    assert reader.inputs(CODES, epochs).epochs is epochs
    assert reader.inputs(CODES).epochs is None
    assert Reader(SPACE, Predictor("gpnas-gcn")).facts.max_epochs == 0


def test_a_grown_member_is_the_old_one_for_what_it_knows() -> None:
    predictor = Predictor("gpnas-gcn", batch_norm=True)
    member = new_member(predictor, Reader(SPACE, predictor, 5), 0)
    wider = Reader(SPACE, predictor, 9)
    grown = grown_member(predictor, wider, 0, member)
    inputs = wider.inputs(CODES, torch.arange(20) % 6)
    with torch.inference_mode():
        assert torch.equal(grown(inputs), member(inputs))
        assert grown.encoder.get_parameter("epochs.weight").shape == (10, 16)
        assert torch.isfinite(grown(wider.inputs(CODES, torch.full((20,), 9)))).all()
