"""Training a latent space: settings, and the way from a space to a trained model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..device import PRECISIONS, cpu_threads, gradients, resolve_device
from ..errors import ConfigError, WeightsError, WorkerError
from ..models import VAEConfig
from ..models.adjacency import feature_size
from ..models.svae import padded
from ..progress import Progress
from ..seeding import derive_seed, seed_faults
from ..spaces import SearchSpace, get_space
from ..weights import why_not_writable
from ._cells import ENUMERATED, choose_cells
from ._checkpoint import CHECKPOINT
from ._distributed import Group, is_first_process, joined, run_processes, under_torchrun
from ._trainer import Trainer
from .space import LatentSpace

__all__ = ["CHECKPOINT", "ENUMERATED", "FitConfig", "default_latent_dim", "fit_latent_space", "is_first_process"]

MOST = 10_000_000
"""Largest number of cells that a fit takes, so that a slip of the finger does not fill the memory."""

MOST_PROCESSES = 1024

LARGE = 256
"""Models with smaller vertex states train on one CPU thread (no effect on a GPU)."""

OVER = ("codes", "networks")

ADJACENCY_MODEL: dict[str, Any] = {"hidden": 32, "beta": 0.1, "at_mean": 0.25, "mean_weight": 100.0}
ADJACENCY_FIT: dict[str, Any] = {"epochs": 24, "lr": 0.02, "prior_weight": 0.5}
"""Defaults of the encoder "adjacency", whose coordinates need no long training, only a decoder that reads them.

Chosen on ENAS cells held out of the training part: a larger beta makes decoding from the prior more varied and
reconstruction less sure.
"""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a latent space is trained.

    Attributes:
        epochs: passes over the training cells.
        batch_size: cells a step.
        lr: largest learning rate; it rises over the first fifth of the steps and then falls to
            nearly zero along a cosine (one-cycle). The defaults of ``epochs``, ``lr`` and
            ``prior_weight`` are those of the recurrent encoders; for the encoder "adjacency" they are
            24, 0.02 and 0.5.
        weight_decay: AdamW's, decoupled.
        clip: largest gradient norm.
        prior_weight: weight of the prior consistency term. Latents drawn from N(0, I), scaled to the
            batch's, are decoded under the grammar, and the mass that the free decoder gives to what the
            grammar allows is raised: it learns to follow the grammar where no training cell lies. 0 as
            published.
        patience: stop after this many epochs without a lower validation loss; None never stops early.
        num_cells: random training cells an epoch, of a space too large to train on all of it.
        num_validation: cells held out for choosing the best epoch (of an enumerated space, whose
            cells are all trained on: a random part of them).
        stream: whether those random training cells are fresh ones in every epoch, drawn as they are
            needed (memory does not grow with ``num_cells``); False draws them once and repeats them.
        over: what random cells are drawn uniformly from. "codes": every code a model may be asked
            to encode is trained on, a network the more often the more codes it has. "networks":
            every network equally often, always as its canonical code; then encode canonical codes.
        accumulate: a batch goes through the model in this many parts of equal size, one after the
            other, and their gradients add up before the one step: less memory, the same result
            up to rounding.
        processes: processes that share every batch, with DistributedDataParallel: one GPU each
            (NCCL), or the CPU (gloo). The same result up to rounding. They are started here, or
            by torchrun, whose number of processes must then be this one.
        rounds: T, how often the model is trained from fresh weights, each time from the operation embeddings
            that the round before ended with (section 3.3, "Implementation", of the operation-embedding paper:
            T = 4 for D-VAE). The last round's model is the result.
        matmul_precision: what the factors of float32 matrix products keep in training steps, as in
            ``torch.set_float32_matmul_precision``: "highest" all; "high" at least TensorFloat-32's 10 bits after the
            leading one, on a GPU that has it; "medium" bfloat16's 7, on a CPU that has it, TensorFloat-32's on a GPU.
            Sums are in float32. Where a machine has no such products they are as with "highest".
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
    stream: bool = True
    over: str = "codes"
    accumulate: int = 1
    processes: int = 1
    rounds: int = 1
    matmul_precision: str = "high"

    def __post_init__(self) -> None:
        faults = []
        limits = dict.fromkeys(("batch_size", "num_cells", "num_validation", "accumulate"), MOST)
        for name in ("epochs", *limits, "processes", "rounds"):
            value, most = getattr(self, name), {**limits, "processes": MOST_PROCESSES}.get(name, math.inf)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                faults.append(f"{name} must be a positive integer, got {value!r}")
            elif name == "num_cells" and value < 2:
                faults.append("num_cells must be at least 2: one cell has no spread, got 1")
            elif value > most:
                faults.append(f"{name} must be at most {most:,}, got {value:,}")
        for name in ("lr", "clip"):
            if not isinstance(getattr(self, name), int | float) or not 0 < getattr(self, name) < math.inf:
                faults.append(f"{name} must be a number above 0, got {getattr(self, name)!r}")
        for name in ("weight_decay", "prior_weight"):
            if not isinstance(getattr(self, name), int | float) or not 0 <= getattr(self, name) < math.inf:
                faults.append(f"{name} must be a number of at least 0, got {getattr(self, name)!r}")
        if self.patience is not None and (not isinstance(self.patience, int) or self.patience < 1):
            faults.append(f"patience must be a positive integer or None, got {self.patience!r}")
        if not isinstance(self.stream, bool):
            faults.append(f"stream must be true or false, got {self.stream!r}")
        if self.over not in OVER:
            faults.append(f"over must be one of {', '.join(OVER)}, got {self.over!r}")
        if self.matmul_precision not in PRECISIONS:
            faults.append(f"matmul_precision must be one of {', '.join(PRECISIONS)}, got {self.matmul_precision!r}")
        if not faults and self.accumulate * self.processes > self.batch_size:
            faults.append(
                f"accumulate ({self.accumulate}) times processes ({self.processes}) must be at most batch_size "
                f"({self.batch_size}), so that every part of a batch has a cell"
            )
        if faults:
            raise ConfigError("LatentSpace.fit: " + "; ".join(faults))


@dataclass(frozen=True)
class FitJob:
    """All that a process needs to know to train; can be sent to other processes.

    Attributes:
        space: the search space.
        codes: [n, D] long, the given cells, or None.
        model: what the model is built from.
        fit: how it is trained.
        seed: the fit's seed.
        progress: whether to show a progress bar.
        checkpoint: the folder of the checkpoint, or None.
        after_epoch: called by the first process with the epochs done and the latent space so far, or None.
    """

    space: SearchSpace
    codes: Tensor | None
    model: VAEConfig
    fit: FitConfig
    seed: int
    progress: bool
    checkpoint: Path | None
    after_epoch: Callable[[int, LatentSpace], None] | None = None


@gradients()
def fit_latent_space(
    space: str | SearchSpace,
    *,
    codes: Tensor | None,
    model_options: dict[str, Any],
    seed: int,
    device: torch.device | str | None,
    progress: bool,
    checkpoint: str | Path | None,
    after_epoch: Callable[[int, LatentSpace], None] | None,
    options: dict[str, Any],
) -> LatentSpace:
    """See :meth:`latentnas.LatentSpace.fit`."""
    space = get_space(space)
    fit_config, model_config = _split_options(space, {**model_options, **options})
    folder = None if checkpoint is None else Path(checkpoint)
    if seed_faults(seed):
        raise ConfigError(f"LatentSpace.fit: {seed_faults(seed)[0]}")
    job = FitJob(space, codes, model_config, fit_config, seed, progress, folder, after_epoch)
    if fit_config.processes == 1:
        return train(job, resolve_device(device), Group())
    if under_torchrun():
        with joined(fit_config.processes, device) as (group, place):
            return train(job, place, group)
    return run_processes(train, job, fit_config.processes, device)


def train(job: FitJob, device: torch.device, group: Group) -> LatentSpace:
    """Train in this process, alone or as one of a group.

    Args:
        job: what to train.
        device: where this process computes.
        group: the processes that train together.

    Returns:
        The trained latent space, the same in every process.
    """
    cells = choose_cells(job.space, job.codes, job.fit, job.seed, device)
    embeddings = None
    for number in range(1, job.fit.rounds + 1):
        seed = job.seed if number == 1 else derive_seed(job.seed, "round", number)
        trainer = Trainer(job.space, job.model, job.fit, cells, seed, device, group, embeddings)
        _train_round(job, trainer, number)
        embeddings = trainer.vae.embeddings  # of the last epoch; the result has those of the best one
    return trainer.result()


def _train_round(job: FitJob, trainer: Trainer, number: int) -> None:
    """Train for all epochs, from a checkpoint where there is one."""
    config, group, first = job.fit, trainer.group, trainer.group.rank == 0
    threads = 1 if job.model.hidden < LARGE else torch.get_num_threads()
    several = config.rounds > 1
    folder = job.checkpoint / f"round{number}" if several and job.checkpoint is not None else job.checkpoint
    if folder is not None:
        reason = why_not_writable(folder) if first else None
        if reason is not None:
            raise WeightsError(f"cannot keep checkpoints in {folder}: {reason}")
        trainer.resume(folder / CHECKPOINT)
        of_first = group.from_first(lambda: {"epoch": trainer.epoch})["epoch"]
        if trainer.epoch != of_first:  # machines without a common file system
            raise WorkerError(
                f"LatentSpace.fit: process {group.rank} found a checkpoint of epoch {trainer.epoch} in {folder}, "
                f"process 0 one of epoch {of_first}; all processes must see the same folder"
            )
    title = f"fit {job.space.name}" + (f", round {number}/{config.rounds}" if several else "")
    with Progress(config.epochs, title, unit="epoch", enabled=job.progress and first) as bar:
        if trainer.epoch:
            bar.start_at(trainer.epoch)
            bar.note(f"resumed after epoch {trainer.epoch} of {config.epochs} from {folder}")
        while trainer.epoch < config.epochs and not trainer.stalled:
            with cpu_threads(threads):
                record = trainer.run_epoch()
            bar.update(
                loss=record["loss"], valid_loss=record["valid_loss"], reconstruction=record["reconstruction_accuracy"]
            )
            if job.after_epoch is not None and first:
                job.after_epoch(trainer.epoch, trainer.latent_space())
            if folder is not None and first:
                folder.mkdir(parents=True, exist_ok=True)
                trainer.save(folder / CHECKPOINT)
        if trainer.stalled:
            bar.note(f"stopped early: no lower validation loss for {config.patience} epochs")


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
        for_encoder = ADJACENCY_FIT if options.get("encoder") == "adjacency" else {}
        fit_config = FitConfig(**for_encoder | {k: v for k, v in options.items() if k in for_fit})
    except ConfigError as error:
        faults.append(str(error))
    given = {k: v for k, v in options.items() if k in for_model}
    try:
        model_config = VAEConfig(
            num_types=len(space.node_types), num_nodes=space.max_nodes, **_model_defaults(space, given) | given
        )
    except ConfigError as error:
        faults.append(str(error))
    if fit_config is not None and model_config is not None and fit_config.rounds > 1 and not model_config.op_embedding:
        faults.append(
            f"rounds carry operation embeddings over, and op_embedding is None; got rounds={fit_config.rounds}"
        )
    if faults or fit_config is None or model_config is None:
        raise ConfigError("; ".join(faults))
    return fit_config, model_config


def _model_defaults(space: SearchSpace, given: dict[str, Any]) -> dict[str, Any]:
    """Options of VAEConfig that follow from the space and the encoder, where none are given."""
    if given.get("encoder") != "adjacency":
        return {"latent_dim": default_latent_dim(space)}
    types, edges = free_features(space)
    defaults = {**ADJACENCY_MODEL, "free_types": types, "free_edges": edges}
    dim = given.get("op_embedding", VAEConfig.op_embedding)
    if dim is None or isinstance(dim, int):  # otherwise VAEConfig says what is wrong with it
        defaults["latent_dim"] = feature_size(len(space.node_types) if dim is None else dim, types, edges)
    return defaults


def free_features(space: SearchSpace, n: int = 20_000) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The vertices whose type varies and the pairs (u, v) whose edge varies among ``n`` random cells of a space.

    The sample is always the same, so a fit that is resumed finds the same ones. A vertex that some of the cells do
    not have varies.
    """
    graphs = padded(space.node_graphs(space.sample(n, seed=0)), space.max_nodes)
    types = (graphs.ops != graphs.ops[:1]).any(0).nonzero()[:, 0].tolist()
    edges = (graphs.adj != graphs.adj[:1]).any(0).t().nonzero().tolist()  # by target, then by source
    return tuple(types), tuple((u, v) for v, u in edges)


def default_latent_dim(space: SearchSpace) -> int:
    """16 dimensions for every 14 bits that tell a code of the space from the others."""
    return 16 * math.ceil(math.log2(space.size) / 14)
