"""Randomly wired stages (Xie, Kirillov, Girshick and He, ICCV 2019): DAGs of equal nodes."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import ConfigError, InvalidCodeError, ParseError, UnknownNameError
from ..seeding import Seed, as_generator
from .base import SearchSpace
from .dag_canonical import MAX_NODES, canonical_order, reorder
from .graphs import INPUT, OUTPUT, NodeGraphs
from .loose_ends import LooseEndsGrammar, close_loose_ends
from .random_graphs import barabasi_albert, draw_connected, erdos_renyi, watts_strogatz

_PARAMETERS = {"er": ("p",), "ba": ("m",), "ws": ("k", "p")}


class _FreeSourcesGrammar(LooseEndsGrammar):
    """Every inner vertex chooses sources freely among the inner ones, and reads the input if it chose none."""

    def _inner_edges(self, fed: Tensor, source: int) -> Tensor:
        if source == 0:
            return torch.stack([fed, ~fed], 1)
        return torch.ones(len(fed), 2, dtype=torch.bool, device=fed.device)


class RandomWired(SearchSpace):
    """A stage of a randomly wired network: any DAG of N equal nodes.

    Each node adds its inputs with learned weights, then applies ReLU, a separable 3x3 convolution and
    batch normalisation. Nodes without predecessor read the input of the stage; the output of the stage
    is the mean of the nodes without successor.

    A code holds one bit for every pair i < j of the nodes 0..N-1, in the order (0, 1), (0, 2), ...,
    (N-2, N-1): whether there is an edge i -> j. In the node view node i is vertex i + 1. Codes that
    differ only in the numbering of the nodes are the same network.

    Args:
        nodes: N, 2..63; the paper's stages have 32.
    """

    node_types = ("input", "output", "sepconv3x3")
    op_colors: ClassVar[dict[str, str]] = {"sepconv3x3": "#56b4e9"}

    def __init__(self, nodes: int = 32) -> None:
        if not 2 <= nodes <= MAX_NODES:
            raise InvalidCodeError(f"RandomWired: nodes must be in 2..{MAX_NODES}, got {nodes}")
        self.nodes = nodes
        self.name = f"random_wired{nodes}"
        self._source, self._target = torch.triu_indices(nodes, nodes, 1)
        pairs = list(zip(self._source.tolist(), self._target.tolist(), strict=True))
        self._edge_texts = [f"{i}-{j}" for i, j in pairs]
        self._edge_columns = {text: column for column, text in enumerate(self._edge_texts)}
        self.cardinalities = (2,) * len(pairs)
        self.columns = tuple(f"edge_{i}_{j}" for i, j in pairs)
        self.max_nodes = nodes + 2
        self.grammar = _FreeSourcesGrammar(self.max_nodes, len(self.node_types))

    # --- drawing ------------------------------------------------------------------------------

    def sample_graphs(
        self,
        n: int,
        *,
        model: Literal["er", "ba", "ws"],
        seed: Seed = None,
        p: float | None = None,
        m: int | None = None,
        k: int | None = None,
    ) -> Tensor:
        """Draw ``n`` codes from a random graph model, as the paper's network generators do.

        Undirected graphs are drawn until they are connected, then edges are directed from the lower
        index to the higher.

        Args:
            n: how many, at least 0.
            model: "er" for Erdos-Renyi G(N, P), nodes in random order; "ba" for Barabasi-Albert(M),
                nodes in the order in which they are added; "ws" for Watts-Strogatz(K, P), nodes clockwise.
            seed: an integer, a generator, or None.
            p: P of "er" (default 0.2, above 0) or "ws" (default 0.75).
            m: M of "ba", 1..N-1 (default 5).
            k: K of "ws", even, 2..N-1 (default 4). The defaults are the paper's best.

        Returns:
            LongTensor [n, N(N-1)/2].

        Raises:
            InvalidCodeError: ``n`` is negative.
            UnknownNameError: there is no such model.
            ConfigError: a parameter is out of range or not one of the model's, or the model gives
                hardly any connected graph.
        """
        if n < 0:
            raise InvalidCodeError(f"{self.name}: the number of samples must be at least 0, got {n}")
        if model not in _PARAMETERS:
            raise UnknownNameError("random graph model", model, _PARAMETERS)
        for name, value in (("p", p), ("m", m), ("k", k)):
            if value is not None and name not in _PARAMETERS[model]:
                raise ConfigError(f"model {model!r} has the parameters {', '.join(_PARAMETERS[model])}, not {name}")
        generator = as_generator(seed)

        def draw(count: int) -> Tensor:
            if model == "er":
                return erdos_renyi(count, self.nodes, 0.2 if p is None else p, generator)
            if model == "ba":
                return barabasi_albert(count, self.nodes, 5 if m is None else m, generator)
            return watts_strogatz(count, self.nodes, 4 if k is None else k, 0.75 if p is None else p, generator)

        return self._codes(draw_connected(n, self.nodes, draw))

    # --- texts --------------------------------------------------------------------------------

    def format(self, codes: Tensor) -> list[str]:
        """The number of nodes, then the edges in order: ``32: 0-1 0-5 3-7``."""
        rows, columns = self.check_codes(codes).nonzero().T.tolist()
        texts: list[list[str]] = [[f"{self.nodes}:"] for _ in range(len(codes))]
        for row, column in zip(rows, columns, strict=True):
            texts[row].append(self._edge_texts[column])
        return [" ".join(edges) for edges in texts]

    def _parse_one(self, text: str) -> list[int]:
        head, *edges = text.split() or [""]
        columns = [self._edge_columns.get(edge, -1) for edge in edges]
        if head != f"{self.nodes}:" or -1 in columns or any(a >= b for a, b in pairwise(columns)):
            raise ParseError(
                f"{self.name}: {text[:200]!r} is no cell; expected '{self.nodes}:' and edges i-j in ascending order, "
                f"0 <= i < j <= {self.nodes - 1}, e.g. '{self.nodes}: {self._edge_texts[0]}'"
            )
        row = [0] * self.dim
        for column in columns:
            row[column] = 1
        return row

    # --- identity -----------------------------------------------------------------------------

    def canonical(self, codes: Tensor) -> Tensor:
        """The code of the network with its nodes in canonical topological order."""
        adj = self._adjacency(self.check_codes(codes))
        return self._codes(reorder(adj, canonical_order(adj)))

    def keys(self, codes: Tensor) -> list[str]:
        """The bits of the canonical code as hexadecimal digits, the first bit the highest."""
        bits = self.canonical(codes)
        bits = torch.nn.functional.pad(bits, (0, -self.dim % 4)).reshape(len(bits), -(-self.dim // 4), 4)
        digits = (bits * torch.tensor([8, 4, 2, 1], device=bits.device)).sum(2).tolist()
        return ["".join(["0123456789abcdef"[digit] for digit in row]) for row in digits]

    # --- views --------------------------------------------------------------------------------

    def _adjacency(self, codes: Tensor) -> Tensor:
        """Edges among the N nodes: [B, N, N] bool."""
        adj = torch.zeros(len(codes), self.nodes, self.nodes, dtype=torch.bool, device=codes.device)
        adj[:, self._source, self._target] = codes.bool()
        return adj

    def _codes(self, adj: Tensor) -> Tensor:
        """The part of [B, N, N] above the diagonal as codes."""
        return adj[:, self._source, self._target].long()

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        codes = self.check_codes(codes)
        ops = codes.new_full((len(codes), self.max_nodes), 2)
        ops[:, 0], ops[:, -1] = INPUT, OUTPUT
        return NodeGraphs(ops, self._closed(self._adjacency(codes)), torch.ones_like(ops, dtype=torch.bool))

    def _closed(self, inner: Tensor) -> Tensor:
        """Edges of the node view [B, N + 2, N + 2] from those among the nodes."""
        adj = torch.nn.functional.pad(inner, (1, 1, 1, 1))
        adj[:, 0, 1:-1] = ~inner.any(1)
        return close_loose_ends(adj)

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        ops, adj = graphs.ops, graphs.adj
        inner = adj[:, 1:-1, 1:-1]
        valid = graphs.mask.all(1) & (ops[:, 0] == INPUT) & (ops[:, -1] == OUTPUT) & (ops[:, 1:-1] == 2).all(1)
        valid &= ~inner.tril().flatten(1).any(1) & (self._closed(inner) == adj).flatten(1).all(1)
        codes = self._codes(inner)
        return torch.where(valid[:, None], codes, torch.zeros_like(codes)), valid
