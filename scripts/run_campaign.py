"""Run a search campaign from a YAML file of settings; run it again to go on after a stop or a crash.

The file holds the arguments of latentnas.search, for example:

    space: nasbench201
    strategy: evolution
    evaluator: tabular
    budget: 200
    seed: 0
    store: sqlite:///runs/demo.db

Two processes that run the same file share the campaign. Time: the evaluations, and about 0.03 s a cell.

    python scripts/run_campaign.py campaign.yaml --report runs/report
"""

from __future__ import annotations

import argparse
import sys

from latentnas.campaign import CampaignConfig, SearchProgress, search
from latentnas.errors import LatentNASError
from latentnas.progress import Progress
from latentnas.report import write_report


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a search campaign from a YAML file of settings.")
    parser.add_argument("config", help="YAML file with the arguments of latentnas.search")
    parser.add_argument("--budget", type=int, help="evaluations in all, instead of the file's")
    parser.add_argument("--seed", type=int, help="instead of the file's")
    parser.add_argument("--store", help="URL or SQLite file, instead of the file's")
    parser.add_argument("--report", metavar="FOLDER", help="write the report there at the end")
    arguments = parser.parse_args()

    try:
        settings = CampaignConfig.from_yaml(arguments.config).to_dict()
        changes = {name: getattr(arguments, name) for name in ("budget", "seed", "store")}
        settings |= {name: value for name, value in changes.items() if value is not None}
        with Progress(settings["budget"], "search", unit="evaluation") as bar:

            def show(event: SearchProgress) -> None:
                for note in event.notes:
                    bar.note(note)
                if event.trial is not None:
                    if bar.done == 0:
                        bar.start_at(event.done - 1)
                    best = {} if event.best is None or event.best.value is None else {"best": event.best.value}
                    regret = {} if event.regret is None else {"regret": event.regret}
                    bar.update(event.done - bar.done, failures=event.failures, **best, **regret)

            result = search(**settings, on_event=show)
        print(f"{result.name}: {len(result.completed)} evaluations, ended by: {result.stopped}")
        if result.best is not None:
            print(f"best: {result.best.value} {result.best.text}")
        if arguments.report:
            print(f"report: {write_report(result, arguments.report)}")
    except LatentNASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
