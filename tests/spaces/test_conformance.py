"""The conformance suite on every registered space, and on the smallest ones that can be built."""

from __future__ import annotations

import pytest

from latentnas.spaces import ENASMacro, SearchSpace, get_space, list_spaces

from .conformance import SpaceConformance

SPACES = [*map(get_space, list_spaces()), ENASMacro(layers=1), ENASMacro(layers=3)]


@pytest.fixture(params=SPACES, ids=lambda space: space.name, scope="session")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return request.param


class TestEverySpace(SpaceConformance):
    pass
