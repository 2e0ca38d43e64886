from __future__ import annotations

from pathlib import Path

import pytest

from latentnas.errors import ConfigError, WeightsError
from latentnas.latent import LatentSpace
from latentnas.optimization.latent_strategy import resolve_latent
from latentnas.spaces import ENASMacro, get_space


def test_default_comes_with_the_package() -> None:
    assert resolve_latent(get_space("nasbench201"), None).space.name == "nasbench201"


def test_a_latent_space_passes_through(tiny_latent: LatentSpace) -> None:
    assert resolve_latent(ENASMacro(layers=2), tiny_latent) is tiny_latent


def test_a_folder_is_loaded_for_a_space_of_ones_own(tiny_latent: LatentSpace, tmp_path: Path) -> None:
    space = ENASMacro(layers=2)
    assert resolve_latent(space, tiny_latent.save(tmp_path)).space is space
    assert resolve_latent(space, str(tmp_path)).space is space


@pytest.mark.parametrize(
    ("space", "name"),
    [("nasbench201", "nasbench201-dvae-emb"), ("nasbench1shot1-3", "nasbench1shot1-3"), ("darts", "darts")],
)
def test_shipped_one_of_the_space(space: str, name: str) -> None:
    assert resolve_latent(get_space(space), None).name == name


def test_none_for_the_space() -> None:
    with pytest.raises(ConfigError, match="latentnas pretrain enas_macro2 --out FOLDER"):
        resolve_latent(ENASMacro(layers=2), None)


def test_of_another_space(tiny_latent: LatentSpace) -> None:
    with pytest.raises(ConfigError, match="belongs to 'enas_macro2', the search to 'nasbench201'"):
        resolve_latent(get_space("nasbench201"), tiny_latent)
    with pytest.raises(WeightsError, match="made for space 'nasbench201'"):
        resolve_latent(get_space("enas_macro6"), "nasbench201-dvae-emb")


def test_no_such_folder() -> None:
    with pytest.raises(WeightsError, match="no latent space 'nowhere'"):
        resolve_latent(get_space("nasbench201"), "nowhere")


@pytest.mark.parametrize("latent", [3, ["nasbench201-dvae-emb"]])
def test_what_is_no_latent_space(latent: object) -> None:
    with pytest.raises(ConfigError, match="latent must be a LatentSpace, a folder or a shipped name"):
        resolve_latent(get_space("nasbench201"), latent)  # type: ignore[arg-type]
