"""How a ranker is trained: AdamW, all pairs of a batch, a schedule, averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..errors import ObservationError
from ..models.predictors import CellInputs, Ranker
from ..progress import Progress
from ..seeding import derive_seed

SCHEDULES = ("cosine", "constant")
WARM_UP = 0.1
"""Share of the steps over which the learning rate rises."""


class Trainer:
    """One ranker in training. Everything random in an epoch comes from (seed, epoch).

    Args:
        model: the ranker, on its device.
        learning_rate, weight_decay: of AdamW.
        schedule: "cosine": a linear rise, then half a cosine down to 0; "constant".
        average: over which last share of the epochs the weights are averaged; 0 for the last weights.
        epochs: how many epochs there will be.
        batch_size: cells a step.
        seed: see above.
    """

    def __init__(
        self,
        model: Ranker,
        *,
        learning_rate: float,
        weight_decay: float,
        schedule: str,
        average: float,
        epochs: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model, self.epochs, self.batch_size, self.seed = model, epochs, batch_size, seed
        self.learning_rate, self.schedule = learning_rate, schedule
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, weight_decay=weight_decay, foreach=True
        )
        self.average_from = epochs - round(average * epochs)
        self.averaged = copy.deepcopy(model) if average > 0 else None
        self.step = 0

    @property
    def result(self) -> Ranker:
        """The model to use: that of the averaged weights once there are any."""
        return self.averaged if self.averaged is not None else self.model

    def run_epoch(self, epoch: int, inputs: CellInputs, values: Tensor, targets: Tensor | None) -> float:
        """Train on every cell once; the mean loss.

        Args:
            epoch: 0..epochs-1.
            inputs: n cells.
            values: [n] float.
            targets: [n, t] float or None.
        """
        count, total = len(values), 0.0
        steps = min(-(-count // self.batch_size), max(1, count // 2))  # no cell is alone in a step
        self.model.train()
        with seeded(derive_seed(self.seed, "epoch", epoch), values.device):
            # batches of nearly equal size, so that no step sees a handful of pairs; one batch needs no order
            parts = torch.randperm(count).tensor_split(steps) if steps > 1 else (None,)
            for part in parts:
                self._set_learning_rate(steps)
                if part is None:
                    loss = self.model.training_loss(inputs, values, targets)
                else:
                    part = part.to(values.device)
                    loss = self.model.training_loss(
                        inputs[part], values[part], None if targets is None else targets[part]
                    )
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.step += 1
                total += loss.item() / steps
        self.model.eval()
        self._average(epoch)
        return total

    def _set_learning_rate(self, steps: int) -> None:
        if self.schedule == "constant":
            return
        all_steps = self.epochs * steps
        rise = min(1.0, (self.step + 1) / max(1.0, WARM_UP * all_steps))
        factor = rise * (1 + math.cos(math.pi * self.step / all_steps)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * factor

    @torch.no_grad()
    def _average(self, epoch: int) -> None:
        """Take the weights of this epoch into the mean; before the averaging begins, the mean is they alone."""
        if self.averaged is None:
            return
        weight = 1 / max(1, epoch - self.average_from + 1)
        for mean, own in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(own, weight)
        for kept, newest in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
            kept.copy_(newest)
        self.averaged.eval()


def run_epochs(
    trainers: Sequence[Trainer],
    inputs: CellInputs,
    values: Tensor,
    targets: Tensor | None,
    *,
    name: str,
    progress: bool,
    after: Callable[[int], None],
) -> None:
    """Train the members of an ensemble side by side, all their epochs.

    Args:
        trainers: with equally many epochs.
        inputs, values, targets: see :meth:`Trainer.run_epoch`.
        name: of the encoder, for messages.
        progress: whether to show how far the training is.
        after: called after every epoch with its number.

    Raises:
        ObservationError: the loss is not finite.
    """
    epochs = trainers[0].epochs
    with Progress(epochs, f"fitting {name}", unit="epoch", enabled=progress) as bar:
        for epoch in range(epochs):
            losses = [trainer.run_epoch(epoch, inputs, values, targets) for trainer in trainers]
            if not all(map(math.isfinite, losses)):
                raise ObservationError(
                    f"{name}: the loss is not finite in epoch {epoch}; a smaller learning_rate than "
                    f"{trainers[0].learning_rate} helps"
                )
            after(epoch)
            bar.update(loss=sum(losses) / len(losses))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's global generators seeded inside the block, and as they were after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
