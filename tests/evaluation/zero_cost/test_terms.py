"""latentnas/evaluation/zero_cost/terms.py and the terms of both families of spaces."""

from __future__ import annotations

import torch

from latentnas.evaluation.zero_cost import nasbench101, nasbench201
from latentnas.evaluation.zero_cost.terms import mixed, same_term_weights
from latentnas.spaces import get_space
from latentnas.spaces.graphs import random_topological_order, relabel
from latentnas.spaces.nasbench201 import EDGES

MASK = 2**64 - 1


def test_mixed_is_splitmix64() -> None:
    def splitmix(number: int) -> int:
        z = number + 0x9E3779B97F4A7C15 & MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    numbers = [0, 1, -1, 123456789, -(2**62), 2**63 - 1]
    assert [n & MASK for n in mixed(torch.tensor(numbers)).tolist()] == [splitmix(n & MASK) for n in numbers]


def test_terms_of_nasbench201_are_those_of_the_keys() -> None:
    """All 15,625 cells: operations with equal texts have equal numbers, others have others."""
    space = get_space("nasbench201")
    codes = space.enumerate()
    numbers = nasbench201.operation_terms(codes).tolist()
    symbols = {2: "c1", 3: "c3", 4: "p"}
    number_of: dict[str, int] = {}
    for code, row, key in zip(codes.tolist(), numbers, space.keys(codes), strict=True):
        sums: list[list[str]] = [["x"], [], [], []]
        texts = []
        for op, (source, target) in zip(code, EDGES, strict=True):
            carries = op > 0 and bool(sums[source])
            text = f"{symbols[op]}({'+'.join(sorted(sums[source]))})" if carries and op > 1 else ""
            sums[target] += [] if not carries else [text] if op > 1 else sums[source]
            texts.append(text)
        for text, number in zip(texts, row, strict=True):
            if number != 0:
                assert text in key
                assert number_of.setdefault(text, number) == number
    assert len(set(number_of.values())) == len(number_of)


def test_every_term_of_a_code_is_in_its_canonical_network() -> None:
    space = get_space("nasbench201")
    codes = space.enumerate()
    terms, canonical = nasbench201.operation_terms(codes), nasbench201.operation_terms(space.canonical(codes))
    weights = same_term_weights(terms, canonical)
    assert torch.equal(weights.sum(2), (terms != 0).double())
    assert torch.equal(canonical.ne(0), (space.canonical(codes) > 1))  # its operations all matter


def test_terms_of_nasbench101_do_not_depend_on_the_numbering() -> None:
    space = get_space("nasbench101")
    graphs = space.node_graphs(space.sample(200, seed=0))
    generator = torch.Generator().manual_seed(0)
    order = random_topological_order(graphs, generator)
    order = torch.where(graphs.mask, order, torch.arange(graphs.num_nodes))
    moved = nasbench101.operation_terms(relabel(graphs, order))
    terms = torch.nn.functional.pad(nasbench101.operation_terms(graphs), (1, 1))
    assert torch.equal(moved, terms.gather(1, order)[:, 1:-1])
    assert torch.equal(terms != 0, graphs.mask & (graphs.ops > 1))


def test_weights_are_averages() -> None:
    weights = same_term_weights(torch.tensor([[5, 0, 7, 9]]), torch.tensor([[0, 5, 5, 7]]))
    assert weights.tolist() == [[[0, 0.5, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]]
