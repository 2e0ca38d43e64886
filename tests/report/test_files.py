"""results.csv, config.yaml and versions.json can be read back."""

from __future__ import annotations

import csv
import io
import json
import platform

import torch
import yaml

from latentnas.report.files import config_yaml, results_csv, versions
from tests.report.campaigns import campaign, trial


def test_csv_has_every_trial_and_column() -> None:
    trials = [
        trial(1, None, failure='a "reason", with commas\nand lines'),
        trial(0, 93.25, latent=(0.1, -2.5), mean=93.0, std=0.5, acquisition=-4.0, metrics={"macs": 12.0}),
        trial(2, None, state="running", finished=None, seconds=None, failure=None),
    ]
    rows = list(csv.DictReader(io.StringIO(results_csv(campaign([], trials=trials)))))
    assert [row["store_number"] for row in rows] == ["0", "1", "2"]
    assert [row["evaluation"] for row in rows] == ["1", "2", ""], "from 1 as on the page; the last has not finished"
    assert [row["batch"] for row in rows] == ["1", "1", "2"]
    assert [row["state"] for row in rows] == ["complete", "failed", "running"]
    assert float(rows[0]["value"]) == 93.25
    assert (rows[0]["mean"], rows[0]["std"], rows[0]["acquisition"]) == ("93.0", "0.5", "-4.0")
    assert json.loads(rows[0]["latent"]) == [0.1, -2.5]
    assert json.loads(rows[0]["code"]) == list(trials[1].code)
    assert rows[0]["metric.macs"] == "12.0"
    assert rows[1]["metric.macs"] == rows[1]["value"] == rows[1]["latent"] == ""
    assert rows[1]["failure"] == 'a "reason", with commas\nand lines'
    assert rows[0]["text"] == trials[1].text


def test_csv_without_trials_is_the_head() -> None:
    lines = results_csv(campaign([])).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("evaluation,store_number,batch,state,source,value")


def test_config_is_plain_yaml() -> None:
    data = campaign([])
    assert yaml.safe_load(config_yaml(data)) == dict(data.config)


def test_versions_and_seed() -> None:
    found = versions(campaign([]))
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert found["seed"] == 3
