from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from latentnas import get_space
from latentnas.errors import ConfigError, ObservationError
from latentnas.predictor import ForestPredictor, GaussianProcessPredictor
from latentnas.predictor.classical import cell_features, kernel_of_columns, known_features
from latentnas.spaces.features import one_hot_features

SPACE = get_space("nasbench201")
BOTH = pytest.mark.parametrize(
    "make", [lambda **o: ForestPredictor(trees=30, **o), GaussianProcessPredictor], ids=["forest", "gp"]
)


def worth(codes: torch.Tensor) -> torch.Tensor:
    """Number of 3x3 convolutions in the canonical cell, and a little for its skip connections."""
    codes = SPACE.canonical(codes)
    return (codes == 3).sum(1) + 0.3 * (codes == 1).sum(1).double()


@BOTH
class TestBoth:
    def test_learns_a_simple_order(self, make: Any) -> None:
        codes, others = SPACE.sample(80, seed=0), SPACE.sample(300, seed=1)
        model = make().fit(codes, worth(codes))
        assert model.score(others, worth(others)) > 0.7
        mean, std = model.predict(others, return_std=True)
        assert mean.shape == std.shape == (300,)
        assert mean.dtype == std.dtype == np.float64
        assert bool((std >= 0).all()) and (std > 0).mean() > 0.5, "trees agree about cells they were grown on"
        assert mean.min() > -1 and mean.max() < 8

    def test_isomorphic_cells_get_equal_values(self, make: Any) -> None:
        codes = SPACE.sample(40, seed=0)
        model = make().fit(codes, worth(codes))
        others = SPACE.sample(300, seed=2)
        assert np.array_equal(model.predict(others), model.predict(SPACE.canonical(others)))

    def test_scikit_learn_habits(self, make: Any) -> None:
        codes = SPACE.sample(45, seed=0)
        model = make(features=("operations",))
        assert clone(model).get_params() == model.get_params()
        scores = cross_val_score(model, codes.numpy(), worth(codes).numpy(), cv=3)
        assert scores.shape == (3,) and bool(np.isfinite(scores).all())
        assert len(make().fit(codes, worth(codes)).predict(codes[:0])) == 0

    def test_the_same_seed_gives_the_same_values(self, make: Any) -> None:
        codes = SPACE.sample(30, seed=0)
        values = [make(seed=1).fit(codes, worth(codes)).predict(codes) for _ in range(2)]
        assert np.array_equal(*values)

    def test_a_space_without_costs(self, make: Any) -> None:
        graph = get_space("nas_bench_graph")
        codes = graph.sample(30, seed=0)
        model = make(space="nas_bench_graph").fit(codes, torch.arange(30.0))
        assert np.isfinite(model.predict(codes)).all()
        with pytest.raises(ConfigError, match="must be None or list some of operations, paths, links, flow, got"):
            make(space="nas_bench_graph", features=("costs",)).fit(codes, torch.arange(30.0))

    def test_bad_labels_and_settings(self, make: Any) -> None:
        codes = SPACE.sample(5, seed=0)
        with pytest.raises(ObservationError, match="not finite"):
            make().fit(codes, [1, 2, 3, math.nan, 5])
        with pytest.raises(ObservationError, match="no order to learn"):
            make().fit(codes, [1.0] * 5)
        with pytest.raises(ObservationError, match="is not fitted yet"):
            make().predict(codes)
        with pytest.raises(ConfigError, match=r"features of nasbench201 .* got 'paths'; seed must be a non-negative"):
            make(features="paths", seed=-1).fit(codes, [1, 2, 3, 4, 5])


def test_features_by_hand() -> None:
    """30 one-hot columns, 1 + 3 + 9 + 27 sequences of operations, 7 x 7 links between types, two logarithms."""
    code = SPACE.parse("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|nor_conv_1x1~2|")
    found = cell_features(SPACE, code, ("operations", "paths", "links", "costs"))
    assert found.shape == (1, 30 + 40 + 49 + 2)
    ones = found[0, :119].nonzero()[:, 0].tolist()
    assert ones == [3, 5, 14, 15, 20, 27, 30 + 13 + 15, 70 + 5, 70 + 4 * 7 + 1, 70 + 5 * 7 + 6, 70 + 6 * 7 + 4]
    costs = SPACE.costs(code)
    assert found[0, 119:].tolist() == pytest.approx([math.log1p(int(costs.params)), math.log1p(int(costs.macs))])
    assert known_features(SPACE) == ("operations", "paths", "links", "flow", "costs")


def test_kernels_of_the_gaussian_process() -> None:
    """Operations, paths, links, and depth with costs: 3 * 4 + 1 + 2 * 6 columns of flow, two of costs."""
    assert kernel_of_columns(SPACE, known_features(SPACE)) == [0] * 30 + [1] * 40 + [2] * 49 + [3] * (25 + 2)
    assert kernel_of_columns(SPACE, ("costs", "operations")) == [0] * 30 + [3] * 2


def test_columns_that_count_alike_are_scaled_together() -> None:
    """A rare operation moves a cell as far as a common one; costs are standardised one by one."""
    codes = SPACE.sample(30, seed=0)
    model = GaussianProcessPredictor(features=("operations", "costs")).fit(codes, worth(codes))
    x = cell_features(SPACE, model.labels_.codes, ("operations", "costs"))
    scaled = model._standardized(x)
    operations, costs = scaled[:, :-2], scaled[:, -2:]
    assert float(operations.var(0, correction=0).mean()) == pytest.approx(1)
    steps = operations.amax(0) - operations.amin(0)
    assert float(steps.max() - steps.min()) == pytest.approx(0, abs=1e-9)
    assert costs.std(0, correction=0).tolist() == pytest.approx([1, 1])


def test_features_that_all_training_cells_share_do_not_count() -> None:
    codes = SPACE.sample(12, seed=0)
    model = GaussianProcessPredictor(features=("operations",)).fit(codes, worth(codes))
    columns = one_hot_features(SPACE, model.labels_.codes)
    assert model._kept.tolist() == (columns != columns[0]).any(0).tolist()
    assert not bool(model._kept.all()), "some operations do not occur"
    assert np.isfinite(model.predict(SPACE.sample(20, seed=1))).all()


def test_gaussian_process_is_sparse_beyond_its_limit() -> None:
    codes = SPACE.sample(40, seed=0)
    exact = GaussianProcessPredictor().fit(codes, worth(codes))
    sparse = GaussianProcessPredictor(exact_limit=20).fit(codes, worth(codes))
    assert not exact._surrogate.is_sparse
    assert sparse._surrogate.is_sparse
