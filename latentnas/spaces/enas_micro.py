"""ENAS micro cells (Pham, Guan, Zoph, Le, Dean, ICML 2018), coded by the numbers of the published scripts."""

from __future__ import annotations

import itertools
import re
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from ._two_cells import CELLS, TwoCellSpace
from .grammar import InDegreeGrammar

OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
"""Operations in the order of their numbers in the authors' code."""

MAX_NODES = 6
"""With more nodes a cell's position would not fit 53 bits, and its permutations would be too many."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")


class ENASMicro(TwoCellSpace):
    """A normal and a reduction cell of ``nodes`` nodes, each the sum of two operations on earlier vertices.

    A code holds the numbers of the authors' ``child_fixed_arc``: for every node two pairs (input,
    operation), for the normal cell, then for the reduction cell. Input 0 is the output of the cell
    before the last, 1 that of the last cell, i + 2 the i-th node; both inputs may be the same. The
    nodes that no operation reads, the loose ends, are concatenated to the output of the cell.

    Views, keys: see :class:`~latentnas.spaces._two_cells.TwoCellSpace`. In the edge view two
    operations on the same input are one edge of type "a+b". In the node view loose ends alone feed
    the output.

    Args:
        nodes: nodes of a cell, 1..6; the paper has 5, which makes 2.6 * 10^25 codes.

    Raises:
        InvalidCodeError: ``nodes`` is out of range.
    """

    op_colors: ClassVar[dict[str, str]] = {
        "sep_conv_3x3": "#56b4e9",
        "sep_conv_5x5": "#0072b2",
        "avg_pool_3x3": "#e69f00",
        "max_pool_3x3": "#d55e00",
        "identity": "#8c8c8c",
    }

    def __init__(self, nodes: int = 5) -> None:
        if not 1 <= nodes <= MAX_NODES:
            raise InvalidCodeError(f"ENASMicro: nodes must be in 1..{MAX_NODES}, got {nodes}")
        self.name = "enas_micro" if nodes == 5 else f"enas_micro{nodes}"
        columns, choices = [], []
        for vertex in range(2, nodes + 2):
            high = (vertex, len(OPERATIONS), vertex, len(OPERATIONS))
            names = (f"in_{vertex}a", f"op_{vertex}a", f"in_{vertex}b", f"op_{vertex}b")
            columns.append(list(zip(names, high, strict=True)))
            choices.append(torch.tensor(list(itertools.product(*map(range, high)))))
        super().__init__(OPERATIONS, columns, choices)
        self.grammar = LooseSumsGrammar(*self._grammar_tables(), sums=self._sum_vertices.tolist())

    def _concatenated(self, used: Tensor) -> Tensor:
        return ~used

    def format(self, codes: Tensor) -> list[str]:
        """The numbers of the code, as the authors' scripts pass them in ``--child_fixed_arc``."""
        return [" ".join(map(str, row)) for row in self.check_codes(codes).tolist()]

    def _parse_one(self, text: str) -> list[int]:
        words = text.split(maxsplit=self.dim)
        if len(words) != self.dim:
            found = len(words) if len(words) < self.dim else f"more than {self.dim}"
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell; expected {self.dim} numbers separated by spaces, "
                f"'input operation input operation' for each node of the {CELLS[0]} cell, then of the reduction cell; "
                f"found {found}"
            )
        row = []
        for word, column, high in zip(words, self.columns, self.cardinalities, strict=True):
            if not _NUMBER.fullmatch(word) or int(word) >= high:
                raise ParseError(f"{self.name}: {column} is {word[:60]!r}, must be a number in 0..{high - 1}")
            row.append(int(word))
        return row


class LooseSumsGrammar(InDegreeGrammar):
    """An in-degree grammar in which the sums that feed nothing, and they alone, feed the output.

    Args:
        types, candidates, degree, required: see :class:`~latentnas.spaces.grammar.InDegreeGrammar`.
        sums: the vertices that are sums; the last vertex is the output.
    """

    def __init__(self, types: Tensor, candidates: Tensor, degree: list[int], required: Tensor, sums: list[int]) -> None:
        super().__init__(types, candidates, degree, required)
        self.sums = frozenset(sums)

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        if vertex < self.num_nodes - 1 or source not in self.sums:
            return super().allowed_edges(ops, adj, vertex, source)
        used = adj[:, source, :vertex].any(1)
        return torch.stack([used, ~used], 1)

    def fixed_edges(self, vertex: int) -> Tensor | None:
        return None if vertex == self.num_nodes - 1 else super().fixed_edges(vertex)
