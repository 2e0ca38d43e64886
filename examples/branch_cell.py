"""A search space of one's own: three parallel branches of two operations; the branches' order does not matter."""

import torch
from torch import Tensor
from torch.nn.functional import pad

import latentnas as ln
from latentnas.errors import ParseError
from latentnas.spaces import INPUT, OUTPUT, NodeGraphs, SearchSpace, TemplateGrammar
from latentnas.spaces.graphs import relabel

OPS = ("conv1x1", "conv3x3", "conv5x5", "maxpool3x3")
EDGES = [(0, 1), (1, 2), (2, 7), (0, 3), (3, 4), (4, 7), (0, 5), (5, 6), (6, 7)]  # 1-2, 3-4, 5-6 are the branches


class BranchCell(SearchSpace):
    name, max_nodes = "branch_cell", 8
    cardinalities = (len(OPS),) * 6
    columns = ("first_1", "second_1", "first_2", "second_2", "first_3", "second_3")
    node_types = ("input", "output", *OPS)

    def __init__(self) -> None:
        self._adj = torch.zeros(8, 8).index_put(tuple(torch.tensor(EDGES).T), torch.tensor(1.0)).bool()
        types = torch.zeros(8, len(self.node_types), dtype=torch.bool)  # what each vertex may be
        types[0, INPUT] = types[7, OUTPUT] = True
        types[1:7, 2:] = True
        self.grammar = TemplateGrammar(types, absent=~self._adj, present=self._adj)  # every edge is fixed

    def format(self, codes: Tensor) -> list[str]:
        return [" ".join(OPS[c] for c in row) for row in self.check_codes(codes).tolist()]

    def _parse_one(self, text: str) -> list[int]:
        if len(names := text.split()) != 6 or not set(names) <= set(OPS):
            raise ParseError(f"{self.name}: expected six of {', '.join(OPS)}, got {text[:200]!r}")
        return [OPS.index(name) for name in names]

    def canonical(self, codes: Tensor) -> Tensor:  # sort the branches
        branches = self.check_codes(codes).unflatten(1, (3, 2))
        order = (branches[..., 0] * len(OPS) + branches[..., 1]).argsort(1)
        return branches.gather(1, order[..., None].expand(-1, -1, 2)).flatten(1)

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        ops = pad(pad(self.check_codes(codes) + 2, (1, 0), value=INPUT), (0, 1), value=OUTPUT)
        adj = self._adj.to(ops.device).expand(len(ops), -1, -1)
        return NodeGraphs(ops, adj, torch.ones_like(ops, dtype=torch.bool))

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        first = graphs.adj[:, 0].long().topk(3).indices.sort(1).values  # [B, 3]: who reads the input
        second = graphs.adj.gather(1, first[..., None].expand(-1, -1, 8)).long().argmax(2)
        order = pad(pad(torch.stack([first, second], 2).flatten(1), (1, 0)), (0, 1), value=7)
        valid = (order.sort(1).values == torch.arange(8, device=order.device)).all(1) & graphs.mask.all(1)
        found = relabel(graphs, order)
        valid &= (found.adj == self._adj.to(order.device)).flatten(1).all(1)
        low = torch.tensor([INPUT, 2, 2, 2, 2, 2, 2, OUTPUT], device=order.device)
        valid &= ((found.ops >= low) & (found.ops <= low + (low == 2) * (len(OPS) - 1))).all(1)
        return torch.where(valid[:, None], found.ops[:, 1:-1] - 2, 0), valid


ln.register_space("branch_cell", BranchCell)
