"""The map: principal axes against an independent decomposition, and what is drawn where."""

from __future__ import annotations

import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from latentnas.report import Table, draw_latent_map
from latentnas.report.latent_map import principal_axes, trial_latents
from latentnas.spaces import get_space
from tests.report.campaigns import LinearLatent, campaign, small_table, trial


def test_principal_axes_agree_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(300, 5, generator=generator) * torch.tensor([3.0, 0.2, 1.5, 0.1, 0.7]) + 4
    ours = principal_axes(points)
    theirs = PCA(2).fit(points.double().numpy())
    assert_allclose(ours.explained, theirs.explained_variance_ratio_, rtol=1e-9)
    assert_allclose(ours(points).abs(), abs(theirs.transform(points.double().numpy())), rtol=1e-6, atol=1e-9)


def test_signs_are_fixed() -> None:
    points = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    axes = principal_axes(points).axes
    assert bool((axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all())


def test_latents_come_from_the_encoder_else_from_the_proposals() -> None:
    space = get_space("nasbench201")
    latent = LinearLatent(space)
    trials = [trial(0, 90.0, latent=(1.0, 2.0)), trial(1, 91.0), trial(2, None, latent=(5.0, 6.0))]
    found, points = trial_latents(campaign([], trials=trials))
    assert [t.number for t in found] == [0]
    assert points.tolist() == [[1.0, 2.0]]
    found, points = trial_latents(campaign([], trials=trials, latent_space=latent))
    assert [t.number for t in found] == [0, 1]
    torch.testing.assert_close(points, latent.encode(torch.tensor([t.code for t in found])).double())


def test_path_of_the_search_is_drawn() -> None:
    space = get_space("nasbench201")
    latent = LinearLatent(space)
    data = campaign([90.0, 92.0, None, 91.0, 93.0], latent_space=latent, table=small_table())
    figure = draw_latent_map(data)
    assert figure is not None
    ax = figure.axes[0]
    project = principal_axes(latent.encode(space.enumerate()))
    incumbents = latent.encode(torch.tensor([data.trials[k].code for k in (0, 1, 4)]))
    assert_allclose(ax.lines[0].get_xydata(), project(incumbents), atol=1e-6)
    # The last label is never dropped; the others only where there is no room.
    assert {text.get_text() for text in ax.texts} <= {"1", "2", "5"}
    assert "5" in {text.get_text() for text in ax.texts}
    assert f"{100 * float(project.explained[0]):.0f}% of the variance" in ax.get_xlabel()


def test_hexagons_have_the_median_value_of_their_cells() -> None:
    space = get_space("nasbench201")
    latent = LinearLatent(space)
    codes = space.enumerate()
    project = principal_axes(latent.encode(codes))
    across = project(latent.encode(codes))[:, 0]
    # A cell is worth its first coordinate: a hexagon's median is then near the hexagon's own.
    figure = draw_latent_map(campaign([90.0], latent_space=latent, table=Table(codes, across)))
    assert figure is not None
    hexagons = figure.axes[0].collections[0]
    width = float(across.max() - across.min()) / 40
    assert len(hexagons.get_offsets()) > 300
    assert_allclose(hexagons.get_array(), hexagons.get_offsets()[:, 0], atol=width)
    low, high = hexagons.get_clim()
    assert float(across.min()) < low < high <= float(across.max())


def test_without_table_the_density_of_cells_is_behind() -> None:
    space = get_space("enas_macro6")
    data = campaign([], space=space, latent_space=LinearLatent(space), trials=[trial(0, 0.7, space="enas_macro6")])
    figure = draw_latent_map(data)
    assert figure is not None
    assert "drawn at random" in figure.axes[1].get_ylabel()


def test_without_latents_there_is_no_map() -> None:
    assert draw_latent_map(campaign([90.0, 91.0])) is None
    assert draw_latent_map(campaign([])) is None
    # One point alone has no direction.
    assert draw_latent_map(campaign([], trials=[trial(0, 90.0, latent=(1.0, 2.0))])) is None


def test_proposals_alone_make_a_map() -> None:
    trials = [trial(k, 90.0 + k, latent=(float(k), float(k * k), 1.0)) for k in range(4)]
    figure = draw_latent_map(campaign([], trials=trials))
    assert figure is not None
    figure.canvas.draw()


def test_labels_do_not_overlap() -> None:
    space = get_space("nasbench201")
    data = campaign([float(k) for k in range(40)], latent_space=LinearLatent(space), table=small_table())
    figure = draw_latent_map(data)
    assert figure is not None
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) >= 10
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
