"""latentnas/models/predictors/gates_plus_plus.py; its arithmetic with measures is tested with ``gates``."""

from __future__ import annotations

import torch

from latentnas.models.predictors import get_encoder, list_encoders
from latentnas.models.predictors.gates import GATESEncoder
from latentnas.models.predictors.gates_plus_plus import GATESPlusPlusEncoder

from .inputs import cells, facts


def test_gates_with_measures_of_its_own() -> None:
    assert "gates++" in list_encoders()
    assert GATESPlusPlusEncoder.measures == {"op_features": "zero_cost", "targets": "zero_cost"}
    assert not GATESEncoder.measures
    codes = torch.tensor([[0, 1, 2, 3, 4, 0], [3, 3, 3, 3, 3, 3]])
    embeddings = []
    for name in ("gates", "gates++"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder = get_encoder(name, facts("nasbench201"), hidden=8)
        embeddings.append(encoder(cells("nasbench201", codes)))
    assert torch.equal(*embeddings)
