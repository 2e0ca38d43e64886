"""Evaluation by training: a network is built from the cell, trained, and validated."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ..device import gradients, resolve_device
from ..errors import ConfigError
from ..seeding import derive_seed
from ..spaces import SearchSpace, get_space
from .base import Evaluation, Evaluator
from .costs import count_costs
from .data import load_image_data
from .networks import build_network, list_networks

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
MOMENTUM = 0.9


class _FailedError(Exception):
    """A training that came to no value; the message is the reason, one sentence."""


class TrainingEvaluator(Evaluator):
    """The value of a cell is the validation accuracy, in %, of a network trained from scratch.

    SGD with Nesterov momentum and a cosine learning rate; mixed precision on a GPU (bfloat16, or
    float16 with loss scaling where it has no bfloat16), float32 on the CPU. Every cell's seed is a
    function of ``seed`` and the cell's key, so a value does not depend on what was evaluated before.
    A loss that is not finite, too little memory and the time limit give a failed evaluation.
    Not thread-safe: it seeds PyTorch's global generators for the time of a training.

    Metrics of an evaluation: ``accuracy`` (validation, %), ``parameters``, ``macs`` (multiply-adds
    of convolutions and linear layers for one image), ``train_loss`` (mean of the last epoch),
    ``epochs`` (finished). A failed one has those that are known.

    Args:
        space: the space, or its name; networks can be built for ``list_networks()``.
        data: ``"digits"``, or the path of a .npz file, see :func:`latentnas.evaluation.data.load_npz`.
        channels: channels of the network's first stage.
        cells: cells in each stage.
        stages: number of stages, with a reduction between two; each halves height and width, so that
            ``2**(stages-1)`` must not exceed the smaller of them.
        epochs: passes over the training images.
        batch_size: images a step, at least 2; an incomplete last batch is left out.
        learning_rate: the largest, at the start of the cosine.
        weight_decay: L2 penalty.
        time_limit: seconds that one evaluation may take, above 0, checked at every step; None for no limit.
        device: a PyTorch device; None for the GPU where there is one, else the CPU.
        seed: seed of initial weights and batches.

    Raises:
        ConfigError: settings are wrong; names every one.
        DataFileError: the data file is missing or wrong.
    """

    name = "train"

    def __init__(
        self,
        space: str | SearchSpace = "nasbench201",
        *,
        data: str | Path = "digits",
        channels: int = 8,
        cells: int = 1,
        stages: int = 2,
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 0.1,
        weight_decay: float = 5e-4,
        time_limit: float | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> None:
        self.space = get_space(space)
        _check_settings(
            at_least_one={"channels": channels, "cells": cells, "stages": stages, "epochs": epochs},
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            time_limit=time_limit,
            seed=seed,
        )
        if self.space.name not in list_networks():
            raise ConfigError(
                f"train: cells of {self.space.name} cannot be built as networks yet; "
                f"spaces that can: {', '.join(list_networks())}"
            )
        self.channels, self.cells, self.stages = channels, cells, stages
        self.epochs, self.batch_size = epochs, batch_size
        self.learning_rate, self.weight_decay = float(learning_rate), float(weight_decay)
        self.time_limit, self.seed = time_limit, seed
        self.device = resolve_device(device)
        self.data = load_image_data(data)
        _, height, width = self.data.image_shape
        largest = min(height, width).bit_length()
        if stages > largest:
            raise ConfigError(
                f"train: stages must be in 1..{largest} for images of {height} x {width}, as every further stage "
                f"halves them, got {stages}"
            )

    def config(self) -> dict[str, object]:
        return {
            "name": self.name,
            "space": self.space.name,
            "data": self.data.name,
            "data_sha256": self.data.sha256,
            "channels": self.channels,
            "cells": self.cells,
            "stages": self.stages,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "time_limit": self.time_limit,
            "seed": self.seed,
        }

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        """Train the cells of ``codes`` [B, D] one after the other, each when its result is asked for.

        Raises:
            InvalidCodeError: a row is no cell of the space.
        """
        codes = self.space.check_codes(codes).cpu()
        return (self._evaluate_one(code) for code in codes)

    def _evaluate_one(self, code: Tensor) -> Evaluation:
        started = time.perf_counter()
        metrics: dict[str, float] = {}
        failure: str | None = None
        try:
            self._train(code, started, metrics)
        except _FailedError as error:
            failure = str(error)
        except (RuntimeError, MemoryError) as error:
            failure = _out_of_memory(error)
            if failure is None:
                raise
        if failure is not None:
            # Only now is the traceback, which holds the network and its activations, gone.
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        seconds = time.perf_counter() - started
        return Evaluation(None if failure else metrics["accuracy"], metrics, seconds, failure)

    def _train(self, code: Tensor, started: float, metrics: dict[str, float]) -> None:
        """Train one cell and write what is measured to ``metrics``, each as soon as it is known.

        Raises:
            _FailedError: the loss diverged, or the time is over.
        """
        seed = derive_seed(self.seed, self.name, self.space.keys(code[None])[0])
        gpus = [self.device] if self.device.type == "cuda" else []
        # Leaves the caller's random state and settings alone; on a GPU, equal seeds must give equal values.
        with (
            gradients(),
            torch.random.fork_rng(devices=gpus),
            torch.backends.cudnn.flags(enabled=True, deterministic=True),
        ):
            torch.manual_seed(seed)
            network = build_network(
                self.space,
                code,
                channels=self.channels,
                cells=self.cells,
                stages=self.stages,
                classes=self.data.classes,
                in_channels=self.data.image_shape[0],
            ).to(self.device)
            costs = count_costs(network, self.data.image_shape)
            metrics["parameters"], metrics["macs"] = float(costs.parameters), float(costs.macs)
            self._fit(network, torch.Generator().manual_seed(seed), started, metrics)
            metrics["accuracy"] = self._validate(network, started)

    def _fit(self, network: nn.Module, generator: torch.Generator, started: float, metrics: dict[str, float]) -> None:
        images, labels = self.data.x_train.to(self.device), self.data.y_train.to(self.device)
        batch = min(self.batch_size, len(images))
        steps = len(images) // batch
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.learning_rate,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=self.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * steps)
        precision = _autocast_type(self.device)
        scaler = torch.amp.GradScaler(self.device.type, enabled=precision == torch.float16)
        network.train()
        metrics["epochs"] = 0.0
        for epoch in range(1, self.epochs + 1):
            order = torch.randperm(len(images), generator=generator).to(self.device)
            total = 0.0
            for step in range(steps):
                self._check_time(started, metrics)
                rows = order[step * batch : (step + 1) * batch]
                with torch.autocast(self.device.type, dtype=precision, enabled=precision is not None):
                    loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
                value = loss.item()
                if not math.isfinite(value):
                    raise _FailedError(f"the training diverged: the loss is {value} in epoch {epoch}")
                total += value
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
            metrics["epochs"], metrics["train_loss"] = float(epoch), total / steps

    @torch.no_grad()
    def _validate(self, network: nn.Module, started: float) -> float:
        """Share of validation images that are classified correctly, in %."""
        network.eval()
        precision = _autocast_type(self.device)
        correct = 0
        # Full batches of the training's size: what fitted into memory there fits here.
        for images, labels in zip(
            self.data.x_valid.split(self.batch_size), self.data.y_valid.split(self.batch_size), strict=True
        ):
            self._check_time(started, {"epochs": self.epochs})
            with torch.autocast(self.device.type, dtype=precision, enabled=precision is not None):
                scores = network(images.to(self.device))
            if not bool(scores.isfinite().all()):
                raise _FailedError("the training diverged: the trained network's scores are not finite")
            correct += int((scores.argmax(1).cpu() == labels).sum())
        return 100 * correct / len(self.data.y_valid)

    def _check_time(self, started: float, metrics: dict[str, float]) -> None:
        if self.time_limit is not None and time.perf_counter() - started > self.time_limit:
            raise _FailedError(
                f"the time limit of {self.time_limit:g} s was passed after {metrics['epochs']:.0f} of "
                f"{self.epochs} epochs"
            )


def _autocast_type(device: torch.device) -> torch.dtype | None:
    """Type of mixed precision on the device; None for plain float32."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _out_of_memory(error: RuntimeError | MemoryError) -> str | None:
    """The reason as one sentence where the error means too little memory, else None."""
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(mark in text.lower() for mark in _OUT_OF_MEMORY):
        first = text.strip().split("\n")[0][:200]
        return f"out of memory: {first}" if first else "out of memory"
    return None


def _check_settings(
    *,
    at_least_one: dict[str, object],
    batch_size: object,
    learning_rate: object,
    weight_decay: object,
    time_limit: object,
    seed: object,
) -> None:
    """Raise one ConfigError that lists every wrong setting."""

    def whole(value: object, low: int) -> bool:
        return type(value) is int and value >= low

    def number(value: object, low: float) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return math.isfinite(value) and value >= low

    wrong = [
        f"{name} must be an integer of at least 1, got {value!r}"
        for name, value in at_least_one.items()
        if not whole(value, 1)
    ]
    if not whole(batch_size, 2):
        wrong.append(f"batch_size must be an integer of at least 2, got {batch_size!r}")
    if not whole(seed, 0):
        wrong.append(f"seed must be an integer of at least 0, got {seed!r}")
    if not number(learning_rate, 1e-12):
        wrong.append(f"learning_rate must be a number above 0, got {learning_rate!r}")
    if not number(weight_decay, 0):
        wrong.append(f"weight_decay must be a number of at least 0, got {weight_decay!r}")
    if time_limit is not None and (time_limit == 0 or not number(time_limit, 0)):
        wrong.append(f"time_limit must be seconds (above 0) or None, got {time_limit!r}")
    if wrong:
        raise ConfigError("train: " + "; ".join(wrong))
