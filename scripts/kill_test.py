"""Kill a campaign with SIGKILL at random moments, resume it each time, and count what was lost.

A child process searches NAS-Bench-201 on the table of measured accuracies, with a small delay in every
evaluation. It keeps a log of its own, append-only and synced, that knows nothing of the store:

    began                 the child is about to open the store
    started  KEY          an evaluation of this network begins
    returned KEY VALUE    the evaluator hands its value over
    stored   KEY VALUE    the store has accepted it: from here on the evaluation is finished

A kill between two lines leaves open which side of the commit it fell on, so after every kill this process
reads the store, too. At the end it counts

    lost       finished evaluations (logged as stored, or seen in the store after a kill) that the store
               does not have at the end, or has with another value
    repeated   evaluations of a network that was finished before, and networks that are stored twice
    run again  evaluations that a kill cut short before they were finished; this is no loss

and compares the trials with those of the same campaign without kills. Exit status 1 on any difference.

Time on two cores: about 1.5 minutes for 20 kills (most of it is importing torch 21 times).

    python scripts/kill_test.py --strategy evolution --kills 20
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from latentnas.campaign import SearchProgress, SearchResult, Store, search
from latentnas.errors import StoreError
from latentnas.evaluation import Evaluation, Evaluator, get_evaluator

NAME = "kill-test"
PLACES = {
    "began": "while opening",
    "started": "in an evaluation",
    "returned": "while storing a value",
    "stored": "while asking",
}
"""Where a kill fell, by the last line of the log."""


class Log:
    """An append-only file; a line is on the disk when :meth:`write` returns."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: object) -> None:
        os.write(self.file, (" ".join(map(str, words)) + "\n").encode())
        os.fsync(self.file)


class LoggedEvaluator(Evaluator):
    """The table's evaluator with a delay and a log."""

    name = "tabular"

    def __init__(self, log: Log | None = None, delay: float = 0.0) -> None:
        self.inner = get_evaluator("tabular", "nasbench201")
        self.space, self.optimum = self.inner.space, self.inner.optimum
        self.log, self.delay = log, delay

    def config(self) -> dict[str, object]:
        return self.inner.config()

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        outcomes = self.inner.evaluate(codes)
        for key in self.space.keys(codes):
            if self.log is not None:
                self.log.write("started", key)
            time.sleep(self.delay)
            outcome = next(outcomes)
            if self.log is not None:
                self.log.write("returned", key, repr(outcome.value))
            yield outcome


def run(arguments: argparse.Namespace, evaluator: LoggedEvaluator, store: Path | None) -> SearchResult:
    """The campaign: in the child with a store, and once without one for comparison."""
    log = evaluator.log

    def note(event: SearchProgress) -> None:
        if log is not None and event.trial is not None:
            log.write("stored", event.trial.key, repr(event.trial.value))

    return search(
        space="nasbench201",
        strategy=arguments.strategy,
        evaluator=evaluator,
        budget=arguments.budget,
        seed=arguments.seed,
        store=store,
        name=NAME,
        max_attempts=1000,  # here it is never the cell that kills the process
        on_event=note,
    )


def child(arguments: argparse.Namespace) -> int:
    Store(None, NAME, create=True)  # loads what is slow to load: kills shall fall into the campaign

    log = Log(arguments.folder / "log.txt")
    evaluator = LoggedEvaluator(log, arguments.delay)
    log.write("began")
    result = run(arguments, evaluator, arguments.folder / "store.db")
    return 0 if result.stopped == "budget" else 1


def finished(folder: Path) -> dict[str, float | None]:
    """Value of every finished network in the store; empty where a kill came before there was a campaign in it."""
    try:
        store = Store(folder / "store.db", NAME)
    except StoreError as error:
        # Where there was one before, everything that was known to be finished counts as lost now.
        print(f"no campaign after this kill: {error}", file=sys.stderr)
        return {}
    trials = store.trials()
    store.close()
    return {trial.key: trial.value for trial in trials if trial.state == "complete"}


def lines(folder: Path) -> list[list[str]]:
    path = folder / "log.txt"
    return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a campaign at random moments and count what was lost.")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--budget", type=int, default=400, help="evaluations of the campaign")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds that an evaluation takes at least")
    parser.add_argument("--window", type=float, default=1.5, help="kills fall within so many seconds of a start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="empty folder for store and log; by default a temporary one")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments)
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        if any(arguments.folder.iterdir()):
            parser.error(f"--folder {arguments.folder} is not empty")
        return torture(arguments)
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        return torture(arguments)


def start_child(arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    names = ("strategy", "budget", "delay", "seed", "folder")
    options = [word for name in names for word in (f"--{name}", str(getattr(arguments, name)))]
    return subprocess.Popen([sys.executable, __file__, "--child", *options])


def torture(arguments: argparse.Namespace) -> int:
    folder, moments = arguments.folder, random.Random(arguments.seed)
    known: dict[str, float | None] = {}  # finished for certain, by store or log
    landed: Counter[str] = Counter()
    lost, repeated, read = 0, 0, 0
    for kill in range(arguments.kills + 1):
        process = start_child(arguments)
        if kill < arguments.kills:
            while len(lines(folder)) == read and process.poll() is None:
                time.sleep(0.01)
            time.sleep(moments.uniform(0, arguments.window))
            process.kill()
            if process.wait() == 0:
                print(f"the campaign was over after {kill} kills: raise --budget or lower --window", file=sys.stderr)
                return 1
        elif process.wait() != 0:
            print("the last run did not finish the campaign", file=sys.stderr)
            return 1
        new = lines(folder)[read:]
        read += len(new)
        for word, *rest in new:
            if word == "started" and rest[0] in known:
                repeated += 1
            elif word == "stored":
                known[rest[0]] = float(rest[1])
        stored = finished(folder)
        lost += sum(stored.get(key) != value for key, value in known.items())
        known.update(stored)
        if kill < arguments.kills:
            landed[PLACES[new[-1][0] if new else "began"]] += 1

    store = Store(folder / "store.db", NAME)
    trials = store.trials()
    store.close()
    keys = Counter(trial.key for trial in trials)
    repeated += sum(count - 1 for count in keys.values())
    started = Counter(rest[0] for word, *rest in lines(folder) if word == "started")
    again = sum(started.values()) - len(started)
    reference = run(arguments, LoggedEvaluator(), None).trials
    same = [(t.number, t.code, t.value, t.batch) for t in trials] == [
        (t.number, t.code, t.value, t.batch) for t in reference
    ]
    places = ", ".join(f"{count} {place}" for place, count in sorted(landed.items()))
    rows = {
        "strategy": arguments.strategy,
        "kills": f"{arguments.kills} ({places})",
        "evaluations finished": f"{sum(t.state == 'complete' for t in trials)} of {arguments.budget}",
        "lost": lost,
        "repeated": repeated,
        "cut short and run again": again,
        "same trials as without kills": "yes" if same else "no",
    }
    for name, value in rows.items():
        print(f"{name:<30}{value}")
    complete = len(trials) == arguments.budget and all(trial.state == "complete" for trial in trials)
    return 0 if lost == 0 and repeated == 0 and complete and same else 1


if __name__ == "__main__":
    sys.exit(main())
