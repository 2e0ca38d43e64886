"""``latentnas search``: run a campaign, watch it, and read its report."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import INTERRUPTED, app
from .output import print_table
from .reports import report_folder

if TYPE_CHECKING:
    from ..campaign import SearchResult
    from ..evaluation import Evaluator

DEFAULTS = {"space": "nasbench201", "budget": 100, "store": "runs/campaigns.db"}
SHOWN = 5
"""How many of the best cells are listed at the end."""

_EXPONENT = re.compile(r"[-+]?\d+e[-+]?\d+", re.IGNORECASE | re.ASCII)

_ENDINGS = {
    "budget": "done",
    "time limit": "stopped at the time limit",
    "exhausted": "stopped: the space has no more cells",
    "interrupted": "stopped",
}


@app.command("search")
def search(
    space: Annotated[
        str | None, typer.Option(help="The search space, see: latentnas spaces (default: nasbench201).")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="What to evaluate next: random, evolution, latent-bo, latent-ei or nar (default: latent-bo)."
        ),
    ] = None,
    evaluator: Annotated[
        str | None, typer.Option(help="What a cell is worth: tabular, train or zero-cost (default: tabular).")
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Evaluations in all (default: 100).")] = None,
    batch: Annotated[int | None, typer.Option(help="Cells proposed at a time (default: 5).")] = None,
    initial: Annotated[int | None, typer.Option(help="Random cells first (default: 10).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice (default: 0).")] = None,
    latent: Annotated[
        str | None, typer.Option(metavar="NAME|FOLDER", help="Latent space: a shipped one or a folder.")
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What judges cells in latent-bo: gp, auto, forest, or an encoder: gates, gates++, "
            "gates-simplified, gcn, gpnas-gcn, hop, latent, line-graph-gcn, lstm, mlp, nar or renas (default: gp).",
        ),
    ] = None,
    surrogate_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the surrogate; may be repeated.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The campaign's memory, a database (default: runs/campaigns.db).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The campaign's name in its store.")] = None,
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop this run after that time.")] = None,
    evaluator_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the evaluator; may be repeated.")
    ] = None,
    strategy_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the strategy; may be repeated.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as YAML; options on the command line win.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where to write the report (default: runs/NAME-report).")
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
) -> None:
    """Search a space; run the same command again to go on where it stopped."""
    from ..campaign import Campaign, CampaignConfig
    from ..errors import ConfigError, LatentNASError
    from ..report.gather import shown_url
    from ..weights import why_not_writable
    from .live import SearchView

    given = {
        "space": space, "strategy": strategy, "evaluator": evaluator, "budget": budget, "batch": batch,
        "initial": initial, "seed": seed, "latent": latent, "store": store, "name": name, "max_seconds": time_limit,
        "surrogate": surrogate,
    }  # fmt: skip
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for key, pairs in (
        ("evaluator_options", evaluator_option),
        ("strategy_options", strategy_option),
        ("surrogate_options", surrogate_option),
    ):
        if pairs:
            chosen[key] = parse_options(pairs, f"--{key[:-1].replace('_', '-')}")
    settings = merge({**DEFAULTS, **(read_settings(config) if config else {})}, chosen)
    checked = CampaignConfig.of(settings, origin=str(config) if config else "")
    if report is not None and not report.strip():
        raise ConfigError("--report needs a folder, got an empty text")
    folder = Path(report) if report is not None else report_folder(checked.title)
    if not no_report and (reason := why_not_writable(folder)) is not None:
        raise ConfigError(f"the report cannot be written into {folder}: {reason}; choose another --report")
    judged = f" by {checked.surrogate}" if checked.surrogate else ""
    title = f"{checked.space}: {checked.strategy}{judged}, {checked.evaluator}, seed {checked.seed}"
    where = "memory" if checked.store is None else shown_url(checked.store)
    view = SearchView(f"{title}; campaign {checked.title} in {where}")
    campaign = Campaign(checked, on_event=view)
    before = sum(trial.finished is not None for trial in campaign.store.trials())
    if before:
        typer.echo(standing(before, checked.budget))
    with view:
        result = campaign.run()
    typer.echo()
    _summary(result, campaign.evaluator)
    if result.stopped == "interrupted":
        _how_to_go_on(checked.store, resume_command(chosen if config else settings, report, no_report, config))
        raise typer.Exit(INTERRUPTED)
    if not no_report:
        from ..report import write_report

        try:
            typer.echo(f"report:     {write_report(result, folder)}")
        except (LatentNASError, OSError) as error:
            if checked.store is None:
                raise ConfigError(f"no report: {error}; the results were kept in memory only") from error
            again = ["latentnas", "report", "--store", where, "--name", checked.title, "--out", "FOLDER"]
            raise ConfigError(f"no report: {error}; the campaign is safe, try: {shlex.join(again)}") from error
    if result.best is None:
        raise typer.Exit(1)


def merge(settings: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """``settings`` with those of the command line; options are merged one by one.

    Options that are no mapping are left as they are, for CampaignConfig to report.
    """
    merged = {**settings}
    for key, value in chosen.items():
        known = settings.get(key)
        if not isinstance(value, dict) or known is None:
            merged[key] = value
        elif isinstance(known, dict):
            merged[key] = {**known, **value}
    return merged


def standing(before: int, budget: int) -> str:
    """What an earlier run left to do, for a campaign that has evaluations already."""
    if before < budget:
        return f"going on after {before:,} of {budget:,} evaluations"
    if before == budget:
        return f"nothing left to evaluate: {before:,} of {budget:,} evaluations"
    return f"nothing left to evaluate: has {before:,} evaluations already, more than the budget of {budget:,}"


def _how_to_go_on(store: str | None, command: str) -> None:
    from ..report.gather import shown_url

    if store is None:
        typer.echo("the results were kept in memory only; with a --store, a search can go on")
        return
    typer.echo(f"to go on:   {command}")
    if shown_url(store) != store:
        typer.echo("            (put the password of the store back in the place of ***)")


def _summary(result: SearchResult, evaluator: Evaluator) -> None:
    """Say how the search ended, and list the best cells."""
    from ..report.texts import short_cell

    finished = [trial for trial in result.trials if trial.finished is not None]
    order = {trial.number: k for k, trial in enumerate(finished, start=1)}
    failed = len(finished) - len(result.completed)
    ending = f"{_ENDINGS.get(result.stopped, result.stopped)} after {len(finished):,} evaluations"
    typer.echo(ending + (f", {failed:,} failed" if failed else ""))
    ranked = sorted(result.completed, key=lambda trial: (-(trial.value or 0.0), trial.number))[:SHOWN]
    if not ranked:
        reasons = [trial.failure for trial in finished if trial.failure]
        typer.echo("no evaluation gave a value" + (f"; the last reason: {reasons[-1]}" if reasons else ""))
        return
    typer.echo()
    cells = [short_cell(trial) for trial in ranked]
    rows = [[f"{trial.value:#.5g}", str(order[trial.number]), cell] for trial, cell in zip(ranked, cells, strict=True)]
    print_table(["best", "evaluation", "cell"], rows, right=(0, 1))
    typer.echo()
    if cells[0] != ranked[0].text:
        typer.echo(f"best cell:  {ranked[0].text}")
    if result.optimum is not None and ranked[0].value is not None:
        regret = max(result.optimum - ranked[0].value, 0.0)
        found = "found" if regret == 0 else f"regret {regret:.3g}"
        typer.echo(f"{_best_known(evaluator)} {result.optimum:.5g}, {found}")


def _best_known(evaluator: Evaluator) -> str:
    """What the evaluator's best value is the best of, as a heading."""
    from ..evaluation import TabularEvaluator
    from ..report.extent import SMALL, table_extent

    if not isinstance(evaluator, TabularEvaluator):
        return "optimum:   "
    table = evaluator.benchmark
    if table.space.size > SMALL:  # whether it holds the whole space takes seconds to say; the report says it
        return f"best of the table ({len(table):,} {'networks' if table.by_network else 'cells'}):"
    extent = table_extent(table, evaluator.metric)
    return "optimum:   " if extent.whole else f"best of the table ({extent.share}):"


def parse_options(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """``KEY=VALUE`` texts as a dict; values are read as YAML: numbers, true, false, null, else text.

    Raises:
        ConfigError: a text has no ``=``, or a value is no YAML.
    """
    import yaml

    from ..errors import ConfigError

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{option} {pair!r}: expected KEY=VALUE")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"{option} {pair!r}: cannot read the value {value!r}") from None
        if isinstance(read, str) and _EXPONENT.fullmatch(read):
            read = float(read)  # YAML takes 1e-3, without a dot, for a text
        found[key.strip().replace("-", "_")] = read
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a YAML file, not checked yet.

    Raises:
        ConfigError: the file cannot be read or is no YAML mapping.
    """
    import yaml

    from ..errors import ConfigError

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the settings in {path}: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise ConfigError(f"{path}: expected a mapping of settings such as 'space: nasbench201'")
    return settings


def resume_command(
    settings: dict[str, Any], report: str | None = None, no_report: bool = False, config: Path | None = None
) -> str:
    """The command that goes on with a campaign; passwords in it are hidden.

    Args:
        settings: by name; with ``config`` those of the command line alone.
        report, no_report: as given.
        config: the file that the other settings come from.
    """
    from ..report.gather import shown_url

    words = ["latentnas", "search"]
    defaults: dict[str, Any] = DEFAULTS
    if config is not None:
        words += ["--config", str(config)]
        defaults = {}  # the file may say otherwise
    for key, value in settings.items():
        if key in ("evaluator_options", "strategy_options", "surrogate_options"):
            for option, chosen in (value or {}).items():
                words += [f"--{key[:-1].replace('_', '-')}", f"{option}={_plain(chosen)}"]
        elif key in _OPTIONS and value is not None and value != defaults.get(key):
            words += [_OPTIONS[key], shown_url(str(value)) if key == "store" else str(value)]
    if report is not None:
        words += ["--report", report]
    return shlex.join(words + ["--no-report"] * no_report)


_OPTIONS = {
    **{key: f"--{key}" for key in ("space", "strategy", "evaluator", "budget", "batch", "initial", "seed", "latent")},
    "store": "--store",
    "name": "--name",
    "max_seconds": "--time-limit",
    "surrogate": "--surrogate",
}


def _plain(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
