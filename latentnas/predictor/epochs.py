"""After how many epochs of training cells were measured, at the door of a Predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, ObservationError
from ..models.predictors import encoder_class, list_encoders

if TYPE_CHECKING:
    from .labels import Labels
    from .predictor import Predictor

LONGEST = 100_000
"""Most epochs: an embedding has a row for each number up to the largest."""

TrainedEpochs: TypeAlias = Tensor | Sequence[int] | int
"""Numbers of epochs, one a cell, or one for all cells."""


def as_epochs(given: TrainedEpochs, count: int) -> Tensor:
    """Checked numbers of epochs of ``count`` cells on the CPU: [count] long.

    Raises:
        ObservationError: they are no integers in 1..LONGEST, or there are more or fewer.
    """
    try:
        found = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    except (TypeError, ValueError):
        raise ObservationError(f"trained_epochs must be integers, got {given!r}") from None
    if found.dtype.kind not in "iu" and found.size:
        raise ObservationError(f"trained_epochs must be integers, got {found.dtype}")
    if found.shape not in ((), (count,)):
        raise ObservationError(
            f"trained_epochs must be one integer or one a cell, shape [{count}], got {list(found.shape)}"
        )
    wrong = np.flatnonzero((found < 1) | (found > LONGEST))
    if len(wrong):
        raise ObservationError(
            f"trained_epochs must be in 1..{LONGEST}, got {found.flat[wrong[0]]} ({len(wrong)} of {found.size} are not)"
        )
    return torch.from_numpy(found.astype(np.int64)).expand(count)


def label_epochs(
    encoder: str, given: TrainedEpochs | None, count: int, *, known: Labels | None = None
) -> Tensor | None:
    """After how many epochs each of ``count`` labels was measured: [count] long, None where none are given.

    Args:
        encoder: name of the encoder.
        given: what the user gave.
        count: how many labels there are.
        known: the labels that the weights have been trained on so far, where training goes on from them.

    Raises:
        ConfigError: the encoder does not read them.
        ObservationError: they are wrong, or given for only one of the known and the new labels.
    """
    refuse_unread(encoder, given)
    if known is not None and (known.epochs is None) != (given is None):
        first, then = ("with", "without") if given is None else ("without", "with")
        raise ObservationError(
            f"training goes on from labels {first} trained_epochs, got labels {then}: give them every time or never"
        )
    return None if given is None else as_epochs(given, count)


def asked_epochs(predictor: Predictor, given: TrainedEpochs | None, count: int) -> Tensor | None:
    """After how many epochs the values of ``count`` cells are asked for: [count] long; None for labels without.

    None given asks for the largest number trained on.

    Raises:
        ConfigError: the encoder does not read them.
        ObservationError: they are wrong, or no label had one of them, so that nothing was learned of it.
    """
    known = predictor.labels_.epochs
    refuse_unread(predictor.encoder, given)
    if known is None:
        if given is not None:
            raise ObservationError("trained_epochs: this Predictor was fitted to labels without them")
        return None
    if given is None:
        return known.max().expand(count)
    found = as_epochs(given, count)
    strange = found[~torch.isin(found, known)].unique().tolist()
    if strange:
        raise ObservationError(
            f"trained_epochs: no label was measured after {_listed(strange)} epochs; "
            f"known are {_listed(known.unique().tolist())}"
        )
    return found


def refuse_unread(encoder: str, given: TrainedEpochs | None) -> None:
    """Numbers of epochs that the encoder called ``encoder`` does not read are a ConfigError."""
    reading = [name for name in list_encoders() if "epochs" in encoder_class(name).needs]
    if given is not None and encoder not in reading:
        raise ConfigError(
            f"Predictor: trained_epochs is for encoders that read it ({', '.join(reading)}), got encoder {encoder!r}"
        )


def _listed(numbers: list[int], most: int = 8) -> str:
    return ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")
