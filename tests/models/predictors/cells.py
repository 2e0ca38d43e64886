"""Inputs of encoders, made here by plain loops rather than by the predictor room."""

from __future__ import annotations

import torch
from torch import Tensor

from latentnas import get_space
from latentnas.models.predictors import CellEncoder, CellFacts, CellInputs, get_encoder
from latentnas.spaces.graphs import relabel

NB201 = get_space("nasbench201")
NB101 = get_space("nasbench101")
DARTS = get_space("darts")
MICRO = get_space("enas_micro")


def facts(name: str, **sizes: int) -> CellFacts:
    space = get_space(name)
    common = {
        "cardinalities": space.cardinalities,
        "num_nodes": space.max_nodes,
        "num_types": len(space.node_types),
        **sizes,
    }
    if name == "nasbench201":
        parts = ((), (1,), (2,), (3,), (4,))
        return CellFacts(edge_nodes=4, edge_types=5, edge_parts=parts, **common)  # type: ignore[arg-type]
    if name in ("darts", "enas_micro"):
        plain = 1 + len(space.operations)  # type: ignore[attr-defined]
        parts_of = [(), *((t,) for t in range(1, plain))]
        parts_of += [tuple(map(space.edge_types.index, t.split("+"))) for t in space.edge_types[plain:]]
        return CellFacts(
            edge_nodes=2 * (space.nodes + 2),  # type: ignore[attr-defined]
            edge_types=len(space.edge_types),
            edge_parts=tuple(parts_of),
            edge_cells=2,
            edge_inputs=2,
            edge_output=False,
            **common,  # type: ignore[arg-type]
        )
    return CellFacts(**common)  # type: ignore[arg-type]


def inputs(name: str, codes: Tensor) -> CellInputs:
    space = get_space(name)
    return CellInputs(codes, space.node_graphs(codes), space.edge_graphs(codes) if space.edge_types else None)


def encoder(name: str, space: str, seed: int = 0, **options: object) -> CellEncoder:
    sizes = {key: int(str(options.pop(key))) for key in ("op_features", "cell_features") if key in options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_encoder(name, facts(space, **sizes), **options).double().eval()


def swapped(cells: CellInputs) -> CellInputs:
    """NB201: the same cells with the two inner vertices of the edge view exchanged, where 1 -> 2 is no edge."""
    assert cells.edges is not None
    order = torch.tensor([0, 2, 1, 3])
    ops = cells.edges.ops[:, order][:, :, order]
    return CellInputs(cells.codes, cells.nodes, type(cells.edges)(ops, cells.edges.mask))


def reordered(cells: CellInputs, seed: int) -> CellInputs:
    """The same cells with the vertices of the node view in another topological order."""
    from latentnas.spaces.graphs import random_topological_order

    order = random_topological_order(cells.nodes, torch.Generator().manual_seed(seed))
    return CellInputs(cells.codes, relabel(cells.nodes, order))
