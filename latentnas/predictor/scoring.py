"""What the members of a fitted Predictor say of cells, in units of its labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..device import cpu_threads
from ..models.predictors import CellInputs, Comparator
from ..seeding import derive_seed
from .labels import distinct_measurements
from .training import seeded

if TYPE_CHECKING:
    from .predictor import Predictor

CHUNK = 8192
"""Cells scored at once: few enough that their states stay in the cache."""


def scaled_scores(predictor: Predictor, codes: Tensor, epochs: Tensor | None) -> Tensor:
    """What each member predicts of cells as they are encoded, see :meth:`.predictor.Predictor.predict`.

    Args:
        predictor: fitted, of a single encoder.
        codes: [B, D] long.
        epochs: [B] long, after how many epochs of training; None for labels without.

    Returns:
        Double [members, B].
    """
    # equal cells are scored once, so they get equal scores
    codes, epochs, number = distinct_measurements(predictor.space_, codes, epochs)
    with cpu_threads(predictor.threads), torch.inference_mode():
        if predictor.loss == "comparator":
            return _compared(predictor, codes, epochs)[:, number]
        parts = [
            torch.stack([member(inputs) for member in predictor.members_]).double().cpu()
            for inputs in _chunks(predictor, codes, epochs)
        ]
    scores = torch.cat(parts, 1) if parts else torch.zeros(len(predictor.members_), 0, dtype=torch.double)
    known, center, spread = predictor.labels_.values, predictor._center, predictor._spread
    flat = spread[:, None] <= 0  # a model that tells no cells apart predicts the mean
    standard = (scores - center[:, None]) / torch.where(flat, 1.0, spread[:, None])
    standard = torch.where(flat, 0.0, standard)
    return (known.mean() + known.std(unbiased=False) * standard)[:, number]


def calibrate(predictor: Predictor, inputs: CellInputs) -> None:
    """Note mean and deviation of every member's scores of the training cells."""
    if predictor.loss == "comparator":
        return
    with torch.inference_mode():
        scores = torch.stack([member(inputs) for member in predictor.members_]).double().cpu()  # [members, n]
    predictor._center, predictor._spread = scores.mean(1), scores.std(1, unbiased=False)


def _chunks(predictor: Predictor, codes: Tensor, epochs: Tensor | None) -> Iterator[CellInputs]:
    """What the members read of at most CHUNK cells at once."""
    for start in range(0, len(codes), CHUNK):
        part = slice(start, start + CHUNK)
        with torch.inference_mode(False):  # a measure may take gradients of networks
            inputs = predictor._inputs(codes[part], None if epochs is None else epochs[part])
        yield inputs


def _compared(predictor: Predictor, codes: Tensor, epochs: Tensor | None) -> Tensor:
    """Places of all cells in the order that each comparator sorts them into, as label quantiles."""
    found = []
    for number, member in enumerate(predictor.members_):
        assert isinstance(member, Comparator)
        parts = [member.embed(inputs) for inputs in _chunks(predictor, codes, epochs)]
        with seeded(derive_seed(predictor.seed, "pivots", number), torch.device("cpu")):
            places = member.rank(torch.cat(parts)) if parts else torch.zeros(0)
        quantiles = (places.double().cpu() + 0.5) / max(1, len(codes))
        found.append(torch.quantile(predictor.labels_.values, quantiles))
    return torch.stack(found)
