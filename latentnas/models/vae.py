"""The variational autoencoder of DAGs: an encoder, a decoder, one table of operation embeddings."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..spaces.graphs import NodeGraphs
from .decoder import DVAEDecoder
from .dvae import DVAEEncoder
from .embedding import operation_embedding

ENCODERS = ("dvae",)
READOUTS = ("all", "ends")
WIDEST = 8192
"""Largest size of a layer."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """What a :class:`GraphVAE` is built from; saved beside its weights.

    Attributes:
        num_types: T, vertex types of the space.
        num_nodes: N, largest number of vertices.
        encoder: "dvae".
        op_embedding: d_op, dimension of the learnable operation embeddings; None for one-hot.
        hidden: H, size of a vertex state.
        latent_dim: d, size of the latent.
        bidirectional: whether the encoder also reads the graph backwards.
        readout: what of the encoder's states the latent sees: "all" vertices, or the two "ends"
            (published).
        latent_input: whether z enters every decision of the decoder.
        type_hidden, edge_hidden: widths of the decoder's decision networks.
        beta: weight of the KL divergence in the loss (published: 0.005).
        noise: scale of the sampling noise in training, in posterior standard deviations. 1 makes
            it a true VAE, whose posterior is a neighbourhood that decodes to the same cell
            (published: 0.01, nearly a plain autoencoder).
    """

    num_types: int
    num_nodes: int
    encoder: str = "dvae"
    op_embedding: int | None = 3
    hidden: int = 64
    latent_dim: int = 16
    bidirectional: bool = True
    readout: str = "all"
    latent_input: bool = True
    type_hidden: int = 128
    edge_hidden: int = 64
    beta: float = 0.02
    noise: float = 1.0

    def __post_init__(self) -> None:
        faults = []
        if self.encoder not in ENCODERS:
            faults.append(f"encoder must be one of {', '.join(ENCODERS)}, got {self.encoder!r}")
        if self.readout not in READOUTS:
            faults.append(f"readout must be one of {', '.join(READOUTS)}, got {self.readout!r}")
        for name in ("num_types", "num_nodes", "hidden", "latent_dim", "type_hidden", "edge_hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                faults.append(f"{name} must be a positive integer, got {value!r}")
            elif value > WIDEST:
                faults.append(f"{name} must be at most {WIDEST}, got {value}")
        dim = self.op_embedding
        if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool) or dim < 1):
            faults.append(f"op_embedding must be a positive integer or None (one-hot), got {self.op_embedding!r}")
        elif dim is not None and dim > WIDEST:
            faults.append(f"op_embedding must be at most {WIDEST}, got {dim}")
        for name in ("bidirectional", "latent_input"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, got {getattr(self, name)!r}")
        for name in ("beta", "noise"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                faults.append(f"{name} must be a number of at least 0, got {value!r}")
        if faults:
            raise ConfigError("GraphVAE: " + "; ".join(faults))

    def to_dict(self) -> dict[str, object]:
        """JSON types, for config.json."""
        return asdict(self)


@dataclass(frozen=True)
class VAELoss:
    """Loss of a batch, scalars in nats a graph (means over the batch).

    Attributes:
        loss: reconstruction + beta * kld.
        reconstruction: negative log-likelihood of the graphs given sampled latents.
        kld: Kullback-Leibler divergence of the posterior from N(0, I).
        mean: [B, d], the posterior means.
    """

    loss: Tensor
    reconstruction: Tensor
    kld: Tensor
    mean: Tensor


class GraphVAE(nn.Module):
    r"""A VAE whose evidence lower bound is eq. 1 of the operation-embedding paper:

    .. math:: \mathbb{E}_{q(z|G)}[\log p(G|z)] - \beta\, KL[q(z|G) \| N(0, I)]

    Args:
        config: sizes and weights of the losses.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.operations = operation_embedding(config.num_types, config.op_embedding)
        self.encoder = DVAEEncoder(
            self.operations,
            num_nodes=config.num_nodes,
            hidden=config.hidden,
            latent_dim=config.latent_dim,
            bidirectional=config.bidirectional,
            readout=config.readout,
        )
        self.decoder = DVAEDecoder(
            self.operations,
            self.encoder.sum_forward,
            num_types=config.num_types,
            num_nodes=config.num_nodes,
            hidden=config.hidden,
            latent_dim=config.latent_dim,
            type_hidden=config.type_hidden,
            edge_hidden=config.edge_hidden,
            latent_input=config.latent_input,
        )

    def encode(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance: two tensors [B, d]."""
        return self.encoder(graphs)

    def reparameterize(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """A sample of the posterior, its noise scaled by ``config.noise``; the mean in evaluation."""
        if not self.training:
            return mean
        return mean + self.config.noise * torch.randn_like(mean) * (0.5 * logvar).exp()

    def loss(self, graphs: NodeGraphs) -> VAELoss:
        """Negative evidence lower bound of a batch of graphs under teacher forcing."""
        mean, logvar = self.encode(graphs)
        z = self.reparameterize(mean, logvar)
        reconstruction = -self.decoder.log_likelihood(z, graphs).mean()
        kld = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()
        return VAELoss(reconstruction + self.config.beta * kld, reconstruction, kld, mean)
