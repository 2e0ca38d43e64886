r"""Cells as stacks of matrices: operation types, then FLOPs and parameters of every place in the network.

Appendix A of NAR (Guo et al., CVPR 2022), after ReNAS (Xu et al., CVPR 2021). With operations on vertices the vector
of types :math:`o_j = 1, \dots, T` and the vectors of FLOPs :math:`f^{(p)}_j` and parameters :math:`p^{(p)}_j` of place
p in the network are broadcast to matrices and multiplied by the adjacency A,

.. math:: O_{ij} = A_{ij} o_j, \quad F^{(p)}_{ij} = A_{ij} f^{(p)}_j, \quad P^{(p)}_{ij} = A_{ij} p^{(p)}_j \quad (1)

With operations on edges an entry belongs to the operation of edge i -> j itself, those of parallel operations summed,
and a missing edge counts as type 0; what a cell spends outside its edges is left out. The matrices are stacked as
:math:`O, F^{(1)}, P^{(1)}, F^{(2)}, P^{(2)}, \dots`: 19 of 7 x 7 for NAS-Bench-101 with its 9 cells, 31 of 4 x 4 for
NAS-Bench-201 with its 15.

Costs come on a logarithmic scale of 0 to 1 (:func:`latentnas.spaces.costs.cost_tensor`). A type as a number, as
published, claims that type 3 lies between 2 and 4, and is divided by T here. By default O is one matrix a type instead,

.. math:: O^{(t)}_{ij} = A_{ij} [o_j = t], \quad t = 1, \dots, T
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .base import CellEncoder, CellFacts, CellInputs, choice_fault, costs_fault, edge_view_fault, size_faults

VIEWS = ("auto", "nodes", "edges")

TYPES = ("one-hot", "numbers")


class TensorEncoding(nn.Module):
    """The encoding, eq. 1: operations on edges where the space has that view, else on vertices.

    Args:
        facts: the space; the costs of its operations must be known.
        view: "edges", "nodes", or "auto".
        types: "one-hot" for one matrix a type of operation, "numbers" for a single one (published).

    Attributes:
        patches: O + 2 P, how many matrices there are, O of them of types.
        width: their height and width.
    """

    def __init__(self, facts: CellFacts, *, view: str = "auto", types: str = "one-hot") -> None:
        super().__init__()
        self.on_edges = facts.has_edges if view == "auto" else view == "edges"
        self.width = facts.edge_nodes if self.on_edges else facts.num_nodes
        self.num_types = facts.edge_types - 1 if self.on_edges else facts.num_types  # on edges 0 is none
        self.one_hot = types == "one-hot"
        self.patches = (self.num_types if self.one_hot else 1) + 2 * facts.places

    def forward(self, inputs: CellInputs) -> Tensor:
        """Stacks of matrices: float [B, O + 2 P, width, width]."""
        assert inputs.op_costs is not None
        return self._by_edges(inputs) if self.on_edges else self._by_vertices(inputs)

    def _by_vertices(self, inputs: CellInputs) -> Tensor:
        assert inputs.op_costs is not None
        costs = inputs.op_costs.permute(0, 1, 3, 2).flatten(1, 2)  # [B, 2 P, N]
        vectors = torch.cat([self._types(inputs.nodes.ops + 1, costs), costs], 1)
        return vectors[:, :, None, :] * inputs.nodes.adj[:, None].to(costs.dtype)

    def _by_edges(self, inputs: CellInputs) -> Tensor:
        assert inputs.op_costs is not None and inputs.vertex_edges is not None and inputs.edges is not None
        costs = inputs.op_costs.permute(0, 1, 3, 2).flatten(1, 2)  # [B, 2 P, N]
        types = self._types(inputs.edges.ops.flatten(1), costs)  # [B, O, V * V]
        area = self.width**2
        place = inputs.vertex_edges.where(inputs.vertex_edges >= 0, area)  # vertices that are no operation go last
        moved = costs.new_zeros(*costs.shape[:2], area + 1)
        moved = moved.scatter_add(2, place[:, None].expand_as(costs), costs)[..., :area]
        return torch.cat([types, moved], 1).unflatten(2, (self.width, self.width))

    def _types(self, numbers: Tensor, like: Tensor) -> Tensor:
        """Numbers of types, 0 for none, as rows of the stack: [B, m] long -> [B, O, m] of the dtype of ``like``."""
        if not self.one_hot:
            return (numbers / (self.num_types + self.on_edges)).to(like.dtype)[:, None]
        known = torch.arange(1, self.num_types + 1, device=numbers.device)
        return (numbers[:, None, :] == known[:, None]).to(like.dtype)


class TensorEncoder(CellEncoder, ABC):
    """An encoder that reads cells as such matrices, ``self.encoding(inputs)``.

    Args:
        facts: the space; the costs of its operations must be known.
        view, types: see :class:`TensorEncoding`.

    Attributes:
        sizes: the options that are sizes of layers.
    """

    needs = ("nodes", "edges", "op_costs")
    sizes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, facts: CellFacts, *, view: str, types: str) -> None:
        super().__init__()
        self.encoding = TensorEncoding(facts, view=view, types=types)

    @classmethod
    def faults(cls, facts: CellFacts, options: dict[str, Any]) -> list[str]:
        found = costs_fault(facts) + size_faults(options, *cls.sizes) + choice_fault(options, "view", VIEWS)
        found += choice_fault(options, "types", TYPES)
        return found + (edge_view_fault(facts) if options["view"] == "edges" else [])
