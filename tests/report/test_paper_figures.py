"""Pictures of a study: what they draw, not how it looks."""

from __future__ import annotations

import math

import pytest
import torch

from latentnas.errors import ObservationError
from latentnas.report.paper_figures import (
    GROUPS,
    Map,
    SmoothnessCurves,
    draw_maps,
    draw_smoothness,
    draw_structure,
    pearson,
    tsne,
)


def test_pearson_by_hand() -> None:
    assert pearson(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 3, 2])) == pytest.approx(0.5)
    assert math.isnan(pearson(torch.ones(3), torch.arange(3)))


def test_structure_shows_r_and_the_means_of_groups() -> None:
    values = torch.arange(60).double()
    figure = draw_structure({"one": values * 2, "two": -values}, values, "accuracy")
    first, second = figure.axes[:2]
    assert (first.get_title(), second.get_title()) == ("Pearson r +1.000", "Pearson r -1.000")
    assert (first.get_xlabel(), second.get_xlabel(), first.get_ylabel()) == ("one", "two", "accuracy")
    x, y = first.lines[0].get_data()
    assert len(x) == GROUPS
    assert list(y) == pytest.approx([4.5, 14.5, 24.5, 34.5, 44.5, 54.5])
    assert list(x) == pytest.approx([9, 29, 49, 69, 89, 109])


def test_structure_needs_measures_of_the_same_graphs() -> None:
    for measures in ({}, {"one": torch.zeros(3)}):
        with pytest.raises(ObservationError, match="draw_structure"):
            draw_structure(measures, torch.zeros(4), "accuracy")


def test_maps_draw_every_cell_the_best_on_top() -> None:
    points = torch.arange(10).float().reshape(5, 2)
    values = torch.tensor([3.0, 1, 5, 2, 4])
    figure = draw_maps({"a": [Map("first", points), Map("last", points + 1)], "b": [Map("only", points)]}, values, "v")
    first, last, only, empty = figure.axes[:4]
    assert [ax.get_title() for ax in (first, last, only)] == ["first", "last", "only"]
    assert (first.get_ylabel(), only.get_ylabel()) == ("a", "b")
    assert not empty.axison
    shown = first.collections[0]
    assert shown.get_array().tolist() == [1, 2, 3, 4, 5]
    assert shown.get_offsets().tolist() == points[torch.tensor([1, 3, 0, 4, 2])].tolist()
    assert figure.axes[-1].get_ylabel() == "v"


def test_maps_need_points_of_the_same_cells() -> None:
    for rows in ({}, {"a": []}, {"a": [Map("x", torch.zeros(3, 2))]}):
        with pytest.raises(ObservationError, match="draw_maps"):
            draw_maps(rows, torch.zeros(4), "v")


def test_tsne_keeps_clusters_and_repeats() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(40, 5, generator=generator)
    points[20:] += 50
    found = tsne(points, seed=1)
    assert found.shape == (40, 2)
    apart = torch.cdist(found, found)
    assert float(apart[:20, :20].max()) < float(apart[:20, 20:].min())
    assert torch.equal(found, tsne(points, seed=1))
    assert tsne(torch.zeros(6, 3)).shape == (6, 2)  # an untrained space may have all cells in one point


def test_smoothness_draws_every_representation() -> None:
    curves = {
        "ours": SmoothnessCurves([0.5, 1.0], [0.1, 0.2], {10: 0.2, 1: 0.1}),
        "one-hot": SmoothnessCurves([0.5, 1.0], [0.3, 0.4], {1: 0.3, 10: 0.4}),
    }
    way = torch.tensor([[0.0, 1, 2], [2, 1, 0]])
    figure = draw_smoothness(curves, {"ours": way}, 0.5, "accuracy", "predicted")
    near, far, along = figure.axes
    assert [line.get_label() for line in near.lines[:2]] == ["ours", "one-hot"]
    assert [list(values) for values in near.lines[0].get_data()] == [[1, 10], [0.1, 0.2]]
    assert [list(values) for values in far.lines[1].get_data()] == [[0.5, 1.0], [0.3, 0.4]]
    assert list(near.lines[2].get_ydata()) == [0.5, 0.5]
    assert len(along.lines) == 2
    assert list(along.lines[1].get_ydata()) == [2, 1, 0]
