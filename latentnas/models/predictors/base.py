"""What every predictor's encoder has in common: the tensors it reads, the facts it is built from, its registry."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ...errors import ConfigError, UnknownNameError
from ...spaces.graphs import EdgeGraphs, NodeGraphs

WIDEST = 8192
"""Largest size of a layer."""


@dataclass(frozen=True, eq=False)
class CellInputs:
    """What encoders read of a batch of B cells, aligned by row.

    Attributes:
        codes: [B, D] long, the rows of integers that the views were computed from.
        nodes: the view with operations on vertices.
        edges: the view with operations on edges, where the space has one.
        op_features: [B, N, F] float, measures of every operation, by vertex of the node view; zeros where a vertex
            has none.
        edge_features: [B, V, V, F] float, the same measures by edge of the edge view.
        cell_features: [B, F'] float, measures of whole cells; they stand beside the embedding, see
            :class:`.ranker.Ranker`.
        op_costs: [B, P, N, 2] float, FLOPs and parameters of every operation in each of its P places in the network
            (on a scale of about 1), by vertex of the node view.
        vertex_edges: [B, N] long, the edge of the edge view on which the operation of a vertex stands, as the
            number i V + j of edge i -> j; -1 for vertices without one.
        epochs: [B] long, after how many epochs of training the cell's value is asked for.
    """

    codes: Tensor
    nodes: NodeGraphs
    edges: EdgeGraphs | None = None
    op_features: Tensor | None = None
    edge_features: Tensor | None = None
    cell_features: Tensor | None = None
    op_costs: Tensor | None = None
    vertex_edges: Tensor | None = None
    epochs: Tensor | None = None

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __getitem__(self, index: Tensor | slice) -> CellInputs:
        return self._map(lambda part: part[index])

    def to(self, device: torch.device | str) -> CellInputs:
        """The same batch on ``device``."""
        return self._map(lambda part: part.to(device))

    def _map(self, change: Callable[[Any], Any]) -> CellInputs:
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(part) for name, part in parts.items() if part is not None})


@dataclass(frozen=True, kw_only=True)
class CellFacts:
    """What an encoder must know of a space (and of the features beside it) to be built; no file, no space object.

    Attributes:
        cardinalities: D integers, how many values each column of a code takes.
        num_nodes: N, vertex slots of the node view.
        num_types: T, vertex types; 0 is "input", 1 is "output".
        zero_types, identity_types: vertex types that give zero, and that pass their input on unchanged.
        edge_nodes: V, vertices of the edge view over all its cells; 0 where the space has no edge view.
        edge_types: E, edge types; 0 is "no edge".
        edge_parts: for each edge type the plain operations that it is the sum of, as edge types: (t,) for a plain
            type t, two for the parallel edges "a+b", () for type 0.
        edge_cells: number of cells in the edge view; their vertices are consecutive blocks of equal width.
        edge_inputs: input vertices of each of these cells, its first ones.
        edge_output: whether the last vertex of each cell is its output (NAS-Bench-201); else the inner vertices
            together are (concatenated, as in DARTS).
        op_features: F of ``CellInputs.op_features`` and ``edge_features``, 0 without them.
        cell_features: F' of ``CellInputs.cell_features``, 0 without them.
        places: P of ``CellInputs.op_costs``, 0 without them.
        max_epochs: the largest value of ``CellInputs.epochs``, 0 without them.
    """

    cardinalities: tuple[int, ...]
    num_nodes: int
    num_types: int
    zero_types: tuple[int, ...] = ()
    identity_types: tuple[int, ...] = ()
    edge_nodes: int = 0
    edge_types: int = 0
    edge_parts: tuple[tuple[int, ...], ...] = ()
    edge_cells: int = 1
    edge_inputs: int = 1
    edge_output: bool = True
    op_features: int = 0
    cell_features: int = 0
    places: int = 0
    max_epochs: int = 0

    @property
    def has_edges(self) -> bool:
        """Whether the space has an edge view."""
        return self.edge_nodes > 0


class CellEncoder(nn.Module, ABC):
    """Turns a batch of cells into vectors.

    Contract: the constructor takes the facts and keyword options, each with a default; :meth:`faults` says what is
    wrong with options before anything is built. ``forward`` is a function of the rows alone: a cell's embedding does
    not depend on the other cells of its batch.

    Attributes:
        dim: the size of an embedding, set by the constructor.
        name: the name under which :func:`get_encoder` finds the class.
        needs: the views that ``forward`` reads, of "nodes", "edges", "codes", "op_features", "op_costs", "epochs".
        measures: names of the measures that a predictor takes by default, by its setting ("op_features",
            "cell_features", "targets").
        invariant: whether isomorphic graphs of the view read get equal embeddings, up to rounding, by construction.
    """

    dim: int
    name: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ("nodes",)
    measures: ClassVar[Mapping[str, str]] = {}
    invariant: ClassVar[bool] = False

    @abstractmethod
    def forward(self, inputs: CellInputs) -> Tensor:
        """Embeddings: float [B, dim]."""

    def explain(self, inputs: CellInputs) -> dict[str, Tensor]:
        """What the encoder weighed in each cell (attention coefficients, gates...): named tensors [B, ...].

        Here nothing: an empty dictionary.
        """
        return {}

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        """Everything that is wrong with ``options`` (defaults filled in) for a space of these facts."""
        return []

    @classmethod
    def learning_rate(cls, facts: CellFacts) -> float:
        """The learning rate that training takes by default, chosen on cells held out of training halves."""
        return 4e-3

    @classmethod
    def default_options(cls) -> dict[str, Any]:
        """The keyword options of the constructor and their defaults."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


ENCODERS: dict[str, type[CellEncoder]] = {}
"""Every encoder by name."""

E = TypeVar("E", bound=type[CellEncoder])


def register_encoder(name: str) -> Callable[[E], E]:
    """Class decorator: make an encoder known as ``name``."""

    def register(encoder: E) -> E:
        encoder.name = name
        ENCODERS[name] = encoder
        return encoder

    return register


def list_encoders() -> list[str]:
    """Names that :func:`get_encoder` knows, sorted."""
    return sorted(ENCODERS)


def encoder_class(name: str) -> type[CellEncoder]:
    """The encoder registered as ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ENCODERS)
    return ENCODERS[name]


def encoder_faults(name: str, facts: CellFacts, options: dict[str, Any]) -> list[str]:
    """Everything that is wrong with ``options`` of the encoder ``name``; see :func:`get_encoder`."""
    encoder = encoder_class(name)
    defaults = encoder.default_options()
    unknown = sorted(set(options) - set(defaults))
    known = ", ".join(sorted(defaults)) or "none"
    found = [f"unknown option {option!r}, known: {known}" for option in unknown]
    given = {option: value for option, value in options.items() if option in defaults}
    return found + encoder.faults(facts, defaults | given)


def get_encoder(name: str, facts: CellFacts, **options: Any) -> CellEncoder:
    """Build an encoder with fresh weights, drawn from PyTorch's global generator.

    Raises:
        UnknownNameError: there is no encoder of that name.
        ConfigError: options are unknown or wrong; the message lists all of them.
    """
    found = encoder_faults(name, facts, options)
    if found:
        raise ConfigError(f"encoder {name!r}: " + "; ".join(found))
    return encoder_class(name)(facts, **options)


# --- checks that encoders share -----------------------------------------------------------------


def size_faults(options: dict[str, Any], *names: str, limit: int = WIDEST, or_none: bool = False) -> list[str]:
    """Which of the named options are no integers in 1..limit, nor None where that is allowed, as sentences."""
    found = []
    for name in names:
        value = options[name]
        if or_none and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
            found.append(f"{name} must be {'None or ' if or_none else ''}an integer in 1..{limit}, got {value!r}")
    return found


def choice_fault(options: dict[str, Any], name: str, choices: Sequence[Any]) -> list[str]:
    """A sentence where the named option is none of ``choices``, in a list; else an empty list."""
    value = options[name]
    if any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        return []
    return [f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}"]


def fraction_fault(options: dict[str, Any], name: str) -> list[str]:
    """A sentence where the named option is no number in 0 <= x < 1, in a list; else an empty list."""
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        return [f"{name} must be a number of at least 0 and below 1, got {value!r}"]
    return []


def flag_fault(options: dict[str, Any], *names: str) -> list[str]:
    """Which of the named options are neither True nor False, as sentences."""
    return [f"{name} must be True or False, got {options[name]!r}" for name in names if type(options[name]) is not bool]


def widths_fault(options: dict[str, Any], name: str, limit: int = WIDEST) -> list[str]:
    """A sentence where the named option is no list of integers in 1..limit, in a list; else an empty list."""
    value = options[name]
    if isinstance(value, Sequence) and len(value) and all(type(v) is int and 1 <= v <= limit for v in value):
        return []
    return [f"{name} must list integers in 1..{limit}, got {value!r}"]


def edge_view_fault(facts: CellFacts) -> list[str]:
    """A sentence where the space has no edge view, in a list; else an empty list."""
    return [] if facts.has_edges else ["the space has no edge view: its operations are on vertices"]


def costs_fault(facts: CellFacts) -> list[str]:
    """A sentence where costs of operations are not known, in a list; else an empty list."""
    return [] if facts.places else ["it reads FLOPs and parameters of operations, which this space has not"]
