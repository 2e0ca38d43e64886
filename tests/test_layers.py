"""Rooms import downward only, and heavy libraries load only where they are used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentnas

ROOT = Path(latentnas.__file__).parent
GROUND = ("errors", "seeding", "device", "progress", "provenance", "weights")
ROOMS = (
    "spaces",
    "benchmarks",
    "models",
    "latent",
    "evaluation",
    "predictor",
    "optimization",
    "campaign",
    "report",
    "cli",
)
HEAVY = (
    "botorch",
    "gpytorch",
    "linear_operator",
    "matplotlib",
    "optuna",
    "pandas",
    "pydantic",
    "pyro",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "torch_geometric",
    "typer",
)
# torch itself imports networkx where it is installed, so `import latentnas` is compared with `import torch`


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def level(name: str) -> int:
    return 0 if name in GROUND else 1 + ROOMS.index(name)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package in a module, inside functions and TYPE_CHECKING blocks too."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            name = (node.module or "").split(".") if node.module else []
            if node.level:
                base = list(package[: len(package) - (node.level - 1)])
                target = [*base, *name]
            elif name[0] == "latentnas":
                target = name[1:]
            else:
                continue
            if target:
                yield node.lineno, target[0]
            else:  # from .. import x, or from latentnas import x
                for alias in node.names:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "latentnas" and len(parts) > 1:
                    yield node.lineno, parts[1]


def test_every_module_belongs_to_a_room() -> None:
    found = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in modules()}
    assert found - {"__init__", "__main__"} <= {*GROUND, *ROOMS}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    if len(parts) == 1 and parts[0] in ("__init__.py", "__main__.py"):
        return  # the front door opens every room
    here = parts[0].removesuffix(".py")
    for line, target in imported(path):
        if target == "__version__":
            continue
        assert target in (*GROUND, *ROOMS), f"{path}:{line} imports latentnas.{target}, which is no room"
        assert target == here or level(target) < level(here) or (target in GROUND and here in GROUND), (
            f"{path}:{line}: {here} must not import {target}"
        )


def test_ground_floor_imports_no_room() -> None:
    for name in GROUND:
        for line, target in imported(ROOT / f"{name}.py"):
            assert target in (*GROUND, "__version__"), f"{name}.py:{line} imports {target}"


def fresh(code: str) -> dict[str, object]:
    """What ``code`` prints as JSON in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_import_is_light() -> None:
    """Measured in one interpreter: torch first, then what latentnas adds to it."""
    found = fresh(
        "import json, sys, time\n"
        "import torch\n"
        "before = set(sys.modules)\n"
        "start = time.perf_counter()\n"
        "import latentnas\n"
        "seconds = time.perf_counter() - start\n"
        "print(json.dumps({'seconds': seconds, 'added': sorted(set(sys.modules) - before)}))"
    )
    added = found["added"]
    assert isinstance(added, list)
    loaded = sorted({name.split(".")[0] for name in added} & {*HEAVY, "networkx"})
    assert loaded == []
    assert float(str(found["seconds"])) < 0.5


def test_spaces_and_codes_need_no_heavy_library() -> None:
    found = fresh(
        "import json, sys\n"
        "import latentnas as ln\n"
        "space = ln.get_space('nasbench201')\n"
        "space.keys(space.mutate(space.sample(5, seed=0), seed=0))\n"
        "print(json.dumps({'loaded': sorted({m.split('.')[0] for m in sys.modules})}))"
    )
    loaded = found["loaded"]
    assert isinstance(loaded, list)
    assert sorted({*loaded} & {*HEAVY}) == []
