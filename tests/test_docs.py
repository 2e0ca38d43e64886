"""README and the pages in docs/: their Python runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from latentnas.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("console", "bash", "sh")
NOT_RUN_HERE = (
    "latentnas pretrain", "latentnas rank", "latentnas explain", "bench predictors",
    "bench models --published", "runs/demo", "postgresql", "--evaluator train", "--time-limit",
)  # fmt: skip
"""Commands with one of these take long or need a server or earlier ones: only their options are checked."""


def ids(page: Path) -> str:
    return page.name


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """First line (counted from 1) and text of every fenced block in one of ``languages``."""
    text = page.read_text(encoding="utf-8")
    return [
        (text[: match.start(2)].count("\n") + 1, match[2]) for match in FENCE.finditer(text) if match[1] in languages
    ]


def commands(page: Path) -> list[str]:
    """Every shell line that calls latentnas, without its prompt, continued lines joined."""
    found = []
    for _, block in blocks(page, *SHELL):
        lines = [line.removeprefix("$ ").strip() for line in block.replace("\\\n", " ").splitlines()]
        found += [line for line in lines if re.search(r"(^|\| )latentnas ", line)]
    return found


def tokens(command: str) -> list[str]:
    """The words of a shell line; pipes and redirections are words of their own."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|<>&")
    lexer.whitespace_split = True
    return list(lexer)


def parts(command: str) -> list[list[str]]:
    """The words of every ``latentnas`` call in a shell line with pipes and redirections."""
    calls: list[list[str]] = [[]]
    words = iter(tokens(command))
    for word in words:
        if set(word) <= set("<>"):
            next(words)  # the file's name
        elif set(word) <= set("|&"):
            calls.append([])
        else:
            calls[-1].append(word)
    return [call for call in calls if call and call[0] == "latentnas"]


def parse(words: list[str]) -> None:
    """Let the command line's own parser read a call, without running it."""
    group = get_command(app)
    while len(words) > 2 and words[1] == "--import":
        words = [words[0], *words[3:]]
    with group.make_context("latentnas", [], resilient_parsing=True) as context:
        command = group.commands.get(words[1])  # type: ignore[attr-defined]
        assert command is not None, f"no command {words[1]!r}"
        command.make_context(words[1], list(words[2:]), parent=context)


def test_pages_are_there() -> None:
    assert [page.name for page in PAGES] == [
        "README.md",
        "benchmarks.md",
        "campaigns.md",
        "latent-spaces.md",
        "own-space.md",
        "predictors.md",
        "python-api.md",
        "spaces.md",
    ]
    for page in PAGES:
        assert blocks(page, "python"), page.name
    assert len(commands(ROOT / "README.md")) > 3


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other in one namespace, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for line, block in blocks(page, "python"):
        # Empty lines first, so that a traceback names the page's own lines.
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_have_the_options_they_are_shown_with(page: Path) -> None:
    for command in commands(page):
        calls = parts(command)
        assert calls, command
        for words in calls:
            parse(words)


def test_the_parser_notices_what_does_not_exist() -> None:
    parse(parts("latentnas decode --latent x --sample 3 | latentnas encode --latent x --input - > z.csv")[0])
    with pytest.raises(Exception, match="No such option"):
        parse(parts("latentnas search --bugdet 3")[0])
    assert parts("latentnas encode --latent x '|a~0|+|b~0|' > z.csv") == [
        ["latentnas", "encode", "--latent", "x", "|a~0|+|b~0|"]
    ]


def test_the_guides_example_is_the_file() -> None:
    page = ROOT / "docs" / "own-space.md"
    example = (ROOT / "examples" / "branch_cell.py").read_text(encoding="utf-8")
    assert example in [block for _, block in blocks(page, "python")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_quick_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    program = tmp_path / "bin" / "latentnas"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom latentnas.cli import main\n\nmain()\n")
    program.chmod(0o755)
    for name, text in written_files(page).items():
        (tmp_path / name).write_text(text)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    for command in commands(page):
        if any(words in command for words in NOT_RUN_HERE):
            continue
        calls = parts(command)
        if tokens(command) == calls[0]:  # no shell is needed
            result = CliRunner().invoke(app, calls[0][1:])
            assert result.exit_code == 0, f"{page.name}: {command}\n{result.output}\n{result.exception!r}"
        else:
            done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{page.name}: {command}\n{done.stderr}"


def written_files(page: Path) -> dict[str, str]:
    """YAML blocks whose first line is a comment with their file's name."""
    return {
        match[1]: block
        for _, block in blocks(page, "yaml")
        if (match := re.match(r"# (\S+\.yaml)\n", block)) is not None
    }


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_scripts_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"\bscripts/\w+\.py", page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), f"{page.name}: {name}"


def test_the_demo_that_is_shown_is_the_one_of_make() -> None:
    """The commands under ``make demo`` in the README are those of the Makefile."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndemo:", 1)[1].split("\n\n", 1)[0]
    made = [" ".join(line.split()) for line in recipe.replace("\\\n", " ").splitlines() if "$(BIN)/latentnas" in line]
    shown = [" ".join(command.split()) for command in commands(ROOT / "README.md")]
    assert len(made) == 2
    for line in made:
        assert line.replace("$(BIN)/", "") in shown
