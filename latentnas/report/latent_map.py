"""Map of the latent space: its two main directions, coloured by value, with the path of the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..campaign.records import Trial
from .data import ReportData
from .style import INK, MUTED, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BACKGROUND = 20_000
"""Cells drawn behind the search; of a larger table, or without one, this many are drawn at random."""
SAMPLED = 4_000
LOW_PERCENTILE = 0.1
"""The colour scale starts here: values are heavy-tailed downwards, and a few bad cells would flatten all others."""
PATH = "#d55e00"


@dataclass(frozen=True, eq=False)
class Projection:
    """The two main directions of a cloud of points.

    Attributes:
        center: [d].
        axes: [d, 2], orthonormal columns.
        explained: [2], share of the variance along each.
    """

    center: Tensor
    axes: Tensor
    explained: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Coordinates of ``points`` [n, d]: [n, 2]."""
        return (points.double() - self.center) @ self.axes


def principal_axes(points: Tensor) -> Projection:
    """Principal component analysis in two dimensions, exact and with fixed signs.

    Args:
        points: [n, d], n at least 2, d at least 2.
    """
    points = points.double()
    center = points.mean(0)
    covariance = torch.cov((points - center).T)
    variance, vectors = torch.linalg.eigh(covariance)
    axes = vectors[:, [-1, -2]]
    # An eigenvector's sign is arbitrary: its largest entry is made positive, so pictures repeat.
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    total = variance.clamp_min(0).sum().clamp_min(1e-300)
    return Projection(center, axes, variance[[-1, -2]].clamp_min(0) / total)


def trial_latents(data: ReportData) -> tuple[list[Trial], Tensor]:
    """Where the complete trials lie: the encoder's latent of the cell, else the proposal's own.

    Returns:
        trials: those that have a latent, in order.
        latents: [m, d] double.
    """
    trials = data.complete
    if data.latent_space is not None and trials:
        return trials, data.latent_space.encode(data.codes(trials)).detach().cpu().double()
    trials = [t for t in trials if t.latent is not None]
    return trials, torch.tensor([t.latent for t in trials], dtype=torch.double)


def draw_latent_map(data: ReportData, *, seed: int = 0) -> Figure | None:
    """The latent space in its two main directions; None where no latent is known.

    Behind: hexagons coloured by the median value of the table's cells in them, or without a table by
    the number of cells drawn at random. In front: the evaluated cells from the first (white) to the last (black), the
    cells that were the best so far joined by a line and numbered by evaluation, the best as a star.

    Args:
        data: the campaign.
        seed: of the cells drawn behind.
    """
    trials, latents = trial_latents(data)
    if not trials and data.latent_space is None:
        return None
    background, values = _background(data, seed)
    cloud = background if background is not None else latents
    if len(cloud) < 2 or cloud.shape[1] < 2:
        return None
    project = principal_axes(cloud)
    figure = new_figure(8.6, 6.4)
    ax = figure.add_axes((0.095, 0.1, 0.77, 0.83))
    share = (100 * project.explained).tolist()
    plain_axes(ax, f"first direction ({share[0]:.0f}% of the variance)", f"second ({share[1]:.0f}%)")
    ax.grid(False)
    if background is not None:
        _draw_background(data, ax, project(background), values)
    if trials:
        _draw_search(data, ax, trials, project(latents))
        figure.legend(
            loc="upper center", ncols=3, frameon=False, fontsize=10, labelcolor=INK, handletextpad=0.4,
            bbox_to_anchor=(0.475, 0.985), columnspacing=1.6,
        )  # fmt: skip
    return figure


def _background(data: ReportData, seed: int) -> tuple[Tensor | None, Tensor | None]:
    """Latents [n, d] of the cells drawn behind, and their values where they are known."""
    if data.latent_space is None:
        return None, None
    if data.table is None:
        return data.latent_space.encode(data.space.sample(SAMPLED, seed=seed)).detach().cpu().double(), None
    codes, values = data.table.codes, data.table.values
    if len(codes) > MAX_BACKGROUND:
        generator = torch.Generator().manual_seed(seed)
        kept = torch.randperm(len(codes), generator=generator)[:MAX_BACKGROUND]
        codes, values = codes[kept], values[kept]
    return data.latent_space.encode(codes).detach().cpu().double(), values


def _draw_background(data: ReportData, ax: Axes, points: Tensor, values: Tensor | None) -> None:
    figure = ax.figure
    low, high = points.quantile(0.0005, dim=0), points.quantile(0.9995, dim=0)
    pad = 0.04 * (high - low)
    ax.set_xlim(float(low[0] - pad[0]), float(high[0] + pad[0]))
    ax.set_ylim(float(low[1] - pad[1]), float(high[1] + pad[1]))
    bar_ax = figure.add_axes((0.885, 0.1, 0.02, 0.83))
    x, y = points.T.numpy()
    grid = min(40, max(6, round(len(points) ** 0.5 / 3)))
    if values is None:
        shown = ax.hexbin(x, y, gridsize=grid, mincnt=1, cmap="Greys", alpha=0.8, linewidths=0)
        bar = figure.colorbar(shown, cax=bar_ax)
        bar.set_label(f"cells in a hexagon, of {len(points):,} drawn at random", color=INK, fontsize=10)
    else:
        # Medians: one cell in a hexagon that does not train would decide its mean.
        shown = ax.hexbin(
            x,
            y,
            C=values.numpy(),
            reduce_C_function=np.median,
            gridsize=grid,
            cmap="cividis",
            edgecolors="face",
            linewidths=0.3,
        )
        medians = np.asarray(shown.get_array(), dtype=float)
        shown.set_clim(float(np.quantile(medians, LOW_PERCENTILE)), float(medians.max()))
        bar = figure.colorbar(shown, cax=bar_ax, extend="min")
        bar.set_label(f"{data.value_label}, median of the cells in a hexagon", color=INK, fontsize=10)
    bar.ax.tick_params(labelsize=9, colors=MUTED, labelcolor=INK)
    bar.outline.set_visible(False)


def _draw_search(data: ReportData, ax: Axes, trials: list[Trial], points: Tensor) -> None:
    from matplotlib.patheffects import withStroke

    row = {t.number: k for k, t in enumerate(trials)}
    # The search may have gone where hardly any cell lies.
    ax.set_xlim(*_widened(ax.get_xlim(), points[:, 0]))
    ax.set_ylim(*_widened(ax.get_ylim(), points[:, 1]))
    ax.scatter(
        points[:, 0], points[:, 1], c=range(len(trials)), cmap="gray_r", s=24, edgecolor=INK, linewidth=0.8, zorder=3,
        label="evaluated, first (white) to last (black)",
    )  # fmt: skip
    path = [t for t in data.incumbents if t.number in row]
    if not path:
        return
    line = points[[row[t.number] for t in path]]
    halo = [withStroke(linewidth=4, foreground="white", alpha=0.9)]
    ax.plot(line[:, 0], line[:, 1], color=PATH, linewidth=1.8, zorder=4, path_effects=halo, marker="o", markersize=6,
            markeredgecolor="white", markeredgewidth=0.8, label="best so far, with its evaluation")  # fmt: skip
    x, y = line[-1:].T
    ax.scatter(x, y, marker="*", s=330, color=PATH, edgecolor="white", linewidth=1.2, zorder=6, label="best")
    _number(ax, line, [str(data.evaluation_of(t)) for t in path])


def _widened(limits: tuple[float, float], values: Tensor) -> tuple[float, float]:
    """``limits`` of an axis, wide enough for ``values``, too."""
    pad = 0.03 * (limits[1] - limits[0])
    return min(limits[0], float(values.min()) - pad), max(limits[1], float(values.max()) + pad)


def _number(ax: Axes, points: Tensor, texts: list[str]) -> None:
    """Write ``texts`` beside ``points`` [n, 2] where they hide neither each other nor the points; the last first."""
    from matplotlib.patheffects import withStroke

    pixels = torch.tensor(ax.transData.transform(points.numpy()))
    scale = ax.figure.dpi / 72
    taken: list[tuple[float, float, float, float]] = []
    for k in reversed(range(len(texts))):
        wide, tall = (6.4 * len(texts[k]) + 2) * scale, 11 * scale
        away = (13 if k == len(texts) - 1 else 9) * scale
        for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1.4), (0, -1.4), (1.4, 0), (-1.4, 0), (2, 2), (-2, -2)):
            x, y = float(pixels[k, 0]) + dx * away, float(pixels[k, 1]) + dy * away
            box = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
            hits = any(b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3] for b in taken)
            covers = ((pixels[:, 0] - x).abs() < wide / 2) & ((pixels[:, 1] - y).abs() < tall / 2)
            if not hits and not bool(covers.any()):
                taken.append(box)
                ax.annotate(
                    texts[k], (float(points[k, 0]), float(points[k, 1])), xytext=(dx * away / scale, dy * away / scale),
                    textcoords="offset points", ha="center", va="center", fontsize=10, fontweight="bold", color=INK,
                    zorder=7, path_effects=[withStroke(linewidth=3, foreground="white")],
                )  # fmt: skip
                break


__all__ = ["Projection", "draw_latent_map", "principal_axes", "trial_latents"]
