"""Where a result comes from: versions, platform and revision, to be kept beside it."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("latentnas", "torch", "gpytorch", "botorch", "optuna", "numpy", "scikit-learn")


def provenance() -> dict[str, str]:
    """Versions of Python and of the packages in use, platform, git revision and the time, as texts.

    Nothing in it names the host or its user. Packages that are not installed are left out, and so
    is ``git_revision`` where the working directory belongs to no git repository; a revision with
    uncommitted changes ends in ``-dirty``.
    """
    found = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # a source tree that is not installed, or an optional package
    revision = _git("rev-parse", "HEAD")
    if revision:
        found["git_revision"] = revision + ("-dirty" if _git("status", "--porcelain", "-uno") else "")
    return found


def _git(*arguments: str) -> str:
    """Output of a git command in the working directory; empty without git or a repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
