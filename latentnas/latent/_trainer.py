"""The training loop: one-cycle schedule, steps in shares of a batch, best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..device import matmul_precision
from ..errors import ConfigError
from ..models import GraphVAE, VAEConfig
from ..provenance import provenance
from ..seeding import derive_seed
from ..spaces import SearchSpace
from ._cells import Batch, TrainingCells
from ._checkpoint import FitState, resume_checkpoint, save_checkpoint
from ._distributed import Group
from ._objective import Objective, Share, Spread
from .quality import reconstruction_accuracy
from .space import LatentSpace

if TYPE_CHECKING:
    from .fit import FitConfig

ANYHOW = ("accumulate", "processes")
"""Settings that change how a step is computed and not what comes out of it, up to rounding."""

FLAT = 1e-3
"""The least scale of a coordinate, as a share of the largest one."""


class Trainer(FitState):
    """The state of a fit; everything that is random in an epoch comes from (seed, epoch).

    Args:
        space: the search space.
        model_config: what the model is built from.
        config: how it is trained.
        cells: what it is trained on.
        seed: the fit's seed.
        device: where to train.
        group: the processes that train together.
        embeddings: [T, d_op], the operation embeddings to start from; by default random ones.
    """

    def __init__(
        self,
        space: SearchSpace,
        model_config: VAEConfig,
        config: FitConfig,
        cells: TrainingCells,
        seed: int,
        device: torch.device,
        group: Group,
        embeddings: Tensor | None = None,
    ) -> None:
        self.space, self.config, self.cells = space, config, cells
        self.seed, self.device, self.group = seed, device, group
        with seeded(derive_seed(seed, "weights")):
            self.vae = GraphVAE(model_config, embeddings=embeddings).to(device)
        optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=device.type in ("cpu", "cuda")
        )
        super().__init__(self.vae, optimizer, {}, epoch=0, best_epoch=0, best_loss=math.inf, history=[])
        self.best = self.snapshot()
        self.objective = group.wrap(Objective(self.vae, space.grammar, config.prior_weight, group.spread))
        self.validation = space.node_graphs(cells.validation.to(device))
        self.steps_per_epoch = -(-cells.per_epoch // config.batch_size)

    # --- an epoch -------------------------------------------------------------------------------

    def _set_lr(self, step: int) -> None:
        """The one-cycle schedule as a function of the step, so that a resumed fit needs no state."""
        total = self.config.epochs * self.steps_per_epoch
        rise = max(1, total // 5)
        if step < rise:
            factor = 0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2
        else:
            factor = 1e-4 + (1 + math.cos(math.pi * (step - rise) / max(1, total - rise))) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch, validate, keep the best weights; returns the epoch's record."""
        started = time.perf_counter()
        sums = torch.zeros(3, device=self.device)
        self.vae.train()
        with seeded(derive_seed(self.seed, "epoch", self.epoch)), matmul_precision(self.config.matmul_precision):
            for i, batch in enumerate(self.cells.batches(self.epoch, self.config.batch_size)):
                self._set_lr(self.epoch * self.steps_per_epoch + i)
                sums += self._step(batch)
        self.epoch += 1
        means = (self.group.sum(sums) / self.cells.per_epoch).tolist()
        record = dict(zip(("loss", "reconstruction_nll", "kld"), means, strict=True))
        self._check_finite(record)
        record |= self.group.from_first(self._validate)
        self._check_finite(record)
        record["seconds"] = time.perf_counter() - started
        if record["valid_loss"] < self.best_loss:
            self.best_epoch, self.best_loss, self.best = self.epoch, record["valid_loss"], self.snapshot()
        self.history.append(record)
        return record

    def _step(self, batch: Batch) -> Tensor:
        """One optimiser step on a batch, computed by all processes and each in ``accumulate`` shares.

        The shares' objectives add up to that of the batch, and every share draws the noise of the
        whole batch and takes its rows of it, so the step is the same, up to rounding, however the
        batch is shared.

        Returns:
            [3], sums over this process' graphs of loss, reconstruction and KL divergence.
        """
        shares = self._shares(batch.size)
        spread = self._spread(batch, shares) if len(shares) > 1 and self.config.prior_weight > 0 else None
        record = torch.zeros(3, device=self.device)
        self.optimizer.zero_grad(set_to_none=True)
        for share, again in zip(shares, _rewound(len(shares), self.device), strict=True):
            graphs = batch.graphs(share.rows)
            with self.group.unsynchronised(self.objective) if again else nullcontext():
                objective, sums = self.objective(graphs, share, spread)
                objective.backward()
            record += sums
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), self.config.clip)
        self.optimizer.step()
        return record

    def _shares(self, size: int) -> list[Share]:
        """This process' shares of a batch of ``size`` rows; alone, it leaves empty ones out."""
        parts = self.config.accumulate * self.group.size
        if self.group.size == 1:
            parts = min(parts, size)
        each = parts // self.group.size
        return [Share(index, parts, size) for index in range(self.group.rank * each, (self.group.rank + 1) * each)]

    @torch.no_grad()
    def _spread(self, batch: Batch, shares: list[Share]) -> Spread | None:
        """Mean and standard deviation of the whole batch's latents, which no single share knows."""
        if batch.size < 2:
            return None
        means = [self.vae.encode(batch.graphs(share.rows))[0][: share.count] for share in shares]
        return self.group.spread(torch.cat(means))

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self.vae.eval()
        losses = [
            self.vae.loss(self.validation[rows]).loss * len(rows)
            for rows in torch.arange(len(self.validation), device=self.device).split(4096)
        ]
        record = {"valid_loss": float(torch.stack(losses).sum() / len(self.validation))}
        if math.isfinite(record["valid_loss"]):  # otherwise the latents cannot be decoded
            record["reconstruction_accuracy"] = reconstruction_accuracy(self.latent_space(), self.cells.validation)
        return record

    def _check_finite(self, record: dict[str, float]) -> None:
        if not all(map(math.isfinite, record.values())):
            raise ConfigError(
                f"LatentSpace.fit: the loss of epoch {self.epoch} is not finite; lower lr (now {self.config.lr})"
            )

    @property
    def stalled(self) -> bool:
        """Whether the validation loss has not fallen for ``patience`` epochs."""
        return self.config.patience is not None and self.epoch - self.best_epoch >= self.config.patience

    # --- the outcome ----------------------------------------------------------------------------

    def latent_space(self) -> LatentSpace:
        """The model as it is now, which goes on being trained; without statistics of its latents (zeros)."""
        blank = torch.zeros(self.vae.config.latent_dim)
        return LatentSpace(self.space, self.vae, dict.fromkeys(("center", "scale", "low", "high"), blank))

    def result(self) -> LatentSpace:
        """The latent space with the best epoch's weights, and how it came about."""
        self.vae.load_state_dict(self.best)
        mean = self.latent_space().encode(self.cells.described())
        scale = mean.std(0)
        # a coordinate that no cell varies, as a bit of a one-hot vertex type: nearly none, so that densities exist
        scale = scale.clamp_min(FLAT * float(scale.max())) if bool(scale.any()) else torch.ones_like(scale)
        statistics = {"center": mean.mean(0), "scale": scale, "low": mean.amin(0), "high": mean.amax(0)}
        info = {
            "fit": {**asdict(self.config), "seed": self.seed, "train_cells": self.cells.per_epoch},
            "metrics": {
                "validation": "held out" if self.cells.held_out else "training cells",
                "best_epoch": self.best_epoch,
                "epochs_done": self.epoch,
                "seconds": round(sum(record["seconds"] for record in self.history), 2),
                **{name: self.history[self.best_epoch - 1][name] for name in ("valid_loss", "reconstruction_accuracy")},
            },
            "history": self.history,
            "provenance": provenance(),
        }
        return LatentSpace(self.space, self.vae, statistics, info)

    # --- checkpoints ----------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be ours."""
        return {
            "space": self.space.name,
            "model": self.vae.config.to_dict(),
            "fit": {name: value for name, value in asdict(self.config).items() if name not in ANYHOW},
            "seed": self.seed,
            "cells": self.cells.fingerprint(),
        }

    def save(self, path: Path) -> None:
        """Keep the state of the fit, see :func:`~latentnas.latent._checkpoint.save_checkpoint`."""
        save_checkpoint(path, self, self._identity())

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint where there is one, see :func:`~latentnas.latent._checkpoint.resume_checkpoint`."""
        resume_checkpoint(path, self, self._identity())


def _rewound(times: int, device: torch.device) -> Iterator[bool]:
    """Count down ``times`` rounds that all draw the same random numbers; yields whether another one follows."""
    on_gpu = device.type == "cuda"
    state = torch.get_rng_state()
    gpu_state = torch.cuda.get_rng_state(device) if on_gpu else None
    for left in reversed(range(times)):
        yield left > 0
        if left:
            torch.set_rng_state(state)
            if gpu_state is not None:
                torch.cuda.set_rng_state(gpu_state, device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch inside the block and leave the caller's random state, on all devices, as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
