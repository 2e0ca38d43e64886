"""LatentSpace: a search space together with a trained VAE, encoding and decoding cells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidCodeError
from ..models import GraphVAE
from ..seeding import Seed, as_generator
from ..spaces import SearchSpace
from . import density, tools

CHUNK = 4096
"""Cells or latents that go through the model at once: fast on any device, small in memory."""

CACHED = 1024
"""Cells encoded at once on a CPU, whose cache holds their states; the result is the same."""


class LatentSpace:
    """A smooth continuous space whose points are cells.

    Make one with :meth:`fit` (train a VAE on the cells of a space; no accuracies are needed) or
    :meth:`load` (a folder, or a latent space that comes with the package).

    Attributes:
        space: the search space.
        model: the trained :class:`~latentnas.models.GraphVAE`, in evaluation mode.
        center, scale: [d], mean and standard deviation of the training cells' latents.
        low, high: [d], their smallest and largest values per dimension.
        info: how it was made (fit settings, metrics, versions), plain JSON types.
        name: what :meth:`load` finds it by, a shipped name or a folder; None until it is saved.
    """

    name: str | None = None

    def __init__(
        self, space: SearchSpace, model: GraphVAE, statistics: dict[str, Tensor], info: dict[str, Any] | None = None
    ) -> None:
        self.space = space
        self.model = model.eval()
        self.center, self.scale = statistics["center"], statistics["scale"]
        self.low, self.high = statistics["low"], statistics["high"]
        self.info = info or {}

    def __repr__(self) -> str:
        return f"LatentSpace(space={self.space.name!r}, latent_dim={self.latent_dim}, device={str(self.device)!r})"

    @property
    def latent_dim(self) -> int:
        """d, the number of dimensions."""
        return self.model.config.latent_dim

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: torch.device | str) -> LatentSpace:
        """Move the model to ``device``; returns itself."""
        self.model.to(device)
        return self

    def fingerprint(self) -> str:
        """SHA-256 of the weights: equal for latent spaces that encode and decode alike, 64 hex digits."""
        digest = hashlib.sha256(self.space.name.encode())
        tensors = {**self.model.state_dict(), "center": self.center, "scale": self.scale}
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    # --- cells to latents -----------------------------------------------------------------------

    @torch.no_grad()
    def posterior(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z | cell): two FloatTensors [B, d], on the codes' device.

        Args:
            codes: [B, D] long.

        Raises:
            InvalidCodeError: a row is no cell of the space.
        """
        codes = self.space.check_codes(codes)
        means, stds = [torch.empty(0, self.latent_dim)], [torch.empty(0, self.latent_dim)]
        for chunk in codes.split(CACHED if self.device.type == "cpu" else CHUNK):
            mean, logvar = self.model.encode(self.space.node_graphs(chunk.to(self.device)))
            means.append(mean.to(codes.device))
            stds.append((0.5 * logvar).exp().to(codes.device))
        return torch.cat([m.to(codes.device) for m in means]), torch.cat([s.to(codes.device) for s in stds])

    def encode(self, codes: Tensor) -> Tensor:
        """The latent of every cell, the mean of its posterior: [B, D] long -> [B, d] float."""
        return self.posterior(codes)[0]

    # --- latents to cells -----------------------------------------------------------------------

    def decode(self, z: Tensor, *, stochastic: bool = False, seed: Seed = None) -> Tensor:
        """Decode latents under the space's grammar: [B, d] float -> [B, D] long, every row valid.

        Args:
            z: latents; any finite values.
            stochastic: sample the decisions instead of taking the most probable.
            seed: seed of the sampling.

        Raises:
            InvalidCodeError: wrong shape, or a value that is not finite.
        """
        codes, valid = self._decode(z, constrained=True, stochastic=stochastic, seed=seed)
        if not bool(valid.all()):
            raise AssertionError(f"{self.space.name}: the grammar let an invalid cell pass; please report this")
        return codes

    def decode_free(self, z: Tensor, *, stochastic: bool = False, seed: Seed = None) -> tuple[Tensor, Tensor]:
        """Decode without a grammar, as published: codes [B, D] long, and which rows are valid [B] bool.

        Rows that are not valid hold zeros. Arguments and errors are those of :meth:`decode`.
        """
        return self._decode(z, constrained=False, stochastic=stochastic, seed=seed)

    @torch.no_grad()
    def _decode(self, z: Tensor, *, constrained: bool, stochastic: bool, seed: Seed) -> tuple[Tensor, Tensor]:
        z = self.check_latents(z)
        generator = as_generator(seed) if stochastic else None
        codes = [torch.empty(0, self.space.dim, dtype=torch.long)]
        valid = [torch.empty(0, dtype=torch.bool)]
        for chunk in z.split(CHUNK):
            graphs = self.model.decoder.decode(
                chunk.to(self.device, torch.float32),
                grammar=self.space.grammar if constrained else None,
                stochastic=stochastic,
                seed=generator,
            )
            rows, ok = self.space.from_node_graphs(graphs)
            codes.append(rows)
            valid.append(ok)
        return torch.cat([c.to(z.device) for c in codes]), torch.cat([v.to(z.device) for v in valid])

    def check_latents(self, z: Tensor) -> Tensor:
        """Return ``z`` as a tensor [B, d] of finite floats.

        Raises:
            InvalidCodeError: naming what is wrong.
        """
        z = torch.as_tensor(z)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise InvalidCodeError(f"LatentSpace: latents must have shape [B, {self.latent_dim}], got {list(z.shape)}")
        if not z.is_floating_point():
            raise InvalidCodeError(f"LatentSpace: latents must be floats, got {z.dtype}")
        finite = z.isfinite().all(1)
        if not bool(finite.all()):
            raise InvalidCodeError(
                f"LatentSpace: latents[{int((~finite).nonzero()[0])}] has values that are not finite"
            )
        return z

    # --- points ---------------------------------------------------------------------------------

    def sample_prior(self, n: int, *, seed: Seed = None) -> Tensor:
        """Draw N(0, I), scaled and shifted to the training cells' latents per dimension: [n, d] float."""
        noise = torch.randn(n, self.latent_dim, generator=as_generator(seed))
        return self.center + self.scale * noise

    def interpolate(self, codes_a: Tensor, codes_b: Tensor, steps: int = 11) -> Tensor:
        """Latents on the straight lines between cells [B, D]: [B, steps, d]; see :func:`tools.interpolate`."""
        return tools.interpolate(self.encode(codes_a), self.encode(codes_b), steps)

    def slerp(self, codes_a: Tensor, codes_b: Tensor, steps: int = 11) -> Tensor:
        """Latents on the arcs between cells [B, D] around the origin: [B, steps, d]; see :func:`tools.slerp`."""
        return tools.slerp(self.encode(codes_a), self.encode(codes_b), steps)

    def great_circle(self, codes: Tensor, steps: int = 35, *, seed: Seed = None) -> Tensor:
        """Once around the origin through every cell [B, D]: [B, steps + 1, d]; see :func:`tools.great_circle`."""
        return tools.great_circle(self.encode(codes), steps, seed=seed)

    def neighbourhood(
        self, codes: Tensor, radius: float, n: int, *, scale: Tensor | None = None, seed: Seed = None
    ) -> Tensor:
        """Latents at distance ``radius`` from those of cells, in random directions: [B, n, d].

        Args:
            codes: [B, D] long.
            radius: above 0, in standard deviations: per dimension, ``scale``.
            n: how many around every cell.
            scale: [d] or [B, d], such as the posterior's; by default :attr:`scale`, the training cells'.
            seed: of the directions.

        Raises:
            InvalidCodeError: a row is no cell, or the scale has a wrong shape or is not positive.
            ConfigError: ``radius`` or ``n`` out of range.
        """
        return tools.on_sphere(self.encode(codes), radius, n, scale=self.scale if scale is None else scale, seed=seed)

    def analogy(self, codes_a: Tensor, codes_b: Tensor, codes_c: Tensor) -> Tensor:
        """The cells at z(a) - z(b) + z(c), most probable under the grammar: [B, D] long each."""
        return self.decode(tools.analogy(*(self.encode(codes) for codes in (codes_a, codes_b, codes_c))))

    def trace(self, path: Tensor) -> list[tools.Stretch]:
        """The distinct networks along a path of latents [S, d], in order, with the part of the path of each."""
        codes = self.decode(path)
        return tools.stretches(self.space.keys(codes), self.space.format(codes))

    def log_density(self, z: Tensor) -> Tensor:
        """Log density at latents [B, d] of the Gaussian with :attr:`center` and :attr:`scale`: [B], in nats.

        It stands for the training latents, of which a latent space keeps no more; where these can be encoded
        again, ``kernel_log_density`` and ``nearest_distances`` of :mod:`latentnas.latent.density` are exact.
        """
        return density.gaussian_log_density(self.check_latents(z), self.center, self.scale)

    @property
    def bounds(self) -> Tensor:
        """The box that the training cells' latents span: [2, d] float, lower and upper."""
        return torch.stack([self.low, self.high])

    # --- making and keeping ---------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        space: str | SearchSpace,
        *,
        codes: Tensor | None = None,
        encoder: str = "adjacency",
        op_embedding: int | None = 3,
        seed: int = 0,
        device: torch.device | str | None = None,
        progress: bool = True,
        checkpoint: str | Path | None = None,
        after_epoch: Callable[[int, LatentSpace], None] | None = None,
        **options: Any,
    ) -> LatentSpace:
        """Train a VAE on the cells of a space.

        Args:
            space: the search space or its name.
            codes: [n, D] long, the training cells. By default every cell of a space of at most
                100,000 codes, otherwise ``num_cells`` random ones, fresh in every epoch.
            encoder: "adjacency", "dvae", "gcn", "gcn-pyg", "svae" or "graphrnn"
                (:class:`~latentnas.models.VAEConfig`).
            op_embedding: dimension of the learnable operation embeddings; None for one-hot.
            seed: seed of the weights, of the order of the cells and of the noise.
            device: where to train; by default the GPU where there is one.
            progress: whether to show a progress bar.
            checkpoint: a folder; the state is kept there after every epoch, and a fit with the same
                settings goes on from it.
            after_epoch: called after every epoch with the number of epochs done and the latent space as it is then, to
                follow the training; with several processes the first one calls it, so it must be picklable. The model
                goes on being trained, and center, scale and bounds are not known yet (zeros).
            **options: fields of :class:`~latentnas.latent.FitConfig` (epochs, batch_size, lr...) and
                of :class:`~latentnas.models.VAEConfig` (hidden, latent_dim, beta...). By default the
                latent has one dimension for every edge that varies in the space and ``op_embedding`` for
                every vertex whose type varies; with the other encoders 16 for every 14 bits of the
                space's size.

        Raises:
            ConfigError: an unknown option or a value out of range; every fault is listed.
            WeightsError: the checkpoint is damaged, belongs to other settings or cannot be written.
        """
        from .fit import fit_latent_space

        return fit_latent_space(
            space,
            codes=codes,
            model_options={"encoder": encoder, "op_embedding": op_embedding},
            seed=seed,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
            after_epoch=after_epoch,
            options=options,
        )

    @classmethod
    def from_reference(
        cls,
        state: Mapping[str, Tensor] | str | Path,
        *,
        model: str,
        space: str | SearchSpace = "enas_macro6",
        codes: Tensor | None = None,
        device: torch.device | str | None = None,
    ) -> LatentSpace:
        """Take over weights that were trained with the public D-VAE code.

        Args:
            state: a state dict of the public code, or a ``.pth`` file of one; from a file, tensors and
                plain containers are read, nothing is executed.
            model: "dvae", "dvae-bidirectional", "gcn", "svae" or "graphrnn"; all with one-hot operations.
            space: the search space or its name; its vertex types must be those of the weights, in the
                public code's order (START, END, operations).
            codes: [n, D] long, the cells whose latents set center, scale and bounds (in the public
                protocol the training cells). By default every cell of a space of at most 100,000
                codes, otherwise 20,000 random ones.
            device: where to put the model; by default the GPU where there is one.

        Raises:
            ConfigError: no such model.
            WeightsError: the file cannot be read, or tensors are missing, unknown, or of a wrong shape
                or value; every one is named.
        """
        from .reference import latent_space_from_reference

        return latent_space_from_reference(state, model=model, space=space, codes=codes, device=device)

    def save(self, folder: str | Path) -> Path:
        """Write ``model.safetensors`` and ``config.json`` into ``folder``; returns the folder.

        Raises:
            WeightsError: the folder cannot be made or written.
        """
        from .storage import save_latent_space

        saved = save_latent_space(self, folder)
        self.name = str(saved)
        return saved

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        space: SearchSpace | None = None,
        device: torch.device | str | None = None,
    ) -> LatentSpace:
        """Load a latent space that comes with the package, or a folder that :meth:`save` wrote.

        Loading reads tensors and JSON; it never executes code.

        Args:
            name: a shipped name (:func:`~latentnas.latent.list_latent_spaces`) or a folder.
            space: needed only for a space of your own that :func:`latentnas.get_space` does not know.
            device: where to put the model; by default the GPU where there is one.

        Raises:
            WeightsError: no such name or folder, or a file is missing, damaged or of another model.
        """
        from .storage import load_latent_space

        latent = load_latent_space(name, space=space, device=device)
        latent.name = str(name)
        return latent
