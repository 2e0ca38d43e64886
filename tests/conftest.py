"""What every test has: a cache of tables of its own, never the user's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; tables are in ``tables`` below it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LATENTNAS_CACHE", str(folder))
    return folder
