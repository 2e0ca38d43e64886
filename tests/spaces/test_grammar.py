"""latentnas/spaces/grammar.py"""

from __future__ import annotations

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.spaces import InDegreeGrammar, TemplateGrammar

OPS, ADJ = torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, 3, dtype=torch.bool)


def template() -> TemplateGrammar:
    """input -> 1 -> 2, where 0 -> 2 is free; vertex 1 has type 2 or 3, vertex 2 type 1."""
    types = torch.tensor([[1, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]]).bool()
    chain = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 0]]).bool()
    free = torch.tensor([[0, 0, 1], [0, 0, 0], [0, 0, 0]]).bool()
    return TemplateGrammar(types, absent=~chain, present=chain | free)


def test_answers_are_the_tables() -> None:
    grammar = template()
    assert (grammar.num_nodes, grammar.num_types) == (3, 4)
    assert grammar.allowed_types(OPS, ADJ, 1).tolist() == [[False, False, True, True]] * 2
    assert grammar.allowed_edges(OPS, ADJ, 1, 0).tolist() == [[False, True]] * 2
    assert grammar.allowed_edges(OPS, ADJ, 2, 0).tolist() == [[True, True]] * 2
    assert grammar.allowed_edges(OPS, ADJ, 2, 1).tolist() == [[False, True]] * 2


def test_fixed_edges_only_where_nothing_is_open() -> None:
    grammar = template()
    fixed = grammar.fixed_edges(1)
    assert fixed is not None
    assert fixed.tolist() == [True, False, False]
    assert grammar.fixed_edges(2) is None


def test_dead_ends_are_refused_at_construction() -> None:
    types = torch.ones(2, 2, dtype=torch.bool)
    nothing, everything = torch.zeros(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ConfigError, match="neither absent nor present"):
        TemplateGrammar(types, absent=nothing, present=nothing)
    with pytest.raises(ConfigError, match="no type"):
        TemplateGrammar(torch.tensor([[True, False], [False, False]]), absent=everything, present=everything)
    upper = everything.triu(1)
    with pytest.raises(ConfigError, match="candidate and required"):
        InDegreeGrammar(types, upper, [0, 1], upper)
    with pytest.raises(ConfigError, match="fewer candidates than it must choose"):
        InDegreeGrammar(types, upper, [0, 2], nothing)


def test_tables_of_other_shapes_are_refused() -> None:
    types, square = torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ConfigError, match=r"types must have shape \[N, T\], got \[2\]"):
        TemplateGrammar(types[0], square, square)
    with pytest.raises(ConfigError, match=r"present must have shape \[2, 2\], got \[1, 2\]"):
        TemplateGrammar(types, square, square[:1])
    with pytest.raises(ConfigError, match=r"absent must be a bool tensor, got torch\.int64"):
        TemplateGrammar(types, square.long(), square)
    with pytest.raises(ConfigError, match="degree must hold 2 integers, got 3"):
        InDegreeGrammar(types, square.triu(1), [0, 1, 1], torch.zeros_like(square))
