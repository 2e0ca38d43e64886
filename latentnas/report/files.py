"""The files beside a report's page: every trial as CSV, the settings, the versions."""

from __future__ import annotations

import csv
import io
import json

from ..campaign.records import Trial
from ..provenance import provenance
from .data import ReportData

COLUMNS = (
    "evaluation", "store_number", "batch", "state", "source", "value", "mean", "std", "acquisition", "text", "key",
    "code", "seed", "attempts", "worker", "started", "finished", "seconds", "failure",
)  # fmt: skip
"""Columns of ``results.csv`` before those of the metrics (``metric.NAME``) and the last, ``latent``.

``evaluation`` and ``batch`` count from 1, as everywhere in the report; ``evaluation`` is empty for what
is not finished; ``store_number`` is the number of the trial in the campaign's store, from 0.
"""


def results_csv(data: ReportData) -> str:
    """Every trial as a row, in order of proposal; ``code`` and ``latent`` are JSON lists, unknown values empty."""
    metrics = sorted({name for trial in data.trials for name in trial.metrics})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"metric.{name}" for name in metrics), "latent"])
    for trial in sorted(data.trials, key=lambda t: t.number):
        numbers = [data.evaluation_of(trial) if trial.state in ("complete", "failed") else "", trial.number]
        cells = [*numbers, trial.batch + 1, *(_plain(trial, column) for column in COLUMNS[3:])]
        latent = "" if trial.latent is None else json.dumps(list(trial.latent))
        writer.writerow([*cells, *(trial.metrics.get(name, "") for name in metrics), latent])
    return buffer.getvalue()


def _plain(trial: Trial, column: str) -> object:
    value = getattr(trial, column)
    if value is None:
        return ""
    return json.dumps(list(value)) if isinstance(value, tuple) else value


def config_yaml(data: ReportData) -> str:
    """The campaign's settings as YAML; ``latentnas search --config`` reads them again."""
    import yaml

    return str(yaml.safe_dump(json.loads(json.dumps(dict(data.config), default=str)), sort_keys=False))


def versions(data: ReportData) -> dict[str, object]:
    """Versions, platform and revision of the program that wrote the report, and the campaign's seed."""
    return {**provenance(), "seed": data.config.get("seed")}
