"""NAS-Bench-Graph (Qin et al., NeurIPS 2022): cells of graph neural networks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError
from .base import SearchSpace
from .graphs import INPUT, OUTPUT, NodeGraphs
from .loose_ends import LooseEndsGrammar, close_loose_ends

OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""In the order of the benchmark; "graph" is k-GNN, "fc" fully connected without the graph."""

LINKS = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""The benchmark's nine link lists: one of every shape of a tree of four nodes below the input."""

_SKIP = OPERATIONS.index("skip")
_NODES = 4
_TEXT = re.compile(
    r"Arch\(\s*\[\s*([0-3])\s*,\s*([0-3])\s*,\s*([0-3])\s*,\s*([0-3])\s*\]\s*,"
    r"\s*\[\s*(['\"])([a-z]+)\5\s*,\s*(['\"])([a-z]+)\7\s*,\s*(['\"])([a-z]+)\9\s*,\s*(['\"])([a-z]+)\11\s*\]\s*\)"
)


class _OneSourceGrammar(LooseEndsGrammar):
    """Every inner vertex chooses exactly one source."""

    def _inner_edges(self, fed: Tensor, source: int) -> Tensor:
        absent = fed if source == 0 else torch.ones_like(fed)
        return torch.stack([absent, ~fed], 1)


class NASBenchGraph(SearchSpace):
    """Four computing nodes, each with one input node and one operation.

    Node k (1-based) reads the raw input (0) or an earlier node; nodes without descendants (leaves)
    are joined to the output. A code holds the inputs of the nodes 2, 3 and 4 (node 1 reads the raw
    input), then the four operations.

    Two cells are the same network if they are isomorphic after every ``skip`` is replaced by its
    input. A ``skip`` that is a leaf joins its input to the output once more, and counts, except where
    it joins the raw input, which the benchmark does not tell apart. These rules give
    26,207 networks; all but the one without any operation, which has no record, are the benchmark's
    26,206 (on "proteins" 2,021, those of gcn, sage, arma, fc and skip alone), and the representative
    of each (see :meth:`canonical`) is the one that the benchmark trained.
    """

    name = "nas_bench_graph"
    cardinalities = (2, 3, 4, *(len(OPERATIONS),) * _NODES)
    columns = ("in_2", "in_3", "in_4", "op_1", "op_2", "op_3", "op_4")
    node_types = ("input", "output", *OPERATIONS)
    identity_types = (2 + _SKIP,)
    max_nodes = _NODES + 2
    grammar = _OneSourceGrammar(max_nodes, len(node_types))

    op_colors: ClassVar[dict[str, str]] = {
        "gat": "#d55e00",
        "gcn": "#0072b2",
        "gin": "#009e73",
        "cheb": "#cc79a7",
        "sage": "#e69f00",
        "arma": "#56b4e9",
        "graph": "#7fcdbb",
        "fc": "#f0e442",
        "skip": "#999999",
    }

    # --- texts --------------------------------------------------------------------------------

    def format(self, codes: Tensor) -> list[str]:
        """The call of the benchmark's documentation: ``Arch([0, 1, 2, 1], ['gcn', 'gin', 'fc', 'cheb'])``."""
        rows = self.check_codes(codes).tolist()
        return [f"Arch({[0, *row[:3]]}, {[OPERATIONS[op] for op in row[3:]]})" for row in rows]

    def column_values(self) -> list[tuple[str, ...]]:
        named = zip(self.columns, super().column_values(), strict=True)
        return [OPERATIONS if name.startswith("op_") else values for name, values in named]

    def _from_object(self, item: object) -> str | None:
        """The benchmark's own ``Arch``, an object with ``link`` and ``ops``."""
        link, ops = getattr(item, "link", None), getattr(item, "ops", None)
        if link is None or ops is None:
            return None
        try:
            return f"Arch({[int(node) for node in link]}, {[str(op) for op in ops]})"
        except (TypeError, ValueError):
            raise ParseError(
                f"{self.name}: an Arch needs link and ops, lists of four, got {link!r:.100} and {ops!r:.100}"
            ) from None

    def _parse_one(self, text: str) -> list[int]:
        match = _TEXT.fullmatch(text.strip())
        if match is not None:
            links, names = [int(match[i]) for i in range(1, 5)], [match[i] for i in (6, 8, 10, 12)]
            if all(link <= k for k, link in enumerate(links)) and all(name in OPERATIONS for name in names):
                return links[1:] + [OPERATIONS.index(name) for name in names]
        raise ParseError(
            f"{self.name}: {text[:200]!r} is no cell; expected e.g. Arch([0, 1, 2, 1], ['gcn', 'gin', 'fc', 'cheb']): "
            f"every node's input (0 or an earlier node) and operation (of {', '.join(OPERATIONS)})"
        )

    # --- identity -----------------------------------------------------------------------------

    def bench_hash(self, codes: Tensor) -> Tensor:
        """The integers under which the published tables hold the cells: [B] long, 0..88888.

        Cells have equal hashes exactly when they are the same network. The network without any
        operation has the hash 88888, and no record.
        """
        codes = self.check_codes(codes)
        return _table()[1].to(codes.device)[self.positions(codes)]

    def from_bench_hash(self, hashes: Tensor | Sequence[int]) -> Tensor:
        """The canonical codes of published hashes: [B] -> [B, D] long.

        Raises:
            InvalidCodeError: naming the first number that is no hash of the benchmark.
        """
        hashes = torch.as_tensor(hashes, dtype=torch.long)
        link = hashes.div(10**_NODES, rounding_mode="floor").clamp(0, len(LINKS) - 1)
        digits = torch.stack([hashes.div(10**i, rounding_mode="floor") % 10 for i in range(_NODES)][::-1], 1)
        links = torch.tensor(LINKS, device=hashes.device)[link, 1:]
        codes = torch.cat([links, digits.clamp(max=_SKIP)], 1)
        wrong = self.bench_hash(codes) != hashes
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise InvalidCodeError(f"{self.name}: hashes[{row}] = {int(hashes[row])} is no hash of the benchmark")
        return codes

    def has_record(self, codes: Tensor) -> Tensor:
        """Which cells the benchmark trained, on its data sets other than "proteins": [B] bool."""
        return self.bench_hash(codes) != 88888

    def keys(self, codes: Tensor) -> list[str]:
        """The hash of the benchmark in five digits: a link list's index, then the operations."""
        return [f"{number:05d}" for number in self.bench_hash(codes).tolist()]

    def canonical(self, codes: Tensor) -> Tensor:
        """The cell that the benchmark trained for each network.

        Among the codes of a network with one of :data:`LINKS` these are the last link list, then the
        most skips in front, then the smallest operations.
        """
        codes = self.check_codes(codes)
        return _table()[0].to(codes.device)[self.positions(codes)].long()

    # --- views --------------------------------------------------------------------------------

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), INPUT)
        ops[:, 1:-1] = codes[:, 3:] + 2
        ops[:, -1] = OUTPUT
        adj = torch.zeros(len(codes), self.max_nodes, self.max_nodes, dtype=torch.bool, device=codes.device)
        adj[:, 0, 1] = True
        for column in range(3):
            adj[:, :, column + 2].scatter_(1, codes[:, column, None], True)
        return NodeGraphs(ops, close_loose_ends(adj), torch.ones_like(ops, dtype=torch.bool))

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj = graphs.ops, graphs.adj
        inner = adj.clone()
        inner[:, :, -1] = False
        valid = graphs.mask.all(1) & (ops[:, 0] == INPUT) & (ops[:, -1] == OUTPUT)
        valid &= ((ops[:, 1:-1] >= 2) & (ops[:, 1:-1] < len(self.node_types))).all(1)
        valid &= ~inner.tril().flatten(1).any(1) & (inner[:, :, 1:-1].sum(1) == 1).all(1)
        valid &= (close_loose_ends(inner) == adj).flatten(1).all(1)
        codes = torch.cat([inner[:, :, 2:-1].long().argmax(1), ops[:, 1:-1] - 2], 1)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid


def _contracted(links: Tensor, ops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Replace every skip by its input.

    Args:
        links: [B, 4] long, the input nodes, 0 the raw input.
        ops: [B, 4] long.

    Returns:
        ops: [B, 4], 0 where the node was a skip, else 1 + the operation.
        source: [B, 4], the node that a node reads after contraction; 0 for skips.
        joins: [B, 4], how often a node is joined to the output.
    """
    real = torch.zeros(len(ops), _NODES + 1, dtype=torch.long)  # the node whose result node v passes on
    source = torch.zeros_like(ops)
    for v in range(_NODES):
        source[:, v] = real.gather(1, links[:, v, None])[:, 0]
        real[:, v + 1] = torch.where(ops[:, v] == _SKIP, source[:, v], v + 1)
    nodes = torch.arange(1, _NODES + 1)
    leaf = ~(links[:, :, None] == nodes).any(1)  # [B, 4]
    joins = (leaf[:, :, None] & (real[:, 1:, None] == nodes)).sum(1)
    exists = ops != _SKIP
    return torch.where(exists, ops + 1, 0), torch.where(exists, source, 0), joins


@lru_cache(maxsize=1)
def _table() -> tuple[Tensor, Tensor]:
    """For every code in lexicographic order its canonical code [n, 7] uint8 and its published hash [n] long."""
    codes = torch.cartesian_prod(*(torch.arange(c) for c in NASBenchGraph.cardinalities))
    links = torch.nn.functional.pad(codes[:, :3], (1, 0))
    ops, source, joins = _contracted(links, codes[:, 3:])
    form = torch.full((len(codes),), 2**62)
    for order in itertools.permutations(range(_NODES)):  # new node i is old node order[i]
        new = torch.zeros(_NODES + 1, dtype=torch.long)
        new[torch.tensor(order) + 1] = torch.arange(1, _NODES + 1)
        digits = ((ops * 5 + new[source]) * 5 + joins)[:, list(order)]  # below 10 * 5 * 5
        form = torch.minimum(form, (digits * 250 ** torch.arange(_NODES)).sum(1))
    network = form.unique(return_inverse=True)[1]

    same = (links[:, None] == torch.tensor(LINKS)).all(2)  # [n, 9]
    index = same.long().argmax(1)
    front = (codes[:, 3:] == _SKIP).long().cumprod(1).sum(1)  # leading skips
    operations = (codes[:, 3:] * 10 ** torch.arange(_NODES - 1, -1, -1)).sum(1)
    score = ((len(LINKS) - index) * (_NODES + 1) + _NODES - front) * 10**_NODES + operations
    score = torch.where(same.any(1), score, 2**62)
    best = torch.full((int(network.max()) + 1,), 2**62).scatter_reduce(0, network, score, "amin")
    first = torch.empty_like(best)
    chosen = (score == best[network]).nonzero()[:, 0]
    first[network[chosen]] = chosen
    representative = first[network]
    return codes[representative].to(torch.uint8), (index * 10**_NODES + operations)[representative]
