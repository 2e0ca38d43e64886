"""latentnas/spaces/__init__.py"""

from __future__ import annotations

import pytest

import latentnas as ln
from latentnas import spaces
from latentnas.errors import UnknownNameError


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
    with pytest.raises(LookupError, match="Known: enas_macro12"):
        ln.get_space("")


def test_everything_that_is_promised_is_there() -> None:
    assert all(hasattr(spaces, name) for name in spaces.__all__)
