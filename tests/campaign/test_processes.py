"""Campaigns in processes of their own: several at once, and killed ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from latentnas import get_space
from latentnas.campaign import Store, search

from .fakes import WeightedSum, essence

ROOT = Path(__file__).parents[2]


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_at_once(tmp_path: Path) -> None:
    words = ("-m", "tests.campaign.child", tmp_path / "store.db", tmp_path / "log.txt", 40, 0.05)
    workers = [start(*words) for _ in range(2)]
    assert [worker.communicate()[0].strip() for worker in workers] == ["budget", "budget"]
    evaluated = [line.split() for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert len(evaluated) == len({key for _, key in evaluated}) == 40, "exactly the budget, no network twice"
    assert {int(pid) for pid, _ in evaluated} == {worker.pid for worker in workers}, "both took part"
    trials = Store(tmp_path / "store.db", "shared").trials()
    assert [t.number for t in trials] == list(range(40))
    assert {t.key for t in trials} == {key for _, key in evaluated}
    assert all(t.state == "complete" and t.attempts == 1 for t in trials)


@pytest.mark.slow
def test_a_cell_that_kills_its_process_does_not_block_the_campaign(tmp_path: Path) -> None:
    def reference(budget: int) -> list[tuple[int, ...]]:
        found = search(space="nasbench201", strategy="evolution", evaluator=WeightedSum(), budget=budget, name="shared")
        return [trial.code for trial in found.trials]

    fatal = reference(10)[7]
    words = ("-m", "tests.campaign.child", tmp_path / "store.db", tmp_path / "log.txt", 10, 0)
    codes = []
    for _ in range(4):
        child = start(*words, "".join(map(str, fatal)))
        child.communicate()
        codes.append(child.returncode)
    assert codes == [9, 9, 9, 0]
    trials = Store(tmp_path / "store.db", "shared").trials()
    assert [t.code for t in trials] == reference(10)
    assert [t.state for t in trials] == ["complete"] * 7 + ["failed"] + ["complete"] * 2
    assert trials[7].failure == "its worker died 3 times in this evaluation: out of memory?"
    counts = Counter(line.split()[1] for line in (tmp_path / "log.txt").read_text().splitlines())
    (key,) = get_space("nasbench201").keys(get_space("nasbench201").check_codes([fatal]))
    assert counts.pop(key) == 3
    assert set(counts.values()) == {1}
    assert essence(trials)[7][4] is None


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The kill test of the scripts, short: nothing lost, nothing repeated, the same trials as without kills."""
    options = ("--kills", 3, "--budget", 150, "--seed", 1, "--delay", 0.02, "--window", 0.7)
    script = start(ROOT / "scripts" / "kill_test.py", *options, "--folder", tmp_path / "kills")
    table, _ = script.communicate()
    assert script.returncode == 0, table
    rows = {line[:30].strip(): line[30:] for line in table.splitlines()}
    assert rows["evaluations finished"] == "150 of 150"
    assert (rows["lost"], rows["repeated"], rows["same trials as without kills"]) == ("0", "0", "yes")
