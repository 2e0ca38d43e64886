from __future__ import annotations

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.models import GraphVAE, VAEConfig
from latentnas.models.adjacency import feature_size
from latentnas.spaces import get_space

from .conformance import ModelConformance

ENAS3 = {"num_types": 8, "num_nodes": 5}


class TestAdjacency(ModelConformance):
    encoder = "adjacency"
    published = "all"


def test_every_coordinate_belongs_to_a_vertex_or_an_edge() -> None:
    space = get_space("enas_macro3")
    free = {"free_types": (1, 2, 3), "free_edges": ((0, 2), (0, 3), (1, 3))}
    assert feature_size(2, *free.values()) == 9
    model = GraphVAE(VAEConfig(**ENAS3, encoder="adjacency", op_embedding=2, latent_dim=9, **free))
    codes = torch.tensor([[0, 4, 2, 0, 0, 0], [0, 1, 2, 0, 0, 0], [0, 4, 2, 0, 1, 0]])
    with torch.no_grad():
        model.encoder.edge_size.copy_(torch.tensor([1.0, 3.0, 5.0]))
        base, op, edge = model.encode(space.node_graphs(codes))[0]
    table = model.embeddings
    assert table is not None
    layer = 2 + codes[0, :3]  # types START and END come first
    torch.testing.assert_close(base, torch.cat([table[layer].flatten(), torch.tensor([-0.5, -1.5, -2.5])]))
    assert (op != base).nonzero()[:, 0].tolist() == [2, 3], "another operation moves its vertex' two coordinates"
    assert (edge != base).nonzero()[:, 0].tolist() == [7], "an edge moves its own coordinate"
    assert float(edge[7] - base[7]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("free", "message"),
    [
        ({"free_types": (0, 1)}, r"free_types must be distinct vertices from 1 to 4, got \(0, 1\)"),
        ({"free_types": (2, 2)}, "distinct vertices"),
        ({"free_edges": ((2, 1),)}, r"free_edges must be distinct pairs u < v of vertices below 5, got \(\(2, 1\),\)"),
        ({"free_edges": ((1, 5),)}, "below 5"),
        ({"free_edges": (1, 2)}, "pairs of vertices"),
        ({"free_types": (), "free_edges": ()}, "both empty"),
        ({"encoder": "dvae", "free_types": (1,)}, "belongs to the encoder adjacency"),
    ],
)
def test_free_features_that_no_graph_has(free: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VAEConfig(**ENAS3, **{"encoder": "adjacency", **free})  # type: ignore[arg-type]


def test_config_from_json_lists() -> None:
    config = VAEConfig(**ENAS3, encoder="adjacency", free_types=[1, 2], free_edges=[[0, 2]])  # type: ignore[arg-type]
    assert (config.free_types, config.free_edges) == ((1, 2), ((0, 2),))
    assert VAEConfig(**config.to_dict()) == config  # type: ignore[arg-type]
