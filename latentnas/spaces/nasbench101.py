"""NAS-Bench-101 (Ying et al., ICML 2019): free DAGs of up to 5 operations and 9 edges."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from ..seeding import Seed, as_generator
from ._nasbench101_cells import (
    EDGES,
    MASKS,
    MAX_EDGES,
    MAX_VERTICES,
    NUM_OPERATIONS,
    OP_CODES,
    SLOTS,
    adjacency_of,
    canonical_positions,
    codes_at,
    mask_of,
    mask_tables,
    positions_at,
    prune_batch,
)
from ._nasbench101_grammar import NASBench101Grammar
from ._nasbench101_hash import module_hash
from .base import SearchSpace
from .graphs import INPUT, OUTPUT, NodeGraphs

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""In the benchmark's order: the index is the label in its module hash."""

_ROW = r"\[[^\[\]]*\]"
_MATRIX, _OPS = rf"(\[{_ROW}(?:,{_ROW})*,?\])", rf"({_ROW})"
_TEXTS = tuple(
    re.compile(form)
    for form in (
        rf"\{{[\"']matrix[\"']:{_MATRIX},[\"']ops[\"']:{_OPS},?\}}",
        rf"(?:api\.)?ModelSpec\((?:matrix=)?{_MATRIX},(?:ops=)?{_OPS},?\)",
        rf"{_MATRIX},?{_OPS}",
        rf"[\[(]{_MATRIX},{_OPS},?[\])]",
    )
)
_MAX_TEXT = 10_000


class NASBench101(SearchSpace):
    """The cells of NAS-Bench-101: at most 7 vertices and 9 edges, every vertex on a path to the output.

    Vertex 0 is the input, 1..n-2 are operations, n-1 is the output. A code holds n-2 (column 0), the
    operations of vertices 1..5 (0 where there is no such vertex), indices into ``OPERATIONS``, and the
    bits of the edges i -> j in the order of ``EDGES``: (0, 1), (0, 2), (1, 2), (0, 3), ... There are
    1,293,208 valid codes, 1, 6, 90, 3,267, 125,145 and 1,164,699 of 2..7 vertices, which are 423,624
    networks, as published: networks are the same when one cell is the other with its operation vertices
    numbered otherwise.

    Published cells may have vertices that lie on no path from the input to the output; like the
    benchmark's ModelSpec, :meth:`parse`, :meth:`from_matrices` and :func:`prune` drop them, and it is
    the pruned cell that may have at most 9 edges. :meth:`from_node_graphs` takes pruned graphs only.
    """

    name = "nasbench101"
    cardinalities = (MAX_VERTICES - 1,) + (NUM_OPERATIONS,) * SLOTS + (2,) * len(EDGES)
    columns = ("operations", *(f"op_{v}" for v in range(1, SLOTS + 1)), *(f"edge_{i}_{j}" for i, j in EDGES))
    node_types = ("input", "output", *OPERATIONS)
    max_nodes = MAX_VERTICES
    op_colors: ClassVar[dict[str, str]] = {
        "conv3x3-bn-relu": "#0072b2",
        "conv1x1-bn-relu": "#56b4e9",
        "maxpool3x3": "#d55e00",
    }

    def __init__(self) -> None:
        self.grammar = NASBench101Grammar()

    # --- size and codes -----------------------------------------------------------------------

    @property
    def size(self) -> int:
        """The number of valid codes, counted over all 2^21 sets of edges."""
        return sum(mask_tables().sizes.values())

    @property
    def num_networks(self) -> int:
        """423,624, as published; :meth:`networks` lists them."""
        return 423_624

    def _valid(self, codes: Tensor) -> Tensor:
        vertices = mask_tables().vertices.to(codes.device)[mask_of(codes[:, 1 + SLOTS :])]
        used = torch.arange(SLOTS, device=codes.device) < codes[:, :1]
        unused = codes[:, 1 : 1 + SLOTS].masked_fill(used, 0)
        return (vertices == codes[:, 0] + 2) & (unused == 0).all(1)

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        ranks = torch.randint(self.size, (n,), generator=generator)
        return codes_at(positions_at(ranks)).long()

    def enumerate(self) -> Tensor:
        return codes_at(positions_at(torch.arange(self.size))).long()

    # --- mutation -----------------------------------------------------------------------------

    def mutate(self, codes: Tensor, *, seed: Seed = None) -> Tensor:
        """Edit every row once, uniformly among its possible edits, and prune.

        The edits: change one operation to another; add an edge; remove an edge such that a path from
        the input to the output remains (vertices that lose their only path vanish); insert an operation
        w with the edges u -> w -> x between two vertices u < x. A mutant differs from its parent in its
        operations, its edges or its number of vertices, so it is always another network.

        Edits are uniform, mutants are not: several edits can prune to one cell. And where nearly all
        cells have 7 vertices, long walks of mutations are mostly among cells of 5 to 7, for a removal
        may take vertices along.

        Args:
            codes: [B, 27].
            seed: an integer, a generator, or None.

        Returns:
            LongTensor [B, 27] of valid codes.
        """
        codes = self.check_codes(codes)
        device, batch = codes.device, len(codes)
        inner, ops, bits = codes[:, 0], codes[:, 1 : 1 + SLOTS], codes[:, 1 + SLOTS :].bool()
        count = bits.sum(1)
        source, target = torch.tensor(EDGES, device=device).T
        inside = target <= inner[:, None] + 1  # [B, 21], pairs of vertices that exist
        # What may be done: operations [B, 5 x 2], edges [B, 21], insertions [B, 21 x 3].
        changeable = (torch.arange(SLOTS, device=device) < inner[:, None]).repeat_interleave(NUM_OPERATIONS - 1, 1)
        without = mask_of(bits)[:, None] & ~mask_of(torch.eye(len(EDGES), device=device))
        connected = (mask_tables().reach.to(device)[without] >> (inner[:, None] + 1) & 1).bool()
        toggled = inside & torch.where(bits, connected, (count < MAX_EDGES)[:, None])
        room = (inner < SLOTS) & (count + 2 <= MAX_EDGES)
        inserted = (inside & room[:, None]).repeat_interleave(NUM_OPERATIONS, 1)
        possible = torch.cat([changeable, toggled, inserted], 1)
        # The k-th possible edit of every row.
        total = possible.sum(1)
        uniform = torch.rand(batch, generator=as_generator(seed), dtype=torch.float64).to(device)
        k = torch.minimum((uniform * total).long(), total - 1)
        edit = (possible.cumsum(1) <= k[:, None]).sum(1)

        rows = torch.arange(batch, device=device)
        ops, bits = ops.clone(), bits.clone()
        change = rows[edit < changeable.shape[1]]
        slot, step = edit[change] // (NUM_OPERATIONS - 1), edit[change] % (NUM_OPERATIONS - 1) + 1
        ops[change, slot] = (ops[change, slot] + step) % NUM_OPERATIONS
        edit = edit - changeable.shape[1]
        toggle = rows[(edit >= 0) & (edit < len(EDGES))]
        bits[toggle, edit[toggle]] ^= True
        edit = edit - len(EDGES)
        insert = rows[edit >= 0]
        pair, new = edit[insert] // NUM_OPERATIONS, edit[insert] % NUM_OPERATIONS
        adj, vertex_ops = adjacency_of(bits), torch.nn.functional.pad(ops, (1, 1))
        adj[insert], vertex_ops[insert] = _insert(adj[insert], vertex_ops[insert], source[pair], target[pair], new)
        vertices = inner + 2
        vertices[insert] += 1
        mutants, _ = self.from_matrices(adj, vertex_ops, vertices)
        return mutants

    # --- texts --------------------------------------------------------------------------------

    def format(self, codes: Tensor) -> list[str]:
        """The arguments of the benchmark's ModelSpec as JSON; NAS-Bench-101 has no string form of its own.

        Example: ``{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}``.
        """
        codes = self.check_codes(codes)
        return format_matrices(adjacency_of(codes[:, 1 + SLOTS :]), codes[:, 1 : 1 + SLOTS], codes[:, 0] + 2)

    def column_values(self) -> list[tuple[str, ...]]:
        named = zip(self.columns, super().column_values(), strict=True)
        return [OPERATIONS if name.startswith("op_") else values for name, values in named]

    def _from_object(self, item: object) -> str | None:
        """See :func:`object_text`."""
        return object_text(item, self.name)

    def _parse_one(self, text: str) -> list[int]:
        """Any of ``{"matrix": M, "ops": O}``, ``ModelSpec(matrix=M, ops=O)``, ``(M, O)``, ``M O``; prunes."""
        matrix, ops = parse_matrices(text, self.name)
        try:
            matrix, ops = prune(matrix, ops)
        except InvalidCodeError as error:
            raise ParseError(f"{self.name}: {text[:200]!r} is no cell: {error}") from None
        n, edges = len(ops), sum(map(sum, matrix))
        if edges > MAX_EDGES:
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell: it has {edges} edges after pruning, at most {MAX_EDGES}"
            )
        inner = [OPERATIONS.index(op) for op in ops[1:-1]] + [0] * (MAX_VERTICES - n)
        return [n - 2, *inner, *(matrix[i][j] if j < n else 0 for i, j in EDGES)]

    # --- identity -----------------------------------------------------------------------------

    def canonical(self, codes: Tensor) -> Tensor:
        """The lexicographically first valid code of the same network, by trying all orders of its operations."""
        return codes_at(canonical_positions(self.check_codes(codes))).long()

    def keys(self, codes: Tensor) -> list[str]:
        """Vertices, operations and edges of the canonical code, e.g. ``7.00012.1a4c05``; the edges are hexadecimal."""
        return position_keys(canonical_positions(self.check_codes(codes)))

    def module_hash(self, codes: Tensor) -> list[str]:
        """The benchmark's own names of the cells: 32 hexadecimal digits, equal for equal networks.

        Its published files and API index cells by this MD5 hash.
        """
        codes = self.check_codes(codes)
        return module_hash(codes[:, 0] + 2, codes[:, 1 : 1 + SLOTS], mask_of(codes[:, 1 + SLOTS :]))

    # --- views --------------------------------------------------------------------------------

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        slots, last = torch.arange(MAX_VERTICES, device=codes.device), codes[:, :1] + 1
        ops = codes.new_full((len(codes), MAX_VERTICES), INPUT)
        ops[:, 1:-1] = (codes[:, 1 : 1 + SLOTS] + 2).masked_fill(slots[1:-1] >= last, INPUT)
        ops.scatter_(1, last, OUTPUT)
        return NodeGraphs(ops, adjacency_of(codes[:, 1 + SLOTS :]), slots <= last)

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj, mask = graphs.ops, graphs.adj, graphs.mask
        slots = torch.arange(MAX_VERTICES, device=ops.device)
        n = mask.sum(1, keepdim=True)
        source, target = torch.tensor(EDGES, device=ops.device).T
        bits = adj[:, source, target]
        inner = (slots > 0) & (slots < n - 1)
        wanted = torch.where(slots == n - 1, OUTPUT, INPUT)
        types = torch.where(inner, (ops >= 2) & (ops < len(self.node_types)), ops == wanted)
        valid = types.all(1) & ~adj.tril().flatten(1).any(1) & (mask == (slots < n)).all(1)
        valid &= (n[:, 0] >= 2) & (mask_tables().vertices.to(ops.device)[mask_of(bits)] == n[:, 0])
        codes = torch.cat([n - 2, (ops - 2).masked_fill(~inner, 0)[:, 1:-1], bits.long()], 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid

    def from_matrices(self, adj: Tensor, ops: Tensor, num_vertices: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Codes of cells as ModelSpec takes them, pruned.

        Args:
            adj: [B, N, N], N <= 7, non-zero where there is an edge i -> j.
            ops: [B, N] integers, the operation of every vertex, an index into ``OPERATIONS``; what stands at
                the input, the output and the vertices that pruning drops is ignored.
            num_vertices: [B] integers in 2..N, the output being vertex ``num_vertices - 1``; N if not given.

        Returns:
            codes: LongTensor [B, 27]; rows that are not valid hold zeros.
            valid: [B] bool, which are cells after pruning: edges from lower to higher vertices only, none
                at vertices beyond the output, a path from input to output, known operations, at most 9 edges.

        Raises:
            InvalidCodeError: the shapes do not fit each other, or N is not in 2..7.
        """
        batch, nodes = ops.shape if ops.ndim == 2 else (0, 0)
        if adj.shape != (batch, nodes, nodes) or not 2 <= nodes <= MAX_VERTICES:
            raise InvalidCodeError(
                f"{self.name}: expected adj [B, N, N] and ops [B, N] with N in 2..{MAX_VERTICES}, "
                f"got {list(adj.shape)} and {list(ops.shape)}"
            )
        pad = MAX_VERTICES - nodes
        adj = torch.nn.functional.pad(adj != 0, (0, pad, 0, pad))
        ops = torch.nn.functional.pad(ops.long(), (0, pad))
        slots = torch.arange(MAX_VERTICES, device=adj.device)
        n = torch.full((batch,), nodes, device=adj.device) if num_vertices is None else num_vertices.long()
        if n.shape != (batch,):
            raise InvalidCodeError(f"{self.name}: expected num_vertices [{batch}], got {list(n.shape)}")
        valid = (n >= 2) & (n <= nodes)
        n = n.clamp(2, nodes)
        exists = slots < n[:, None]
        valid &= ~(adj.tril() | (adj & ~exists[:, None, :])).flatten(1).any(1)
        adj, ops, n = prune_batch(adj, ops, n)
        inner = (slots > 0) & (slots < n[:, None] - 1)
        valid &= (n >= 2) & (((ops >= 0) & (ops < NUM_OPERATIONS)) | ~inner).all(1) & (adj.sum((1, 2)) <= MAX_EDGES)
        source, target = torch.tensor(EDGES, device=adj.device).T
        codes = torch.cat([n[:, None] - 2, ops.masked_fill(~inner, 0)[:, 1:-1], adj[:, source, target].long()], 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid


def prune(matrix: Sequence[Sequence[int]], ops: Sequence[str]) -> tuple[list[list[int]], list[str]]:
    """Drop the vertices that lie on no path from the input (first) to the output (last), as ModelSpec does.

    Args:
        matrix: V rows of V numbers, an upper triangular adjacency matrix of zeros and ones.
        ops: V labels, the first and the last standing for the input and the output.

    Returns:
        The matrix and the labels of the vertices that are left, in their order.

    Raises:
        InvalidCodeError: the matrix is not square, not upper triangular, not made of zeros and ones, its
            side is not the number of labels, or no path leads from the input to the output.
    """
    size = len(ops)
    if size < 2 or len(matrix) != size or any(len(row) != size for row in matrix):
        sides = sorted({len(matrix), *map(len, matrix)})
        raise InvalidCodeError(f"prune: {size} operations (at least 2) need a matrix of that side, got sides {sides}")
    wrong = [(i, j) for i in range(size) for j in range(size) if matrix[i][j] not in ((0, 1) if i < j else (0,))]
    if wrong:
        i, j = wrong[0]
        raise InvalidCodeError(
            f"prune: matrix[{i}][{j}] is {matrix[i][j]!r}; the matrix must be upper triangular, of zeros and ones"
        )
    forward, backward = {0}, {size - 1}
    for v in range(1, size):
        if any(matrix[u][v] for u in forward):
            forward.add(v)
    for v in range(size - 2, -1, -1):
        if any(matrix[v][w] for w in backward):
            backward.add(v)
    kept = sorted(forward & backward)
    if not kept:
        raise InvalidCodeError("prune: no path leads from the input to the output")
    return [[int(matrix[i][j]) for j in kept] for i in kept], [ops[v] for v in kept]


def position_keys(positions: Tensor) -> list[str]:
    """Keys of canonical positions: [B] -> B texts."""
    masks, heads = (positions % MASKS).tolist(), (positions // MASKS).tolist()
    names: dict[int, tuple[str, int]] = {}
    for head in set(heads):
        n = head // OP_CODES + 2
        digits = (head % OP_CODES // NUM_OPERATIONS ** (SLOTS - 1 - slot) % NUM_OPERATIONS for slot in range(n - 2))
        names[head] = f"{n}.{''.join(map(str, digits))}", len(EDGES) - n * (n - 1) // 2
    return [f"{names[head][0]}.{mask >> names[head][1]:x}" for head, mask in zip(heads, masks, strict=True)]


def format_matrices(adj: Tensor, ops: Tensor, num_vertices: Tensor) -> list[str]:
    """Texts of cells, pruned or not: adjacency [B, N, N], operations [B, N-2] of vertices 1.., vertices [B]."""
    targets = (adj.long() << torch.arange(adj.shape[1], device=adj.device)).sum(2)  # [B, N], bit j: an edge to j
    cells = zip(targets.tolist(), ops.tolist(), num_vertices.tolist(), strict=True)
    return [cell_text(rows[:n], inner[: n - 2]) for rows, inner, n in cells]


def cell_text(targets: Sequence[int], ops: Sequence[int]) -> str:
    """Text of a cell: bit j of ``targets[i]`` is the edge i -> j, ``ops`` are the operations of vertices 1..n-2."""
    rows = ", ".join([_row_text(row, len(targets)) for row in targets])
    return f'{{"matrix": [{rows}], "ops": [{_ops_text(tuple(ops))}]}}'


@cache
def _row_text(row: int, n: int) -> str:
    return str([row >> j & 1 for j in range(n)])


@cache
def _ops_text(ops: tuple[int, ...]) -> str:
    return ", ".join(f'"{name}"' for name in ("input", *(OPERATIONS[op] for op in ops), "output"))


def parse_matrices(text: str, space: str) -> tuple[list[list[int]], list[str]]:
    """Matrix and operations of a text, unpruned; ``space`` is named in errors.

    Raises:
        ParseError: the text is in none of the forms, or a number or an operation is unknown.
    """
    expected = '{"matrix": [[0, 1, ...], ...], "ops": ["input", ..., "output"]} of 2 to 7 vertices'
    wrong = f"{space}: {text[:200]!r} is no cell; expected {expected}"
    compact = "".join(text.split()) if len(text) <= _MAX_TEXT else ""
    match = next((found for form in _TEXTS if (found := form.fullmatch(compact))), None)
    if match is None:
        raise ParseError(wrong)
    rows = [row[1:-1].removesuffix(",").split(",") for row in re.findall(_ROW, match[1])]
    if any(value not in ("0", "1") for row in rows for value in row):
        raise ParseError(f"{wrong}; the matrix must hold zeros and ones")
    quoted = match[2][1:-1].removesuffix(",").split(",")
    if any(len(name) < 2 or name[0] not in "\"'" or name[-1] != name[0] for name in quoted):
        raise ParseError(f"{wrong}; the operations must be quoted")
    names = [name[1:-1] for name in quoted]
    if not 2 <= len(names) <= MAX_VERTICES or names[0] != "input" or names[-1] != "output":
        raise ParseError(f"{wrong}; the operations must start with 'input' and end with 'output'")
    for name in names[1:-1]:
        if name not in OPERATIONS:
            raise ParseError(f"{space}: unknown operation {name[:60]!r}; known: {', '.join(OPERATIONS)}")
    if len(rows) != len(names) or any(len(row) != len(names) for row in rows):
        raise ParseError(f"{wrong}; the matrix must have a row and a column for each operation")
    return [[int(value) for value in row] for row in rows], names


def object_text(item: object, space: str) -> str | None:
    """The text of a cell given as the benchmark's Python objects do; None for other objects.

    Args:
        item: a mapping with "matrix" and "ops", or with "module_adjacency" and "module_operations" (the
            fixed statistics of the benchmark's API), or an object with such attributes (its ModelSpec,
            whose unpruned ``original_matrix`` and ``original_ops`` are taken where it has them).
        space: named in errors.

    Raises:
        ParseError: the matrix or the operations are no lists.
    """
    for first, second in (
        ("original_matrix", "original_ops"),
        ("matrix", "ops"),
        ("module_adjacency", "module_operations"),
    ):
        if isinstance(item, Mapping):
            matrix, ops = item.get(first), item.get(second)
        else:
            matrix, ops = getattr(item, first, None), getattr(item, second, None)
        if matrix is None or ops is None:
            continue
        try:
            rows = [[int(bit) if bit in (0, 1) else str(bit) for bit in row] for row in matrix]
            return json.dumps({"matrix": rows, "ops": [str(op) for op in ops]})
        except (TypeError, ValueError, RuntimeError):
            raise ParseError(
                f"{space}: {first} must be rows of zeros and ones, {second} a list of names, "
                f"got {type(matrix).__name__} and {type(ops).__name__}"
            ) from None
    return None


def _insert(adj: Tensor, ops: Tensor, source: Tensor, target: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Insert an operation with number ``target`` between source and target; later vertices move up by one.

    Args:
        adj: [B, 7, 7] bool, the last vertex unused.
        ops: [B, 7] long, operations of vertices.
        source, target, new: [B] long, two vertices, source < target, and the operation.
    """
    rows = torch.arange(len(adj), device=adj.device)
    slots = torch.arange(MAX_VERTICES, device=adj.device)
    old = slots - (slots > target[:, None]).long()  # [B, 7]
    own = slots == target[:, None]
    adj = adj[rows[:, None, None], old[:, :, None], old[:, None, :]] & ~own[:, :, None] & ~own[:, None, :]
    adj[rows, source, target] = True
    adj[rows, target, target + 1] = True
    ops = ops.gather(1, old)
    ops[rows, target] = new
    return adj, ops
