r"""A GCN encoder of torch_geometric layers: simultaneous graph convolutions (Kipf and Welling, ICLR 2017).

Three ``GCNConv`` layers, their eq. 2 along the edges of the DAG, with the self-loops of all vertices in A,

.. math:: H^{(l)} = \mathrm{ReLU}\big((D^{-1/2} \tilde A D^{-1/2})^T H^{(l-1)} W_l + b_l\big), \quad
          \tilde A = A + I, \quad D_{vv} = \sum_u \tilde A_{uv}, \quad H^{(0)} = \mathcal{O}(X) \quad (1)

Unlike the encoder of the public D-VAE code (:mod:`.gcn`), all vertices of a layer are computed from the layer before,
and both ends of an edge are normalised by their in-degree. Readouts and decoder are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..spaces.graphs import NodeGraphs
from .embedding import OneHotOperations, OperationEmbedding
from .gcn import LAYERS, side_by_side, sum_of_inner_states


class PyGGCNEncoder(nn.Module):
    """Simultaneous graph convolutions, eq. 1; all graphs of a batch are one sparse graph of B n vertices.

    Args:
        operations: the vertex type encoding, shared with the decoder.
        num_nodes: N, the largest number of vertices.
        hidden: H, the size of a vertex state.
        latent_dim: d, the size of the latent.
        bidirectional: whether edge directions are ignored (A + A^T instead of A).
        readout: "sum" over the vertices without input and output, or "all", the states of all vertices side by
            side, padding zero.
    """

    def __init__(
        self,
        operations: OneHotOperations | OperationEmbedding,
        *,
        num_nodes: int,
        hidden: int,
        latent_dim: int,
        bidirectional: bool = False,
        readout: str = "sum",
    ) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.operations = operations
        self.num_nodes = num_nodes
        self.bidirectional = bidirectional
        self.layers = nn.ModuleList(GCNConv(operations.dim if i == 0 else hidden, hidden) for i in range(LAYERS))
        self.readout = sum_of_inner_states if readout == "sum" else side_by_side
        size = hidden if readout == "sum" else num_nodes * hidden
        self.mean = nn.Linear(size, latent_dim)
        self.logvar = nn.Linear(size, latent_dim)

    def forward(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two tensors [B, d]."""
        x = self.operations(graphs.ops)  # [B, n, d_op]
        graph, source, target = graphs.adj.nonzero(as_tuple=True)
        edge_index = torch.stack([source, target]) + graphs.num_nodes * graph  # [2, E]
        if self.bidirectional:
            edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
        flat = x.flatten(0, 1)  # [B n, .]
        for layer in self.layers:
            flat = layer(flat, edge_index).relu()
        state = self.readout(flat.unflatten(0, x.shape[:2]), graphs, self.num_nodes)
        return self.mean(state), self.logvar(state)
