"""The published measures, on decoders whose answers are known, and against a plain rule graph by graph."""

from __future__ import annotations

from typing import Any, cast

import networkx as nx
import pytest
import torch
from torch import Tensor

from latentnas.errors import ConfigError
from latentnas.latent import LatentSpace
from latentnas.latent.published_metrics import (
    PriorQuality,
    prior_quality,
    stochastic_reconstruction,
    valid_chains,
)
from latentnas.spaces import INPUT, OUTPUT, get_space
from latentnas.spaces.graphs import NodeGraphs

from .tiny import fit

SPACE = get_space("enas_macro6")


class Scripted:
    """Stands for a LatentSpace whose decoder writes given graphs, one portion after the other."""

    def __init__(self, graphs: NodeGraphs) -> None:
        self.space, self.device, self.latent_dim = SPACE, torch.device("cpu"), 2
        self.model = self.decoder = self
        self.graphs, self.written = graphs, 0
        self.grammars: list[Any] = []

    def encode(self, codes: Tensor) -> Tensor:
        return torch.arange(2 * len(codes)).float().reshape(-1, 2)

    def decode(self, z: Tensor, *, grammar: Any, stochastic: bool, seed: Any) -> NodeGraphs:
        assert stochastic
        self.grammars.append(grammar)
        start, self.written = self.written, self.written + len(z)
        return self.graphs[torch.arange(start, self.written)]


def scripted(graphs: NodeGraphs) -> LatentSpace:
    return cast("LatentSpace", Scripted(graphs))


def graphs_of(codes: Tensor) -> NodeGraphs:
    return SPACE.node_graphs(codes)


def test_reconstruction_counts_exact_graphs() -> None:
    codes = SPACE.sample(3, seed=0)
    written = codes.repeat_interleave(4, 0)
    written[1, 8] = 1 - written[1, 8]  # a skip of the first cell's second decoding
    written[6, 0] = (written[6, 0] + 1) % 6  # an operation of the second cell's third decoding
    latent = scripted(graphs_of(written))
    assert stochastic_reconstruction(latent, codes, 4) == pytest.approx(10 / 12)
    latent = scripted(graphs_of(written))
    stochastic_reconstruction(latent, codes, 4, constrained=True)
    assert cast("Scripted", latent).grammars == [SPACE.grammar]


def test_shares_of_prior_samples() -> None:
    train = SPACE.sample(5, seed=0)
    new = SPACE.sample(2, seed=1)
    decoded = graphs_of(torch.stack([train[0], train[0], train[3], new[0], new[1], new[0], new[0], train[0]]))
    decoded.ops[7, 3] = OUTPUT  # no cell
    found = prior_quality(scripted(decoded), train, 4, 2)
    assert found == PriorQuality(validity=7 / 8, cells=7 / 8, uniqueness=4 / 7, novelty=4 / 7)
    assert set(found.to_dict()) == {"validity", "cells", "uniqueness", "novelty"}


def shortened(codes: Tensor) -> NodeGraphs:
    """Chains of which layer 6 is the output already; slot 7 is padding."""
    graphs = graphs_of(codes)
    graphs.ops[:, 6], graphs.ops[:, 7] = OUTPUT, INPUT
    graphs.adj[:, :, 6:] = False
    graphs.adj[:, 5, 6] = True
    graphs.mask[:, 7] = False
    return graphs


def test_a_shorter_chain_is_valid_as_published_and_no_cell() -> None:
    train = SPACE.sample(2, seed=0)
    short = shortened(SPACE.sample(4, seed=1))
    assert valid_chains(short).tolist() == [True] * 4
    assert SPACE.from_node_graphs(short)[1].tolist() == [False] * 4
    found = prior_quality(scripted(short), train, 4, 1, validity=valid_chains)
    assert (found.validity, found.cells, found.uniqueness, found.novelty) == (1.0, 0.0, 1.0, 1.0)


def published_rule(graphs: NodeGraphs, row: int) -> bool:
    """The rule of the public code, written out for one graph."""
    size = int(graphs.mask[row].sum())
    types = graphs.ops[row, :size].tolist()
    graph = nx.DiGraph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from((i, j) for i in range(size) for j in range(size) if graphs.adj[row, i, j])
    if types.count(INPUT) != 1 or types.count(OUTPUT) != 1:
        return False
    if any(graph.in_degree(v) == 0 and types[v] != INPUT for v in range(size)):
        return False
    if any(graph.out_degree(v) == 0 and types[v] != OUTPUT for v in range(size)):
        return False
    return all(graph.has_edge(v, v + 1) for v in range(size - 2)) and graph.in_degree(size - 1) == 1


def test_validity_is_the_published_rule() -> None:
    """On cells, shorter chains, what an untrained model writes freely, and cells with one change at random."""
    generator = torch.Generator().manual_seed(0)
    latent = fit(epochs=1)
    free = latent.model.decoder.decode(torch.randn(300, 4, generator=generator), stochastic=True, seed=0)
    broken = graphs_of(SPACE.sample(300, seed=2))
    for row in range(300):
        i, j = torch.randint(8, (2,), generator=generator).sort().values.tolist()
        if row % 3 == 0:
            broken.ops[row, i] = int(torch.randint(8, (1,), generator=generator))
        elif i < j:
            broken.adj[row, i, j] ^= True
    for graphs in (graphs_of(SPACE.sample(5, seed=3)), shortened(SPACE.sample(5, seed=4)), free, broken):
        expected = [published_rule(graphs, row) for row in range(len(graphs))]
        assert valid_chains(graphs).tolist() == expected
    assert {published_rule(broken, row) for row in range(300)} == {True, False}
    # every cell is valid, and every valid graph with all layers is a cell
    assert torch.equal(valid_chains(broken) & broken.mask.all(1), SPACE.from_node_graphs(broken)[1])


def test_constrained_is_valid_and_all_repeats_by_seed() -> None:
    latent, train = fit(epochs=1), SPACE.sample(20, seed=0)
    found = prior_quality(latent, train, 20, 2, validity=valid_chains, constrained=True, seed=3)
    assert found.validity == found.cells == 1.0
    assert prior_quality(latent, train, 20, 2, constrained=True, seed=3) == found
    accuracies = {stochastic_reconstruction(latent, train, 2, seed=1) for _ in range(2)}
    assert len(accuracies) == 1


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_nothing_to_count(numbers: tuple[int, int]) -> None:
    latent, codes = fit(epochs=1), SPACE.sample(3, seed=0)
    with pytest.raises(ConfigError, match="needs at least"):
        prior_quality(latent, codes, *numbers)
    with pytest.raises(ConfigError, match="needs at least"):
        stochastic_reconstruction(latent, codes[: numbers[0]], numbers[1])
