"""The picture of the best cells."""

from __future__ import annotations

from latentnas.report import draw_best_cells
from latentnas.spaces import get_space
from tests.report.campaigns import campaign, trial


def test_best_first_with_values_and_predictions() -> None:
    trials = [trial(0, 90.0), trial(1, 93.0, mean=92.0, std=0.5), trial(2, None), trial(3, 91.0)]
    figure = draw_best_cells(campaign([], trials=trials))
    assert figure is not None
    assert len(figure.axes) == 3
    texts = [text.get_text() for text in figure.texts]
    assert texts == [
        "1.  93.000 %",
        "evaluation 2, predicted 92.000 \N{PLUS-MINUS SIGN} 0.5 %",
        "2.  91.000 %",
        "evaluation 4",
        "3.  90.000 %",
        "evaluation 1",
    ]


def test_no_more_than_asked_for_and_none_without_values() -> None:
    data = campaign([float(k) for k in range(9)])
    figure = draw_best_cells(data, 4)
    assert figure is not None
    assert len(figure.axes) == 4
    assert draw_best_cells(campaign([None])) is None


def test_captions_stay_inside_and_apart() -> None:
    for name in ("nasbench201", "enas_macro12"):
        space = get_space(name)
        codes = space.sample(6, seed=0).tolist()
        trials = [
            trial(100 + k, 90.0 + k, space=name, code=code, mean=93.123, std=0.456) for k, code in enumerate(codes)
        ]
        figure = draw_best_cells(campaign([], space=space, trials=trials))
        assert figure is not None
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in figure.texts]
        assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
