"""Pictures of a latent space's study: structure against accuracy, maps over training, smoothness.

The first two are those of the operation-embedding paper (sections 4.4 and 4.5), for any cells and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import ObservationError
from .style import FAILED, INK, MUTED, OPTIMUM, RANDOM, SEARCH, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUPS = 6
"""Groups of equal size, by value, whose means are drawn over the structure of graphs (as many as in the paper)."""

CURVES = (SEARCH, FAILED, OPTIMUM, "#cc79a7", "#e69f00", "#56b4e9", "#7f5f3f", INK)
SHOWN_QUANTILES = (0.01, 0.99)
"""What the colour scale of a map spans, so that a few extreme cells do not flatten all others."""


def pearson(x: Tensor, y: Tensor) -> float:
    """Pearson correlation of two [n], n at least 2; NaN where one does not vary."""
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


# --- structure ------------------------------------------------------------------------------------


def draw_structure(measures: Mapping[str, Tensor], values: Tensor, value_label: str) -> Figure:
    """A panel a measure of graphs: values against it, with the means of six groups by value and Pearson's r.

    Args:
        measures: by their label, [n] each, finite.
        values: [n].
        value_label: their name.
    """
    if not measures or any(len(measure) != len(values) for measure in measures.values()):
        raise ObservationError("draw_structure: needs at least one measure, of as many graphs as there are values")
    figure = new_figure(4.6 * len(measures) + 0.6, 4.4)
    axes = figure.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    order = values.argsort()
    for ax, (name, measure) in zip(axes, measures.items(), strict=True):
        plain_axes(ax, name, value_label if ax is axes[0] else "")
        x, y = measure.double().numpy(), values.double().numpy()
        shown = ax.hexbin(x, y, gridsize=34, mincnt=1, cmap="Blues", bins="log", vmin=0.3, linewidths=0.1)
        groups = order.tensor_split(GROUPS)
        means = [(float(measure[group].mean()), float(values[group].mean())) for group in groups if len(group)]
        ax.plot(
            *zip(*means, strict=True),
            color=FAILED,
            marker="o",
            linewidth=1.6,
            markersize=5,
            label=f"means of {GROUPS} groups by value",
        )
        ax.set_title(f"Pearson r {pearson(measure, values):+.3f}", color=INK, fontsize=11)
    axes[0].legend(loc="lower left", frameon=False, fontsize=9, labelcolor=INK)
    figure.subplots_adjust(left=0.075, right=0.9, bottom=0.13, top=0.91, wspace=0.08)
    bar = figure.colorbar(shown, cax=figure.add_axes((0.915, 0.13, 0.012, 0.78)))
    bar.set_label("cells in a hexagon", color=INK, fontsize=10)
    return figure


# --- maps -----------------------------------------------------------------------------------------


def tsne(points: Tensor, *, seed: int = 0) -> Tensor:
    """A map of points [n, d] in two dimensions by t-SNE, from their main directions: [n, 2] float.

    Points that all coincide have no main directions; they stay one point.
    """
    from sklearn.manifold import TSNE

    if bool((points == points[:1]).all()):
        return torch.zeros(len(points), 2)
    perplexity = min(30.0, max(1.0, (len(points) - 1) / 3))
    model = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=seed)
    return torch.from_numpy(model.fit_transform(points.detach().cpu().double().numpy())).float()


@dataclass(frozen=True, eq=False)
class Map:
    """Points of one panel.

    Attributes:
        title: of the panel.
        points: [n, 2].
    """

    title: str
    points: Tensor


def draw_maps(rows: Mapping[str, Sequence[Map]], values: Tensor, value_label: str) -> Figure:
    """Rows of maps of the same cells, coloured by value; the best cells lie on top.

    Args:
        rows: by their name, the maps from left to right.
        values: [n], of the cells of every map.
        value_label: their name.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    columns = max((len(maps) for maps in rows.values()), default=0)
    if columns == 0 or any(len(one.points) != len(values) for maps in rows.values() for one in maps):
        raise ObservationError("draw_maps: needs at least one map, of as many points as there are values")
    figure = new_figure(3.2 * columns + 1.2, 3.2 * len(rows) + 0.3)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    low, high = values.double().quantile(torch.tensor(SHOWN_QUANTILES, dtype=torch.double)).tolist()
    order = values.argsort()
    for line, (name, maps) in zip(axes, rows.items(), strict=True):
        for ax in line[len(maps) :]:
            ax.set_axis_off()
        for ax, one in zip(line, maps, strict=False):
            x, y = one.points[order].T.numpy()
            ax.scatter(x, y, c=values[order].numpy(), s=4, cmap="viridis", vmin=low, vmax=high, linewidths=0)
            ax.set_title(one.title, color=INK, fontsize=10)
            ax.set_xticks([])
            ax.set_yticks([])
            for side in ax.spines.values():
                side.set_color(MUTED)
        line[0].set_ylabel(name, color=INK, fontsize=11)
    right = 1 - 1.15 / (3.2 * columns + 1.2)
    figure.subplots_adjust(left=0.04, right=right, bottom=0.02, top=0.95, wspace=0.05, hspace=0.14)
    colors = ScalarMappable(Normalize(low, high), "viridis")
    bar = figure.colorbar(colors, cax=figure.add_axes((right + 0.015, 0.1, 0.012, 0.78)), extend="both")
    bar.set_label(value_label, color=INK, fontsize=10)
    return figure


# --- smoothness -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SmoothnessCurves:
    """How values vary over one representation of cells.

    Attributes:
        distances: upper ends of bins of random pairs by distance, as a share of the typical distance of a pair.
        by_distance: mean |difference| of the pairs in each.
        by_neighbours: mean |difference| to the k nearest cells, by k.
    """

    distances: Sequence[float]
    by_distance: Sequence[float]
    by_neighbours: Mapping[int, float]


def draw_smoothness(
    curves: Mapping[str, SmoothnessCurves],
    paths: Mapping[str, Tensor],
    random: float,
    value_label: str,
    path_label: str,
) -> Figure:
    """Three panels: differences by number of nearest cells and by distance of pairs, and values along a few paths.

    Args:
        curves: by the name of the representation.
        paths: values along paths [P, S], by the name of the representation, equally spaced; the first few are drawn.
        random: mean |difference| of random pairs.
        value_label: what is measured of cells.
        path_label: what the values along paths are.
    """
    figure = new_figure(13.2, 4.3)
    near, far, along = figure.subplots(1, 3)
    plain_axes(near, "number k of nearest cells", f"mean |difference| of {value_label}")
    plain_axes(far, "distance of two cells (1: typical)", "")
    plain_axes(along, "share of the way", path_label)
    for (name, one), color in zip(curves.items(), _colors(len(curves)), strict=True):
        ks = sorted(one.by_neighbours)
        near.plot(ks, [one.by_neighbours[k] for k in ks], color=color, marker="o", markersize=4, label=name)
        far.plot(one.distances, one.by_distance, color=color, marker="o", markersize=4)
    near.set_xscale("log")
    for ax in (near, far):
        ax.axhline(random, color=RANDOM, linestyle="--", linewidth=1.2)
    near.annotate("random pairs", (1, random), xytext=(2, -12), textcoords="offset points", color=MUTED, fontsize=9)
    _draw_paths(along, paths)
    near.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.14, top=0.94, wspace=0.32)
    return figure


def _draw_paths(ax: Axes, paths: Mapping[str, Tensor], count: int = 3) -> None:
    for (name, values), color in zip(paths.items(), _colors(len(paths)), strict=True):
        way = torch.linspace(0, 1, values.shape[1])
        for k, row in enumerate(values[:count]):
            ax.step(way, row, where="mid", color=color, linewidth=1.3, alpha=0.85, label=name if k == 0 else None)
    if paths:
        ax.legend(loc="best", frameon=False, fontsize=9, labelcolor=INK)


def _colors(count: int) -> list[str]:
    return [CURVES[k % len(CURVES)] for k in range(count)]


__all__ = [
    "Map",
    "SmoothnessCurves",
    "draw_maps",
    "draw_smoothness",
    "draw_structure",
    "pearson",
    "tsne",
]
