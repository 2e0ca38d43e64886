"""NAS-Bench-201 (Dong and Yang, ICLR 2020): 4 vertices, 6 edges, 5 operations an edge."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from .base import SearchSpace
from .grammar import TemplateGrammar
from .graphs import INPUT, OUTPUT, EdgeGraphs, NodeGraphs

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edge of each code column, in the order of the published string."""

NONE, SKIP = 0, 1
_POWERS = tuple(len(OPERATIONS) ** p for p in range(5, -1, -1))
_SYMBOLS = ("", "", "c1", "c3", "p")
_TEXT = re.compile(
    r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|",
    re.ASCII,
)


class NASBench201(SearchSpace):
    """The cells of NAS-Bench-201: 5^6 = 15,625 codes that compute 4,930 distinct functions.

    Column d of a code is the operation of edge ``EDGES[d]``, an index into ``OPERATIONS``. In the
    node view each of the six operations is a vertex (1..6, in code order) between the input (0) and
    the output (7): the vertex of edge i -> j precedes that of edge j -> k.
    """

    name = "nasbench201"
    cardinalities = (len(OPERATIONS),) * len(EDGES)
    columns = tuple(f"edge_{i}_{j}" for i, j in EDGES)
    node_types = ("input", "output", *OPERATIONS)
    edge_types = OPERATIONS
    identity_types = (SKIP + 2,)
    zero_types = (NONE + 2,)
    max_nodes = len(EDGES) + 2
    op_colors: ClassVar[dict[str, str]] = {
        "none": "#d9d9d9",
        "skip_connect": "#8c8c8c",
        "nor_conv_1x1": "#56b4e9",
        "nor_conv_3x3": "#0072b2",
        "avg_pool_3x3": "#e69f00",
    }

    def __init__(self) -> None:
        self._adj = _template_adjacency()
        types = torch.zeros(self.max_nodes, len(self.node_types), dtype=torch.bool)
        types[0, INPUT] = types[-1, OUTPUT] = True
        types[1:-1, 2:] = True
        self.grammar = TemplateGrammar(types, absent=~self._adj, present=self._adj)
        self._roles = _roles(self._adj[None])[0, 1:-1]

    def format(self, codes: Tensor) -> list[str]:
        rows = self.check_codes(codes).tolist()
        names = [[OPERATIONS[c] for c in row] for row in rows]
        return [f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|" for a, b, c, d, e, f in names]

    def column_values(self) -> list[tuple[str, ...]]:
        return [OPERATIONS] * self.dim

    def _from_object(self, item: object) -> str | None:
        """The authors' ``CellStructure``, an object whose ``tostr()`` gives the text."""
        if not callable(getattr(item, "tostr", None)) or not hasattr(item, "nodes"):
            return None
        try:
            text = item.tostr()  # type: ignore[attr-defined]
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise ParseError(f"{self.name}: tostr() of the {type(item).__name__} failed: {error}") from None
        return str(text)

    def _parse_one(self, text: str) -> list[int]:
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell; expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2| "
                f"with op one of {', '.join(OPERATIONS)}"
            )
        for op in match.groups():
            if op not in OPERATIONS:
                raise ParseError(f"{self.name}: unknown operation {op[:60]!r}; known: {', '.join(OPERATIONS)}")
        return [OPERATIONS.index(op) for op in match.groups()]

    def keys(self, codes: Tensor) -> list[str]:
        """The function that a cell computes, as a text: sums with sorted terms, ``x`` the input.

        Skip connections are contracted, 'none' edges and operations that only zeros feed are gone,
        and sums are multisets, so equal keys mean equal functions. Example: ``c3(c1(x)+x)+p(x)``;
        a cell that returns zero has the key ``0``.
        """
        table = _key_table()
        return [table[i] for i in _index(self.check_codes(codes)).tolist()]

    def canonical(self, codes: Tensor) -> Tensor:
        """The lexicographically first code that computes the same function: [B, D] -> [B, D] long.

        It has the most 'none' edges in front: what a cell does not use is none.
        """
        codes = self.check_codes(codes)
        first = _first_index().to(codes.device)[_index(codes)]
        powers = torch.tensor(_POWERS, device=codes.device)
        return first[:, None] // powers % len(OPERATIONS)

    def published_index(self, codes: Tensor) -> Tensor:
        """The number of every cell in NAS-Bench-201 and NATS-Bench: [B, D] -> [B] long, in 0..15624.

        The authors enumerated the cells in the lexicographic order of these codes, and shuffled them once
        with Python's generator seeded with 88. Number 0 is
        ``|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|``.
        """
        codes = self.check_codes(codes)
        return _published_numbers().to(codes.device)[_index(codes)]

    def from_published_index(self, numbers: Tensor | Sequence[int]) -> Tensor:
        """The cells of published numbers: [B] integers in 0..15624 -> [B, D] long; see :meth:`published_index`.

        Raises:
            InvalidCodeError: a number is out of range, or they are no integers.
        """
        numbers = torch.as_tensor(numbers)
        if numbers.ndim != 1 or numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
            raise InvalidCodeError(
                f"{self.name}: published numbers must be integers [B], got {numbers.dtype} {list(numbers.shape)}"
            )
        wrong = ((numbers < 0) | (numbers >= self.size)).nonzero()
        if len(wrong):
            number = int(numbers[wrong[0, 0]])
            raise InvalidCodeError(f"{self.name}: no cell has the number {number}, must be in 0..{self.size - 1}")
        order = _published_numbers().argsort().to(numbers.device)[numbers.long()]
        return order[:, None] // torch.tensor(_POWERS, device=numbers.device) % len(OPERATIONS)

    def edge_graphs(self, codes: Tensor) -> EdgeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_zeros(len(codes), 4, 4)
        source, target = torch.tensor(EDGES, device=codes.device).T
        ops[:, source, target] = codes
        return EdgeGraphs(ops, torch.ones(len(codes), 4, dtype=torch.bool, device=codes.device))

    def vertex_edges(self, codes: Tensor) -> Tensor:
        numbers = torch.tensor([-1, *(4 * source + target for source, target in EDGES), -1], device=codes.device)
        return numbers.expand(len(self.check_codes(codes)), -1)

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), INPUT)
        ops[:, 1:-1] = codes + 2
        ops[:, -1] = OUTPUT
        adj = self._adj.to(codes.device).expand(len(codes), -1, -1)
        return NodeGraphs(ops, adj, torch.ones_like(ops, dtype=torch.bool))

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj = graphs.ops, graphs.adj
        template = self._adj.to(ops.device)
        # Which edge of the cell each vertex is shows in its neighbourhood; see _roles.
        match = _roles(adj)[:, 1:-1, None] == self._roles.to(ops.device)  # [B, vertex, column]
        order = match.long().argmax(1) + 1  # [B, column] -> vertex
        ends = order.new_zeros(len(ops), 1)
        order = torch.cat([ends, order, ends + self.max_nodes - 1], 1)  # [B, N]
        rows = torch.arange(len(ops), device=ops.device)[:, None]
        same = adj[rows[:, :, None], order[:, :, None], order[:, None, :]] == template
        types = ops[rows, order]
        inner = types[:, 1:-1]
        valid = match.any(1).all(1) & same.flatten(1).all(1) & graphs.mask.all(1)
        valid &= (types[:, 0] == INPUT) & (types[:, -1] == OUTPUT)
        valid &= ((inner >= 2) & (inner < len(self.node_types))).all(1)
        codes = torch.where(valid[:, None], inner - 2, torch.zeros_like(inner))
        return codes, valid


def _template_adjacency() -> Tensor:
    """Adjacency of the node view, the same for every cell: [8, 8] bool."""
    adj = torch.zeros(len(EDGES) + 2, len(EDGES) + 2, dtype=torch.bool)
    for a, (source, target) in enumerate(EDGES, start=1):
        adj[0, a] = source == 0
        adj[a, -1] = target == 3
        for b, (other, _) in enumerate(EDGES, start=1):
            adj[a, b] = target == other
    return adj


def _roles(adj: Tensor) -> Tensor:
    """A number per vertex that tells the six operation vertices of the template apart: [B, N] long.

    It is made of: fed by the input, feeds the output, in-degree, out-degree.
    """
    nodes = adj.shape[1]
    first, last = adj[:, 0, :].long(), adj[:, :, -1].long()
    return ((first * 2 + last) * nodes + adj.sum(1)) * nodes + adj.sum(2)


def _index(codes: Tensor) -> Tensor:
    """Place of every code in lexicographic order: [B] long."""
    return (codes * torch.tensor(_POWERS, device=codes.device)).sum(1)


@lru_cache(maxsize=1)
def _published_numbers() -> Tensor:
    """The published number of every code, in lexicographic order of codes: [15625] long."""
    order = list(range(len(OPERATIONS) ** len(EDGES)))
    random.Random(88).shuffle(order)  # the authors' random.seed(88); order[number] is the place of the code
    return torch.tensor(order).argsort()


@lru_cache(maxsize=1)
def _first_index() -> Tensor:
    """Place of the first code with the same key, for every code in lexicographic order: [15625] long."""
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(key, i) for i, key in enumerate(_key_table())])


@lru_cache(maxsize=1)
def _key_table() -> tuple[str, ...]:
    """Key of every code, in lexicographic order of codes: built once, 15,625 entries."""
    base = len(OPERATIONS)
    first = [_edge(a, ("x",)) for a in range(base)]
    second = {
        (a, b, c): _edge(b, ("x",)) + _edge(c, first[a]) for a in range(base) for b in range(base) for c in range(base)
    }
    table = []
    for (a, _, _), node2 in second.items():
        for d in range(base):
            for e in range(base):
                for f in range(base):
                    table.append(_sum(_edge(d, ("x",)) + _edge(e, first[a]) + _edge(f, node2)))
    return tuple(table)


def _edge(op: int, terms: tuple[str, ...]) -> tuple[str, ...]:
    """The terms that an edge adds to its target, given the terms of the sum at its source."""
    if op == NONE or not terms:
        return ()
    return terms if op == SKIP else (f"{_SYMBOLS[op]}({_sum(terms)})",)


def _sum(terms: tuple[str, ...]) -> str:
    return "+".join(sorted(terms)) or "0"
