"""What DARTS and ENAS micro cells share: a normal and a reduction cell whose nodes sum two operations each."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ._count_cells import count_cells
from .base import SearchSpace
from .graphs import INPUT, OUTPUT, EdgeGraphs, NodeGraphs, relabel

CELLS = ("normal", "reduce")

_CHUNK = 8192
_INADMISSIBLE = 1 << 60
"""Above every position of a cell (below 2^53); six of them still fit 64-bit integers."""


class TwoCellSpace(SearchSpace):
    """A normal and a reduction cell of ``nodes`` nodes, each the sum of two operations on earlier vertices.

    Vertices of a cell: 0 is the output of the cell before the last (c_{k-2}), 1 that of the last cell
    (c_{k-1}), 2, 3, ... are its nodes. What a node does is one row (source, operation, source,
    operation) of a table of *choices*, and its number in that table, the *state* of the node, is the
    mixed-radix number that its code columns spell. A code lists the nodes of the normal cell, then
    those of the reduction cell.

    Networks are the same exactly when both cells are isomorphic as graphs with two distinguished
    inputs: the outputs of nodes are concatenated, and another order of the nodes only permutes the
    channels. The canonical code is the lexicographically first one among all orders of the nodes
    that keep sources before their users, and among both orders of a node's operations.

    The node view holds both cells in one DAG of ``3 * 2 * nodes + 3`` vertices: 0 the input (c_{k-2}),
    1 "input_1" (c_{k-1}), joined by an edge; then for every node its two operations, in code order,
    each fed by its source, and their sum ("node_normal" or "node_reduce"); last the output. The edge
    view has 2 (nodes + 2) vertices, those of the normal cell before those of the reduction cell.

    Only the sums are ``identity_types``: a skip connection is a strided operation where it leads from
    the inputs of a reduction cell, and its sum has an output of its own, so nothing is contracted.
    """

    def __init__(
        self, operations: Sequence[str], columns: Sequence[Sequence[tuple[str, int]]], choices: Sequence[Tensor]
    ) -> None:
        """Build the tables.

        Args:
            operations: O names.
            columns: for each node of a cell the names and cardinalities of its code columns.
            choices: for each node a table [S, 4] long of all that it can do: source, operation, source,
                operation, in the lexicographic order of its columns.
        """
        self.operations, self.nodes = tuple(operations), len(columns)
        nodes, total = self.nodes, 2 * self.nodes
        self.columns = tuple(f"{cell}_{name}" for cell in CELLS for node in columns for name, _ in node)
        self.cardinalities = tuple(high for _ in CELLS for node in columns for _, high in node)
        self.node_types = ("input", "output", *operations, "input_1", *(f"node_{cell}" for cell in CELLS))
        self.identity_types = (len(self.node_types) - 2, len(self.node_types) - 1)  # the sums
        self.max_nodes = 3 * total + 3

        # Code columns: the node of each, and its weight in the state of that node.
        widths = [len(node) for node in columns] * 2
        self._node_of_column = torch.repeat_interleave(torch.arange(total), torch.tensor(widths))
        weights = [[math.prod(high for _, high in node[i + 1 :]) for i in range(len(node))] for node in columns]
        self._weights = torch.tensor([weight for _ in CELLS for node in weights for weight in node])
        self._high = torch.tensor(self.cardinalities)

        # Choices of all nodes in one table; node i's begin at _offset[i].
        sizes = [len(table) for table in choices]
        self._choices = torch.cat(list(choices))
        self._offset = torch.tensor([0, *itertools.accumulate(sizes)][:-1]).repeat(2)
        self._lookup = [_inverse(table, k + 2, len(operations)) for k, table in enumerate(choices)]
        self._strides = torch.tensor([math.prod(sizes[k + 1 :]) for k in range(nodes)])
        self._sizes = torch.tensor(sizes)
        self._relabelled = _relabelled_positions(choices, self._lookup, self._strides)
        self.edge_types, self._edge_ops = _edge_types(self.operations, self._choices)

        # Vertices of the node view: node i = (cell, k) has operations 2 + 3i and 3 + 3i and the sum 4 + 3i.
        self._op_vertices = 2 + 3 * torch.arange(total)[:, None] + torch.arange(2)  # [2n, 2]
        self._sum_vertices = 4 + 3 * torch.arange(total)  # [2n]
        inputs = torch.arange(2).expand(total, 2)
        own = self._sum_vertices.view(2, nodes).repeat_interleave(nodes, 0)
        self._source_vertices = torch.cat([inputs, own], 1)  # [2n, n + 2]: the vertex that each source is

    def column_values(self) -> list[tuple[str, ...]]:
        numbers = super().column_values()
        return [self.operations if "_op_" in name else n for name, n in zip(self.columns, numbers, strict=True)]

    @abstractmethod
    def _concatenated(self, used: Tensor) -> Tensor:
        """Which sums are concatenated to the output of their cell.

        Args:
            used: [B, 2n] bool, which sums are the source of an operation.
        """

    # --- codes and states ---------------------------------------------------------------------

    def _states(self, codes: Tensor) -> Tensor:
        """What every node does, as rows of its table: [B, D] -> [B, 2n] long."""
        states = codes.new_zeros(len(codes), 2 * self.nodes)
        return states.index_add_(1, self._node_of_column.to(codes.device), codes * self._weights.to(codes.device))

    def _codes(self, states: Tensor) -> Tensor:
        """Inverse of :meth:`_states`: [B, 2n] -> [B, D]."""
        device = states.device
        return states[:, self._node_of_column.to(device)] // self._weights.to(device) % self._high.to(device)

    # --- identity -----------------------------------------------------------------------------

    def canonical(self, codes: Tensor) -> Tensor:
        """The lexicographically first code of the same network: [B, D] -> [B, D] long."""
        codes = self.check_codes(codes)
        states = self._states(codes).view(-1, self.nodes)  # [2B, n]: the cells are independent
        parts = [self._first_positions(part) for part in states.split(_CHUNK)]
        positions = torch.cat(parts) if parts else states.new_zeros(0)
        strides, sizes = self._strides.to(codes.device), self._sizes.to(codes.device)
        return self._codes((positions[:, None] // strides % sizes).view(len(codes), 2 * self.nodes))

    @property
    def num_networks(self) -> int:
        """The number of distinct networks, counted by symmetry: the square of the number of distinct cells."""
        same_source = bool((self._choices[:, 0] == self._choices[:, 2]).any())
        return count_cells(self.nodes, len(self.operations), same_source=same_source) ** 2

    def _first_positions(self, states: Tensor) -> Tensor:
        """The smallest position among the relabelled forms of every cell: [C, n] -> [C]."""
        positions = torch.zeros(len(states), math.factorial(self.nodes), dtype=torch.long, device=states.device)
        for k, table in enumerate(self._relabelled):
            positions += table.to(states.device).index_select(0, states[:, k])
        return positions.amin(1)

    def keys(self, codes: Tensor) -> list[str]:
        """Columns of the canonical code: one digit each, "." between nodes, "-" between the cells."""
        canonical = self.canonical(codes).cpu()
        ends = [*(self._node_of_column.diff().nonzero()[:, 0] + 1).tolist(), self.dim]
        starts, fields = [0, *ends[:-1]], []
        for node, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if node:
                mark = "-" if node == self.nodes else "."
                fields.append(torch.full((len(canonical), 1), ord(mark)))
            fields.append(canonical[:, start:end] + ord("0"))
        letters = torch.cat(fields, 1).to(torch.uint8)
        text, width = letters.numpy().tobytes().decode("ascii"), letters.shape[1]
        return [text[i : i + width] for i in range(0, len(text), width)]

    # --- views --------------------------------------------------------------------------------

    def _picked(self, codes: Tensor) -> Tensor:
        """Rows of the table of choices: [B, D] -> [B, 2n], indices."""
        return self._states(codes) + self._offset.to(codes.device)

    def edge_graphs(self, codes: Tensor) -> EdgeGraphs:
        codes = self.check_codes(codes)
        picked, width = self._picked(codes), self.nodes + 2
        source, target = self._edge_ends(picked)
        ops = codes.new_zeros(len(codes), 2 * width, 2 * width)
        rows = torch.arange(len(codes), device=codes.device)[:, None, None]
        ops[rows, source, target] = self._edge_ops.to(codes.device)[picked]
        return EdgeGraphs(ops, torch.ones(len(codes), 2 * width, dtype=torch.bool, device=codes.device))

    def _edge_ends(self, picked: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices of the edge view that the operations of every node join: sources [B, 2n, 2], targets [2n, 1]."""
        device, width = picked.device, self.nodes + 2
        block = torch.arange(2, device=device).repeat_interleave(self.nodes)[:, None] * width  # [2n, 1]
        target = block + torch.arange(2, width, device=device).repeat(2)[:, None]
        return self._choices.to(device)[picked][..., 0::2] + block, target

    def vertex_edges(self, codes: Tensor) -> Tensor:
        codes = self.check_codes(codes)
        source, target = self._edge_ends(self._picked(codes))
        numbers = codes.new_full((len(codes), self.max_nodes), -1)
        numbers[:, self._op_vertices.to(codes.device)] = source * 2 * (self.nodes + 2) + target
        return numbers

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        device, total = codes.device, 2 * self.nodes
        picked = self._choices.to(device)[self._picked(codes)]  # [B, 2n, 4]
        op_vertices, sums = self._op_vertices.to(device), self._sum_vertices.to(device)
        ops = self._node_types_by_vertex().to(device).repeat(len(codes), 1)
        ops[:, op_vertices] = picked[..., 1::2] + 2
        adj = torch.zeros(len(codes), self.max_nodes, self.max_nodes, dtype=torch.bool, device=device)
        adj[:, 0, 1] = True
        adj[:, op_vertices, sums[:, None]] = True
        rows = torch.arange(len(codes), device=device)[:, None, None]
        node = torch.arange(total, device=device)[:, None]
        adj[rows, self._source_vertices.to(device)[node, picked[..., 0::2]], op_vertices] = True
        adj[:, sums, -1] = self._concatenated(adj[:, sums].any(2))
        return NodeGraphs(ops, adj, torch.ones_like(ops, dtype=torch.bool))

    def _node_types_by_vertex(self) -> Tensor:
        """Types of the node view's vertices, 2 where an operation stands: [N] long."""
        ops = torch.full((self.max_nodes,), 2)
        ops[0], ops[1], ops[-1] = INPUT, len(self.node_types) - 3, OUTPUT
        ops[self._sum_vertices] = len(self.node_types) - 2 + torch.arange(2).repeat_interleave(self.nodes)
        return ops

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        device, nodes, total, kinds = graphs.ops.device, self.nodes, 2 * self.nodes, len(self.node_types)
        known = (graphs.ops >= 0) & (graphs.ops < kinds)
        valid = graphs.mask.all(1) & known.all(1) & (graphs.ops[:, 0] == INPUT)
        valid &= ~graphs.adj.tril().flatten(1).any(1)

        # Sort the vertices by role, those of a role as they come: input, input_1, sums of the normal
        # cell, of the reduction cell, operations, output. What follows reads the sorted graph. The
        # output need not come last: where nothing reads input_1, that vertex may follow it.
        role = torch.full((kinds,), 4)
        role[[INPUT, OUTPUT]] = torch.tensor([0, 5])
        role[-3:] = torch.arange(1, 4)
        roles = role.to(device)[graphs.ops.clamp(0, kinds - 1)]
        valid &= (_counts(roles, 6) == torch.tensor([1, 1, nodes, nodes, 2 * total, 1], device=device)).all(1)
        graphs = relabel(graphs, roles.argsort(dim=1, stable=True))
        adj, ops_at = graphs.adj, slice(2 + total, -1)
        feeds, reads = adj[:, ops_at, 2 : 2 + total], adj[:, : 2 + total, ops_at]  # [B, ops, sums], [B, sources, ops]
        valid &= (feeds.sum(1) == 2).all(1) & (feeds.sum(2) == 1).all(1) & (reads.sum(1) == 1).all(1)
        expected = torch.zeros_like(adj)  # the graph whose edges are those looked at, and no others
        expected[:, 0, 1] = True
        expected[:, ops_at, 2 : 2 + total], expected[:, : 2 + total, ops_at] = feeds, reads
        expected[:, 2 : 2 + total, -1] = self._concatenated(reads[:, 2:].any(2))
        valid &= (adj == expected).flatten(1).all(1)

        # The two operations of every sum, in the order of their vertices, and the source of each.
        first = feeds.long().argmax(1)
        pair = torch.stack([first, 2 * total - 1 - feeds.flip(1).long().argmax(1)], 2)  # [B, 2n, 2]
        rows = torch.arange(len(adj), device=device)[:, None, None]
        operation = (graphs.ops[:, ops_at][rows, pair] - 2).clamp(0, len(self.operations) - 1)
        source = reads.long().argmax(1)[rows, pair]
        cell_start = torch.arange(2, device=device).repeat_interleave(nodes)[:, None] * nodes
        local = torch.where(source < 2, source, source - cell_start)  # numbered as in its own cell
        bound = torch.arange(2, nodes + 2, device=device).repeat(2)[:, None]
        inside = (source < 2) | ((local >= 2) & (local < bound))
        valid &= inside.flatten(1).all(1)
        local = torch.where(inside, local, torch.zeros_like(local))
        states = [self._look_up(i % nodes, local[:, i], operation[:, i]) for i in range(total)]
        found = torch.stack(states, 1)
        valid &= (found >= 0).all(1)
        codes = self._codes(torch.where(valid[:, None], found, torch.zeros_like(found)))
        return codes, valid

    def _look_up(self, k: int, source: Tensor, operation: Tensor) -> Tensor:
        """States of node k from its sources and operations, [B, 2] each; -1 where it has none: [B] long.

        The order given counts where both orders are choices of the node.
        """
        lookup = self._lookup[k].to(source.device)
        given = lookup[source[:, 0], operation[:, 0], source[:, 1], operation[:, 1]]
        swapped = lookup[source[:, 1], operation[:, 1], source[:, 0], operation[:, 0]]
        return torch.where(given >= 0, given, swapped)

    # --- grammar ------------------------------------------------------------------------------

    def _grammar_tables(self) -> tuple[Tensor, Tensor, list[int], Tensor]:
        """Arguments of an in-degree grammar; the edges to the output, and rules beyond it, are the subclass's.

        Returns:
            types [N, T] bool, candidates [N, N] bool, degree (N integers), required [N, N] bool.
        """
        size = self.max_nodes
        types = torch.zeros(size, len(self.node_types), dtype=torch.bool)
        types[torch.arange(size), self._node_types_by_vertex()] = True
        types[self._op_vertices.flatten(), 2 : 2 + len(self.operations)] = True
        candidates, required = torch.zeros(size, size, dtype=torch.bool), torch.zeros(size, size, dtype=torch.bool)
        degree = [0] * size
        required[0, 1] = True
        required[self._op_vertices, self._sum_vertices[:, None]] = True
        for i, vertices in enumerate(self._op_vertices.tolist()):
            for vertex in vertices:
                candidates[self._source_vertices[i, : i % self.nodes + 2], vertex] = True
                degree[vertex] = 1
        return types, candidates, degree, required


def _inverse(table: Tensor, sources: int, operations: int) -> Tensor:
    """The row of a table [S, 4] that holds given sources and operations, -1 where none does."""
    lookup = torch.full((sources, operations, sources, operations), -1)
    lookup[table[:, 0], table[:, 1], table[:, 2], table[:, 3]] = torch.arange(len(table))
    return lookup


def _relabelled_positions(choices: Sequence[Tensor], lookup: Sequence[Tensor], strides: Tensor) -> list[Tensor]:
    """What a node adds to the position of its cell after each of the n! permutations of the nodes.

    Returns:
        For each node a table [S, n!] long: row = its state, entry = its new state times the stride of its
        new place; ``_INADMISSIBLE`` where a source would come after its user.
    """
    nodes = len(choices)
    place = torch.tensor(list(itertools.permutations(range(nodes))))  # [P, n]: node k moves to place[:, k]
    moved = torch.cat([torch.arange(2).expand(len(place), 2), place + 2], 1)  # [P, n + 2]: where each vertex goes
    tables = []
    for k, table in enumerate(choices):
        columns = []
        for to, vertex in zip(place[:, k].tolist(), moved, strict=True):
            source, operation = vertex[table[:, 0::2]], table[:, 1::2]  # [S, 2] each
            fits = (source < to + 2).all(1)
            source = torch.where(fits[:, None], source, torch.zeros_like(source))
            (a, b), (f, g) = source.T, operation.T
            orders = torch.stack([lookup[to][a, f, b, g], lookup[to][b, g, a, f]])
            state = orders.masked_fill(orders < 0, _INADMISSIBLE).amin(0)
            columns.append(torch.where(fits, state * strides[to], _INADMISSIBLE))
        tables.append(torch.stack(columns, 1))
    return tables


def _edge_types(operations: tuple[str, ...], choices: Tensor) -> tuple[tuple[str, ...], Tensor]:
    """The edge types of a space, and those of both edges of every choice.

    Where a node takes one source twice, its two parallel edges are one of type "a+b", in either order.

    Returns:
        The vocabulary, and [S, 2] long.
    """
    types = 1 + choices[:, 1::2]
    parallel = choices[:, 0] == choices[:, 2]
    if not bool(parallel.any()):
        return ("none", *operations), types
    pairs = list(itertools.combinations_with_replacement(range(len(operations)), 2))
    number = torch.zeros(len(operations), len(operations), dtype=torch.long)
    for index, (a, b) in enumerate(pairs, start=1 + len(operations)):
        number[a, b] = number[b, a] = index
    both = number[choices[:, 1], choices[:, 3]]
    vocabulary = ("none", *operations, *(f"{operations[a]}+{operations[b]}" for a, b in pairs))
    return vocabulary, torch.where(parallel[:, None], both[:, None], types)


def _counts(values: Tensor, kinds: int) -> Tensor:
    """How often each of 0..kinds-1 stands in every row: [B, N] -> [B, kinds] long."""
    return torch.stack([(values == kind).sum(1) for kind in range(kinds)], 1)
