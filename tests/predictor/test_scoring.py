from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.predictor import Predictor
from latentnas.predictor.scoring import scaled_scores

SPACE = get_space("nasbench201")
CODES = SPACE.networks()[:: 4930 // 40]
WORTH = (CODES == 3).sum(1).double()


def test_scores_have_mean_and_deviation_of_the_labels_on_the_labels() -> None:
    model = Predictor("gpnas-gcn", epochs=2, ensemble=2, head=(8,), device="cpu")
    epochs = 1 + torch.arange(len(CODES)) % 3
    model.fit(CODES, WORTH, trained_epochs=epochs)
    scores = scaled_scores(model, CODES, epochs)
    assert (scores.dtype, scores.shape) == (torch.double, (2, len(CODES)))
    assert torch.allclose(scores.mean(1), WORTH.mean().expand(2), atol=1e-4)
    assert torch.allclose(scores.std(1, unbiased=False), WORTH.std(unbiased=False).expand(2), atol=1e-4)


@pytest.mark.parametrize("loss", ["hinge", "comparator"])
def test_chunks_keep_cells_and_epochs_together(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Predictor("gpnas-gcn", loss=loss, epochs=2, head=(8,), device="cpu")
    epochs = 1 + torch.arange(len(CODES)) % 3
    model.fit(CODES, WORTH, trained_epochs=epochs)
    together = scaled_scores(model, CODES, epochs)
    monkeypatch.setattr("latentnas.predictor.scoring.CHUNK", 7)
    assert torch.allclose(scaled_scores(model, CODES, epochs), together, atol=1e-3)
    assert scaled_scores(model, CODES[:0], epochs[:0]).shape == (1, 0)
