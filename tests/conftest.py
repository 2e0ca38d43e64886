"""What every test has: a cache of tables of its own, never the user's, and only the spaces of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from latentnas import spaces


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; tables are in ``tables`` below it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LATENTNAS_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def registered_spaces() -> Iterator[None]:
    """Spaces that a test registers are gone after it."""
    before = dict(spaces._SPACES)
    yield
    for name in set(spaces._SPACES) - set(before):
        del spaces._SPACES[name]
        spaces._BUILT.pop(name, None)
