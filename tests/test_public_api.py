"""The names that users rely on."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

import latentnas as ln


@pytest.mark.parametrize("name", ln.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(ln, name)
    assert getattr(ln, name) is value
    if name != "__version__":
        assert value.__doc__


def test_all_is_sorted_and_is_what_dir_shows() -> None:
    assert ln.__all__ == sorted(ln.__all__)
    assert dir(ln) == ln.__all__


def test_names_of_the_plan_are_there() -> None:
    names = {"get_space", "list_spaces", "get_benchmark", "LatentSpace", "search", "__version__"}
    assert names <= set(ln.__all__)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'latentnas' has no attribute 'nothing'"):
        _ = ln.nothing


def test_version_is_that_of_the_installed_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", ln.__version__)
    assert version("latentnas") == ln.__version__


def test_main_road() -> None:
    """The lines of the plan, on a few cells."""
    space = ln.get_space("nasbench201")
    codes = space.sample(8, seed=0)
    assert space.parse(space.format(codes)).tolist() == codes.tolist()
    benchmark = ln.get_benchmark("nasbench201")
    assert benchmark.query(codes).shape == (8,)
    latent = ln.LatentSpace.load("nasbench201-dvae-emb", device="cpu")
    assert latent.decode(latent.encode(codes)).tolist() == codes.tolist()
    strategy = ln.get_strategy("evolution", space, seed=0)
    proposals = strategy.ask(3)
    strategy.tell(proposals.codes, benchmark.query(proposals.codes))
    assert len(strategy.codes) == 3
