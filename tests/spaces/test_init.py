"""latentnas/spaces/__init__.py"""

from __future__ import annotations

import pytest

import latentnas as ln
from latentnas import spaces
from latentnas.errors import ConfigError, UnknownNameError


def test_names() -> None:
    names = ln.list_spaces()
    assert {"nasbench201", "enas_macro6", "enas_macro12"} <= set(names)
    assert names == sorted(names)
    for name in names:
        assert ln.get_space(name).name == name
        assert ln.get_space(name) is ln.get_space(name)


def test_a_space_passes_through() -> None:
    space = spaces.ENASMacro(layers=2)
    assert ln.get_space(space) is space


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown space 'nasbench_201'\. Did you mean 'nasbench201'"):
        ln.get_space("nasbench_201")
    with pytest.raises(LookupError, match="Known: darts, enas_macro12"):
        ln.get_space("")


def test_families_exist_in_every_size() -> None:
    assert ln.get_space("enas_macro8").max_nodes == 10
    assert ln.get_space("gpnas3").name == "gpnas3"
    assert ln.get_space("random_wired16").dim == 16 * 15 // 2
    assert ln.get_space("enas_macro8") is ln.get_space("enas_macro8")


def test_other_names() -> None:
    assert ln.get_space("nasbench301") is ln.get_space("darts")
    assert ln.get_space("enas_macro") is ln.get_space("enas_macro12")
    assert ln.get_space("gpnas") is ln.get_space("gpnas12")
    assert ln.get_space("random_wired") is ln.get_space("random_wired32")


@pytest.mark.parametrize("name", ["enas_macro08", "nasbench9", "darts7", "enas_macro\uff16", "Nasbench9"])
def test_sizes_that_do_not_exist(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown space"):
        ln.get_space(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("enas_macro999", "enas_macro999: enas_macro exists with 1 to 128 layers, got 999"),
        ("enas_macro0", "enas_macro exists with 1 to 128 layers, got 0"),
        ("gpnas129", "gpnas exists with 1 to 128 layers, got 129"),
        ("random_wired1", "random_wired exists with 2 to 63 nodes, got 1"),
        ("random_wired2000", "random_wired exists with 2 to 63 nodes, got 2000"),
    ],
)
def test_families_end_somewhere(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ln.get_space(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DARTS", "darts"),
        ("NASBench301", "darts"),
        ("nb301", "darts"),
        ("NB101", "nasbench101"),
        ("NAS_Bench_Graph", "nas_bench_graph"),
        ("nats-tss", "nasbench201"),
        ("nb201", "nasbench201"),
        ("Enas_Macro8", "enas_macro8"),
    ],
)
def test_short_names_and_capitals(name: str, meant: str) -> None:
    assert ln.get_space(name) is ln.get_space(meant)


def test_names_that_are_no_texts() -> None:
    with pytest.raises(UnknownNameError, match="unknown space 5"):
        ln.get_space(5)  # type: ignore[arg-type]


def test_register_space() -> None:
    class Mine(spaces.ENASMacro):
        def __init__(self) -> None:
            super().__init__(layers=2)
            self.name = "mine"

    ln.register_space("mine", Mine)
    first = ln.get_space("mine")
    assert isinstance(first, Mine)
    assert "mine" in ln.list_spaces()
    ln.register_space("mine", Mine)
    assert ln.get_space("mine") is not first
    ln.register_space("yours", Mine)
    with pytest.raises(ConfigError, match="registered as 'yours' calls itself 'mine'"):
        ln.get_space("yours")


@pytest.mark.parametrize("name", ["darts", "enas_macro", "enas_macro9", "nasbench301", "Darts", "", "two words", "a/b"])
def test_names_that_cannot_be_registered(name: str) -> None:
    with pytest.raises(ConfigError, match="register_space"):
        ln.register_space(name, spaces.NASBench201)


def test_everything_that_is_promised_is_there() -> None:
    assert all(hasattr(spaces, name) for name in spaces.__all__)
