"""A process that takes part in a campaign: ``python -m tests.campaign.child STORE LOG BUDGET DELAY [FATAL]``.

The process dies at once, as if killed, when it evaluates the cell FATAL (a code, as digits).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from latentnas.campaign import search
from tests.campaign.fakes import WeightedSum


def main(store: str, log: str, budget: str, delay: str, fatal: str = "") -> None:
    def before(code: tuple[int, ...]) -> None:
        if "".join(map(str, code)) == fatal:
            os._exit(9)

    evaluator = WeightedSum(before, Path(log), float(delay))
    result = search(
        space="nasbench201", strategy="evolution", evaluator=evaluator, budget=int(budget), store=store, name="shared"
    )
    print(result.stopped)


if __name__ == "__main__":
    main(*sys.argv[1:])
