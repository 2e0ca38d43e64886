"""Chains of layers with free skip connections: what the ENAS macro and the GPNAS space have in common."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidCodeError
from .base import SearchSpace
from .grammar import TemplateGrammar
from .graphs import INPUT, OUTPUT, NodeGraphs

_CHARACTERS = np.frombuffer(b"0123456789abcdef.", dtype=np.uint8)
_POINT = 16


class ChainSpace(SearchSpace):
    """A chain of ``layers`` layers with free skip connections from every earlier layer.

    A code holds the attributes of the layers (A columns for layer 1, then A columns for layer 2, ...),
    then the skip bits of layers 2..L: bit j of layer k (1-based), for j = 0..k-2, is the edge from
    vertex j to vertex k; vertex 0 is the input. The chain edges k-1 -> k always exist and have no bit.
    Vertex L+1 is the output, fed by layer L.

    Because of the chain every cell has one topological order, so no two codes are isomorphic and
    the key of a cell is its code.

    Args:
        layers: L, at least 1.
        name: the name of the space.
        attributes: the A attributes of a layer, each with its values (at most 16). A vertex type is
            one value of each, joined by "/".
    """

    def __init__(self, layers: int, name: str, attributes: Mapping[str, Sequence[str]]) -> None:
        if layers < 1:
            raise InvalidCodeError(f"{type(self).__name__}: layers must be at least 1, got {layers}")
        self.layers = layers
        self.name = name
        counts = tuple(len(values) for values in attributes.values())
        self._counts = counts
        self._values = tuple(map(tuple, attributes.values()))
        self._strides = tuple(math.prod(counts[i + 1 :]) for i in range(len(counts)))
        self._skips = tuple((j, k) for k in range(2, layers + 1) for j in range(k - 1))
        self._width = layers * len(counts)  # columns before the skip bits
        self.cardinalities = counts * layers + (2,) * len(self._skips)
        self.columns = tuple(f"{attribute}_{k}" for k in range(1, layers + 1) for attribute in attributes) + tuple(
            f"skip_{j}_{k}" for j, k in self._skips
        )
        self.node_types = ("input", "output", *map("/".join, itertools.product(*attributes.values())))
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

    def column_values(self) -> list[tuple[str, ...]]:
        return [*self._values * self.layers, *[("0", "1")] * len(self._skips)]

    def _layer_rows(self, codes: Tensor) -> list[list[tuple[list[int], list[int]]]]:
        """For every row and layer its attributes and its skip bits."""
        step = len(self._counts)
        starts = [self._width + k * (k - 1) // 2 for k in range(self.layers + 1)]
        return [
            [(row[k * step : (k + 1) * step], row[starts[k] : starts[k + 1]]) for k in range(self.layers)]
            for row in codes.tolist()
        ]

    def keys(self, codes: Tensor) -> list[str]:
        """Attributes (hexadecimal) and skip bits layer by layer, distinct for distinct codes.

        A key has L (L - 1) / 2 characters for skips, so from about 30 layers on more than 500.

        The key of an ENAS cell of three layers is e.g. ``1.40.500``.
        """
        values = self.check_codes(codes).cpu().numpy()
        values = np.concatenate([values, np.full((len(values), 1), _POINT)], 1)
        characters = np.ascontiguousarray(_CHARACTERS[values[:, self._key_columns()]])  # [B, length of a key]
        return characters.view(f"S{characters.shape[1]}")[:, 0].astype(str).tolist() if len(values) else []

    def _key_columns(self) -> list[int]:
        """The code column of each character of a key, -1 for a point."""
        step, start = len(self._counts), self._width
        columns: list[int] = []
        for k in range(self.layers):
            columns += [*range(k * step, (k + 1) * step), *range(start, start + k), -1]
            start += k
        return columns[:-1]

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), INPUT)
        values = codes[:, : self._width].reshape(len(codes), self.layers, len(self._counts))  # [B, L, A]
        ops[:, 1:-1] = (values * torch.tensor(self._strides, device=codes.device)).sum(2) + 2
        ops[:, -1] = OUTPUT
        adj = self._chain.to(codes.device).repeat(len(codes), 1, 1)
        if self._skips:
            source, target = torch.tensor(self._skips, device=codes.device).T
            adj[:, source, target] = codes[:, self._width :].bool()
        return NodeGraphs(ops, adj, torch.ones_like(ops, dtype=torch.bool))

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj = graphs.ops, graphs.adj
        chain, free = self._chain.to(ops.device), self._free.to(ops.device)
        inner = ops[:, 1:-1]
        valid = graphs.mask.all(1) & (ops[:, 0] == INPUT) & (ops[:, -1] == OUTPUT)
        valid &= ((inner >= 2) & (inner < len(self.node_types))).all(1)
        valid &= ((adj & ~free) == chain).flatten(1).all(1)
        strides, counts = torch.tensor([self._strides, self._counts], device=ops.device)
        values = (inner[:, :, None] - 2).div(strides, rounding_mode="floor") % counts  # [B, L, A]
        bits = ops.new_zeros(len(ops), 0)
        if self._skips:
            source, target = torch.tensor(self._skips, device=ops.device).T
            bits = adj[:, source, target].long()
        codes = torch.cat([values.flatten(1), bits], 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid
