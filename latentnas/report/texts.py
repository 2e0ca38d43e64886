"""A campaign in words: numbers as people read them, and the sentence that says what was found."""

from __future__ import annotations

from ..campaign.records import Trial
from ..progress import format_seconds
from .data import ReportData
from .extent import size_text

SHORT = 100
"""Cells are written into tables with at most so many characters."""


def show(value: float | None, unit: str = "") -> str:
    """A value with five significant digits and its unit; ``-`` where unknown."""
    if value is None:
        return "-"
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    return f"{value:#.5g}".rstrip(".")


def prediction(trial: Trial, unit: str = "") -> str:
    """The model's mean and standard deviation at the time of the proposal; ``-`` without a model."""
    if trial.mean is None:
        return "-"
    spread = "" if trial.std is None else f" \N{PLUS-MINUS SIGN} {trial.std:.2g}"
    return f"{_digits(trial.mean)}{spread} {unit}".rstrip()


def short_cell(trial: Trial, most: int = SHORT) -> str:
    """A cell for a table: its text where that is short, else its key, else the beginning of its text."""
    if len(trial.text) <= most:
        return trial.text
    return trial.key if len(trial.key) <= most else f"{trial.text[: most - 3]}..."


def plural(count: int, word: str) -> str:
    """``1 cell``, ``3 cells``, ``1,000 cells``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def headline(data: ReportData) -> str:
    """What was searched, how long, and what was found: two or three plain sentences."""
    strategy = f" with {data.config['strategy']}" if "strategy" in data.config else ""
    evaluated = plural(len(data.finished), "evaluation")
    failed = f", {len(data.failed):,} of them failed" if data.failed else ""
    text = f"Searched {data.space.name} ({size_text(data.space)}){strategy}: {evaluated}{failed}."
    best = data.best
    if best is None:
        if not data.finished:
            return text + " No cell has been evaluated yet."
        return text + " No cell has a value: see the reasons below."
    text += f" The best cell reaches {show(best.value, data.unit)} {data.value_name}"
    regret = data.regret
    if regret is None:
        text += "."
    elif regret == 0:
        text += f", the {data.best_known}."
    else:
        text += f", {regret:.3g}{' points' if data.unit == '%' else ''} below the {data.best_known}."
    expected = data.random_search
    if expected is not None:
        text += (
            f" Random search reaches {show(float(expected.mean[-1]), data.unit)} on average with as many evaluations."
        )
        if data.draws_fail:
            text += " Cells that the table lacks count as failed evaluations in both."
    return text


def facts(data: ReportData) -> list[tuple[str, str]]:
    """Names and values for the table at the top."""
    rows = [("Space", f"{data.space.name}, {size_text(data.space)}")]
    rows += [(name.capitalize(), str(data.config[name])) for name in ("strategy", "evaluator") if name in data.config]
    table = data.table
    if table is not None and table.name:
        rows.append(("Table", f"{table.name}, {table.metric}, {table.share}"))
        if table.source:
            rows.append(("Made from", table.source))
    best = data.best
    if best is not None:
        found = f"evaluation {data.evaluation_of(best)}"
        rows.append((f"Best {data.value_name}", f"{show(best.value, data.unit)} ({found})"))
    if data.optimum is not None:
        rows.append((_capital(data.best_known), show(data.optimum, data.unit)))
    if data.regret is not None:
        rows.append((_capital(data.regret_label), f"{data.regret:.3g}"))
    rows.append(("Evaluations", _evaluations(data)))
    seconds = sum(t.seconds or 0.0 for t in data.finished)
    if seconds >= 1:  # looking up takes none worth a line
        rows.append(("Time in evaluations", format_seconds(seconds)))
    started = [t.started for t in data.finished if t.started is not None]
    finished = [t.finished for t in data.finished if t.finished is not None]
    if started and finished and max(finished) - min(started) >= 1:
        rows.append(("From first start to last end", format_seconds(max(finished) - min(started))))
    if "seed" in data.config:
        rows.append(("Seed", str(data.config["seed"])))
    return rows


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _evaluations(data: ReportData) -> str:
    parts = [f"{len(data.complete):,} complete"]
    budget = data.config.get("budget")
    for state, count in (
        ("failed", len(data.failed)),
        ("running", sum(t.state == "running" for t in data.trials)),
        ("waiting", sum(t.state == "waiting" for t in data.trials)),
    ):
        if count:
            parts.append(f"{count:,} {state}")
    return ", ".join(parts) + (f"; budget {budget:,}" if isinstance(budget, int) else "")
