"""Cells as networkx graphs and as PyTorch Geometric data, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InvalidCodeError
from .graphs import INPUT, OUTPUT, NodeGraphs, relabel

if TYPE_CHECKING:
    from networkx import DiGraph
    from torch_geometric.data import Batch, Data

    from .base import SearchSpace

_CHUNK = 50_000


# --- from codes -----------------------------------------------------------------------------------


def to_networkx(space: SearchSpace, codes: Tensor) -> list[DiGraph]:
    """One ``networkx.DiGraph`` a row: vertices 0, 1, ... of the node view, attribute ``op`` the type's name.

    The graph's own attribute ``space`` is the name of the space.

    Args:
        space: the space of the cells.
        codes: [B, D] integers.

    Raises:
        InvalidCodeError: a row is no cell of the space.
    """
    from networkx import DiGraph

    counts, ops, edges, sizes = _flat(space, codes)
    names, pairs = [space.node_types[op] for op in ops.tolist()], edges.T.tolist()
    graphs, vertex, edge = [], 0, 0
    for count, size in zip(counts.tolist(), sizes.tolist(), strict=True):
        graph = DiGraph(space=space.name)
        graph.add_nodes_from((i, {"op": name}) for i, name in enumerate(names[vertex : vertex + count]))
        graph.add_edges_from(pairs[edge : edge + size])
        graphs.append(graph)
        vertex, edge = vertex + count, edge + size
    return graphs


def to_pyg(space: SearchSpace, codes: Tensor) -> list[Data]:
    """One ``torch_geometric.data.Data`` a row, with ``op``, ``edge_index`` and ``num_nodes``.

    Args:
        space: the space of the cells.
        codes: [B, D] integers.

    Returns:
        B graphs: ``op`` [n] long, indices into ``space.node_types``; ``edge_index`` [2, E] long,
        sorted by source, then by target; on the device of the codes.

    Raises:
        InvalidCodeError: a row is no cell of the space.
    """
    from torch_geometric.data import Data

    counts, ops, edges, sizes = _flat(space, codes)
    vertices, ends = ops.split(counts.tolist()), edges.split(sizes.tolist(), dim=1)
    return [Data(edge_index=e, op=op, num_nodes=len(op)) for op, e in zip(vertices, ends, strict=True)]


def to_pyg_batch(space: SearchSpace, codes: Tensor) -> Batch:
    """All rows as one ``torch_geometric.data.Batch``: ``Batch.from_data_list(to_pyg(codes))`` without its loops.

    Args:
        space: the space of the cells.
        codes: [B, D] integers; unlike for PyG, B may be 0.

    Returns:
        a Batch with ``op`` [V], ``edge_index`` [2, E], ``batch`` [V] and ``ptr`` [B + 1], all long,
        on the device of the codes. It can be indexed and taken apart (``to_data_list``).

    Raises:
        InvalidCodeError: a row is no cell of the space.
    """
    from torch_geometric.data import Batch

    counts, ops, edges, sizes = _flat(space, codes)
    ptr, edge_ptr = _starts(counts), _starts(sizes)
    owner = torch.arange(len(counts), device=ops.device)
    batch: Any = Batch(
        edge_index=edges + ptr[:-1].repeat_interleave(sizes),
        op=ops,
        num_nodes=len(ops),
        batch=owner.repeat_interleave(counts),
        ptr=ptr,
    )
    # What Batch.from_data_list notes down to take the batch apart again; PyG has no public way to say it.
    starts = ptr.cpu()
    batch._num_graphs = len(counts)
    batch._slice_dict = {"edge_index": edge_ptr.cpu(), "op": starts}
    batch._inc_dict = {"edge_index": starts[:-1], "op": torch.zeros(len(counts), dtype=torch.long)}
    batch._store._num_nodes = counts.tolist()
    return batch


def _flat(space: SearchSpace, codes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All node views, one after the other.

    Returns:
        counts: [B] long, vertices of every cell.
        ops: [V] long, types of all vertices.
        edges: [2, E] long, source and target within their cell, sorted by cell, source, target.
        sizes: [B] long, edges of every cell.
    """
    codes = space.check_codes(codes)
    counts, ops, edges, sizes = [], [], [], []
    for part in codes.split(_CHUNK):
        graphs = space.node_graphs(part)
        counts.append(graphs.mask.sum(1))
        ops.append(graphs.ops[graphs.mask])
        edges.append(graphs.adj.nonzero()[:, 1:].T)
        sizes.append(graphs.adj.sum((1, 2)))
    return torch.cat(counts), torch.cat(ops), torch.cat(edges, 1), torch.cat(sizes)


def _starts(counts: Tensor) -> Tensor:
    """[B] -> [B + 1] long: where the items of every graph begin, then their total."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


# --- to codes -------------------------------------------------------------------------------------


def from_networkx(space: SearchSpace, graphs: DiGraph | Sequence[DiGraph]) -> Tensor:
    """Codes of directed graphs whose vertices have an attribute ``op``, the name of their type.

    Args:
        space: the space of the cells.
        graphs: one ``networkx.DiGraph`` or several; vertices may have any labels, in any order.

    Returns:
        LongTensor [B, D].

    Raises:
        InvalidCodeError: naming a graph that is no cell of the space, and why: no simple directed
            graph, a vertex without ``op`` or of an unknown type, a cycle, more than
            ``space.max_nodes`` vertices, or another structure than the space has.
    """
    from networkx import Graph

    types = {name: k for k, name in enumerate(space.node_types)}
    counts: list[int] = []
    ops: list[int] = []
    owners: list[int] = []
    edges: list[tuple[int, int]] = []
    for g, graph in enumerate(_several(space, graphs, Graph, "networkx.DiGraph")):
        if not isinstance(graph, Graph) or not graph.is_directed() or graph.is_multigraph():
            raise _fault(space, g, f"is a {type(graph).__name__}; expected a networkx.DiGraph")
        for label, name in graph.nodes(data="op"):
            if name is None:
                raise _fault(space, g, f"has no attribute 'op' at its vertex {label!r}")
            if not isinstance(name, str) or name not in types:
                known = ", ".join(types)
                raise _fault(space, g, f"has the unknown op {name!r} at its vertex {label!r}; known: {known}")
            ops.append(types[name])
        index = {label: k for k, label in enumerate(graph)}
        edges.extend((index[source], index[target]) for source, target in graph.edges)
        owners.extend([g] * graph.number_of_edges())
        counts.append(len(index))
    source, target = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    return _codes(space, torch.tensor(counts, dtype=torch.long), torch.tensor(ops, dtype=torch.long),
                  torch.tensor(owners, dtype=torch.long), source, target)  # fmt: skip


def from_pyg(space: SearchSpace, graphs: Data | Batch | Sequence[Data]) -> Tensor:
    """Codes of PyG graphs with ``op`` [n] (indices into ``space.node_types``) and ``edge_index`` [2, E].

    Args:
        space: the space of the cells.
        graphs: one ``Data``, several, or a ``Batch``; vertices and edges in any order.

    Returns:
        LongTensor [B, D], on the device of the first graph.

    Raises:
        InvalidCodeError: naming a graph that is no cell of the space, and why: a missing attribute,
            a type or an edge out of range, a repeated edge, a cycle, more than ``space.max_nodes``
            vertices, or another structure than the space has.
    """
    from torch_geometric.data import Batch, Data

    if isinstance(graphs, Batch):
        return _from_batch(space, graphs)
    several = _several(space, graphs, Data, "torch_geometric.data.Data")
    if not several:
        return torch.zeros(0, space.dim, dtype=torch.long)
    parts = [_read(space, graph, f"graph {g}") for g, graph in enumerate(several)]
    device = parts[0][0].device
    ops, edges = torch.cat([op.to(device) for op, _ in parts]), torch.cat([e.to(device) for _, e in parts], 1)
    counts = torch.tensor([len(op) for op, _ in parts], device=device)
    sizes = torch.tensor([e.shape[1] for _, e in parts], device=device)
    owners = torch.arange(len(parts), device=device).repeat_interleave(sizes)
    return _codes(space, counts, ops, owners, edges[0], edges[1])


def _several(space: SearchSpace, graphs: Any, kind: type, name: str) -> list[Any]:
    """One graph, or several, as a list."""
    if isinstance(graphs, kind):
        return [graphs]
    if not isinstance(graphs, Iterable) or isinstance(graphs, str | bytes | Tensor):
        raise InvalidCodeError(f"{space.name}: expected a {name} or a list of them, got {type(graphs).__name__}")
    return list(graphs)


def _from_batch(space: SearchSpace, batch: Any) -> Tensor:
    ops, edges = _read(space, batch, "the batch")
    ptr = batch.get("ptr")
    if not isinstance(ptr, Tensor) or ptr.ndim != 1 or not len(ptr) or int(ptr[0]) != 0 or int(ptr[-1]) != len(ops):
        raise InvalidCodeError(f"{space.name}: the batch needs 'ptr' [B + 1], from 0 to its {len(ops)} vertices")
    counts = ptr.to(ops.device).diff()
    if bool((counts < 0).any()):
        raise InvalidCodeError(f"{space.name}: the 'ptr' of the batch must not decrease")
    outside = ((edges < 0) | (edges >= len(ops))).any(0)
    if bool(outside.any()):
        k = int(outside.nonzero()[0])
        raise InvalidCodeError(
            f"{space.name}: edge_index[:, {k}] of the batch is {edges[:, k].tolist()}, must be in 0..{len(ops) - 1}"
        )
    owners = torch.arange(len(counts), device=ops.device).repeat_interleave(counts)[edges[0]]
    source, target = edges - ptr.to(ops.device)[owners]
    return _codes(space, counts, ops, owners, source, target)


def _read(space: SearchSpace, graph: Any, name: str) -> tuple[Tensor, Tensor]:
    """``op`` [n] and ``edge_index`` [2, E] of a Data or Batch, both long, after checking their forms."""
    from torch_geometric.data import Data

    if not isinstance(graph, Data):
        raise InvalidCodeError(f"{space.name}: {name} is a {type(graph).__name__}; expected torch_geometric.data.Data")
    found = []
    for attribute, form, fits in (
        ("op", "[n]", lambda x: x.ndim == 1),
        ("edge_index", "[2, E]", lambda x: x.ndim == 2 and x.shape[0] == 2),
    ):
        value = graph.get(attribute)
        if value is None:
            raise InvalidCodeError(f"{space.name}: {name} has no attribute {attribute!r}")
        if not isinstance(value, Tensor) or not fits(value) or value.dtype not in _INTEGERS:
            what = f"{list(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise InvalidCodeError(f"{space.name}: {attribute!r} of {name} must be integers {form}, got {what}")
        found.append(value.long())
    number = graph.get("num_nodes")
    if number is not None and number != len(found[0]):
        raise InvalidCodeError(f"{space.name}: {name} has num_nodes {number}, but 'op' has {len(found[0])} entries")
    return found[0], found[1]


_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def _fault(space: SearchSpace, graph: int, reason: str) -> InvalidCodeError:
    return InvalidCodeError(f"{space.name}: graph {graph} {reason}")


def _codes(space: SearchSpace, counts: Tensor, ops: Tensor, owner: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Codes of graphs in flat form; raises InvalidCodeError for the first that is no cell.

    Args:
        space: the space of the cells.
        counts: [B] long, vertices of every graph.
        ops: [V] long, types of all vertices, graph by graph.
        owner: [E] long, the graph of every edge.
        source, target: [E] long, its ends, vertices of that graph.
    """
    batch, nodes, types = len(counts), space.max_nodes, len(space.node_types)
    starts, device = _starts(counts), counts.device
    graph = torch.arange(batch, device=device).repeat_interleave(counts)  # [V]
    place = torch.arange(len(ops), device=device) - starts[graph]  # [V], within its graph
    wrong: list[Tensor] = []  # [B] bool each, in the order of `reasons`
    reasons: list[Callable[[int], str]] = []

    def check(faulty: Tensor, say: Callable[[int], str]) -> None:
        """``faulty``: [B] bool, or the indices of the graphs at fault."""
        if faulty.dtype != torch.bool:
            rows = torch.zeros(batch, dtype=torch.bool, device=device)
            rows[faulty] = True
            faulty = rows
        wrong.append(faulty)
        reasons.append(say)

    check(counts == 0, lambda g: "has no vertices")
    check(counts > nodes, lambda g: f"has {int(counts[g])} vertices; the space has at most {nodes}")
    unknown = (ops < 0) | (ops >= types)
    check(graph[unknown], lambda g: f"has the op {int(ops[unknown & (graph == g)][0])}; must be in 0..{types - 1}")
    count = counts[owner]
    outside = (source < 0) | (source >= count) | (target < 0) | (target >= count)
    check(owner[outside], lambda g: f"has the edge {_pair(source, target, outside & (owner == g))}, "
          f"out of range 0..{int(counts[g]) - 1}")  # fmt: skip
    loop = (source == target) & ~outside
    check(owner[loop], lambda g: f"has a cycle: the edge {_pair(source, target, loop & (owner == g))}")

    inside = ~outside & (count <= nodes)
    cell = ((owner * nodes + source) * nodes + target)[inside].sort().values  # [E], place in the adjacency
    twice = cell[1:][cell.diff() == 0]
    check(twice // nodes**2, lambda g: f"has the edge {_ends(int(twice[twice // nodes**2 == g][0]), nodes)} twice")
    adj = torch.zeros(batch * nodes * nodes, dtype=torch.bool, device=device)
    adj[cell] = True
    adj = adj.reshape(batch, nodes, nodes)

    fits = (counts <= nodes)[graph] & ~unknown
    padded = torch.zeros(batch, nodes, dtype=torch.long, device=device)
    padded[graph[fits], place[fits]] = ops[fits]
    mask = torch.arange(nodes, device=device) < counts[:, None]
    given = NodeGraphs(padded, adj, mask)
    parts = [_sorted(given[start : start + _CHUNK // 4]) for start in range(0, max(batch, 1), _CHUNK // 4)]
    check(torch.cat([cyclic for _, cyclic in parts]), lambda g: "has a cycle")
    found = torch.stack([((padded == kind) & mask).sum(1) for kind in (INPUT, OUTPUT)])  # [2, B]
    for kind in (INPUT, OUTPUT):
        check(found[kind] != 1, partial(_number_of, space, kind, found[kind]))

    read = [space.from_node_graphs(graphs) for graphs, _ in parts]
    codes = torch.cat([rows for rows, _ in read])
    check(~torch.cat([valid for _, valid in read]), lambda g: "is no cell of the space: its types and edges fit none")
    table = torch.stack(wrong)  # [reasons, B]
    if bool(table.any()):
        g = int(table.any(0).nonzero()[0])
        raise _fault(space, g, reasons[int(table[:, g].nonzero()[0])](g))
    return codes


def _number_of(space: SearchSpace, kind: int, found: Tensor, g: int) -> str:
    return f"has {int(found[g])} vertices of the type {space.node_types[kind]!r}; a cell has one"


def _ends(cell: int, nodes: int) -> tuple[int, int]:
    """Source and target of an edge from its place in the flat adjacency of a batch."""
    return cell // nodes % nodes, cell % nodes


def _pair(source: Tensor, target: Tensor, which: Tensor) -> tuple[int, int]:
    """The first of the edges that ``which`` [E] marks."""
    k = int(which.nonzero()[0])
    return int(source[k]), int(target[k])


def _sorted(graphs: NodeGraphs) -> tuple[NodeGraphs, Tensor]:
    """Graphs in topological order, without any edge where they have a cycle; and which of them do, [B] bool."""
    order, cyclic = _topological_order(graphs.ops, graphs.adj, graphs.mask)
    return relabel(NodeGraphs(graphs.ops, graphs.adj & ~cyclic[:, None, None], graphs.mask), order), cyclic


def _topological_order(ops: Tensor, adj: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Orders for :func:`relabel`: the input as early and the output as late as they can be, ties as given.

    Args:
        ops: [B, N] long.
        adj: [B, N, N] bool, ``adj[b, i, j]`` the edge i -> j.
        mask: [B, N] bool, vertices that exist.

    Returns:
        order: [B, N] long, padding last; of a graph with a cycle, as they were given.
        cyclic: [B] bool, which graphs have a cycle.
    """
    batch, nodes = ops.shape
    rows = torch.arange(batch, device=ops.device)
    given = torch.arange(nodes, device=ops.device)
    rank = given + nodes * (ops == OUTPUT).long() - nodes * (ops == INPUT).long() + 3 * nodes * (~mask).long()
    remaining = torch.ones_like(mask)
    waiting = (adj & mask[:, :, None]).sum(1)  # [B, N], predecessors that have no place yet
    cyclic = torch.zeros(batch, dtype=torch.bool, device=ops.device)
    order = torch.empty_like(ops)
    for position in range(nodes):
        ready = remaining & (waiting == 0)
        cyclic |= ~ready.any(1)
        chosen = rank.masked_fill(~ready, 9 * nodes).argmin(1)  # [B]
        order[:, position] = chosen
        remaining[rows, chosen] = False
        waiting = waiting - adj[rows, chosen].long()
    return torch.where(cyclic[:, None], given, order), cyclic
