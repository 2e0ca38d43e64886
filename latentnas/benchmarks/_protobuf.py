"""The one Protocol Buffers message of NAS-Bench-101's files, ``ModelMetrics``, decoded by hand.

``ModelMetrics``: repeated ``EvaluationData`` evaluation_data = 1, int32 trainable_parameters = 2, double
total_time = 3. ``EvaluationData``: doubles current_epoch = 1, training_time = 2, train_accuracy = 3,
validation_accuracy = 4, test_accuracy = 5, and string checkpoint_path = 6 (google-research/nasbench,
``model_metrics.proto``).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EVALUATIONS = 3
"""A run was evaluated at its start, halfway and at its end."""
FIELDS = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EVALUATION_SIZE = 2 + 9 * len(FIELDS)
_FIXED_SIZE = EVALUATIONS * _EVALUATION_SIZE
_MAX_PARAMETERS = 2**31


class Metrics(NamedTuple):
    """Decoded messages: ``evaluations`` [n, 3, 5] doubles (:data:`FIELDS`), ``parameters`` [n] long."""

    evaluations: npt.NDArray[np.float64]
    parameters: npt.NDArray[np.int64]


class MessageError(ValueError):
    """A message is broken; ``row`` says which of the batch."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def decode(messages: list[bytes]) -> Metrics:
    """Decode a batch of ``ModelMetrics``.

    Messages in the form that the published files have (all fields, in order, no checkpoint path) are
    decoded as one array for each length; every tag is checked, and any other message goes through
    the general decoder.

    Raises:
        MessageError: the first message that is no ModelMetrics of three evaluations.
    """
    n = len(messages)
    evaluations = np.empty((n, EVALUATIONS, len(FIELDS)))
    parameters = np.empty(n, dtype=np.int64)
    done = np.zeros(n, dtype=bool)
    lengths = np.fromiter(map(len, messages), dtype=np.int64, count=n)
    for length in np.unique(lengths):
        width = int(length) - _FIXED_SIZE - 1 - 9  # bytes of the parameter count
        if not 1 <= width <= 5:
            continue
        rows = np.flatnonzero(lengths == length)
        raw = np.frombuffer(b"".join([messages[row] for row in rows]), dtype=np.uint8).reshape(len(rows), length)
        good = np.ones(len(rows), dtype=bool)
        for e in range(EVALUATIONS):
            at = e * _EVALUATION_SIZE
            good &= (raw[:, at] == (1 << 3 | _BYTES)) & (raw[:, at + 1] == _EVALUATION_SIZE - 2)
            for f in range(len(FIELDS)):
                good &= raw[:, at + 2 + 9 * f] == (f + 1 << 3 | _FIXED64)
        good &= raw[:, _FIXED_SIZE] == (2 << 3 | _VARINT)
        good &= raw[:, _FIXED_SIZE + 1 + width] == (3 << 3 | _FIXED64)
        digits = raw[:, _FIXED_SIZE + 1 : _FIXED_SIZE + 1 + width].astype(np.int64)
        good &= (digits[:, :-1] >= 128).all(1) & (digits[:, -1] < 128)
        count = ((digits & 127) << (7 * np.arange(width))).sum(1)
        good &= count < _MAX_PARAMETERS
        doubles = raw[:, :_FIXED_SIZE].reshape(len(rows), EVALUATIONS, _EVALUATION_SIZE)[:, :, 2:]
        values = doubles.reshape(len(rows), EVALUATIONS, len(FIELDS), 9)[..., 1:]
        values = np.ascontiguousarray(values).view("<f8")[..., 0]
        evaluations[rows[good]], parameters[rows[good]] = values[good], count[good]
        done[rows[good]] = True
    for row in np.flatnonzero(~done):
        try:
            evaluations[row], parameters[row] = decode_one(messages[row])
        except ValueError as error:
            raise MessageError(int(row), str(error)) from None
    return Metrics(evaluations, parameters)


def decode_one(message: bytes) -> tuple[list[list[float]], int]:
    """Decode one ``ModelMetrics`` in any order of its fields, unknown fields passed over.

    Returns:
        evaluations: 3 x 5 doubles.
        parameters: the number of trainable parameters.

    Raises:
        ValueError: broken, or not three evaluations with all five values and a number of parameters.
    """
    evaluations: list[list[float]] = []
    parameters: int | None = None
    for field, kind, value in _fields(message):
        if field == 1 and kind == _BYTES:
            assert isinstance(value, bytes)
            evaluations.append(_evaluation(value))
        elif field == 2 and kind == _VARINT:
            assert isinstance(value, int)
            parameters = value
    if len(evaluations) != EVALUATIONS:
        raise ValueError(f"{len(evaluations)} evaluations, expected {EVALUATIONS} (start, halfway, end)")
    if parameters is None or not 0 <= parameters < _MAX_PARAMETERS:
        raise ValueError(f"trainable_parameters is {parameters}, expected 0..2^31 - 1")
    return evaluations, parameters


def _evaluation(message: bytes) -> list[float]:
    found: dict[int, float] = {}
    for field, kind, value in _fields(message):
        if kind == _FIXED64 and 1 <= field <= len(FIELDS):
            assert isinstance(value, bytes)
            found[field] = struct.unpack("<d", value)[0]
    missing = [name for f, name in enumerate(FIELDS, start=1) if f not in found]
    if missing:
        raise ValueError(f"an evaluation has no {', '.join(missing)}")
    return [found[f] for f in range(1, len(FIELDS) + 1)]


def _fields(message: bytes) -> list[tuple[int, int, int | bytes]]:
    """The fields of a message in the wire format: (number, wire type, integer or bytes)."""
    fields: list[tuple[int, int, int | bytes]] = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise ValueError("field number 0")
        if kind == _VARINT:
            number, at = _varint(message, at)
            fields.append((field, kind, number))
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(message):
            raise ValueError(f"field {field} of {length:,} bytes reaches over the end")
        fields.append((field, kind, message[at : at + length]))
        at += length
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The variable-length integer at a place, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("truncated")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("an integer of more than ten bytes")
