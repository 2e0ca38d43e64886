from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError
from latentnas.latent import LatentSpace
from latentnas.optimization import LatentBO
from latentnas.spaces import ENASMacro

from .conformance import check, objective, run


def test_starts_with_exactly_the_initial_random_cells(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=7, candidates=32)
    first, second = strategy.ask(5), strategy.ask(5)
    assert (len(first), len(second)) == (5, 2)
    assert set(first.sources + second.sources) == {"initial"}
    assert first.mean is None
    assert first.latents is not None
    torch.testing.assert_close(first.latents, shipped_latent.encode(first.codes).double())
    codes = torch.cat([first.codes, second.codes])
    strategy.tell(codes, objective(codes))
    third = strategy.ask(5)
    assert len(third) == 5
    assert "initial" not in third.sources


def test_proposals_carry_what_the_model_thought(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=20, candidates=64)
    run(strategy, [20])
    proposals = strategy.ask(4)
    check(strategy, proposals, 4)
    assert proposals.acquisition is not None
    assert proposals.mean is not None
    assert proposals.std is not None
    assert bool((proposals.std > 0).all())
    low, high = strategy.values.min(), strategy.values.max()
    assert bool(((proposals.mean > low - (high - low)) & (proposals.mean < high + (high - low))).all())
    assert set(proposals.sources) <= {"prior", "neighbourhood", "mutation", "random"}
    torch.testing.assert_close(proposals.latents, shipped_latent.encode(proposals.codes).double())


def test_failures_do_not_enter_the_model(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=8, candidates=32)
    codes = strategy.ask(8).codes
    values = objective(codes)
    values[3] = float("nan")
    strategy.tell(codes, values)
    with patch.object(LatentBO, "fit", autospec=True, side_effect=LatentBO.fit) as fit:
        strategy.ask(2)
    learned_codes, learned_values = fit.call_args.args[1:3]
    assert torch.equal(learned_codes, codes[[0, 1, 2, 4, 5, 6, 7]])
    assert bool(learned_values.isfinite().all())


class Stuck(LatentSpace):
    """A latent space whose decoder knows one cell only."""

    calls = 0

    def __init__(self, latent: LatentSpace, cell: Tensor) -> None:
        super().__init__(
            latent.space, latent.model, {name: getattr(latent, name) for name in ("center", "scale", "low", "high")}
        )
        self.cell = cell

    def decode(self, z: Tensor, **options: object) -> Tensor:
        self.calls += 1
        return self.cell.repeat(len(z), 1)


def test_a_decoder_that_gives_known_cells_only_widens_the_search_and_says_so(tiny_latent: LatentSpace) -> None:
    space = ENASMacro(layers=2)
    cells = space.enumerate()[torch.randperm(72, generator=torch.Generator().manual_seed(1))]
    latent = Stuck(tiny_latent, cells[:1])
    strategy = LatentBO(space, latent=latent, initial=2, candidates=16)
    strategy.tell(cells[:60], objective(cells[:60]))
    proposals = strategy.ask(5)
    check(strategy, proposals, 5)
    assert len(proposals) == 5
    assert any("widened" in note for note in proposals.notes)
    assert latent.calls < 30


def test_a_stuck_decoder_is_told_of_even_where_mutations_find_new_cells(shipped_latent: LatentSpace) -> None:
    cells = shipped_latent.space.sample(12, seed=0)
    strategy = LatentBO("nasbench201", latent=Stuck(shipped_latent, cells[:1]), initial=2, candidates=64)
    strategy.tell(cells, objective(cells))
    proposals = strategy.ask(5)
    assert set(proposals.sources) == {"mutation"}
    assert any("the decoder keeps giving known cells" in note and "widened" in note for note in proposals.notes)


def test_no_note_while_the_decoder_gives_new_cells(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=8, candidates=256)
    run(strategy, [8])
    assert strategy.ask(3).notes == []


def test_many_observations_are_fitted_sparsely(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=2, candidates=32, exact_limit=40, num_inducing=15)
    codes = strategy.sample_new(60, torch.Generator().manual_seed(0))
    strategy.tell(codes, objective(codes))
    assert all(surrogate.is_sparse for surrogate in strategy.fit(*strategy.observed).values())
    check(strategy, strategy.ask(4), 4)


def test_it_beats_random_search(shipped_latent: LatentSpace) -> None:
    """A linear objective on NAS-Bench-201, 45 evaluations: the model reaches what random search hardly does."""
    weights = torch.tensor([1.0, 2.0, 3.0, 1.5, 2.5, 0.5], dtype=torch.double)
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=10, candidates=256, seed=1)
    for _ in range(9):
        proposals = strategy.ask(5)
        strategy.tell(proposals.codes, proposals.codes.double() @ weights)
    every = strategy.space.enumerate().double() @ weights
    rank = int((every > strategy.values.max()).sum())
    assert rank < 15625 / 45 / 10, f"the best of 45 random cells has rank 340 or so, this one {rank}"


@pytest.mark.parametrize("judges", ["latent", ["structure"], ("latent", "structure")])
def test_judges(shipped_latent: LatentSpace, judges: list[str]) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=8, candidates=32, judges=judges)
    run(strategy, [8])
    surrogates = strategy.fit(*strategy.observed)
    assert list(surrogates) == ([judges] if isinstance(judges, str) else list(judges))
    check(strategy, strategy.ask(3), 3)


@pytest.mark.parametrize(("ard", "lengthscales"), [(True, 16), (False, 1)])
def test_ard_is_for_the_latent(shipped_latent: LatentSpace, ard: bool, lengthscales: int) -> None:
    strategy = LatentBO("nasbench201", latent=shipped_latent, initial=8, candidates=32, ard=ard)
    run(strategy, [8])
    sizes = {
        judge: surrogate.model.covar_module.base_kernel.lengthscale.numel()
        for judge, surrogate in strategy.fit(*strategy.observed).items()
    }
    assert sizes == {"structure": 1, "latent": lengthscales}


@pytest.mark.parametrize("judges", [[], ["latent", "latent"], ["oracle"]])
def test_judges_that_do_not_exist(shipped_latent: LatentSpace, judges: list[str]) -> None:
    with pytest.raises(ConfigError, match="judges must be one or both of structure, latent"):
        LatentBO("nasbench201", latent=shipped_latent, judges=judges)


@pytest.mark.parametrize("options", [{"initial": 1}, {"candidates": 0}, {"initial": "ten"}])
def test_sizes_that_make_no_sense(shipped_latent: LatentSpace, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"must be an? "):
        LatentBO("nasbench201", latent=shipped_latent, **options)  # type: ignore[arg-type]


GATES = {"epochs": 3, "ensemble": 2, "head": [16], "options": {"layers": 1, "hidden": 16}}


def test_a_predictor_judges_decoded_cells(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO(
        "nasbench201", latent=shipped_latent, initial=8, candidates=32, surrogate="gates", surrogate_options=GATES
    )
    run(strategy, [8])
    judges = strategy.fit(*strategy.observed)
    assert list(judges) == ["gates"]
    proposals = strategy.ask(3)
    check(strategy, proposals, 3)
    assert "initial" not in proposals.sources
    mean, std = judges["gates"].marginals(proposals.codes)
    value, spread = judges["gates"].transform.inverse_moments(mean, std)
    close = {"rtol": 1e-4, "atol": 1e-5}  # networks are single precision, and were asked about other cells with these
    torch.testing.assert_close(proposals.mean, value, **close)
    torch.testing.assert_close(proposals.std, spread, **close)


def test_a_forest_beats_random_search(shipped_latent: LatentSpace) -> None:
    """As above, with a tree ensemble in the place of the Gaussian processes."""
    weights = torch.tensor([1.0, 2.0, 3.0, 1.5, 2.5, 0.5], dtype=torch.double)
    strategy = LatentBO(
        "nasbench201",
        latent=shipped_latent,
        initial=10,
        candidates=128,
        seed=1,
        surrogate="forest",
        surrogate_options={"trees": 40},
    )
    for _ in range(9):
        proposals = strategy.ask(5)
        strategy.tell(proposals.codes, proposals.codes.double() @ weights)
    every = strategy.space.enumerate().double() @ weights
    assert int((every > strategy.values.max()).sum()) < 15625 / 45 / 10


def test_values_without_an_order_bring_random_cells_and_a_note(shipped_latent: LatentSpace) -> None:
    strategy = LatentBO(
        "nasbench201", latent=shipped_latent, initial=4, candidates=16, surrogate="gates", surrogate_options=GATES
    )
    first = strategy.ask(4)
    strategy.tell(first.codes, [0.5, float("nan"), 0.5, 0.5])
    second = strategy.ask(3)
    assert second.sources == ["random"] * 3
    assert second.notes == ["all 3 values are 0.5: gates has no order to learn yet; cells are drawn at random"]
    strategy.tell(second.codes, [0.5, 0.5, 0.6])
    third = strategy.ask(3)
    assert third.mean is not None and third.notes == []


def test_only_a_predictor_is_in_the_settings(shipped_latent: LatentSpace) -> None:
    plain = LatentBO("nasbench201", latent=shipped_latent)
    by_name = LatentBO("nasbench201", latent=shipped_latent, surrogate="gp")
    assert plain.config() == by_name.config()
    assert "surrogate" not in plain.config()
    other = LatentBO("nasbench201", latent=shipped_latent, surrogate="forest", surrogate_options={"trees": 9})
    assert other.config() == {**plain.config(), "surrogate": "forest", "surrogate_options": {"trees": 9}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"judges": ["latent"], "ard": True}, "judges, ard are options of the Gaussian processes"),
        ({"exact_limit": 9}, "exact_limit is an option of the Gaussian processes, not of the surrogate 'gates'"),
    ],
)
def test_options_of_the_processes_are_refused_with_a_predictor(
    shipped_latent: LatentSpace, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        LatentBO("nasbench201", latent=shipped_latent, surrogate="gates", **options)
