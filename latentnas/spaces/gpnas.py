"""The generalised operator space of GPNAS: operator, initialisation and activation of every layer."""

from __future__ import annotations

import itertools
import re
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from .chain import ChainSpace

OPERATORS = (
    "identity",
    "conv1x3-3x1",
    "conv1x7-7x1",
    "dilconv3x3",
    "avgpool3x3",
    "maxpool3x3",
    "maxpool5x5",
    "maxpool7x7",
    "conv1x1",
    "conv3x3",
    "sepconv3x3",
    "sepconv5x5",
    "sepconv7x7",
)
"""The operators of NASNet (Zoph et al., CVPR 2018): convolutions, dilated and depthwise-separable ones, pools."""

INITIALISATIONS = ("uniform", "gauss", "gauss2")
ACTIVATIONS = ("selu", "relu", "elu", "tanh")

_COLORS = {
    "identity": "#999999",
    "conv1x3-3x1": "#0072b2",
    "conv1x7-7x1": "#004c78",
    "dilconv3x3": "#cc79a7",
    "avgpool3x3": "#e69f00",
    "maxpool3x3": "#d55e00",
    "maxpool5x5": "#b04a00",
    "maxpool7x7": "#843700",
    "conv1x1": "#f0e442",
    "conv3x3": "#009e73",
    "sepconv3x3": "#56b4e9",
    "sepconv5x5": "#7fcdbb",
    "sepconv7x7": "#4d9fb5",
}


class GPNAS(ChainSpace):
    """A chain of generalised operators with free skip connections.

    A generalised operator is one of 13 operators, one of 3 initialisations of its weights (Uniform,
    Gauss, Gauss^2) and one of 4 activation functions: 156 values. A code has three columns a layer
    (``op_k``, ``init_k``, ``act_k``), then the skip bits as :class:`ChainSpace` orders them. The paper
    searches operators and skip connections in turn: :meth:`split` and :meth:`join`.

    As in the paper every code is a network of its own, also where an attribute changes little (the
    initialisation of a pooling, which has no weights).

    The paper (GPNAS: a neural network architecture search framework based on graphical predictor)
    fixes neither the number of layers nor a text form.

    Args:
        layers: L, at least 1.
    """

    op_colors: ClassVar[dict[str, str]] = {
        "/".join(values): _COLORS[values[0]] for values in itertools.product(OPERATORS, INITIALISATIONS, ACTIVATIONS)
    }

    def __init__(self, layers: int) -> None:
        super().__init__(layers, f"gpnas{layers}", {"op": OPERATORS, "init": INITIALISATIONS, "act": ACTIVATIONS})

    def split(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The two sub-spaces that GPNAS searches in turn.

        Args:
            codes: [B, D] long.

        Returns:
            skips: [B, L(L-1)/2] long, the skip bits.
            operators: [B, 3L] long, operator, initialisation and activation of every layer.
        """
        codes = self.check_codes(codes)
        return codes[:, self._width :], codes[:, : self._width]

    def join(self, skips: Tensor, operators: Tensor) -> Tensor:
        """Codes [B, D] of skip bits and operators as :meth:`split` returns them.

        Raises:
            InvalidCodeError: the numbers of rows or columns do not fit, or a value is out of range.
        """
        expected = (len(operators), len(self._skips))
        if skips.shape != expected or operators.shape != (len(operators), self._width):
            raise InvalidCodeError(
                f"{self.name}: join() needs skips [B, {len(self._skips)}] and operators [B, {self._width}], "
                f"got {list(skips.shape)} and {list(operators.shape)}"
            )
        return self.check_codes(torch.cat([operators, skips], 1))

    def format(self, codes: Tensor) -> list[str]:
        """Layers joined by ``|``, each operator/initialisation/activation and its k-1 skip bits.

        For three layers e.g. ``conv3x3/gauss/relu | maxpool3x3/uniform/tanh 0 | conv1x1/gauss2/elu 01``.
        """
        rows = self._layer_rows(self.check_codes(codes))
        return [
            " | ".join(
                f"{OPERATORS[op]}/{INITIALISATIONS[init]}/{ACTIVATIONS[act]} {''.join(map(str, bits))}".rstrip()
                for (op, init, act), bits in row
            )
            for row in rows
        ]

    def _parse_one(self, text: str) -> list[int]:
        wrong = ParseError(
            f"{self.name}: {text[:200]!r} is no cell; expected {self.layers} layers joined by '|', layer k as "
            f"'operator/initialisation/activation' and k-1 bits, e.g. 'conv3x3/gauss/relu 01' for layer 3"
        )
        parts = text.split("|")
        if len(parts) != self.layers:
            raise wrong
        operators: list[int] = []
        skips: list[int] = []
        for k, part in enumerate(parts):
            tokens = part.split()
            bits = tokens[1] if len(tokens) == 2 else ""
            if len(tokens) != (2 if k else 1) or len(bits) != k or not re.fullmatch("[01]*", bits):
                raise wrong
            names = tokens[0].split("/")
            if len(names) != 3 or any(
                name not in known for name, known in zip(names, (OPERATORS, INITIALISATIONS, ACTIVATIONS), strict=True)
            ):
                raise wrong
            operators += [OPERATORS.index(names[0]), INITIALISATIONS.index(names[1]), ACTIVATIONS.index(names[2])]
            skips += map(int, bits)
        return operators + skips
