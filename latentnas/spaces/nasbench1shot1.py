"""NAS-Bench-1Shot1 (Zela, Siems and Hutter, ICLR 2020): three sub-spaces of NAS-Bench-101 for one-shot search."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from ._nasbench101_cells import MAX_VERTICES, canonical_positions, codes_at
from .base import SearchSpace
from .grammar import InDegreeGrammar
from .graphs import INPUT, OUTPUT, NodeGraphs, relabel
from .nasbench101 import OPERATIONS, NASBench101, cell_text, format_matrices, object_text, parse_matrices, position_keys

IN_DEGREES = {1: (0, 1, 2, 2, 2, 2), 2: (0, 1, 1, 2, 2, 3), 3: (0, 1, 1, 1, 2, 2, 2)}
"""Number of parents of every vertex, input first, output last, of the three sub-spaces."""

NETWORKS = {1: 2_685, 2: 7_773, 3: 55_854}
"""Number of networks of the three sub-spaces."""

_NASBENCH101 = NASBench101()
_CHUNK = 100_000


class NASBench1Shot1(SearchSpace):
    """Cells of NAS-Bench-101 with 4 (variants 1 and 2) or 5 operations and a fixed number of parents a vertex.

    A code holds the operation of every vertex 1..k, an index into NAS-Bench-101's ``OPERATIONS``, then
    for every vertex that has a choice which combination of parents it takes, in lexicographic order (for
    two of three: 01, 02, 12). Every row is a cell.

    A vertex may have no successor (a loose end). It stays in the node view and in the text, but NAS-Bench-101
    prunes it, so a cell's network, its key and its results are those of the pruned cell: the keys are
    NAS-Bench-101's.

    What enumeration counts, where a whole cell is one without loose ends:

    ======= ========= =========== ======== =======================
    variant codes     whole cells networks networks of whole cells
    ======= ========= =========== ======== =======================
    1       14,580    3,078       2,685    2,484
    2       29,160    11,178      7,773    7,236
    3       1,312,200 108,135     55,854   49,032
    ======= ========= =========== ======== =======================

    The paper's numbers count otherwise. Its 6,240 and 363,648 for variants 1 and 3 are the adjacency matrices,
    each with the operations of the vertices that have a successor (16,632 for variant 2, for which the paper
    gives the 29,160 codes). Its 2,487, 3,609 and 24,066 cells without loose ends are what the authors'
    recursive generator yields; it leaves out a part of the cells.

    Args:
        variant: 1, 2 or 3.

    Raises:
        InvalidCodeError: ``variant`` is something else.
    """

    node_types = ("input", "output", *OPERATIONS)
    op_colors: ClassVar[dict[str, str]] = NASBench101.op_colors

    def __init__(self, variant: int) -> None:
        if variant not in IN_DEGREES:
            raise InvalidCodeError(f"NASBench1Shot1: variant must be 1, 2 or 3, got {variant!r}")
        self.variant = variant
        self.name = f"nasbench1shot1-{variant}"
        self.in_degrees = degrees = IN_DEGREES[variant]
        self.max_nodes = nodes = len(degrees)
        self.operations = nodes - 2
        self._choosing = tuple(v for v in range(1, nodes) if comb(v, degrees[v]) > 1)
        choices = tuple(comb(v, degrees[v]) for v in self._choosing)
        self.cardinalities = (len(OPERATIONS),) * self.operations + choices
        self.columns = tuple(f"op_{v}" for v in range(1, nodes - 1)) + tuple(f"parents_{v}" for v in self._choosing)
        self._parents = tuple(_parent_sets(v, degrees[v], nodes) for v in range(nodes))
        types = torch.zeros(nodes, len(self.node_types), dtype=torch.bool)
        types[0, INPUT] = types[-1, OUTPUT] = True
        types[1:-1, 2:] = True
        every = torch.ones(nodes, nodes, dtype=torch.bool).triu(1)
        self.grammar = InDegreeGrammar(types, every, degrees, torch.zeros_like(every))

    @property
    def num_networks(self) -> int:
        """As counted by enumeration: see the table above; :meth:`networks` lists them."""
        return NETWORKS[self.variant]

    # --- texts --------------------------------------------------------------------------------

    def format(self, codes: Tensor) -> list[str]:
        """NAS-Bench-101's text of the cell with its loose ends, see :meth:`NASBench101.format`."""
        codes = self.check_codes(codes)
        nodes = torch.full((len(codes),), self.max_nodes)
        return format_matrices(self._adjacency(codes), codes[:, : self.operations], nodes)

    def column_values(self) -> list[tuple[str, ...]]:
        parents = [
            tuple(f"({', '.join(map(str, chosen))})" for chosen in combinations(range(v), self.in_degrees[v]))
            for v in self._choosing
        ]
        return [*[OPERATIONS] * self.operations, *parents]

    def _from_object(self, item: object) -> str | None:
        """See :func:`~latentnas.spaces.nasbench101.object_text`."""
        return object_text(item, self.name)

    def _parse_one(self, text: str) -> list[int]:
        matrix, ops = parse_matrices(text, self.name)
        columns = [tuple(i for i, row in enumerate(matrix) if row[v]) for v in range(len(ops))]
        fits = len(ops) == self.max_nodes and all(
            len(parents) == degree and all(u < v for u in parents)
            for v, (parents, degree) in enumerate(zip(columns, self.in_degrees, strict=True))
        )
        if not fits:
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell of the space; expected an upper triangular matrix "
                f"of {self.max_nodes} vertices with {list(self.in_degrees)} parents"
            )
        operations = [OPERATIONS.index(op) for op in ops[1:-1]]
        expected = cell_text([sum(bit << j for j, bit in enumerate(row)) for row in matrix], operations)
        if "".join(text.split()) != "".join(expected.split()):
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell in the form that format() prints; expected {expected}"
            )
        parents = [list(combinations(range(v), self.in_degrees[v])).index(columns[v]) for v in self._choosing]
        return operations + parents

    # --- identity -----------------------------------------------------------------------------

    def canonical(self, codes: Tensor) -> Tensor:
        """The lexicographically first code whose pruned cell is the same NAS-Bench-101 network."""
        codes = self.check_codes(codes)
        table = _network_table(self.variant)
        network = table.network.to(codes.device)[self.positions(codes)].long()
        return self._codes_at(table.first.to(codes.device)[network])

    def keys(self, codes: Tensor) -> list[str]:
        """The keys of the pruned cells in NAS-Bench-101."""
        return position_keys(self._nasbench101_positions(self.check_codes(codes)))

    def to_nasbench101(self, codes: Tensor) -> Tensor:
        """NAS-Bench-101's codes of the pruned cells: [B, D] -> [B, 27] long."""
        return self._pruned(self.check_codes(codes))

    def from_nasbench101(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of this space whose network is a cell of NAS-Bench-101.

        Args:
            codes: [B, 27], codes of NAS-Bench-101.

        Returns:
            codes: LongTensor [B, D], the canonical ones; zeros where there is none.
            valid: [B] bool, which networks the space has.
        """
        wanted = canonical_positions(_NASBENCH101.check_codes(codes))
        table = _network_table(self.variant)
        known = table.positions.to(wanted.device)
        index = torch.searchsorted(known, wanted).clamp(max=len(known) - 1)
        valid = known[index] == wanted
        found = self._codes_at(table.first.to(wanted.device)[index])
        return torch.where(valid[:, None], found, torch.zeros_like(found)), valid

    # --- views --------------------------------------------------------------------------------

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), INPUT)
        ops[:, 1:-1] = codes[:, : self.operations] + 2
        ops[:, -1] = OUTPUT
        return NodeGraphs(ops, self._adjacency(codes), torch.ones_like(ops, dtype=torch.bool))

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        # Numbers of parents do not decrease from vertex to vertex, so if any order of the vertices makes the
        # graph a cell, sorting by them does; among equals the given topological order stays.
        rank = graphs.adj.sum(1) + (graphs.ops == OUTPUT) * MAX_VERTICES
        sorted_graphs = relabel(graphs, rank.argsort(dim=1, stable=True))
        ops, adj, mask = sorted_graphs.ops, sorted_graphs.adj, sorted_graphs.mask
        inner = ops[:, 1:-1]
        valid = mask.all(1) & (ops[:, 0] == INPUT) & (ops[:, -1] == OUTPUT)
        valid &= ((inner >= 2) & (inner < len(self.node_types))).all(1)
        valid &= ~adj.tril().flatten(1).any(1)
        valid &= (adj.sum(1) == torch.tensor(self.in_degrees, device=adj.device)).all(1)
        columns = [inner - 2]
        for v in self._choosing:
            match = (adj[:, None, :, v] == self._parents[v].to(adj.device)).all(2)  # [B, choices]
            columns.append(match.long().argmax(1, keepdim=True))
        codes = torch.cat(columns, 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid

    # --- within -------------------------------------------------------------------------------

    def _adjacency(self, codes: Tensor) -> Tensor:
        """Adjacency matrices with loose ends: [B, N, N] bool."""
        adj = torch.zeros(len(codes), self.max_nodes, self.max_nodes, dtype=torch.bool, device=codes.device)
        chosen = dict(zip(self._choosing, codes[:, self.operations :].unbind(1), strict=True))
        for v in range(1, self.max_nodes):
            sets = self._parents[v].to(codes.device)
            adj[:, :, v] = sets[chosen[v]] if v in chosen else sets[0]
        return adj

    def _pruned(self, codes: Tensor) -> Tensor:
        """NAS-Bench-101's codes of checked codes: [B, D] -> [B, 27]."""
        ops = torch.nn.functional.pad(codes[:, : self.operations], (1, 1))
        cells, _ = _NASBENCH101.from_matrices(self._adjacency(codes), ops)  # at most 9 edges by the fixed degrees
        return cells

    def _nasbench101_positions(self, codes: Tensor) -> Tensor:
        return canonical_positions(self._pruned(codes))

    def _codes_at(self, positions: Tensor) -> Tensor:
        """Codes of positions in lexicographic order: [B] -> [B, D] long."""
        columns = []
        for cardinality in reversed(self.cardinalities):
            columns.append(positions % cardinality)
            positions = positions // cardinality
        return torch.stack(columns[::-1], 1)


class _NetworkTable:
    """Which codes of a variant are the same network.

    Attributes:
        positions: [networks] long, canonical positions in NAS-Bench-101, ascending.
        first: [networks] long, position of the first code of each network.
        network: [size] int32, the network of every code, in lexicographic order.
    """

    def __init__(self, space: NASBench1Shot1) -> None:
        parts = space.enumerate().split(_CHUNK)
        pruned = torch.cat([_NASBENCH101.positions(space._pruned(part)) for part in parts])
        # Many codes differ in loose ends only: canonical positions are needed of few distinct pruned cells.
        distinct, which = pruned.unique(return_inverse=True)
        self.positions, network = canonical_positions(codes_at(distinct).long()).unique(return_inverse=True)
        self.network = network[which].int()
        order = torch.arange(len(pruned))
        first = torch.full((len(self.positions),), len(pruned))
        self.first = first.scatter_reduce(0, self.network.long(), order, "amin")


@lru_cache(maxsize=len(IN_DEGREES))
def _network_table(variant: int) -> _NetworkTable:
    return _NetworkTable(NASBench1Shot1(variant))


def _parent_sets(vertex: int, degree: int, nodes: int) -> Tensor:
    """The columns that a vertex can have in the adjacency matrix, parents in lexicographic order: [C, N] bool."""
    sets = torch.zeros(comb(vertex, degree), nodes, dtype=torch.bool)
    for row, parents in enumerate(combinations(range(vertex), degree)):
        sets[row, list(parents)] = True
    return sets
