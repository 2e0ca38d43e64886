"""Evaluation by a zero-cost metric: a search that trains nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ConfigError
from ...seeding import derive_seed
from ...spaces import SearchSpace
from ..base import Evaluation, Evaluator
from ..data import load_image_data
from .measure import ZeroCost
from .settings import NetworkSize

_AT_ONCE = 16
"""Cells that are computed together; their values come at once."""


class ZeroCostEvaluator(Evaluator):
    """The value of a cell is a zero-cost metric of its untrained network; see :mod:`latentnas.evaluation.zero_cost`.

    Metrics of an evaluation: the objective, ``params`` and ``flops``.

    Args:
        space: the space, or its name; networks are built for ``latentnas.evaluation.zero_cost.SPACES``.
        metric: the objective, one of ``latentnas.evaluation.zero_cost.METRICS``.
        data: ``"noise"``, or images as for the evaluator ``train`` (``"digits"`` or a .npz file), of which
            ``batch`` are drawn.
        batch: number of images, at least 2.
        image_size: height and width of noise; images of a file keep theirs.
        channels: channels of the networks' first stage.
        layers: cells in each stage.
        stages: number of stages.
        device: a PyTorch device; None for the GPU where there is one, else the CPU.
        seed: seed of images and initial weights.

    Raises:
        ConfigError: settings are wrong.
        UnknownNameError: an unknown metric.
        DataFileError: the data file is missing or wrong.
    """

    name = "zero-cost"

    def __init__(
        self,
        space: str | SearchSpace = "nasbench201",
        *,
        metric: str = "synflow",
        data: str | Path = "noise",
        batch: int = 32,
        image_size: int = 16,
        channels: int = 8,
        layers: int = 3,
        stages: int = 3,
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> None:
        images = labels = None
        classes, self.data = 10, "noise"
        if data != "noise":
            loaded = load_image_data(data)
            if type(batch) is not int or not 2 <= batch <= len(loaded.x_train):
                raise ConfigError(
                    f"{self.name}: batch must be an integer in 2..{len(loaded.x_train)}, the images of "
                    f"{loaded.name}, got {batch!r}"
                )
            generator = torch.Generator().manual_seed(derive_seed(seed, self.name, "images"))
            chosen = torch.randperm(len(loaded.x_train), generator=generator)[:batch]
            images, labels = loaded.x_train[chosen], loaded.y_train[chosen]
            classes, self.data = loaded.classes, loaded.name
        self.metric = metric
        self.measure = ZeroCost(
            space,
            metrics=tuple(dict.fromkeys((metric, "params", "flops"))),
            size=NetworkSize(channels, layers, stages, classes),
            images=images,
            labels=labels,
            batch=batch,
            image_size=image_size,
            seed=seed,
            device=device,
        )
        self.space = self.measure.space

    def config(self) -> dict[str, object]:
        # the digest stands for sizes, images, labels and seed
        return {
            "name": self.name,
            "space": self.space.name,
            "metric": self.metric,
            "data": self.data,
            "experiment": self.measure.digest,
        }

    def evaluate(self, codes: Tensor) -> Iterator[Evaluation]:
        """Compute the cells of ``codes`` [B, D], a few at once, when their results are asked for.

        Raises:
            InvalidCodeError: a row is no cell of the space.
        """
        return self._evaluations(self.space.check_codes(codes).cpu())

    def _evaluations(self, codes: Tensor) -> Iterator[Evaluation]:
        for part in codes.split(_AT_ONCE) if len(codes) else ():
            started = time.perf_counter()
            found = self.measure(part).network
            seconds = (time.perf_counter() - started) / len(part)
            for row in range(len(part)):
                metrics = {name: float(values[row]) for name, values in found.items()}
                yield Evaluation(metrics[self.metric], metrics, seconds)
