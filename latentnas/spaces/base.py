"""SearchSpace: a cell is a row of integers; texts, graphs and keys are computed from it in batches."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from ..errors import InvalidCodeError, ParseError, SpaceTooLargeError
from ..seeding import Seed, as_generator
from .grammar import Grammar
from .graphs import EdgeGraphs, NodeGraphs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from networkx import DiGraph
    from torch_geometric.data import Batch, Data

    from .costs import Costs, OperationCosts

MAX_ENUMERATION = 20_000_000
"""Spaces with more codes than this are never enumerated."""

_CHUNK = 200_000


def format_count(number: int) -> str:
    """A number of cells for people: exact up to 10^18, then as a power of ten."""
    return f"{number:,}" if number < 10**18 else f"{number:.3e}"


class SearchSpace(ABC):
    """A set of cells, each a fixed-length row of integers (its *code*).

    Contract, for every method and every space:

    - ``codes`` is a LongTensor [B, D]; column d takes the values 0..``cardinalities[d]``-1. B may be
      0. Methods that take codes check them and raise :class:`~latentnas.errors.InvalidCodeError`,
      which names the first faulty row; tensors are returned on the device of the codes.
    - No method keeps state between calls or changes its arguments; spaces are thread-safe.
    - Random methods draw on the CPU: a seed gives the same cells on every device.

    In most spaces every row within ``cardinalities`` is a cell, and drawing, enumerating and mutating
    work as written here. A space with further rules overrides ``_valid``, ``size``, ``_draw``,
    ``enumerate`` and ``mutate``. A space in which different codes can be the same network overrides
    ``canonical``.

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

    def column_values(self) -> list[tuple[str, ...]]:
        """What the values of every column mean: D tuples of ``cardinalities[d]`` short texts. Here: the numbers."""
        return [tuple(map(str, range(cardinality))) for cardinality in self.cardinalities]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, size={format_count(self.size)})"

    def check_codes(self, codes: Tensor | Sequence[Sequence[int]]) -> Tensor:
        """Return ``codes`` as a LongTensor [B, D] after checking shape, type, range and validity.

        Raises:
            InvalidCodeError: naming the first faulty row and what would be right.
        """
        if isinstance(codes, str) or (isinstance(codes, Sequence) and any(isinstance(row, str) for row in codes)):
            raise InvalidCodeError(f"{self.name}: these are texts, codes are expected; use space.parse(texts) first")
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

    @property
    def is_product(self) -> bool:
        """Whether every row within ``cardinalities`` is a cell."""
        return self.size == math.prod(self.cardinalities)

    def positions(self, codes: Tensor) -> Tensor:
        """Rows as mixed-radix integers, in the lexicographic order of the codes: [B, D] -> [B] long.

        Args:
            codes: checked codes.

        Raises:
            SpaceTooLargeError: the product of ``cardinalities`` is above 2^63.
        """
        if math.prod(self.cardinalities) > 2**63:
            raise SpaceTooLargeError(f"{self.name}: its codes do not fit 64-bit integers")
        strides = [1]
        for cardinality in reversed(self.cardinalities[1:]):
            strides.append(strides[-1] * cardinality)
        return (codes * torch.tensor(strides[::-1], device=codes.device)).sum(1)

    # --- drawing cells ------------------------------------------------------------------------

    def sample(self, n: int, *, seed: Seed = None, over: Literal["codes", "networks"] = "codes") -> Tensor:
        """Draw ``n`` codes uniformly, with replacement: LongTensor [n, D].

        Args:
            n: how many, at least 0.
            seed: an integer, a generator, or None.
            over: "codes" gives every code the same probability, "networks" every distinct network
                (one code stands for each, see :meth:`networks`).

        Raises:
            InvalidCodeError: ``n`` is no integer or negative, or ``over`` is neither of the two.
            SpaceTooLargeError: ``over="networks"`` in a space whose networks cannot be listed.
        """
        try:
            n = operator.index(n)
        except TypeError:
            raise InvalidCodeError(f"{self.name}: the number of samples must be an integer, got {n!r}") from None
        if n < 0:
            raise InvalidCodeError(f"{self.name}: the number of samples must be at least 0, got {n}")
        generator = as_generator(seed)
        if over == "codes":
            return self._draw(n, generator)
        if over == "networks":
            return self._draw_networks(n, generator)
        raise InvalidCodeError(f"{self.name}: sample over 'codes' or 'networks', got {over!r}")

    def _draw_networks(self, n: int, generator: torch.Generator) -> Tensor:
        if type(self).canonical is SearchSpace.canonical:  # every code is a network of its own
            return self._draw(n, generator)
        table = _networks(self)
        return table[torch.randint(len(table), (n,), generator=generator)].long()

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` codes, uniform over codes. Here: every column for itself."""
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

    def networks(self) -> Tensor:
        """One code for every distinct network, in lexicographic order: LongTensor [``num_networks``, D].

        These are the codes that :meth:`canonical` leaves as they are.

        Raises:
            SpaceTooLargeError: with more than 20 million codes.
        """
        return _networks(self).long()

    @property
    def num_networks(self) -> int:
        """The number of distinct networks, counted.

        Raises:
            SpaceTooLargeError: networks can have several codes, and there are more than 20 million codes.
        """
        return self.size if type(self).canonical is SearchSpace.canonical else len(_networks(self))

    def mutate(self, codes: Tensor, *, seed: Seed = None) -> Tensor:
        """Change one uniformly chosen column of every row to a uniformly chosen other value.

        The mutant has another code; where networks have several codes it can be the same network
        (of ``nasbench1shot1-1``, a third of them are).

        Args:
            codes: [B, D].
            seed: an integer, a generator, or None.

        Returns:
            LongTensor [B, D]; every row is valid and one edit away from its parent.
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

    def parse(self, text: str | Sequence[str] | Any) -> Tensor:
        """Codes of published strings (one string, or a list of them): LongTensor [B, D].

        Some spaces also take the Python objects in which cells are published, one or a list of them:
        see the ``_from_object`` of the space.

        Raises:
            ParseError: naming the first string that is no cell, and what was expected.
        """
        rows = [self._parse_item(item) for item in self._items(text)]
        return self.check_codes(torch.tensor(rows, dtype=torch.long).reshape(len(rows), self.dim))

    def _items(self, text: object) -> list[object]:
        """What :meth:`parse` was given, as a list."""
        if isinstance(text, Tensor):
            raise ParseError(f"{self.name}: parse takes texts, got a tensor; codes need no parsing")
        if isinstance(text, str | bytes | Mapping) or not isinstance(text, Iterable):
            return [text]
        return [text] if self._from_object(text) is not None else list(text)

    def _parse_item(self, item: object) -> list[int]:
        found = item if isinstance(item, str) else self._from_object(item)
        if found is None:
            shown = repr(item)
            shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
            raise ParseError(f"{self.name}: expected a string, got {type(item).__name__} {shown}")
        return self._parse_one(found) if isinstance(found, str) else found

    @abstractmethod
    def _parse_one(self, text: str) -> list[int]:
        """The code of one string; raises ParseError."""

    def _from_object(self, item: object) -> str | list[int] | None:
        """The text or the code of a published Python object that stands for one cell.

        None for anything that is no such object. Here there are none.

        Raises:
            ParseError: it is such an object, but no cell.
        """
        return None

    # --- identity -----------------------------------------------------------------------------

    def keys(self, codes: Tensor) -> list[str]:
        """Canonical keys: two cells have equal keys exactly when they are the same network.

        Keys are readable ASCII texts without spaces at their ends, stable across runs, machines and
        versions; in spaces of published size they have less than 500 characters. Here: the values of
        the canonical code, joined by points.

        Args:
            codes: [B, D] long.
        """
        return [".".join(map(str, row)) for row in self.canonical(codes).tolist()]

    def canonical(self, codes: Tensor) -> Tensor:
        """One representative per network: cells with equal keys get equal codes.

        Idempotent: a representative stands for itself. Here codes themselves, for spaces in which no
        two codes are the same network.

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

    def from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Inverse of :meth:`node_graphs`, for graphs in any topological order of their vertices.

        Args:
            graphs: N = ``max_nodes`` vertices each, of whatever content.

        Returns:
            codes: LongTensor [B, D]; rows that are not valid hold zeros.
            valid: [B] bool, which graphs are cells of the space.

        Raises:
            InvalidCodeError: the tensors are not of the shapes [B, N], [B, N, N] and [B, N].
        """
        batch, nodes = graphs.ops.shape[0] if graphs.ops.ndim else 0, self.max_nodes
        expected = {"ops": (batch, nodes), "adj": (batch, nodes, nodes), "mask": (batch, nodes)}
        for name, shape in expected.items():
            found = tuple(getattr(graphs, name).shape)
            if found != shape:
                raise InvalidCodeError(
                    f"{self.name}: {name} of node graphs must have shape {list(shape)}, got {list(found)}"
                )
        return self._from_node_graphs(NodeGraphs(graphs.ops.long(), graphs.adj.bool(), graphs.mask.bool()))

    @abstractmethod
    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """See :meth:`from_node_graphs`; shapes and types are as they should be."""

    def edge_graphs(self, codes: Tensor) -> EdgeGraphs:
        """Operations on edges, for the spaces that are defined so.

        Raises:
            InvalidCodeError: the space has no edge view.
        """
        raise InvalidCodeError(f"{self.name} has no edge view: its operations are on vertices; use node_graphs()")

    def vertex_edges(self, codes: Tensor) -> Tensor:
        """The edge of the edge view on which the operation of each vertex of the node view stands.

        Args:
            codes: [B, D] long.

        Returns:
            LongTensor [B, N]: i V + j for edge i -> j, with V vertices in the edge view; -1 for vertices that are no
            operation. Two vertices on one edge are parallel operations.

        Raises:
            InvalidCodeError: the space has no edge view.
        """
        raise InvalidCodeError(f"{self.name} has no edge view: its operations are on vertices")

    # --- costs --------------------------------------------------------------------------------

    def costs(self, codes: Tensor, skeleton: Any = None) -> Costs:
        """Parameters and multiply-adds of the networks around cells; see :func:`latentnas.spaces.costs.costs`."""
        from .costs import costs

        return costs(self, codes, skeleton)

    def operation_costs(self, codes: Tensor, skeleton: Any = None) -> OperationCosts:
        """The same for every operation in its place; see :func:`latentnas.spaces.costs.operation_costs`."""
        from .costs import operation_costs

        return operation_costs(self, codes, skeleton)

    # --- other libraries ----------------------------------------------------------------------

    def to_networkx(self, codes: Tensor) -> list[DiGraph]:
        """One ``networkx.DiGraph`` a row: vertices 0, 1, ... of the node view, attribute ``op`` the type's name.

        The graph's own attribute ``space`` is the name of the space.
        """
        from .convert import to_networkx

        return to_networkx(self, codes)

    def from_networkx(self, graphs: DiGraph | Sequence[DiGraph]) -> Tensor:
        """Codes of graphs as :meth:`to_networkx` makes them, vertices in any order, with any labels: [B, D] long.

        Raises:
            InvalidCodeError: naming the first graph that is no cell of the space, and why.
        """
        from .convert import from_networkx

        return from_networkx(self, graphs)

    def to_pyg(self, codes: Tensor) -> list[Data]:
        """One ``torch_geometric.data.Data`` a row: ``op`` [n] long, ``edge_index`` [2, E] long."""
        from .convert import to_pyg

        return to_pyg(self, codes)

    def to_pyg_batch(self, codes: Tensor) -> Batch:
        """All rows as one ``torch_geometric.data.Batch``, made without a loop over cells."""
        from .convert import to_pyg_batch

        return to_pyg_batch(self, codes)

    def from_pyg(self, graphs: Data | Batch | Sequence[Data]) -> Tensor:
        """Codes of PyG graphs as :meth:`to_pyg` and :meth:`to_pyg_batch` make them: [B, D] long.

        Raises:
            InvalidCodeError: naming the first graph that is no cell of the space, and why.
        """
        from .convert import from_pyg

        return from_pyg(self, graphs)

    def draw(self, code: Tensor | Sequence[int] | str, ax: Axes | None = None, *, title: str | None = None) -> Axes:
        """Draw one cell with matplotlib; see :func:`latentnas.spaces.drawing.draw_cell`.

        Args:
            code: [D] or [1, D] integers, or the text of a cell.
            ax: matplotlib axes to draw on; by default those of a new figure (``ax.figure``).
            title: a line above the picture; none by default.

        Raises:
            InvalidCodeError: ``code`` is not one cell of the space.
            ParseError: the text is no cell of the space.
        """
        from .drawing import draw_cell

        return draw_cell(self, code, ax, title=title)


@lru_cache(maxsize=8)
def _networks(space: SearchSpace) -> Tensor:
    """The canonical codes of a space, in lexicographic order, compactly: [n, D] uint8 or int16."""
    compact = torch.uint8 if max(space.cardinalities) <= 256 else torch.int16
    codes = space.enumerate()
    kept = [part[(space.canonical(part) == part).all(1)].to(compact) for part in codes.split(_CHUNK)]
    return torch.cat(kept)
