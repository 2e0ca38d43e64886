"""ENAS macro cells (Pham et al., ICML 2018) as D-VAE (Zhang et al., NeurIPS 2019) encodes them."""

from __future__ import annotations

import json
import re
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from .base import SearchSpace
from .grammar import TemplateGrammar
from .graphs import INPUT, OUTPUT, NodeGraphs

OPERATIONS = ("conv3x3", "sepconv3x3", "conv5x5", "sepconv5x5", "avgpool3x3", "maxpool3x3")
_LAYER = re.compile(r"\[[0-9, ]*\]")


class ENASMacro(SearchSpace):
    """A chain of ``layers`` operations with free skip connections from every earlier layer.

    A code holds the L operations (columns 0..L-1), then the skip bits of layers 2..L: bit j of
    layer k (1-based), for j = 0..k-2, is the edge from vertex j to vertex k; vertex 0 is the input.
    The chain edges k-1 -> k always exist and have no bit. Vertex L+1 is the output, fed by layer L.

    Because of the chain every cell has one topological order, so no two codes are isomorphic and
    the key of a cell is its code.

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
        if layers < 1:
            raise InvalidCodeError(f"ENASMacro: layers must be at least 1, got {layers}")
        self.layers = layers
        self.name = f"enas_macro{layers}"
        self._skips = tuple((j, k) for k in range(2, layers + 1) for j in range(k - 1))
        self.cardinalities = (len(OPERATIONS),) * layers + (2,) * len(self._skips)
        self.columns = tuple(f"op_{k}" for k in range(1, layers + 1)) + tuple(f"skip_{j}_{k}" for j, k in self._skips)
        self.node_types = ("input", "output", *OPERATIONS)
        self.max_nodes = nodes = layers + 2
        self._chain = torch.diag(torch.ones(nodes - 1), 1).bool()
        free = torch.zeros(nodes, nodes, dtype=torch.bool)
        for j, k in self._skips:
            free[j, k] = True
        types = torch.zeros(nodes, len(self.node_types), dtype=torch.bool)
        types[0, INPUT] = types[-1, OUTPUT] = True
        types[1:-1, 2:] = True
        self._free = free
        self.grammar = TemplateGrammar(types, absent=~self._chain, present=self._chain | free)

    def format(self, codes: Tensor) -> list[str]:
        """The form of the D-VAE data file, e.g. ``[[1], [4, 0], [5, 0, 0]]`` for three layers."""
        rows = self.check_codes(codes).tolist()
        texts = []
        for row in rows:
            bits = iter(row[self.layers :])
            layers = [[op, *(next(bits) for _ in range(k))] for k, op in enumerate(row[: self.layers])]
            texts.append(str(layers))
        return texts

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

    def keys(self, codes: Tensor) -> list[str]:
        """Operations and skip bits layer by layer, e.g. ``1.40.500``: distinct for distinct codes."""
        rows = self.check_codes(codes).tolist()
        starts = [self.layers + k * (k - 1) // 2 for k in range(self.layers + 1)]
        return [
            ".".join("".join(map(str, [row[k], *row[starts[k] : starts[k + 1]]])) for k in range(self.layers))
            for row in rows
        ]

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), INPUT)
        ops[:, 1:-1] = codes[:, : self.layers] + 2
        ops[:, -1] = OUTPUT
        adj = self._chain.to(codes.device).repeat(len(codes), 1, 1)
        if self._skips:
            source, target = torch.tensor(self._skips, device=codes.device).T
            adj[:, source, target] = codes[:, self.layers :].bool()
        return NodeGraphs(ops, adj, torch.ones_like(ops, dtype=torch.bool))

    def from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj = graphs.ops, graphs.adj
        chain, free = self._chain.to(ops.device), self._free.to(ops.device)
        inner = ops[:, 1:-1]
        valid = graphs.mask.all(1) & (ops[:, 0] == INPUT) & (ops[:, -1] == OUTPUT)
        valid &= ((inner >= 2) & (inner < len(self.node_types))).all(1)
        valid &= ((adj & ~free) == chain).flatten(1).all(1)
        bits = ops.new_zeros(len(ops), 0)
        if self._skips:
            source, target = torch.tensor(self._skips, device=ops.device).T
            bits = adj[:, source, target].long()
        codes = torch.cat([inner - 2, bits], 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid
