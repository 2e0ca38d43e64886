from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch
from torch.nn import functional as F

from latentnas.errors import ConfigError
from latentnas.models.predictors import CellEncoder, CellInputs, NAREncoder
from latentnas.models.predictors.nar import sinusoids

from .conformance import EncoderConformance
from .test_renas import WITH_COSTS


def attention(x: torch.Tensor, source: torch.Tensor, p: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Two heads of four values, one row at a time: x [n, 8], source [m, 8] -> [n, 8]."""
    query = x @ p[f"{name}.query.weight"].T + p[f"{name}.query.bias"]
    both = source @ p[f"{name}.key_value.weight"].T + p[f"{name}.key_value.bias"]
    key, value = both[:, :8], both[:, 8:]
    rows = []
    for q in query:
        heads = []
        for h in (slice(0, 4), slice(4, 8)):
            weights = torch.stack([(q[h] * k[h]).sum() / math.sqrt(4) for k in key]).exp()
            heads.append((weights[:, None] * value[:, h]).sum(0) / weights.sum())
        rows.append(torch.cat(heads))
    return torch.stack(rows) @ p[f"{name}.out.weight"].T + p[f"{name}.out.bias"]


def norm(x: torch.Tensor, p: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def feed_forward(x: torch.Tensor, p: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    inner = (norm(x, p, f"{name}.feed_norm") @ p[f"{name}.feed.0.weight"].T + p[f"{name}.feed.0.bias"]).relu()
    return inner @ p[f"{name}.feed.2.weight"].T + p[f"{name}.feed.2.bias"] + x


class TestNAR(EncoderConformance):
    name = "nar"
    small: ClassVar = {"layers": 2, "dim": 8, "heads": 2, "feed_forward": 10, "tiers": 3}
    forms = ({}, {"view": "nodes"}, {"types": "numbers"})
    spaces = WITH_COSTS
    refusal = "reads FLOPs and parameters"

    def outputs(self, encoder: CellEncoder, inputs: CellInputs) -> torch.Tensor:
        return torch.cat([encoder(inputs), encoder.explain(inputs)["tiers"]], 1)

    def test_agrees_with_the_equations_written_for_one_cell(self) -> None:
        encoder, inputs = self.encoder("nasbench201"), self.cells("nasbench201", 3)
        assert isinstance(encoder, NAREncoder)
        p = {name: value.detach() for name, value in encoder.named_parameters()}
        patches = encoder.encoding(inputs)
        for row in range(3):
            x = patches[row].flatten(1) @ p["project.weight"].T + p["project.bias"] + encoder.positions  # eq. 4
            for layer in ("layers.0", "layers.1"):
                normed = norm(x, p, f"{layer}.attention_norm")
                x = attention(normed, normed, p, f"{layer}.attention") + x  # eq. 5
                x = feed_forward(x, p, layer)  # eq. 6
            cell = norm(x, p, "norm")  # eq. 7
            torch.testing.assert_close(encoder(inputs)[row].detach(), cell.mean(0))
            z = torch.zeros_like(cell)
            for tier in encoder.memory.embeddings:
                q = tier + encoder.positions
                for layer in ("decoder.0", "decoder.1"):
                    normed = norm(q, p, f"{layer}.attention_norm")
                    q = attention(normed, normed, p, f"{layer}.attention") + q
                    q = attention(norm(q, p, f"{layer}.match_norm"), cell, p, f"{layer}.match") + q  # eq. 10
                    q = feed_forward(q, p, layer)
                z = z + norm(q, p, "decoder_norm")
            inner = (z.mean(0) @ p["classifier.0.weight"].T + p["classifier.0.bias"]).relu()
            expected = F.softmax(inner @ p["classifier.2.weight"].T + p["classifier.2.bias"], 0)  # eq. 11
            torch.testing.assert_close(encoder.explain(inputs)["tiers"][row].detach(), expected)

    def test_sizes_that_do_not_fit(self) -> None:
        with pytest.raises(ConfigError, match="dim must be a multiple of heads, got 8 and 3"):
            self.encoder("nasbench201", heads=3)
        with pytest.raises(ConfigError, match="dim must be even"):
            self.encoder("nasbench201", dim=9, heads=3)
        with pytest.raises(ConfigError, match="ranking_weight must be a number above 0, got 0"):
            self.encoder("nasbench201", ranking_weight=0)


def test_positions() -> None:
    found = sinusoids(4, 6)
    for n in range(4):
        for i in range(3):
            angle = n / 10_000 ** (2 * i / 6)
            assert found[n, 2 * i : 2 * i + 2].tolist() == pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-6)
