"""The variational autoencoder of DAGs: an encoder, a decoder, one table of operation embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..spaces.graphs import NodeGraphs
from .adjacency import AdjacencyEncoder
from .carrier import start_as_carrier
from .decoder import DVAEDecoder
from .dvae import DVAEEncoder, GatedSum
from .embedding import OneHotOperations, OperationEmbedding, operation_embedding
from .gcn import GCNEncoder
from .gcn_pyg import PyGGCNEncoder
from .graphrnn import GraphRNNDecoder
from .svae import StringEncoder, SVAEDecoder

ENCODERS = ("adjacency", "dvae", "gcn", "gcn-pyg", "svae", "graphrnn")
PUBLISHED_READOUT = {"dvae": "ends", "gcn": "sum", "gcn-pyg": "sum", "svae": "ends", "graphrnn": "ends"}
STRINGS = ("svae", "graphrnn")
"""Models that read and write a graph as a string of vertex descriptors."""
WIDEST = 8192
"""Largest size of a layer."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """What a :class:`GraphVAE` is built from; saved beside its weights.

    Attributes:
        num_types: T, vertex types of the space.
        num_nodes: N, largest number of vertices.
        encoder: the model, encoder and decoder:

            - "adjacency": operation embeddings and edges as coordinates, D-VAE's decoder;
            - "dvae": asynchronous message passing, D-VAE's decoder;
            - "gcn": three directed graph convolutions as in the public D-VAE code, D-VAE's decoder;
            - "gcn-pyg": three simultaneous graph convolutions of torch_geometric, D-VAE's decoder;
            - "svae": string GRUs;
            - "graphrnn": a string GRU, and GraphRNN's vertex-level and edge-level RNNs as the decoder.
        op_embedding: d_op, dimension of the learnable operation embeddings; None for one-hot.
        hidden: H, size of a vertex state.
        latent_dim: d, size of the latent.
        bidirectional: whether the encoder also reads the graph backwards.
        readout: what of the encoder's states the latent sees: "all" vertices, or what was published: the
            "ends" (dvae, svae, graphrnn), or the "sum" over the inner vertices (gcn, gcn-pyg).
        latent_input: whether z enters every decision of the decoder.
        type_hidden, edge_hidden: widths of the decoder's decision networks.
        free_types, free_edges: for "adjacency", the vertices whose type varies and the pairs (u, v), u < v, whose
            edge varies in the space; None means all vertices but the input, and all pairs.
        beta: weight of the KL divergence in the loss (published: 0.005).
        noise: scale of the sampling noise in training, in posterior standard deviations. 1 makes
            it a true VAE, whose posterior is a neighbourhood that decodes to the same cell
            (published: 0.01, nearly a plain autoencoder).
        at_mean: share of the cells of a training step that are decoded from their mean, without noise, as encoded
            cells are (published: 0).
        mean_weight: weight of their likelihood in the loss; above 1 it makes the mean of a cell decode to the cell
            more surely than the posterior around it (published: 1).
        carry: whether the weights start so that states are passed on from vertex to vertex (:mod:`.carrier`),
            without which a decoder that sees z in its first state alone learns very slowly (published: no).
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
    free_types: tuple[int, ...] | None = None
    free_edges: tuple[tuple[int, int], ...] | None = None
    beta: float = 0.02
    noise: float = 1.0
    at_mean: float = 0.0
    mean_weight: float = 1.0
    carry: bool = False

    def __post_init__(self) -> None:
        faults = []
        if self.encoder not in ENCODERS:
            faults.append(f"encoder must be one of {', '.join(ENCODERS)}, got {self.encoder!r}")
            readouts = ("all", *sorted(set(PUBLISHED_READOUT.values())))
        else:
            readouts = ("all", *filter(None, [PUBLISHED_READOUT.get(self.encoder)]))
        if self.readout not in readouts:
            faults.append(f"readout must be one of {', '.join(readouts)}, got {self.readout!r}")
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
        for name in ("bidirectional", "latent_input", "carry"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, got {getattr(self, name)!r}")
        for name in ("beta", "noise", "mean_weight"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                faults.append(f"{name} must be a number of at least 0, got {value!r}")
        if not isinstance(self.at_mean, int | float) or not 0 <= self.at_mean <= 1:
            faults.append(f"at_mean must be a number from 0 to 1, got {self.at_mean!r}")
        if not faults:
            faults += self._set_free()
        if faults:
            raise ConfigError("GraphVAE: " + "; ".join(faults))

    def _set_free(self) -> list[str]:
        """Make ``free_types`` and ``free_edges`` tuples, as JSON has no tuples; returns what is wrong with them."""
        faults = []
        types, edges, nodes = self.free_types, self.free_edges, self.num_nodes
        if self.encoder != "adjacency":
            for name, value in (("free_types", types), ("free_edges", edges)):
                if value is not None:
                    faults.append(f"{name} belongs to the encoder adjacency, got {value!r} with {self.encoder}")
            return faults
        types = tuple(range(1, nodes)) if types is None else types
        edges = tuple((u, v) for v in range(nodes) for u in range(v)) if edges is None else edges
        try:
            pairs = tuple((int(u), int(v)) for u, v in edges)
            vertices = tuple(int(v) for v in types)
        except (TypeError, ValueError):
            return [f"free_types must be vertices and free_edges pairs of vertices, got {types!r} and {edges!r}"]
        if not all(0 < v < nodes for v in vertices) or len(set(vertices)) < len(vertices):
            faults.append(f"free_types must be distinct vertices from 1 to {nodes - 1}, got {vertices}")
        if not all(0 <= u < v < nodes for u, v in pairs) or len(set(pairs)) < len(pairs):
            faults.append(f"free_edges must be distinct pairs u < v of vertices below {nodes}, got {pairs}")
        if not vertices and not pairs:
            faults.append("free_types and free_edges are both empty: nothing would be encoded")
        object.__setattr__(self, "free_types", vertices)
        object.__setattr__(self, "free_edges", pairs)
        return faults

    @classmethod
    def published(
        cls,
        encoder: str = "dvae",
        *,
        num_types: int,
        num_nodes: int,
        hidden: int = 501,
        latent_dim: int = 56,
        bidirectional: bool = False,
        op_embedding: int | None = None,
    ) -> VAEConfig:
        """The model wired, sized and weighted as in the public D-VAE code.

        Args:
            encoder, num_types, num_nodes, hidden, latent_dim, bidirectional: see the attributes (published:
                bidirectional for "dvae" alone).
            op_embedding: None as in D-VAE; 3 in the operation-embedding paper.

        Raises:
            ConfigError: a value is out of range.
        """
        wide = 1 if encoder in STRINGS else 2
        return cls(
            num_types=num_types,
            num_nodes=num_nodes,
            encoder=encoder,
            op_embedding=op_embedding,
            hidden=hidden,
            latent_dim=latent_dim,
            bidirectional=bidirectional,
            readout=PUBLISHED_READOUT.get(encoder, "all"),
            latent_input=False,
            type_hidden=wide * hidden,
            edge_hidden=wide**2 * hidden,
            beta=0.005,
            noise=0.01,
        )

    def to_dict(self) -> dict[str, object]:
        """JSON types, for config.json."""
        return asdict(self)


@dataclass(frozen=True)
class VAELoss:
    """Loss of a batch, scalars in nats a graph (means over the batch).

    Attributes:
        loss: reconstruction + beta * kld; with ``mean_weight`` other than 1, the reconstruction is weighted.
        reconstruction: negative log-likelihood of the graphs given sampled latents.
        kld: Kullback-Leibler divergence of the posterior from N(0, I).
        mean: [B, d], the posterior means.
    """

    loss: Tensor
    reconstruction: Tensor
    kld: Tensor
    mean: Tensor


RECURRENT: dict[str, Callable[..., nn.Module]] = {
    "dvae": DVAEEncoder,
    "gcn": GCNEncoder,
    "gcn-pyg": PyGGCNEncoder,
    "svae": StringEncoder,
    "graphrnn": StringEncoder,
}


def build_encoder(config: VAEConfig, operations: OneHotOperations | OperationEmbedding) -> nn.Module:
    """The encoder of ``config``, which reads vertex types through ``operations``."""
    if config.free_types is not None and config.free_edges is not None:
        return AdjacencyEncoder(
            operations,
            num_nodes=config.num_nodes,
            latent_dim=config.latent_dim,
            free_types=config.free_types,
            free_edges=config.free_edges,
        )
    return RECURRENT[config.encoder](
        operations,
        num_nodes=config.num_nodes,
        hidden=config.hidden,
        latent_dim=config.latent_dim,
        bidirectional=config.bidirectional,
        readout=config.readout,
    )


class GraphVAE(nn.Module):
    r"""A VAE whose evidence lower bound is eq. 1 of the operation-embedding paper:

    .. math:: \mathbb{E}_{q(z|G)}[\log p(G|z)] - \beta\, KL[q(z|G) \| N(0, I)]

    The paper trains in T rounds (section 3.3, "Implementation"): each starts with the operation embeddings that the
    round before ended with, and with fresh other weights::

        model = GraphVAE(config)
        for _ in range(T):
            model = GraphVAE(config, embeddings=model.embeddings)
            train(model)

    Args:
        config: the model, its sizes and the weights of the losses.
        embeddings: [num_types, d_op] float, the operation embeddings to start from; by default from N(0, 1).

    Raises:
        ConfigError: embeddings are given for a model that has none, or have a wrong shape or value.
    """

    def __init__(self, config: VAEConfig, *, embeddings: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.operations = operation_embedding(config.num_types, config.op_embedding)
        if embeddings is not None:
            self._start_from(embeddings)
        self.encoder = build_encoder(config, self.operations)
        self.decoder = self._decoder(config)
        if config.carry:
            start_as_carrier(self)

    def _start_from(self, embeddings: Tensor) -> None:
        if not isinstance(self.operations, OperationEmbedding):
            raise ConfigError("GraphVAE: embeddings were given, but op_embedding is None (one-hot)")
        shape = self.operations.weight.shape
        if embeddings.shape != shape or not bool(embeddings.isfinite().all()):
            raise ConfigError(
                f"GraphVAE: embeddings must be finite, of shape {list(shape)}; got shape {list(embeddings.shape)}, "
                f"{int((~embeddings.isfinite()).sum())} values not finite"
            )
        with torch.no_grad():
            self.operations.weight.copy_(embeddings)

    def _decoder(self, config: VAEConfig) -> DVAEDecoder | SVAEDecoder | GraphRNNDecoder:
        sizes: dict[str, Any] = {
            "num_types": config.num_types,
            "num_nodes": config.num_nodes,
            "hidden": config.hidden,
            "latent_dim": config.latent_dim,
            "type_hidden": config.type_hidden,
            "edge_hidden": config.edge_hidden,
            "latent_input": config.latent_input,
        }
        if config.encoder == "svae":
            return SVAEDecoder(**sizes)
        if config.encoder == "graphrnn":
            return GraphRNNDecoder(self.operations, **sizes)
        if isinstance(self.encoder, DVAEEncoder):  # the decoder sends the encoder's messages
            return DVAEDecoder(self.operations, self.encoder.sum_forward, **sizes)
        messages = GatedSum(config.hidden, config.num_nodes)
        return DVAEDecoder(self.operations, messages, **sizes, sum_states=config.encoder != "adjacency")

    @property
    def embeddings(self) -> Tensor | None:
        """The learnable operation embeddings [num_types, d_op], detached; None for one-hot."""
        return self.operations.weight.detach() if isinstance(self.operations, OperationEmbedding) else None

    def encode(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance: two tensors [B, d]."""
        return self.encoder(graphs)

    def reparameterize(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """A sample of the posterior, its noise scaled by ``config.noise``; the mean in evaluation."""
        if not self.training:
            return mean
        return mean + self._noise(mean, logvar)

    def _noise(self, mean: Tensor, logvar: Tensor) -> Tensor:
        return self.config.noise * torch.randn_like(mean) * (0.5 * logvar).exp()

    def loss(self, graphs: NodeGraphs) -> VAELoss:
        """Negative evidence lower bound of a batch of graphs under teacher forcing."""
        mean, logvar = self.encode(graphs)
        if self.training and self.config.at_mean > 0:
            at_mean = torch.special.ndtr(torch.randn_like(mean[:, :1])) < self.config.at_mean  # [B, 1]
            z = torch.where(at_mean, mean, mean + self._noise(mean, logvar))
            weight = torch.where(at_mean[:, 0], self.config.mean_weight, 1.0)
        else:
            z, weight = self.reparameterize(mean, logvar), mean.new_ones(())
        nll = -self.decoder.log_likelihood(z, graphs)
        kld = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()
        return VAELoss((weight * nll).mean() + self.config.beta * kld, nll.mean(), kld, mean)
