from __future__ import annotations

import platform
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import torch

from latentnas.provenance import provenance


def test_versions_and_platform() -> None:
    found = provenance()
    assert found["torch"] == torch.__version__
    assert found["python"] == platform.python_version()
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(found["time"])).total_seconds()) < 60
    assert all(isinstance(value, str) for value in found.values())
    assert platform.node() not in found.values()


def test_git_revision_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert "git_revision" not in provenance()

    def git(*words: str) -> str:
        options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *options, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert provenance()["git_revision"] == head
    (tmp_path / "a").write_text("2")
    assert provenance()["git_revision"] == f"{head}-dirty"
