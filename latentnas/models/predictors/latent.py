"""The encoder of a latent space as the encoder of a predictor, pretrained or not, frozen or fine-tuned.

Section 4.3 of Chatzianastasis et al., "Graph-based Neural Architecture Search with Operation Embeddings" (ICCV 2021
workshop), and D-VAE (Zhang et al., NeurIPS 2019), predict accuracies from latents: from the mean of the posterior of
a cell. Here the means, standardised by the statistics of the latent space, go to a ranker's head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError
from ..embedding import operation_embedding
from ..vae import GraphVAE, VAEConfig, build_encoder
from .base import CellEncoder, CellFacts, CellInputs, flag_fault, register_encoder


@register_encoder("latent")
class LatentEncoder(CellEncoder):
    """Posterior means of a :class:`~latentnas.models.GraphVAE`; see its config for the options.

    Built from options it starts from fresh weights; :meth:`pretrained` takes those of a trained model.

    Args:
        facts: the space.
        model: the architecture, ``VAEConfig.encoder``.
        op_embedding, hidden, latent_dim, bidirectional, readout, free_types, free_edges: as there.
        frozen: whether training leaves the encoder as it is, so that only the head learns.

    Attributes:
        options: these options, from which the same encoder can be built again.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        facts: CellFacts,
        *,
        model: str = "dvae",
        op_embedding: int | None = 3,
        hidden: int = 64,
        latent_dim: int = 16,
        bidirectional: bool = True,
        readout: str = "all",
        free_types: Sequence[int] | None = None,
        free_edges: Sequence[Sequence[int]] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.dim = latent_dim
        config = VAEConfig(
            num_types=facts.num_types,
            num_nodes=facts.num_nodes,
            encoder=model,
            op_embedding=op_embedding,
            hidden=hidden,
            latent_dim=latent_dim,
            bidirectional=bidirectional,
            readout=readout,
            free_types=free_types,  # type: ignore[arg-type]
            free_edges=free_edges,  # type: ignore[arg-type]
        )
        self.options = {**options_of(config), "frozen": frozen}
        self.encoder = build_encoder(config, operation_embedding(facts.num_types, op_embedding))
        for name, parameter in self.encoder.named_parameters():
            if name.startswith("logvar"):
                parameter.requires_grad_(False)  # only the mean is read
        if frozen:
            self.encoder.requires_grad_(False)
        self.register_buffer("center", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    @classmethod
    def pretrained(
        cls,
        facts: CellFacts,
        vae: GraphVAE,
        *,
        center: Tensor | None = None,
        scale: Tensor | None = None,
        frozen: bool = True,
    ) -> LatentEncoder:
        """The encoder of a trained model, its weights copied.

        Args:
            facts: the space that the model was trained on.
            vae: the model.
            center, scale: [d] float, mean and standard deviation of the latents of the space's cells.
            frozen: see the class.

        Raises:
            ConfigError: the model is one of another space.
        """
        config = vae.config
        found = (config.num_types, config.num_nodes)
        if found != (facts.num_types, facts.num_nodes):
            raise ConfigError(
                f"latent: the model reads graphs of {found[0]} types and {found[1]} vertices, the space has "
                f"{facts.num_types} and {facts.num_nodes}"
            )
        encoder = cls(facts, **options_of(config), frozen=frozen)
        encoder.encoder.load_state_dict(vae.encoder.state_dict())
        if center is not None:
            encoder.center.copy_(center)
        if scale is not None:
            encoder.scale.copy_(scale.clamp_min(1e-6))
        return encoder

    def forward(self, inputs: CellInputs) -> Tensor:
        mean, _ = self.encoder(inputs.nodes)
        return (mean - self.center) / self.scale

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        settings = {name: value for name, value in options.items() if name not in ("model", "frozen")}
        found = flag_fault(options, "frozen")
        try:
            VAEConfig(num_types=facts.num_types, num_nodes=facts.num_nodes, encoder=options["model"], **settings)
        except ConfigError as error:
            found.append(str(error).removeprefix("GraphVAE: ").replace("encoder must", "model must"))
        return found


def options_of(config: VAEConfig) -> dict[str, Any]:
    """The options of a :class:`LatentEncoder` that is built as the encoder of a model of this config."""
    return {
        "model": config.encoder,
        "op_embedding": config.op_embedding,
        "hidden": config.hidden,
        "latent_dim": config.latent_dim,
        "bidirectional": config.bidirectional,
        "readout": config.readout,
        "free_types": config.free_types,
        "free_edges": config.free_edges,
    }
