"""SearchSpace: a cell is a row of integers; texts, graphs and keys are computed from it in batches."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError, SpaceTooLargeError
from ..seeding import Seed, as_generator
from .grammar import Grammar
from .graphs import EdgeGraphs, NodeGraphs

MAX_ENUMERATION = 20_000_000
"""Spaces with more codes than this are never enumerated."""


class SearchSpace(ABC):
    """A set of cells, each a fixed-length row of integers (its *code*).

    Contract, for every method and every space:

    - ``codes`` is a LongTensor [B, D]; column d takes the values 0..``cardinalities[d]``-1. B may be
      0. Methods that take codes check them and raise :class:`~latentnas.errors.InvalidCodeError`,
      which names the first faulty row; tensors are returned on the device of the codes.
    - No method keeps state between calls or changes its arguments; spaces are thread-safe.
    - Random methods draw on the CPU: a seed gives the same cells on every device.

    Attributes:
        name: the name under which :func:`latentnas.get_space` finds the space.
        cardinalities: D integers.
        columns: D short names, one a column, unique; they name a campaign's parameters.
        node_types: vocabulary of ``NodeGraphs.ops``; 0 is "input", 1 is "output".
        edge_types: vocabulary of ``EdgeGraphs.ops``, 0 is "none"; empty without an edge view.
        identity_types, zero_types: vertex types that pass their input on unchanged, and that give
            zero whatever their input.
        max_nodes: N of the node view.
        grammar: what a decoder may do next in a partial cell.
    """

    name: str
    cardinalities: tuple[int, ...]
    columns: tuple[str, ...]
    node_types: tuple[str, ...]
    edge_types: tuple[str, ...] = ()
    identity_types: tuple[int, ...] = ()
    zero_types: tuple[int, ...] = ()
    max_nodes: int
    grammar: Grammar

    op_colors: ClassVar[dict[str, str]] = {}
    """Colours of operations in pictures; operations that are not named get one of a default cycle."""

    # --- size and codes -----------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """D, the length of a code."""
        return len(self.cardinalities)

    @property
    def size(self) -> int:
        """The number of valid codes (not of distinct networks), exact."""
        return math.prod(self.cardinalities)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, size={self.size:,})"

    def check_codes(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """Return ``codes`` as a LongTensor [B, D] after checking shape, type, range and validity.

        Raises:
            InvalidCodeError: naming the first faulty row and what would be right.
        """
        if not isinstance(codes, Tensor):
            try:
                codes = torch.tensor(codes)
            except (TypeError, ValueError, RuntimeError, OverflowError) as error:
                raise InvalidCodeError(f"{self.name}: codes must be integers [B, {self.dim}]: {error}") from None
            if codes.shape == (0,):  # an empty list
                codes = codes.reshape(0, self.dim).long()
        if codes.ndim != 2 or codes.shape[1] != self.dim:
            raise InvalidCodeError(f"{self.name}: codes must have shape [B, {self.dim}], got {list(codes.shape)}")
        if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
            raise InvalidCodeError(f"{self.name}: codes must be integers, got {codes.dtype}")
        codes = codes.long()
        high = torch.tensor(self.cardinalities, device=codes.device)
        wrong = (codes < 0) | (codes >= high)
        if bool(wrong.any()):
            row, column = wrong.nonzero()[0].tolist()
            raise InvalidCodeError(
                f"{self.name}: codes[{row}, {column}] ({self.columns[column]}) is {int(codes[row, column])}, "
                f"must be in 0..{self.cardinalities[column] - 1}"
            )
        valid = self._valid(codes)
        if not bool(valid.all()):
            row = int((~valid).nonzero()[0])
            raise InvalidCodeError(f"{self.name}: codes[{row}] = {codes[row].tolist()} is no cell of the space")
        return codes

    def _valid(self, codes: Tensor) -> Tensor:
        """Which rows, all in range, are cells of the space: [B] bool. Here: every row."""
        return torch.ones(len(codes), dtype=torch.bool, device=codes.device)

    # --- drawing cells ------------------------------------------------------------------------

    def sample(self, n: int, *, seed: Seed = None) -> Tensor:
        """Draw ``n`` codes uniformly, with replacement: LongTensor [n, D]."""
        if n < 0:
            raise InvalidCodeError(f"{self.name}: the number of samples must be at least 0, got {n}")
        generator = as_generator(seed)
        uniform = torch.rand(n, self.dim, generator=generator, dtype=torch.float64)
        high = torch.tensor(self.cardinalities)
        return torch.minimum((uniform * high).long(), high - 1)

    def enumerate(self) -> Tensor:
        """Every code in lexicographic order: LongTensor [size, D].

        Raises:
            SpaceTooLargeError: with more than 20 million codes; draw them with :meth:`sample`.
        """
        if self.size > MAX_ENUMERATION:
            raise SpaceTooLargeError(
                f"{self.name} has {self.size:,} codes, more than {MAX_ENUMERATION:,} are not enumerated; use sample()"
            )
        return torch.cartesian_prod(*(torch.arange(c) for c in self.cardinalities)).reshape(-1, self.dim)

    def mutate(self, codes: Tensor, *, seed: Seed = None) -> Tensor:
        """Change one uniformly chosen column of every row to a uniformly chosen other value.

        Args:
            codes: [B, D].
            seed: an integer, a generator, or None.

        Returns:
            LongTensor [B, D]; every row is valid and differs from its parent in one edit.
        """
        codes = self.check_codes(codes)
        generator = as_generator(seed)
        high = torch.tensor(self.cardinalities)
        free = (high > 1).nonzero()[:, 0]
        column = free[torch.randint(len(free), (len(codes),), generator=generator)]
        step = 1 + (torch.rand(len(codes), generator=generator, dtype=torch.float64) * (high[column] - 1)).long()
        step = torch.minimum(step, high[column] - 1).to(codes.device)
        rows, column = torch.arange(len(codes), device=codes.device), column.to(codes.device)
        mutants = codes.clone()
        mutants[rows, column] = (codes[rows, column] + step) % high.to(codes.device)[column]
        return mutants

    # --- texts --------------------------------------------------------------------------------

    @abstractmethod
    def format(self, codes: Tensor) -> list[str]:
        """The published string form of every row."""

    def parse(self, text: str | Sequence[str]) -> Tensor:
        """Codes of published strings (one string, or a list of them): LongTensor [B, D].

        Raises:
            ParseError: naming the first string that is no cell, and what was expected.
        """
        texts = [text] if isinstance(text, str) else list(text)
        rows = []
        for item in texts:
            if not isinstance(item, str):
                raise ParseError(f"{self.name}: expected a string, got {type(item).__name__} {item!r}")
            rows.append(self._parse_one(item))
        return self.check_codes(torch.tensor(rows, dtype=torch.long).reshape(len(rows), self.dim))

    @abstractmethod
    def _parse_one(self, text: str) -> list[int]:
        """The code of one string; raises ParseError."""

    # --- identity -----------------------------------------------------------------------------

    @abstractmethod
    def keys(self, codes: Tensor) -> list[str]:
        """Canonical keys: two cells have equal keys exactly when they are the same network.

        Keys are short readable ASCII texts, stable across runs, machines and versions.
        """

    def canonical(self, codes: Tensor) -> Tensor:
        """One representative per network: cells with equal keys get equal codes.

        Here codes themselves, for spaces in which no two codes are the same network.

        Args:
            codes: [B, D] long.

        Returns:
            LongTensor [B, D] of valid codes, with the keys of ``codes``.
        """
        return self.check_codes(codes)

    # --- views --------------------------------------------------------------------------------

    @abstractmethod
    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        """Operations on vertices: NodeGraphs with N = ``max_nodes``."""

    @abstractmethod
    def from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Inverse of :meth:`node_graphs`, for graphs in any topological order of their vertices.

        Returns:
            codes: LongTensor [B, D]; rows that are not valid hold zeros.
            valid: [B] bool, which graphs are cells of the space.
        """

    def edge_graphs(self, codes: Tensor) -> EdgeGraphs:
        """Operations on edges, for the spaces that are defined so.

        Raises:
            InvalidCodeError: the space has no edge view.
        """
        raise InvalidCodeError(f"{self.name} has no edge view: its operations are on vertices; use node_graphs()")
