"""ENAS macro cells (Pham et al., ICML 2018) as D-VAE (Zhang et al., NeurIPS 2019) encodes them."""

from __future__ import annotations

import json
import re
from typing import ClassVar

from torch import Tensor

from ..errors import ParseError
from .chain import ChainSpace

OPERATIONS = ("conv3x3", "sepconv3x3", "conv5x5", "sepconv5x5", "avgpool3x3", "maxpool3x3")
_LAYER = re.compile(r"\[[0-9, ]*\]")


class ENASMacro(ChainSpace):
    """A chain of ``layers`` operations with free skip connections from every earlier layer.

    A code holds the L operations (columns 0..L-1), then the skip bits, as :class:`ChainSpace` orders
    them. The key of a cell is its code, e.g. ``1.40.500`` for three layers.

    Args:
        layers: L, at least 1.
    """

    op_colors: ClassVar[dict[str, str]] = {
        "conv3x3": "#0072b2",
        "sepconv3x3": "#56b4e9",
        "conv5x5": "#009e73",
        "sepconv5x5": "#7fcdbb",
        "avgpool3x3": "#e69f00",
        "maxpool3x3": "#d55e00",
    }

    def __init__(self, layers: int) -> None:
        super().__init__(layers, f"enas_macro{layers}", {"op": OPERATIONS})

    def format(self, codes: Tensor) -> list[str]:
        """The form of the D-VAE data file, e.g. ``[[1], [4, 0], [5, 0, 0]]`` for three layers."""
        rows = self._layer_rows(self.check_codes(codes))
        return [str([values + bits for values, bits in row]) for row in rows]

    def _parse_one(self, text: str) -> list[int]:
        expected = f"expected {self.layers} lists [op, bits...], layer k with k-1 bits, op in 0..{len(OPERATIONS) - 1}"
        wrong = ParseError(f"{self.name}: {text[:200]!r} is no cell; {expected}")
        body = text.strip()
        inner = body[1:-1].strip() if body.startswith("[") and body.endswith("]") else ""
        parts = _LAYER.findall(inner)
        if len(parts) != self.layers or re.sub(r"\s*,\s*", ",", _LAYER.sub("*", inner)) != ",".join("*" * len(parts)):
            raise wrong
        try:
            layers = [json.loads(part) for part in parts]
        except ValueError:
            raise wrong from None
        if [len(layer) for layer in layers] != list(range(1, self.layers + 1)):
            raise wrong
        if any(layer[0] >= len(OPERATIONS) or any(bit > 1 for bit in layer[1:]) for layer in layers):
            raise wrong
        return [layer[0] for layer in layers] + [bit for layer in layers for bit in layer[1:]]
