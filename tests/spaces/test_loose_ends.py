"""latentnas/spaces/loose_ends.py: a cell of three inner vertices, worked by hand."""

from __future__ import annotations

import torch

from latentnas.spaces.loose_ends import close_loose_ends
from latentnas.spaces.nas_bench_graph import NASBenchGraph
from latentnas.spaces.random_wired import RandomWired


def test_the_output_reads_what_feeds_nothing_but_not_the_input() -> None:
    adj = torch.zeros(2, 5, 5, dtype=torch.bool)
    adj[0, [0, 1, 0], [1, 2, 3]] = True  # 0-1-2 and 0-3
    before = adj.clone()
    closed = close_loose_ends(adj)
    assert torch.equal(adj, before)
    assert closed[0, :, 4].tolist() == [False, False, True, True, False]
    assert closed[1, :, 4].tolist() == [False, True, True, True, False]
    assert torch.equal(closed[:, :, :4], adj[:, :, :4])


def test_edges_to_the_output_are_forced() -> None:
    grammar = RandomWired(nodes=3).grammar
    ops = torch.tensor([[0, 2, 2, 2, 1]])
    adj = torch.zeros(1, 5, 5, dtype=torch.bool)
    adj[0, [0, 1, 0], [1, 2, 3]] = True
    answers = [grammar.allowed_edges(ops, adj, 4, source)[0].tolist() for source in range(4)]
    assert answers == [[True, False], [True, False], [False, True], [False, True]]


def test_the_input_is_read_where_nothing_else_is() -> None:
    ops = torch.zeros(2, 6, dtype=torch.long)
    adj = torch.zeros(2, 6, 6, dtype=torch.bool)
    adj[1, 2, 3] = True  # in the second cell vertex 3 reads vertex 2 already
    free, one = RandomWired(nodes=4).grammar, NASBenchGraph().grammar
    assert free.allowed_edges(ops, adj, 3, 1).tolist() == [[True, True], [True, True]]
    assert one.allowed_edges(ops, adj, 3, 1).tolist() == [[True, True], [True, False]]
    for grammar in (free, one):
        assert grammar.allowed_edges(ops, adj, 3, 0).tolist() == [[False, True], [True, False]]
        fixed = grammar.fixed_edges(1)
        assert fixed is not None
        assert fixed.tolist() == [True, False, False, False, False, False]
        assert grammar.fixed_edges(2) is None
