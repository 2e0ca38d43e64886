"""Cells of a space as encoders read them."""

from __future__ import annotations

from dataclasses import replace

import torch

from latentnas.errors import ConfigError
from latentnas.models.predictors import CellFacts, CellInputs
from latentnas.spaces import NodeGraphs, SearchSpace, get_space
from latentnas.spaces.costs.tensors import cost_tensor

MAX_EPOCHS = 9


def facts(name: str, *, epochs: bool = False) -> CellFacts:
    space = get_space(name)
    edges: dict[str, object] = {}
    if space.edge_types:
        types = space.edge_types
        parts = [() if i == 0 else tuple(types.index(p) for p in t.split("+")) for i, t in enumerate(types)]
        two = space.name != "nasbench201"
        edges = {
            "edge_nodes": space.edge_graphs(space.sample(1, seed=0)).mask.shape[1],
            "edge_types": len(types),
            "edge_parts": tuple(parts),
            "edge_cells": 2 if two else 1,
            "edge_inputs": 2 if two else 1,
            "edge_output": not two,
        }
    return CellFacts(
        cardinalities=space.cardinalities,
        num_nodes=space.max_nodes,
        num_types=len(space.node_types),
        zero_types=space.zero_types,
        identity_types=space.identity_types,
        places=places(space),
        max_epochs=MAX_EPOCHS if epochs else 0,
        **edges,  # type: ignore[arg-type]
    )


def places(space: SearchSpace) -> int:
    try:
        return cost_tensor(space, space.sample(1, seed=0)).shape[1]
    except ConfigError:
        return 0


def cells(name: str, codes: torch.Tensor, *, epochs: bool = False) -> CellInputs:
    space = get_space(name)
    inputs = CellInputs(codes, space.node_graphs(codes))
    if space.edge_types:
        inputs = replace(inputs, edges=space.edge_graphs(codes), vertex_edges=space.vertex_edges(codes))
    if places(space):
        inputs = replace(inputs, op_costs=cost_tensor(space, codes))
    if epochs:
        inputs = replace(inputs, epochs=torch.arange(len(codes)) % (MAX_EPOCHS + 1))
    return inputs


def with_nodes(inputs: CellInputs, nodes: NodeGraphs) -> CellInputs:
    return replace(inputs, nodes=nodes)
