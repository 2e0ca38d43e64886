"""check_space: does a space keep the promises of :class:`SearchSpace`? For those who write one of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import InvalidCodeError, LatentNASError, ParseError
from ..seeding import Seed, as_generator
from .base import SearchSpace
from .graphs import INPUT, OUTPUT, NodeGraphs, random_topological_order, relabel

Part: TypeAlias = Callable[[SearchSpace, int, torch.Generator], Iterator[str]]


def check_space(space: SearchSpace, *, n: int = 200, seed: Seed = 0) -> None:
    """Try every promise of the contract on random cells; takes a second or so.

    Args:
        space: the space.
        n: how many cells to draw, at least 2.
        seed: an integer, a generator, or None.

    Raises:
        LatentNASError: with one line for each broken promise: what was found, and on which cell.
    """
    faults = [
        fault for part in (_facts, _codes, _texts, _graphs, _keys, _grammar) for fault in _run(part, space, n, seed)
    ]
    if faults:
        raise LatentNASError(f"{space.name} breaks {len(faults)} promises of a SearchSpace:\n" + "\n".join(faults))


def _run(part: Part, space: SearchSpace, n: int, seed: Seed) -> Iterator[str]:
    """Faults that a part of the check finds; an exception is one more."""
    try:
        yield from part(space, n, as_generator(seed))
    except Exception as error:  # whatever a space under construction raises is a finding
        yield f"- {part.__name__.strip('_')}: raised {type(error).__name__}: {error}"


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0, 0])


def _facts(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    if not len(space.cardinalities) == len(space.columns) == len(set(space.columns)):
        yield "- columns: one distinct name for each of cardinalities is needed"
    if tuple(space.node_types[:2]) != ("input", "output") or len(set(space.node_types)) != len(space.node_types):
        yield f"- node_types: must be distinct and begin with 'input', 'output', got {space.node_types[:4]}"
    if (space.grammar.num_nodes, space.grammar.num_types) != (space.max_nodes, len(space.node_types)):
        yield "- grammar: its num_nodes and num_types must be max_nodes and the number of node_types"


def _codes(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    codes = space.sample(n, seed=generator)
    if codes.shape != (n, space.dim):
        yield f"- sample: expected shape {[n, space.dim]}, got {list(codes.shape)}"
        return
    space.check_codes(codes)
    mutants = space.check_codes(space.mutate(codes, seed=generator))
    same = (mutants == codes).all(1)
    if bool(same.any()):
        yield f"- mutate: {codes[_first(same)].tolist()} is its own mutant"
    if not torch.equal(space.sample(n, seed=7), space.sample(n, seed=7)):
        yield "- sample: equal seeds give different cells"
    try:
        space.keys(codes + max(space.cardinalities))
        yield "- keys: values out of range are accepted; call check_codes first"
    except InvalidCodeError:
        pass


def _texts(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    codes = space.sample(n, seed=generator)
    texts = space.format(codes)
    wrong = (space.parse(texts) != codes).any(1)
    if bool(wrong.any()):
        yield f"- parse: {texts[_first(wrong)]!r} does not give back {codes[_first(wrong)].tolist()}"
    for junk in ("", "?", texts[0] + "?"):
        try:
            space.parse(junk)
            yield f"- parse: {junk[:80]!r} is accepted"
        except ParseError:
            pass


def _graphs(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    codes = space.sample(n, seed=generator)
    graphs = space.node_graphs(codes)
    expected = [n, space.max_nodes, space.max_nodes]
    if list(graphs.adj.shape) != expected:
        yield f"- node_graphs: adj must have shape {expected}, got {list(graphs.adj.shape)}"
        return
    if bool(graphs.adj.tril().any()):
        yield "- node_graphs: an edge goes to an earlier vertex"
    for name, op in (("input", INPUT), ("output", OUTPUT)):
        if not bool((((graphs.ops == op) & graphs.mask).sum(1) == 1).all()):
            yield f"- node_graphs: a cell has not exactly one {name} vertex"
    back, valid = space.from_node_graphs(graphs)
    wrong = ~valid | (back != codes).any(1)
    if bool(wrong.any()):
        yield f"- from_node_graphs: the graph of {codes[_first(wrong)].tolist()} does not give it back"
    flipped = graphs.adj.clone()
    source = torch.randint(space.max_nodes - 1, (n,), generator=generator)
    flipped[torch.arange(n), source, source + 1] ^= True
    back, valid = space.from_node_graphs(NodeGraphs(graphs.ops, flipped, graphs.mask))
    again = space.node_graphs(back[valid])
    wrong = again.adj.sum((1, 2)) != flipped[valid].sum((1, 2))
    if bool(wrong.any()):
        yield f"- from_node_graphs: calls a graph valid that is not the cell {back[valid][_first(wrong)].tolist()}"


def _keys(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    codes = space.sample(n, seed=generator)
    keys, graphs = space.keys(codes), space.node_graphs(codes)
    back, valid = space.from_node_graphs(relabel(graphs, random_topological_order(graphs, generator)))
    other = space.keys(back)
    wrong = ~valid | torch.tensor([a != b for a, b in zip(keys, other, strict=True)])
    if bool(wrong.any()):
        row = codes[_first(wrong)].tolist()
        yield f"- keys: with its vertices renumbered, {row} is no cell or another network"
    canonical = space.canonical(codes)
    if not torch.equal(space.canonical(canonical), canonical):
        yield "- canonical: a representative does not stand for itself"
    if space.keys(canonical) != keys:
        yield "- canonical: a representative has another key than its cell"
    if len(canonical.unique(dim=0)) != len(set(keys)):
        yield "- keys: equal keys and equal canonical codes do not coincide"


def _grammar(space: SearchSpace, n: int, generator: torch.Generator) -> Iterator[str]:
    grammar, nodes = space.grammar, space.max_nodes
    ops, adj = torch.zeros(n, nodes, dtype=torch.long), torch.zeros(n, nodes, nodes, dtype=torch.bool)
    mask = torch.zeros(n, nodes, dtype=torch.bool)
    mask[:, 0] = open_ = torch.ones(n, dtype=torch.bool)
    for vertex in range(1, nodes):
        types = grammar.allowed_types(ops, adj, vertex) | ~open_[:, None]
        if not bool(types.any(1).all()):
            yield f"- grammar: no type is allowed at vertex {vertex} of some cell"
            return
        ops[:, vertex] = torch.multinomial(types.double(), 1, generator=generator)[:, 0] * open_
        mask[:, vertex] = open_
        for source in range(vertex - 1, -1, -1):
            edges = grammar.allowed_edges(ops, adj, vertex, source) | ~open_[:, None]
            if not bool(edges.any(1).all()):
                yield f"- grammar: the edge {source} -> {vertex} of some cell may be neither absent nor present"
                return
            adj[:, source, vertex] = torch.multinomial(edges.double(), 1, generator=generator)[:, 0].bool() & open_
        open_ = open_ & (ops[:, vertex] != OUTPUT)
    _, valid = space.from_node_graphs(NodeGraphs(ops, adj, mask))
    if not bool(valid.all()):
        row = _first(~valid)
        yield f"- grammar: it allows a graph that is no cell: types {ops[row].tolist()}, {adj[row].nonzero().tolist()}"
