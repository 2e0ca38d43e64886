"""The report folder: one page, its pictures, and every trial as a table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .cells import draw_best_cells
from .curves import draw_convergence, draw_predictions
from .data import ReportData
from .files import config_yaml, results_csv, versions
from .gather import report_data
from .latent_map import draw_latent_map
from .page import build_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..campaign import SearchResult, Store

DPI = 150
_PICTURES: dict[str, Callable[[ReportData], Figure | None]] = {
    "convergence": draw_convergence,
    "best_cells": draw_best_cells,
    "latent_map": draw_latent_map,
    "predictions": draw_predictions,
}


def write_report(source: SearchResult | Store | ReportData, folder: str | Path) -> Path:
    """Write the report of a campaign, finished or not, into ``folder``.

    Writes ``report.html`` (self-contained), ``convergence.png``, ``best_cells.png``,
    ``latent_map.png``, ``predictions.png`` (those that there is data for; older ones of the others
    are removed), ``results.csv``, ``config.yaml`` and ``versions.json``.

    Args:
        source: what :func:`latentnas.search` returned, an open store, or plain values.
        folder: is created where it is missing.

    Returns:
        The path of ``report.html``.

    Raises:
        ConfigError: the folder cannot be written.
    """
    data = source if isinstance(source, ReportData) else report_data(source)
    folder = Path(folder)
    made = versions(data)
    pictures = {name: _png(figure) for name, draw in _PICTURES.items() if (figure := draw(data)) is not None}
    page = build_page(data, pictures, made)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PICTURES:
            path = folder / f"{name}.png"
            if name in pictures:
                path.write_bytes(pictures[name])
            else:
                path.unlink(missing_ok=True)
        (folder / "results.csv").write_text(results_csv(data), encoding="utf-8")
        (folder / "config.yaml").write_text(config_yaml(data), encoding="utf-8")
        (folder / "versions.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        path = folder / "report.html"
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the report into {folder}: {error.strerror or error}") from error
    return path


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
