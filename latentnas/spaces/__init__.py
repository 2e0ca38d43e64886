"""Search spaces: what a cell is."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import ConfigError, UnknownNameError
from .base import SearchSpace
from .check import check_space
from .dag_canonical import MAX_NODES
from .darts import DARTS
from .enas_macro import ENASMacro
from .enas_micro import ENASMicro
from .gpnas import GPNAS
from .grammar import Grammar, InDegreeGrammar, TemplateGrammar
from .graphs import INPUT, NO_EDGE, OUTPUT, EdgeGraphs, NodeGraphs
from .nas_bench_graph import NASBenchGraph
from .nasbench1shot1 import NASBench1Shot1
from .nasbench101 import NASBench101
from .nasbench201 import NASBench201
from .random_wired import RandomWired

_SPACES: dict[str, Callable[[], SearchSpace]] = {
    "darts": DARTS,
    "enas_macro6": lambda: ENASMacro(layers=6),
    "enas_macro12": lambda: ENASMacro(layers=12),
    "enas_micro": ENASMicro,
    "gpnas12": lambda: GPNAS(layers=12),
    "nas_bench_graph": NASBenchGraph,
    "nasbench101": NASBench101,
    "nasbench1shot1-1": lambda: NASBench1Shot1(1),
    "nasbench1shot1-2": lambda: NASBench1Shot1(2),
    "nasbench1shot1-3": lambda: NASBench1Shot1(3),
    "nasbench201": NASBench201,
    "random_wired32": lambda: RandomWired(nodes=32),
}
MAX_FAMILY_SIZE = 128
"""The most layers that a name such as ``enas_macro24`` may ask for."""

_FAMILIES: dict[str, tuple[Callable[[int], SearchSpace], int, int, str]] = {
    "enas_macro": (lambda size: ENASMacro(layers=size), 1, MAX_FAMILY_SIZE, "layers"),
    "gpnas": (lambda size: GPNAS(layers=size), 1, MAX_FAMILY_SIZE, "layers"),
    "random_wired": (lambda size: RandomWired(nodes=size), 2, MAX_NODES, "nodes"),
}
"""How to make a member of each family; the least and the greatest size; what the size counts."""

_ALIASES = {
    "enas_macro": "enas_macro12",
    "gpnas": "gpnas12",
    "nasbench301": "darts",
    "nats-tss": "nasbench201",
    "nb101": "nasbench101",
    "nb201": "nasbench201",
    "nb301": "darts",
    "random_wired": "random_wired32",
}
"""Other names of a space: that of a family means its published size."""


def list_spaces() -> list[str]:
    """Names that :func:`get_space` knows, sorted; ``enas_macro``, ``gpnas`` and ``random_wired`` exist in any size."""
    return sorted(_SPACES)


def register_space(name: str, factory: Callable[[], SearchSpace]) -> None:
    """Make a space of your own known by name: to :func:`get_space`, campaigns, stored latent spaces, the command line.

    Registering a name again replaces it, so that a module may be loaded twice; the names that come
    with the package cannot be taken.

    Args:
        name: the ``name`` of the space; what is stored names it so.
        factory: makes the space; called once, when it is first asked for.

    Raises:
        ConfigError: the name is empty, has spaces in it, or belongs to the package.
    """
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise ConfigError(f"register_space: a name has letters, digits, '_', '-' and '.', got {name!r}")
    if name.lower() in _BUILT_IN or name.lower() in _ALIASES or _member(name.lower()) is not None:
        raise ConfigError(f"register_space: {name!r} is a space of the package; choose another name")
    _SPACES[name] = factory
    _BUILT.pop(name, None)


_BUILT_IN = frozenset(_SPACES)
_BUILT: dict[str, SearchSpace] = {}


def _member(name: str) -> tuple[str, int] | None:
    """Family and size in a name such as ``enas_macro8``."""
    match = re.fullmatch(r"([a-z_]+?)(0|[1-9]\d{0,8})", name, re.ASCII)
    return (match[1], int(match[2])) if match and match[1] in _FAMILIES else None


def _is_ours(name: str) -> bool:
    return name in _BUILT_IN or _member(name) is not None


def _build(name: str) -> SearchSpace:
    if name in _SPACES:
        space = _SPACES[name]()
        if space.name != name:
            raise ConfigError(f"the space registered as {name!r} calls itself {space.name!r}; the two must agree")
        return space
    member = _member(name)
    if member is None:
        raise UnknownNameError("space", name, _SPACES)
    family, size = member
    make, least, most, counted = _FAMILIES[family]
    if not least <= size <= most:
        raise ConfigError(f"{name}: {family} exists with {least} to {most} {counted}, got {size}")
    return make(size)


def get_space(name: str | SearchSpace) -> SearchSpace:
    """The search space called ``name``; a space passes through.

    Args:
        name: one of :func:`list_spaces`; a family with another size (``enas_macro8``,
            ``random_wired16``); the name of a family for its published size; ``nasbench301`` or
            ``nb301`` for ``darts``, ``nats-tss`` or ``nb201`` for ``nasbench201``, ``nb101`` for
            ``nasbench101``. Names of the package may be written in capitals, too.

    Raises:
        UnknownNameError: no space has this name.
        ConfigError: a family does not exist in this size.
    """
    if isinstance(name, SearchSpace):
        return name
    if not isinstance(name, str):
        raise UnknownNameError("space", name, _SPACES)
    if name not in _SPACES:  # exact names first: spaces of users may have capitals
        name = _ALIASES.get(name.lower(), name.lower() if _is_ours(name.lower()) else name)
    if name not in _BUILT:
        _BUILT[name] = _build(name)
    return _BUILT[name]


__all__ = [
    "DARTS",
    "GPNAS",
    "INPUT",
    "NO_EDGE",
    "OUTPUT",
    "ENASMacro",
    "ENASMicro",
    "EdgeGraphs",
    "Grammar",
    "InDegreeGrammar",
    "NASBench1Shot1",
    "NASBench101",
    "NASBench201",
    "NASBenchGraph",
    "NodeGraphs",
    "RandomWired",
    "SearchSpace",
    "TemplateGrammar",
    "check_space",
    "get_space",
    "list_spaces",
    "register_space",
]
