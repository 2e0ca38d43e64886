from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.models import GraphVAE, VAEConfig
from latentnas.models.predictors import LatentEncoder
from latentnas.models.vae import ENCODERS

from .conformance import EncoderConformance
from .inputs import facts

SMALL = {"hidden": 6, "latent_dim": 4}


class TestLatent(EncoderConformance):
    name = "latent"
    small: ClassVar = SMALL
    forms = ({}, *({"model": model} for model in ENCODERS[1:]), {"op_embedding": None, "bidirectional": False})
    spaces = ("nasbench101", "nasbench201", "enas_macro6", "darts")

    def test_other_spaces_are_refused(self) -> None:
        """It applies everywhere; latent spaces have suites of their own."""


def vae(space: str = "nasbench201") -> GraphVAE:
    known = facts(space)
    sizes = {"num_types": known.num_types, "num_nodes": known.num_nodes, "type_hidden": 6, "edge_hidden": 6}
    return GraphVAE(VAEConfig(**sizes, **SMALL))


def test_pretrained_weights_are_copied_and_latents_standardised() -> None:
    model, inputs = vae(), TestLatent().cells("nasbench201", 5)
    center, scale = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, 0.5, 4])
    encoder = LatentEncoder.pretrained(facts("nasbench201"), model, center=center, scale=scale)
    expected = (model.encode(inputs.nodes)[0] - center) / scale
    torch.testing.assert_close(encoder(inputs), expected)
    assert not any(p.requires_grad for p in encoder.parameters())
    again = LatentEncoder(facts("nasbench201"), **SMALL)
    again.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(again(inputs), expected)
    with torch.no_grad():
        model.operations.weight.zero_()
    torch.testing.assert_close(encoder(inputs), expected, msg="a copy")


def test_fine_tuning_leaves_the_log_variance_alone() -> None:
    encoder = LatentEncoder.pretrained(facts("nasbench201"), vae(), frozen=False)
    fixed = [name for name, p in encoder.named_parameters() if not p.requires_grad]
    assert fixed == ["encoder.logvar.weight", "encoder.logvar.bias"]


def test_a_model_of_another_space() -> None:
    with pytest.raises(ConfigError, match="7 types and 8 vertices, the space has 5 and 7"):
        LatentEncoder.pretrained(facts("nasbench101"), vae())
