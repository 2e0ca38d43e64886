"""What people see of a campaign: pictures, and a report folder with one self-contained page."""

from __future__ import annotations

from ..spaces.drawing import draw_cell
from .build import write_report
from .cells import draw_best_cells
from .curves import draw_convergence, draw_predictions
from .data import ReportData, Table
from .gather import report_data
from .latent_map import draw_latent_map
from .random_search import RandomCurve, best_of_draws, random_search_curve

__all__ = [
    "RandomCurve",
    "ReportData",
    "Table",
    "best_of_draws",
    "draw_best_cells",
    "draw_cell",
    "draw_convergence",
    "draw_latent_map",
    "draw_predictions",
    "random_search_curve",
    "report_data",
    "write_report",
]
