"""The report as one HTML file: styles and pictures are inside, nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ..campaign.notes import collapse_notes
from ..campaign.records import Trial
from ..spaces.drawing import grid_columns
from .cells import BEST, shared_size
from .curves import MAX_BATCHES, coverage, values_below
from .data import ReportData
from .texts import facts, headline, plural, prediction, short_cell, show

MANY_FAILURES = 10
"""More failed evaluations than this are folded."""

STYLE = """
:root { color-scheme: light dark; --ink: #22272e; --muted: #5b6570; --page: #fbfbfa; --card: #ffffff; --line: #e3e6e9;
  --accent: #0072b2; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --muted: #9aa4ae; --page: #16191d; --card: #1f2328;
  --line: #343a41; --accent: #56b4e9; --bad: #f0955a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0.1rem 0 0.9rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.kind { color: var(--muted); font-size: 0.9rem; margin: 0; }
.lead { font-size: 1.12rem; }
.note { color: var(--muted); font-size: 0.92rem; }
.cell { margin: 0.8rem 0; padding: 0.6rem 0.8rem; border-left: 3px solid var(--accent);
  background: var(--card); overflow-wrap: anywhere; }
code { font: 0.86em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { margin: 0.4rem 0; padding: 0.8rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  overflow-x: auto; }
figure { margin: 0.8rem 0; }
figure img { display: block; width: 100%; height: auto; margin: 0 auto; background: #fff; border: 1px solid var(--line);
  border-radius: 10px; padding: 0.6rem; }
figure.small img { max-width: 34rem; margin-left: 0; }
figure.medium img { max-width: 52rem; margin-left: 0; }
figcaption { color: var(--muted); font-size: 0.9rem; margin-top: 0.4rem; max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.34rem 0.9rem 0.34rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--muted); font-weight: 500; white-space: nowrap; }
td { min-width: 2.6rem; }
td.text { min-width: 18rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
.full { width: 100%; }
.failed { color: var(--bad); }
details { margin: 0.8rem 0; }
summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; color: var(--muted); font-size: 0.88rem; }
.frame { overflow-x: auto; }
@media (max-width: 42rem) { figure img { min-width: 42rem; } figure.small img { min-width: 0; } }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


def build_page(data: ReportData, pictures: Mapping[str, bytes], versions: Mapping[str, object]) -> str:
    """The whole page.

    Args:
        data: the campaign.
        pictures: PNG files by name: "convergence", "latent_map", "best_cells", "predictions"; those
            that are missing leave their section out.
        versions: what wrote the report.
    """
    sections = [
        _top(data),
        _convergence(data, pictures),
        _best_cells(data, pictures),
        _map(data, pictures),
        _predictions(data, pictures),
        _failures(data),
        _trials(data),
        _notes(data),
        _provenance(data, versions),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(data.name)} - latentnas report</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _top(data: ReportData) -> str:
    best = data.best
    cell = f'<div class="cell">{_code(best.text)}</div>' if best else ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(data))
    return (
        f'<header>\n<p class="kind">latentnas report</p>\n<h1>{escape(data.name)}</h1>\n'
        f'<p class="lead">{escape(headline(data))}</p>\n{cell}\n</header>\n<table>{rows}</table>'
    )


def _convergence(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    if "convergence" not in pictures:
        return ""
    batches = len({t.batch for t in data.finished})
    parts = [
        "Every dot is an evaluation" + ("; grey columns are every other batch." if 1 < batches <= MAX_BATCHES else ".")
    ]
    if values_below(data):
        parts.append("Triangles at the lower edge are evaluations with values below the axis.")
    if data.random_search is not None:
        parts.append(
            "The dashed curve is what random search finds on average with as many evaluations, the band holds the "
            "middle 80% of its runs: both are computed from the table, not simulated."
        )
        if data.draws_fail:
            parts.append(
                "Cells of the space that the table lacks count as failed evaluations in them; the average is over "
                "the runs that have met a value."
            )
    elif data.table is not None and data.finished:
        parts.append(
            f"There is no curve of random search: the table holds {data.table.share}, and what draws from the whole "
            "space would find is not known."
        )
    if data.optimum is not None and data.complete:
        parts.append(
            f"Right: the regret, how far the best value so far is below the {data.best_known}, on a logarithmic axis."
        )
    title, caption = "Best value against evaluations", " ".join(parts)
    size = "" if data.optimum is not None and data.complete else "medium"
    return "<h2>Convergence</h2>" + _picture(pictures["convergence"], title, caption, size)


def _best_cells(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    best = data.ranked[:BEST]
    if not best:
        return ""
    head = [("", True), (data.value_label, True), ("predicted", True), ("evaluation", True), ("source", False),
            ("cell", False)]  # fmt: skip
    rows = [
        [str(k), show(t.value), prediction(t), str(data.evaluation_of(t)), t.source, _Cell(t)]
        for k, t in enumerate(best, start=1)
    ]
    picture = ""
    if "best_cells" in pictures:
        text = "Predicted: mean and standard deviation of the model before the cell was evaluated."
        predicted = any(t.mean is not None for t in best)
        picture = _picture(pictures["best_cells"], f"The {len(best)} best cells", text if predicted else "",
                           _size_of_cells(data, len(best)))  # fmt: skip
    return f"<h2>Best cells</h2>{picture}{_table(head, rows)}"


def _size_of_cells(data: ReportData, count: int) -> str:
    """How large the picture of the best cells is shown: few narrow cells would be blown up on a whole page."""
    width = shared_size(data, data.ranked[:count])[0]
    inches = grid_columns(count, width) * width
    return "small" if inches < 6.5 else "medium" if inches < 9.5 else ""


def _map(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    if "latent_map" not in pictures:
        return ""
    behind = "what the table's cells are worth there" if data.table is not None else "where cells lie"
    text = (
        f"The latent space in its two main directions. Behind: {behind}. Circles: evaluated cells, from the first "
        "(white) to the last (black). The line joins the cells that were the best so far, numbered by evaluation."
    )
    return "<h2>Map of the latent space</h2>" + _picture(
        pictures["latent_map"], "Map of the latent space", text, "medium"
    )


def _predictions(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    if "predictions" not in pictures:
        return ""
    text = (
        "What the model predicted when it proposed a cell (bars: one standard deviation) against what came out. "
        f"{coverage(data) or 0.0:.0%} of {plural(len(data.predicted), 'value')} lie within two standard deviations; "
        "a calibrated model has about 95%. The model only proposes cells that it hopes are good, so its errors "
        "look larger here than on cells drawn at random."
    )
    return "<h2>Predictions and outcomes</h2>" + _picture(
        pictures["predictions"], "Predicted and measured", text, "small"
    )


def _failures(data: ReportData) -> str:
    if not data.failed:
        return ""
    head = [("evaluation", True), ("reason", False), ("attempts", True), ("cell", False)]
    rows = [
        [str(data.evaluation_of(t)), t.failure or "no reason given", str(t.attempts), _Cell(t)] for t in data.failed
    ]
    table = _table(head, rows)
    if len(rows) > MANY_FAILURES:
        table = f"<details><summary>{len(rows):,} evaluations with their reasons</summary>{table}</details>"
    return f"<h2>Failed evaluations ({len(rows):,})</h2>{table}"


def _trials(data: ReportData) -> str:
    if not data.trials:
        return ""
    head = [("evaluation", True), ("batch", True), ("state", False), (data.value_label, True), ("predicted", True),
            ("seconds", True), ("source", False), ("cell", False)]  # fmt: skip
    rows = [_trial_row(data, t) for t in sorted(data.trials, key=lambda t: t.number)]
    return (
        f"<h2>All proposals</h2><details><summary>{plural(len(rows), 'proposal')} in order; "
        f"<code>results.csv</code> beside this page has all columns</summary>{_table(head, rows)}</details>"
    )


def _trial_row(data: ReportData, t: Trial) -> list[str]:
    seconds = "-" if t.seconds is None else f"{t.seconds:.3g}"
    number = str(data.evaluation_of(t)) if t.state in ("complete", "failed") else "-"
    return [number, str(t.batch + 1), t.state, show(t.value), prediction(t), seconds, t.source, _Cell(t)]


def _notes(data: ReportData) -> str:
    if not data.notes:
        return ""
    lines = "".join(f"<li>{escape(note)}</li>" for note in collapse_notes(data.notes))
    return f'<h2>Notes of the search</h2><ul class="note">{lines}</ul>'


def _provenance(data: ReportData, versions: Mapping[str, object]) -> str:
    settings = json.dumps(dict(data.config), indent=2, default=str, ensure_ascii=False)
    made = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in versions.items())
    store = f"<p>Store: <code>{escape(data.store)}</code></p>" if data.store else ""
    return (
        f"<h2>Where this comes from</h2>{store}<details><summary>Settings</summary><pre><code>{escape(settings)}</code>"
        f"</pre></details><details><summary>Versions and seed</summary><table>{made}</table></details>"
        "<footer>Written by latentnas. This page needs no network; the pictures lie beside it as PNG files.</footer>"
    )


# --- pieces ---------------------------------------------------------------------------------------


class _Cell(str):
    """A cell of a table that shows a cell of the space: short, in a fixed-width font, its text as tooltip."""

    full: str

    def __new__(cls, trial: Trial) -> _Cell:
        shown = super().__new__(cls, short_cell(trial))
        shown.full = trial.text
        return shown


def _code(text: str, full: str = "") -> str:
    """A cell's string that may be broken after ``|`` and ``,``; ``full`` is shown over it."""
    title = f' title="{escape(full)}"' if full and full != text else ""
    return f"<code{title}>{escape(text).replace('|', '|<wbr>').replace(',', ',<wbr>')}</code>"


def _table(head: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """A table; ``head`` says of every column its title and whether it holds numbers."""
    kinds = [' class="number"' if number else "" for _, number in head]
    lines = ["<tr>" + "".join(f"<th{k}>{escape(t)}</th>" for (t, _), k in zip(head, kinds, strict=True)) + "</tr>"]
    for row in rows:
        cells = []
        for text, kind in zip(row, kinds, strict=True):
            if isinstance(text, _Cell):
                cells.append(f'<td class="text">{_code(text, text.full)}</td>')
            else:
                kind = ' class="failed"' if text == "failed" else kind
                cells.append(f"<td{kind}>{escape(text)}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="wide"><table class="full">' + "\n".join(lines) + "</table></div>"


def _picture(png: bytes, title: str, caption: str, size: str = "") -> str:
    data = base64.b64encode(png).decode("ascii")
    kind = f' class="{size}"' if size else ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'
    return f'<figure{kind}><div class="frame">{image}</div>{below}</figure>'
