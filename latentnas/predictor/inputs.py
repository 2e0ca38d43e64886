"""From codes to what encoders read: views, facts of the space, features."""

from __future__ import annotations

from torch import Tensor

from ..errors import ConfigError
from ..models.predictors import CellFacts, CellInputs
from ..spaces import NO_EDGE, EdgeGraphs, SearchSpace
from ..spaces.costs.tensors import cost_tensor

FEATURES_ON_EDGES = "nasbench201"
"""The space whose vertices of the node view are known to stand for which edges of the edge view."""


def cell_facts(space: SearchSpace, *, op_features: int = 0, cell_features: int = 0, max_epochs: int = 0) -> CellFacts:
    """What encoders must know of ``space``, and of the features and epochs that are given with each cell."""
    facts: dict[str, object] = {}
    edges = _edge_graphs(space, space.sample(1, seed=0))
    if edges is not None:
        cells, inputs, output = _cells_of(space)
        facts = {
            "edge_nodes": edges.mask.shape[1],
            "edge_types": len(space.edge_types),
            "edge_parts": _edge_parts(space.edge_types),
            "edge_cells": cells,
            "edge_inputs": inputs,
            "edge_output": output,
        }
    return CellFacts(
        cardinalities=space.cardinalities,
        num_nodes=space.max_nodes,
        num_types=len(space.node_types),
        zero_types=space.zero_types,
        identity_types=space.identity_types,
        op_features=op_features,
        cell_features=cell_features,
        places=_places(space),
        max_epochs=max_epochs,
        **facts,  # type: ignore[arg-type]
    )


def cell_inputs(
    space: SearchSpace,
    codes: Tensor,
    *,
    op_features: Tensor | None = None,
    cell_features: Tensor | None = None,
    costs: bool = False,
    epochs: Tensor | None = None,
) -> CellInputs:
    """The views of ``codes``, with the features that are given.

    Args:
        space: the space.
        codes: [B, D] long.
        op_features: [B, N, F] float by vertex of the node view; they are moved onto the edges of the edge view, too.
        cell_features: [B, F'] float.
        costs: whether to add the costs of operations, in the spaces where they are known.
        epochs: [B] long, after how many epochs of training the value of each cell is asked for.
    """
    codes = space.check_codes(codes)
    edges = _edge_graphs(space, codes)
    on_edges = None
    if edges is not None and op_features is not None and space.name == FEATURES_ON_EDGES:
        on_edges = _features_on_edges(edges, op_features)
    return CellInputs(
        codes,
        space.node_graphs(codes),
        edges,
        op_features,
        on_edges,
        cell_features,
        op_costs=cost_tensor(space, codes) if costs else None,
        vertex_edges=space.vertex_edges(codes) if costs and edges is not None else None,
        epochs=epochs,
    )


def _places(space: SearchSpace) -> int:
    """Places of an operation in the network, 0 where its costs are not known."""
    try:
        return cost_tensor(space, space.sample(1, seed=0)).shape[1]
    except ConfigError:
        return 0


def _edge_graphs(space: SearchSpace, codes: Tensor) -> EdgeGraphs | None:
    return space.edge_graphs(codes) if space.edge_types else None


def _cells_of(space: SearchSpace) -> tuple[int, int, bool]:
    """Cells of the edge view, inputs of each, whether the last vertex of each is its output."""
    if hasattr(space, "nodes") and hasattr(space, "operations"):  # a normal and a reduction cell
        return 2, 2, False
    return 1, 1, True


def _edge_parts(edge_types: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """The plain operations of every edge type; a type "a+b" is the sum of two."""
    parts: list[tuple[int, ...]] = []
    for number, name in enumerate(edge_types):
        if number == NO_EDGE:
            parts.append(())
        elif "+" in name and all(part in edge_types for part in name.split("+")):
            parts.append(tuple(edge_types.index(part) for part in name.split("+")))
        else:
            parts.append((number,))
    return tuple(parts)


def _features_on_edges(edges: EdgeGraphs, features: Tensor) -> Tensor:
    """Features of the vertices of the node view, moved to the edges they stand for: [B, N, F] -> [B, V, V, F]."""
    from ..spaces.nasbench201 import EDGES

    batch, vertices = edges.mask.shape
    moved = features.new_zeros(batch, vertices, vertices, features.shape[2])
    for column, (source, target) in enumerate(EDGES):
        moved[:, source, target] = features[:, 1 + column]
    return moved * (edges.ops != NO_EDGE)[..., None]
