"""Search spaces: what a cell is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..errors import UnknownNameError
from .base import SearchSpace
from .enas_macro import ENASMacro
from .grammar import Grammar, InDegreeGrammar, TemplateGrammar
from .graphs import INPUT, NO_EDGE, OUTPUT, EdgeGraphs, NodeGraphs
from .nasbench201 import NASBench201

_SPACES: dict[str, Callable[[], SearchSpace]] = {
    "enas_macro6": lambda: ENASMacro(layers=6),
    "enas_macro12": lambda: ENASMacro(layers=12),
    "nasbench201": NASBench201,
}


def list_spaces() -> list[str]:
    """Names that :func:`get_space` knows, sorted."""
    return sorted(_SPACES)


@cache
def _build(name: str) -> SearchSpace:
    return _SPACES[name]()


def get_space(name: str | SearchSpace) -> SearchSpace:
    """The search space called ``name``; a space passes through.

    Raises:
        UnknownNameError: no space has this name.
    """
    if isinstance(name, SearchSpace):
        return name
    if name not in _SPACES:
        raise UnknownNameError("space", name, _SPACES)
    return _build(name)


__all__ = [
    "INPUT",
    "NO_EDGE",
    "OUTPUT",
    "ENASMacro",
    "EdgeGraphs",
    "Grammar",
    "InDegreeGrammar",
    "NASBench201",
    "NodeGraphs",
    "SearchSpace",
    "TemplateGrammar",
    "get_space",
    "list_spaces",
]
