"""DARTS (Liu, Simonyan, Yang, ICLR 2019), the space of NAS-Bench-301 (Siems et al., 2020), too."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from ..errors import ParseError
from ._two_cells import CELLS, TwoCellSpace
from .grammar import InDegreeGrammar

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operations in the order of the authors' ``PRIMITIVES``, 'none' (which no genotype holds) left out."""

NODES = 4
CONFIG_PREFIX = "NetworkSelectorDatasetInfo:darts:"
"""What every architecture key of a NAS-Bench-301 configuration begins with."""

_PAIRS = tuple(tuple(itertools.combinations(range(k + 2), 2)) for k in range(NODES))
_FIRST_EDGE = (0, 2, 5, 9)
"""NAS-Bench-301 numbers all 14 edges of a cell: edge ``_FIRST_EDGE[k] + i`` leads from vertex i to node k."""

_FIELDS = tuple(f"{cell}{end}" for cell in CELLS for end in ("", "_concat"))
_MAX_TEXT = 20_000
_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_]\w*)|'(?P<single>\w*)'|"(?P<double>\w*)"|(?P<number>0|[1-9]\d{0,8})|(?P<mark>[()\[\],=]))""",
    re.ASCII,
)


class DARTS(TwoCellSpace):
    """A normal and a reduction cell of 4 nodes, each the sum of operations on two different earlier vertices.

    For every node a code holds the pair of inputs, in lexicographic order (0, 1), (0, 2), ...; then
    the operation on the smaller input and the operation on the larger one, indices into
    ``OPERATIONS``. The first node of a cell has one pair only, and no column for it. Vertices of a
    cell: 0 is the output of the cell before the last (c_{k-2}), 1 that of the last cell (c_{k-1}),
    2..5 the nodes; all four nodes are concatenated. There are (180 * 7^8)^2, about 10^18, codes.

    Views, keys: see :class:`~latentnas.spaces._two_cells.TwoCellSpace`.
    """

    name = "darts"
    op_colors: ClassVar[dict[str, str]] = {
        "max_pool_3x3": "#d55e00",
        "avg_pool_3x3": "#e69f00",
        "skip_connect": "#8c8c8c",
        "sep_conv_3x3": "#56b4e9",
        "sep_conv_5x5": "#0072b2",
        "dil_conv_3x3": "#7fcdbb",
        "dil_conv_5x5": "#009e73",
    }

    def __init__(self) -> None:
        operations, columns, choices = range(len(OPERATIONS)), [], []
        for k, pairs in enumerate(_PAIRS):
            inputs = [(f"inputs_{k + 2}", len(pairs))] if len(pairs) > 1 else []
            columns.append([*inputs, *((f"op_{k + 2}{side}", len(OPERATIONS)) for side in "ab")])
            rows = [(a, f, b, g) for (a, b), f, g in itertools.product(pairs, operations, operations)]
            choices.append(torch.tensor(rows))
        super().__init__(OPERATIONS, columns, choices)
        types, candidates, degree, required = self._grammar_tables()
        for first, second in self._op_vertices.tolist():
            candidates[candidates[:, first].nonzero().max(), first] = False  # leaves a larger one for the second
            candidates[0, second] = False
        required[self._sum_vertices, -1] = True
        seconds = self._op_vertices[:, 1].tolist()
        self.grammar = AscendingSourcesGrammar(types, candidates, degree, required, seconds=seconds)
        self._texts = [f"('{OPERATIONS[f]}', {a}), ('{OPERATIONS[g]}', {b})" for a, f, b, g in self._choices.tolist()]

    def column_values(self) -> list[tuple[str, ...]]:
        pairs = {len(nodes): tuple(f"({a}, {b})" for a, b in nodes) for nodes in _PAIRS}
        named = zip(self.columns, super().column_values(), strict=True)
        return [pairs[len(values)] if "_inputs_" in name else values for name, values in named]

    def _concatenated(self, used: Tensor) -> Tensor:
        return torch.ones_like(used)

    # --- Genotype texts -----------------------------------------------------------------------

    def format(self, codes: Tensor) -> list[str]:
        """The authors' ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)``.

        Of the two operations of a node the one on the smaller input comes first.
        """
        rows = self._picked(self.check_codes(codes)).tolist()
        texts = []
        for row in rows:
            nodes = [self._texts[i] for i in row]
            normal, reduction = ", ".join(nodes[:NODES]), ", ".join(nodes[NODES:])
            texts.append(
                f"Genotype(normal=[{normal}], normal_concat=range(2, 6), "
                f"reduce=[{reduction}], reduce_concat=range(2, 6))"
            )
        return texts

    def _from_object(self, item: object) -> str | list[int] | None:
        """A ``Genotype`` of the authors' code (any object or mapping of its fields), a NAS-Bench-301 configuration."""
        if isinstance(item, Mapping):
            if not {"normal", "reduce"} <= item.keys():
                return self._codes(torch.tensor([self._config_states(item)]))[0].tolist()
            cells = [item["normal"], item["reduce"]]
            joined = [item.get(f"{cell}_concat", range(2, 6)) for cell in CELLS]
        elif all(hasattr(item, field) for field in _FIELDS):
            cells, joined = ([getattr(item, cell + end) for cell in CELLS] for end in ("", "_concat"))
        else:
            return None
        try:
            parts = [
                f"{cell}={[(str(operation), int(source)) for operation, source in edges]}, "
                f"{cell}_concat={[int(node) for node in nodes]}"
                for cell, edges, nodes in zip(CELLS, cells, joined, strict=True)
            ]
        except (TypeError, ValueError, OverflowError) as error:
            raise ParseError(
                f"{self.name}: expected a Genotype with normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), "
                f"got {type(item).__name__}: {error}"
            ) from None
        return f"Genotype({', '.join(parts)})"

    def _parse_one(self, text: str) -> list[int]:
        """A Genotype, also with an assignment in front as in the authors' ``genotypes.py``; a configuration as JSON."""
        if text.lstrip().startswith("{"):
            return self.parse_config(text)[0].tolist()
        reader = _Reader(self.name, text)
        reader.skip_assignment()
        reader.take("Genotype")
        reader.take("(")
        states = []
        for last, cell in enumerate(CELLS):
            reader.take(cell)
            reader.take("=")
            states += self._cell_states(cell, reader.edges(cell))
            reader.take(",")
            reader.take(f"{cell}_concat")
            reader.take("=")
            reader.concatenation(f"{cell}_concat")
            if not last or reader.peek() == ",":
                reader.take(",")
        reader.take(")")
        reader.end()
        return self._codes(torch.tensor([states]))[0].tolist()

    def _cell_states(self, cell: str, edges: list[tuple[str, int]]) -> list[int]:
        """States of a cell's nodes from its eight (operation, input) edges."""
        if len(edges) != 2 * NODES:
            raise ParseError(
                f"{self.name}: the {cell} cell has {len(edges)} operations, must have {2 * NODES}, two for each node"
            )
        states = []
        for k in range(NODES):
            (f, a), (g, b) = sorted(edges[2 * k : 2 * k + 2], key=lambda edge: edge[1])
            where = f"node {k + 2} of the {cell} cell"
            for source in (a, b):
                if source >= k + 2:
                    raise ParseError(f"{self.name}: {where} has the input {source}, must be in 0..{k + 1}")
            if a == b:
                raise ParseError(f"{self.name}: {where} has the input {a} twice, its two inputs must differ")
            states.append(self._state(where, k, a, b, f, g))
        return states

    def _state(self, where: str, k: int, a: int, b: int, f: str, g: str) -> int:
        """State of node k with the operations f and g on its inputs a < b."""
        for operation in (f, g):
            if operation not in OPERATIONS:
                known = ", ".join(OPERATIONS)
                raise ParseError(f"{self.name}: {where} has the unknown operation {operation[:60]!r}; known: {known}")
        base = len(OPERATIONS)
        return (_PAIRS[k].index((a, b)) * base + OPERATIONS.index(f)) * base + OPERATIONS.index(g)

    # --- NAS-Bench-301 configurations ---------------------------------------------------------

    def format_config(self, codes: Tensor) -> list[dict[str, str]]:
        """The architecture part of NAS-Bench-301's configurations, one dictionary a row.

        For each cell (``normal``, ``reduce``) it holds ``...:edge_<cell>_<e>``, the operation of edge e
        for the eight edges there are, and ``...:inputs_node_<cell>_<v>``, such as "0_2", for the nodes
        3..5; "..." is ``CONFIG_PREFIX``. Edges are numbered over all 14 possible ones: those to node 2
        are 0..1, to node 3 2..4, to node 4 5..8, to node 5 9..13, by their inputs.
        """
        rows = self._choices[self._picked(self.check_codes(codes)).cpu()].tolist()
        configs = []
        for row in rows:
            config = {}
            for i, (a, f, b, g) in enumerate(row):
                cell, k = CELLS[i // NODES], i % NODES
                config[f"{CONFIG_PREFIX}edge_{cell}_{_FIRST_EDGE[k] + a}"] = OPERATIONS[f]
                config[f"{CONFIG_PREFIX}edge_{cell}_{_FIRST_EDGE[k] + b}"] = OPERATIONS[g]
                if k > 0:
                    config[f"{CONFIG_PREFIX}inputs_node_{cell}_{k + 2}"] = f"{a}_{b}"
            configs.append(config)
        return configs

    def parse_config(self, config: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Tensor:
        """Codes of NAS-Bench-301's configurations (a dictionary, several, or JSON of either): LongTensor [B, 22].

        Inverse of :meth:`format_config`. Keys that say nothing of edges and inputs (training settings,
        which the published results keep in the same dictionary) are passed over.

        Raises:
            ParseError: an entry is missing, wrong, or belongs to an edge that its node does not have; the
                text is no JSON.
        """
        if isinstance(config, str):
            try:
                config = json.loads(config)
            except (ValueError, RecursionError) as error:
                raise ParseError(f"{self.name}: {str(config)[:200]!r} is no JSON of a configuration: {error}") from None
        configs = [config] if isinstance(config, Mapping) else config
        if isinstance(configs, str | bytes) or not isinstance(configs, Sequence):
            raise ParseError(f"{self.name}: expected a dictionary or a list of them, got {type(config).__name__}")
        rows = [self._config_states(item) for item in configs]
        return self._codes(torch.tensor(rows, dtype=torch.long).reshape(len(rows), 2 * NODES))

    def _config_states(self, config: object) -> list[int]:
        if not isinstance(config, Mapping):
            raise ParseError(f"{self.name}: expected a dictionary of NAS-Bench-301, got {type(config).__name__}")
        states, used = [], set()

        def entry(key: str) -> str:
            used.add(CONFIG_PREFIX + key)
            value = config.get(CONFIG_PREFIX + key)
            if not isinstance(value, str):
                found = "is missing" if value is None else f"is {str(value)[:60]!r}, must be a string"
                raise ParseError(f"{self.name}: the configuration's entry {CONFIG_PREFIX + key!r} {found}")
            return value

        for cell in CELLS:
            for k, pairs in enumerate(_PAIRS):
                names = {f"{a}_{b}": (a, b) for a, b in pairs}
                inputs = entry(f"inputs_node_{cell}_{k + 2}") if k > 0 else "0_1"
                if inputs not in names:
                    raise ParseError(
                        f"{self.name}: {CONFIG_PREFIX}inputs_node_{cell}_{k + 2} is {inputs[:60]!r}, "
                        f"must be one of {', '.join(names)}"
                    )
                a, b = names[inputs]
                f, g = (entry(f"edge_{cell}_{_FIRST_EDGE[k] + source}") for source in (a, b))
                states.append(self._state(f"node {k + 2} of the {cell} cell", k, a, b, f, g))
        prefixes = (CONFIG_PREFIX + "edge_", CONFIG_PREFIX + "inputs_node_")
        for key in config:
            if isinstance(key, str) and key.startswith(prefixes) and key not in used:
                raise ParseError(
                    f"{self.name}: the configuration's entry {key[:100]!r} belongs to no input of its node"
                )
        return states


class AscendingSourcesGrammar(InDegreeGrammar):
    """An in-degree grammar in which the second operation of a node has a later source than the first.

    Args:
        types, candidates, degree, required: see :class:`~latentnas.spaces.grammar.InDegreeGrammar`; a
            first operation's candidates leave out the last source of its node.
        seconds: vertices of second operations; the vertex before each is the first operation.
    """

    def __init__(
        self, types: Tensor, candidates: Tensor, degree: list[int], required: Tensor, seconds: list[int]
    ) -> None:
        super().__init__(types, candidates, degree, required)
        self.seconds = frozenset(seconds)

    def allowed_edges(self, ops: Tensor, adj: Tensor, vertex: int, source: int) -> Tensor:
        allowed = super().allowed_edges(ops, adj, vertex, source)
        if vertex not in self.seconds or not bool(self.candidates[source, vertex]):
            return allowed
        first = adj[:, :vertex, vertex - 1].long().argmax(1)  # [B], the source of the first operation
        below = self.candidates[:source, vertex].nonzero()
        next_source = int(below.max()) if len(below) else -1
        missing = allowed[:, 1]  # no source yet
        return torch.stack([~missing | (next_source > first), missing & (source > first)], 1)


class _Reader:
    """The tokens of a Genotype text, taken one by one; every fault is a ParseError."""

    def __init__(self, space: str, text: str) -> None:
        self._space, self._text = space, text
        self._tokens: list[str] = []
        self._next = 0
        if len(text) > _MAX_TEXT:
            self._fail(f"it has {len(text):,} characters, at most {_MAX_TEXT:,} are read")
        text, place = text.strip(), 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                self._fail(f"unexpected {text[place : place + 20]!r}")
            # Strings keep a quote in front, which no other token has.
            quoted = match["single"] if match["single"] is not None else match["double"]
            self._tokens.append(match[0].strip() if quoted is None else f"'{quoted}")
            place = match.end()

    def _fail(self, what: str) -> NoReturn:
        raise ParseError(
            f"{self._space}: {self._text[:200]!r} is no cell: {what}; "
            "expected Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), "
            "reduce=[...], reduce_concat=range(2, 6))"
        )

    def skip_assignment(self) -> None:
        """Pass over the ``DARTS_V2 =`` of a line of ``genotypes.py``."""
        if len(self._tokens) > 1 and self._tokens[0].isidentifier() and self._tokens[1] == "=":
            self._next = 2

    def peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _pop(self) -> str:
        token = self.peek()
        self._next += 1
        return token

    def take(self, expected: str) -> None:
        token = self._pop()
        if token != expected:
            self._fail(f"{token[:60]!r} stands where {expected!r} should" if token else f"{expected!r} is missing")

    def end(self) -> None:
        if self.peek():
            self._fail(f"{self.peek()[:60]!r} comes after its end")

    def _number(self, what: str) -> int:
        token = self._pop()
        if not token.isdecimal():
            self._fail(f"{token[:60]!r} stands where {what} should")
        return int(token)

    def edges(self, cell: str) -> list[tuple[str, int]]:
        """A list ``[('operation', input), ...]``; a comma may end it."""
        edges = []
        self.take("[")
        while self.peek() != "]":
            self.take("(")
            operation = self._pop()
            if not operation.startswith("'"):
                self._fail(f"{operation[:60]!r} stands where the quoted name of an operation of the {cell} cell should")
            self.take(",")
            edges.append((operation[1:], self._number(f"an input of the {cell} cell")))
            self.take(")")
            if self.peek() != "]":
                self.take(",")
        self.take("]")
        return edges

    def concatenation(self, field: str) -> None:
        """``range(2, 6)``, or the list of its numbers."""
        numbers = []
        if self.peek() == "range":
            self._pop()
            self.take("(")
            first = self._number("a number")
            self.take(",")
            stop = self._number("a number")
            self.take(")")
            right, numbers = (first, stop) == (2, 6), [first, stop]
        else:
            self.take("[")
            while self.peek() != "]":
                numbers.append(self._number("a number"))
                if self.peek() != "]":
                    self.take(",")
            self.take("]")
            right = numbers == [2, 3, 4, 5]
        if not right:
            self._fail(f"{field} has {numbers[:10]}, must be range(2, 6) or [2, 3, 4, 5]: all four nodes")
