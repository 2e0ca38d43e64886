"""How fast a predictor trains and ranks a space on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from sklearn.base import clone
from torch import Tensor

from ..device import cpu_threads, resolve_device
from ..errors import ConfigError, SpaceTooLargeError
from ..latent.benchmark import Clock, PeakMemory, Timing
from ..spaces import SearchSpace, get_space
from .labels import distinct_rows
from .predictor import Predictor

PLAIN = (int, float, str, dict, list, tuple)
"""Types of settings that are shown."""


@dataclass(frozen=True)
class PredictorSpeed:
    """What :func:`measure_predictor` found.

    Attributes:
        space, device, threads: what was measured, and where. threads: CPU threads.
        settings: the predictor's settings that are JSON types.
        parameters: how many numbers a member has; None where there is none ("auto").
        labels: different cells trained on.
        fit: training on them.
        cells: how many cells were scored.
        score: scoring them, from codes to values.
        networks: cells of the whole space; None where it cannot be listed.
        listing: listing them for the first time.
        ranking: scoring and sorting all of them once; None where it was not asked for.
        peak_memory: bytes; of this process since it began, on a GPU of the tensors.
    """

    space: str
    device: str
    threads: int
    settings: dict[str, Any]
    parameters: int | None
    labels: int
    fit: Timing
    cells: int
    score: Timing
    networks: int | None
    listing: Timing | None
    ranking: Timing | None
    peak_memory: int

    def to_dict(self) -> dict[str, object]:
        """JSON types."""
        return asdict(self)


def measure_predictor(
    predictor: Predictor,
    *,
    labels: int = 200,
    cells: int = 50_000,
    threads: int = 1,
    repeats: int = 3,
    whole: bool = True,
) -> PredictorSpeed:
    """Fit a predictor on made-up labels and time it.

    Labels are random numbers: what is learned does not change how long it takes.

    Args:
        predictor: its settings are taken; it is fitted.
        labels: random cells to train on, at least 2 different ones.
        cells: random cells to score.
        threads: CPU threads; no more are used, whatever PyTorch was set to.
        repeats: how often scoring is timed, after once without; training is timed once.
        whole: whether to rank the whole space, where it can be listed.

    Raises:
        ConfigError: a number is below 1, or a setting of the predictor is wrong.
    """
    for name, value in {"labels": labels, "cells": cells, "threads": threads, "repeats": repeats}.items():
        if value < 1:
            raise ConfigError(f"measure_predictor: {name} must be at least 1, got {value}")
    predictor = clone(predictor).set_params(threads=threads)
    space, device = get_space(predictor.space), resolve_device(predictor.device)
    clock, memory = Clock(device), PeakMemory(device)
    codes = distinct_rows(space, space.canonical(space.sample(labels, seed=0)))[0]
    values = torch.rand(len(codes), generator=torch.Generator().manual_seed(0), dtype=torch.double)
    asked = space.sample(cells, seed=1)
    listing = ranking = networks = None
    with cpu_threads(threads):
        fit = clock.once(lambda: predictor.fit(codes, values))
        score = clock.time(lambda: predictor.predict(asked), repeats)
        if whole:
            listed: list[Tensor] = []
            listing = _listing(clock, space, listed)
        if listing is not None:
            networks = len(listed[0])
            ranking = clock.once(lambda: predictor.predict(listed[0]).argsort())
    members, settings = getattr(predictor, "members_", None), predictor.get_params(deep=False)
    return PredictorSpeed(
        space=space.name,
        device=str(device),
        threads=threads,
        settings={name: value for name, value in settings.items() if isinstance(value, PLAIN)},
        parameters=sum(each.numel() for each in members[0].parameters()) if members else None,
        labels=len(codes),
        fit=fit,
        cells=cells,
        score=score,
        networks=networks,
        listing=listing,
        ranking=ranking,
        peak_memory=memory.bytes(),
    )


def _listing(clock: Clock, space: SearchSpace, found: list[Tensor]) -> Timing | None:
    """Put the space's networks into ``found``; None where there are too many."""
    try:
        return clock.once(lambda: found.append(space.networks()))
    except SpaceTooLargeError:
        return None
