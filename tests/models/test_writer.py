from __future__ import annotations

import torch

from latentnas.models.writer import GraphWriter
from latentnas.spaces import INPUT, OUTPUT
from latentnas.spaces.grammar import Grammar, TemplateGrammar

CPU = torch.device("cpu")


def writer(batch: int, nodes: int, grammar: Grammar | None = None, stochastic: bool = False) -> GraphWriter:
    return GraphWriter(batch, nodes, CPU, grammar=grammar, stochastic=stochastic, seed=0)


def types(*wanted: int) -> torch.Tensor:
    """Logits of three types that prefer the wanted one in each row."""
    return torch.eye(3)[list(wanted)]


def test_free_writing_by_hand() -> None:
    w = writer(2, 4)
    assert w.choose_type(types(2, OUTPUT), 1).tolist() == [2, OUTPUT]
    assert w.choose_edge(torch.tensor([-1.0, -1.0]), 0, 1).tolist() == [False, False]
    w.end_vertex(1)  # the second graph ends; its loose end, the input, feeds the output
    assert w.choose_type(types(2, 2), 2).tolist() == [2, INPUT]
    assert w.choose_edge(torch.tensor([1.0, 1.0]), 1, 2).tolist() == [True, False]
    assert w.choose_edge(torch.tensor([-1.0, 1.0]), 0, 2).tolist() == [False, False]
    w.end_vertex(2)
    assert w.choose_type(types(2, 2), 3).tolist() == [OUTPUT, INPUT], "the last vertex becomes the output"
    for u in (2, 1, 0):
        assert w.choose_edge(torch.ones(2), u, 3).tolist() == [False, False], "edges to the output come by rule"
    w.end_vertex(3)
    graphs = w.graphs()
    assert graphs.ops.tolist() == [[INPUT, 2, 2, OUTPUT], [INPUT, OUTPUT, INPUT, INPUT]]
    assert graphs.mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert graphs.adj.nonzero().tolist() == [[0, 0, 3], [0, 1, 2], [0, 2, 3], [1, 0, 1]]


def chain() -> TemplateGrammar:
    """Three vertices in a chain; the middle one is of type 2, the edge 0 -> 2 is open."""
    allowed = torch.tensor([[True, False, False], [False, False, True], [False, True, False]])
    absent = torch.tensor([[True, False, True], [True, True, False], [True, True, True]])
    present = torch.ones(3, 3, dtype=torch.bool)
    return TemplateGrammar(allowed, absent, present)


def test_a_grammar_overrules_the_logits() -> None:
    w = writer(1, 3, chain())
    assert w.choose_type(torch.tensor([[5.0, 5.0, -torch.inf]]), 1).tolist() == [2]
    assert w.write_fixed_edges(1) == [0]
    w.end_vertex(1)
    assert w.choose_type(torch.tensor([[torch.nan, -9.0, 9.0]]), 2).tolist() == [OUTPUT]
    assert w.write_fixed_edges(2) is None
    assert w.choose_edge(torch.tensor([-5.0]), 1, 2).tolist() == [True], "it may not be absent"
    assert w.choose_edge(torch.tensor([-5.0]), 0, 2).tolist() == [False]
    w.end_vertex(2)
    assert w.graphs().adj.nonzero().tolist() == [[0, 0, 1], [0, 1, 2]]


def test_an_edge_that_may_not_be_present() -> None:
    grammar = chain()
    grammar.present[0, 2] = False
    w = writer(1, 3, grammar)
    assert w.admit_edge(torch.tensor([True]), 0, 2).tolist() == [False]


def test_sampled_types_and_edges_follow_their_probabilities() -> None:
    n = 40_000
    w = writer(n, 3, stochastic=True)
    p = torch.tensor([0.6, 0.1, 0.3])
    found = torch.bincount(w.choose_type(p.log().expand(n, -1), 1), minlength=3) / n
    assert bool(((found - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all())
    edges = w.propose_edge(torch.full((n,), 2.0)).double().mean()
    q = 1 / (1 + torch.tensor(-2.0).exp())
    assert abs(edges - q) < 5 * (q * (1 - q) / n) ** 0.5
