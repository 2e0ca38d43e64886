"""Training a latent space: VAE loss, one-cycle schedule, best weights, checkpoints that resume."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..device import cpu_threads, resolve_device
from ..errors import ConfigError, WeightsError
from ..models import GraphVAE, VAEConfig
from ..progress import Progress
from ..provenance import provenance
from ..seeding import as_generator, derive_seed
from ..spaces import SearchSpace, get_space
from .quality import reconstruction_accuracy
from .space import LatentSpace
from .storage import load_state, read_tensors, why_not_writable, write_tensors

ENUMERATED = 100_000
"""Spaces with at most this many codes are trained on all of them."""

MOST = 10_000_000
"""Largest number of cells that a fit takes, so that a slip of the finger does not fill the memory."""

CHECKPOINT = "checkpoint.safetensors"

LARGE = 256
"""Models with smaller vertex states train on one CPU thread (no effect on a GPU)."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a latent space is trained.

    Attributes:
        epochs: passes over the training cells.
        batch_size: cells a step.
        lr: largest learning rate; it rises over the first fifth of the steps and then falls to
            nearly zero along a cosine (one-cycle).
        weight_decay: AdamW's, decoupled.
        clip: largest gradient norm.
        prior_weight: weight of the prior consistency term. Latents drawn from N(0, I), scaled to the
            batch's, are decoded under the grammar, and the likelihood of what came out is raised:
            the decoder learns to follow the grammar where no training cell lies. 0 as published.
        patience: stop after this many epochs without a lower validation loss; None never stops early.
        num_cells: random training cells drawn from a space too large to enumerate.
        num_validation: cells held out for choosing the best epoch (of an enumerated space, whose
            cells are all trained on: a random part of them).
    """

    epochs: int = 12
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 1e-4
    clip: float = 5.0
    prior_weight: float = 0.3
    patience: int | None = 10
    num_cells: int = 20_000
    num_validation: int = 2_000

    def __post_init__(self) -> None:
        faults = []
        for name in ("epochs", "batch_size", "num_cells", "num_validation"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                faults.append(f"{name} must be a positive integer, got {getattr(self, name)!r}")
            elif name != "epochs" and getattr(self, name) > MOST:
                faults.append(f"{name} must be at most {MOST:,}, got {getattr(self, name):,}")
        for name in ("lr", "clip"):
            if not isinstance(getattr(self, name), int | float) or not 0 < getattr(self, name) < math.inf:
                faults.append(f"{name} must be a number above 0, got {getattr(self, name)!r}")
        for name in ("weight_decay", "prior_weight"):
            if not isinstance(getattr(self, name), int | float) or not 0 <= getattr(self, name) < math.inf:
                faults.append(f"{name} must be a number of at least 0, got {getattr(self, name)!r}")
        if self.patience is not None and (not isinstance(self.patience, int) or self.patience < 1):
            faults.append(f"patience must be a positive integer or None, got {self.patience!r}")
        if faults:
            raise ConfigError("LatentSpace.fit: " + "; ".join(faults))


def fit_latent_space(
    space: str | SearchSpace,
    *,
    codes: Tensor | None,
    model_options: dict[str, Any],
    seed: int,
    device: torch.device | str | None,
    progress: bool,
    checkpoint: str | Path | None,
    options: dict[str, Any],
) -> LatentSpace:
    """See :meth:`latentnas.LatentSpace.fit`."""
    space = get_space(space)
    fit_config, model_config = _split_options(space, {**model_options, **options})
    train, validation = _cells(space, codes, fit_config, seed)
    trainer = _Trainer(space, model_config, fit_config, train, validation, seed, resolve_device(device))
    threads = 1 if model_config.hidden < LARGE else torch.get_num_threads()
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None:
        reason = why_not_writable(folder)
        if reason is not None:
            raise WeightsError(f"cannot keep checkpoints in {folder}: {reason}")
        trainer.resume(folder / CHECKPOINT)
    with Progress(fit_config.epochs, f"fit {space.name}", unit="epoch", enabled=progress) as bar:
        if trainer.epoch:
            bar.start_at(trainer.epoch)
            bar.note(f"resumed after epoch {trainer.epoch} of {fit_config.epochs} from {folder}")
        while trainer.epoch < fit_config.epochs and not trainer.stalled:
            with cpu_threads(threads):
                record = trainer.run_epoch()
            bar.update(
                loss=record["loss"], valid_loss=record["valid_loss"], reconstruction=record["reconstruction_accuracy"]
            )
            if folder is not None:
                trainer.save(folder / CHECKPOINT)
        if trainer.stalled:
            bar.note(f"stopped early: no lower validation loss for {fit_config.patience} epochs")
    return trainer.result()


class _Trainer:
    """The state of a fit; everything that is random in an epoch comes from (seed, epoch)."""

    def __init__(
        self,
        space: SearchSpace,
        model_config: VAEConfig,
        config: FitConfig,
        train: Tensor,
        validation: Tensor,
        seed: int,
        device: torch.device,
    ) -> None:
        self.space, self.config, self.seed, self.device = space, config, seed, device
        with _seeded(derive_seed(seed, "weights")):
            self.model = GraphVAE(model_config).to(device)
        self.train_codes = train
        self.train = space.node_graphs(train.to(device))
        self.validation_codes = validation
        self.held_out = space.size > ENUMERATED or len(train) < space.size
        self.validation = space.node_graphs(validation.to(device))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.steps_per_epoch = -(-len(train) // config.batch_size)
        self.epoch = 0
        self.best_epoch, self.best_loss = 0, math.inf
        self.best = self._snapshot()
        self.history: list[dict[str, float]] = []

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

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
        config, model = self.config, self.model
        sums = torch.zeros(3, device=self.device)
        model.train()
        with _seeded(derive_seed(self.seed, "epoch", self.epoch)):
            order = torch.randperm(len(self.train), device="cpu").to(self.device)
            for i, rows in enumerate(order.split(config.batch_size)):
                self._set_lr(self.epoch * self.steps_per_epoch + i)
                loss = model.loss(self.train[rows])
                objective = loss.loss
                if config.prior_weight > 0 and len(rows) > 1:
                    objective = objective + config.prior_weight * self._prior_nll(loss.mean)
                self.optimizer.zero_grad(set_to_none=True)
                objective.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                self.optimizer.step()
                sums += len(rows) * torch.stack([loss.loss, loss.reconstruction, loss.kld]).detach()
        self.epoch += 1
        record = dict(zip(("loss", "reconstruction_nll", "kld"), (sums / len(self.train)).tolist(), strict=True))
        self._check_finite(record)
        record |= self._validate()
        record["seconds"] = time.perf_counter() - started
        if record["valid_loss"] < self.best_loss:
            self.best_epoch, self.best_loss, self.best = self.epoch, record["valid_loss"], self._snapshot()
        self.history.append(record)
        return record

    def _prior_nll(self, mean: Tensor) -> Tensor:
        """-log p(graph | z) for latents of the prior and what they decode to under the grammar."""
        mean = mean.detach()
        size = max(1, len(mean) // 4)
        z = mean.mean(0) + mean.std(0) * torch.randn(size, mean.shape[1], device=mean.device)
        with torch.no_grad():
            graphs = self.model.decoder.decode(z, grammar=self.space.grammar)
        return -self.model.decoder.log_likelihood(z, graphs).mean()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self.model.eval()
        losses = [
            self.model.loss(self.validation[rows]).loss * len(rows)
            for rows in torch.arange(len(self.validation), device=self.device).split(4096)
        ]
        record = {"valid_loss": float(torch.stack(losses).sum() / len(self.validation))}
        self._check_finite(record)
        record["reconstruction_accuracy"] = reconstruction_accuracy(self._latent_space(), self.validation_codes)
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

    def _latent_space(self) -> LatentSpace:
        blank = torch.zeros(self.model.config.latent_dim)
        return LatentSpace(self.space, self.model, dict.fromkeys(("center", "scale", "low", "high"), blank))

    def result(self) -> LatentSpace:
        """The latent space with the best epoch's weights, and how it came about."""
        self.model.load_state_dict(self.best)
        mean = self._latent_space().encode(self.train_codes)
        statistics = {"center": mean.mean(0), "scale": mean.std(0), "low": mean.amin(0), "high": mean.amax(0)}
        info = {
            "fit": {**asdict(self.config), "seed": self.seed, "train_cells": len(self.train_codes)},
            "metrics": {
                "validation": "held out" if self.held_out else "training cells",
                "best_epoch": self.best_epoch,
                "epochs_done": self.epoch,
                "seconds": round(sum(record["seconds"] for record in self.history), 2),
                **{name: self.history[self.best_epoch - 1][name] for name in ("valid_loss", "reconstruction_accuracy")},
            },
            "history": self.history,
            "provenance": provenance(),
        }
        return LatentSpace(self.space, self.model, statistics, info)

    # --- checkpoints ----------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be ours."""
        return {
            "space": self.space.name,
            "model": self.model.config.to_dict(),
            "fit": asdict(self.config),
            "seed": self.seed,
            "cells": hashlib.sha256(self.train_codes.numpy().tobytes()).hexdigest(),
        }

    def save(self, path: Path) -> None:
        """Keep weights, best weights, optimiser and history in one file, written atomically."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        progress = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "history": self.history,
        }
        metadata = {"identity": json.dumps(self._identity()), "progress": json.dumps(progress)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, tensors, metadata)
        except OSError as error:
            raise WeightsError(f"cannot write the checkpoint {path}: {error.strerror or error}") from error

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint where there is one.

        Raises:
            WeightsError: it is damaged, or belongs to other settings (each difference is named).
        """
        if not path.exists():
            return
        try:
            differences = self._restore(path)
        except WeightsError as error:
            raise WeightsError(f"{error}; delete {path} to start afresh") from None
        if differences:
            raise WeightsError(
                f"{path} belongs to a fit with other settings ({differences}); use another folder, or the same settings"
            )

    def _restore(self, path: Path) -> str:
        """Take over a checkpoint's state, unless it is another fit's: returns how that one differs."""
        from safetensors import safe_open

        tensors = read_tensors(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        try:
            identity, progress = dict(json.loads(metadata["identity"])), dict(json.loads(metadata["progress"]))
            epoch, best_epoch = int(progress["epoch"]), int(progress["best_epoch"])
            best_loss, history = float(progress["best_loss"]), list(progress["history"])
        except (KeyError, ValueError, TypeError, RecursionError):
            raise WeightsError(f"{path} is no checkpoint of LatentSpace.fit") from None
        ours = json.loads(json.dumps(self._identity()))
        if identity != ours:
            return _differences(identity, ours)
        load_state(self.model, tensors, "best.", path)
        self.best = self._snapshot()
        load_state(self.model, tensors, "model.", path)
        self._load_optimizer(tensors, path)
        self.epoch, self.best_epoch, self.best_loss, self.history = epoch, best_epoch, best_loss, history
        return ""

    def _load_optimizer(self, tensors: dict[str, Tensor], path: Path) -> None:
        shapes = [parameter.shape for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for index, shape in enumerate(shapes):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                tensor = tensors.pop(f"optimizer.{index}.{key}", None)
                if tensor is None or tensor.shape != (torch.Size() if key == "step" else shape):
                    raise WeightsError(f"{path}: optimizer.{index}.{key} is missing or has a wrong shape")
                state.setdefault(index, {})[key] = tensor
        extra = sorted(name for name in tensors if name.startswith("optimizer."))
        if extra:
            raise WeightsError(f"{path}: unknown tensor {extra[0]!r}")
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def _differences(theirs: dict[str, Any], ours: dict[str, Any], prefix: str = "") -> str:
    found = []
    for key in sorted(set(theirs) | set(ours)):
        a, b = theirs.get(key), ours.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if a != b:
                found.append(_differences(a, b, f"{prefix}{key}."))
        elif a != b:
            found.append(f"{prefix}{key}: {a!r} there, {b!r} here")
    return "; ".join(found)


def _split_options(space: SearchSpace, options: dict[str, Any]) -> tuple[FitConfig, VAEConfig]:
    """Sort options into the two configurations, reporting every fault of both at once."""
    for_fit = {field.name for field in fields(FitConfig)}
    for_model = {field.name for field in fields(VAEConfig)} - {"num_types", "num_nodes"}
    faults = [
        f"unknown option {name!r}; known: {', '.join(sorted(for_fit | for_model))}"
        for name in options
        if name not in for_fit | for_model
    ]
    fit_config = model_config = None
    try:
        fit_config = FitConfig(**{k: v for k, v in options.items() if k in for_fit})
    except ConfigError as error:
        faults.append(str(error))
    try:
        model_config = VAEConfig(
            num_types=len(space.node_types),
            num_nodes=space.max_nodes,
            **{"latent_dim": default_latent_dim(space)} | {k: v for k, v in options.items() if k in for_model},
        )
    except ConfigError as error:
        faults.append(str(error))
    if faults or fit_config is None or model_config is None:
        raise ConfigError("; ".join(faults))
    return fit_config, model_config


def default_latent_dim(space: SearchSpace) -> int:
    """16 dimensions for every 14 bits that tell a code of the space from the others."""
    return 16 * math.ceil(math.log2(space.size) / 14)


def _cells(space: SearchSpace, codes: Tensor | None, config: FitConfig, seed: int) -> tuple[Tensor, Tensor]:
    """Training and validation cells: [n, D] and [m, D] long, on the CPU."""
    generator = as_generator(derive_seed(seed, "cells"))
    if codes is not None:
        codes = space.check_codes(codes).cpu().unique(dim=0)  # a held-out cell must not be trained on
        if len(codes) < 3:
            raise ConfigError(
                f"LatentSpace.fit: at least 3 distinct cells are needed (2 to train on, 1 held out), got {len(codes)}"
            )
        order = torch.randperm(len(codes), generator=generator)
        held_out = min(config.num_validation, max(1, len(codes) // 10))
        return codes[order[held_out:]], codes[order[:held_out]]
    if space.size <= ENUMERATED:
        codes = space.enumerate()
        return codes, codes[torch.randperm(len(codes), generator=generator)[: config.num_validation]]
    codes = space.sample(config.num_cells + config.num_validation, seed=generator)
    return codes[: config.num_cells], codes[config.num_cells :]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch inside the block and leave the caller's random state, on all devices, as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
