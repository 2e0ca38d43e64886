"""The conformance suite on every registered space, and on the smallest ones that can be built."""

from __future__ import annotations

import pytest

from latentnas.spaces import GPNAS, ENASMacro, ENASMicro, RandomWired, SearchSpace, get_space, list_spaces

from .conformance import SpaceConformance

SMALLEST = [ENASMacro(layers=1), ENASMacro(layers=3), ENASMicro(nodes=1), GPNAS(layers=1), RandomWired(nodes=4)]
SPACES = [*map(get_space, list_spaces()), *SMALLEST]


@pytest.fixture(params=SPACES, ids=lambda space: space.name, scope="session")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return request.param


class TestEverySpace(SpaceConformance):
    pass
