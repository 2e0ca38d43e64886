"""latentnas/spaces/check.py: every registered space passes; each broken promise is found and named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentnas.errors import LatentNASError
from latentnas.seeding import Seed
from latentnas.spaces import NodeGraphs, SearchSpace, TemplateGrammar, check_space, get_space, list_spaces
from latentnas.spaces.nasbench201 import NASBench201


@pytest.mark.parametrize("name", list_spaces())
def test_spaces_of_the_package_pass(name: str) -> None:
    check_space(get_space(name), n=50)


class KeysOfCodes(NASBench201):
    """Renumbered vertices still give the same code here, so only the canonical codes give it away."""

    def keys(self, codes: Tensor) -> list[str]:
        return [str(row) for row in self.check_codes(codes).tolist()]


class NoMutation(NASBench201):
    def mutate(self, codes: Tensor, *, seed: Seed = None) -> Tensor:
        return codes.clone()


class WrongText(NASBench201):
    def format(self, codes: Tensor) -> list[str]:
        return super().format(codes.flip(1))


class LenientText(NASBench201):
    def _parse_one(self, text: str) -> list[int]:
        return super()._parse_one(text[:200]) if "~" in text else [0] * 6


class BlindGraphs(NASBench201):
    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        codes = (graphs.ops[:, 1:-1] - 2).clamp_min(0)
        return codes, torch.ones(len(codes), dtype=torch.bool)


class OpenGrammar(NASBench201):
    def __init__(self) -> None:
        super().__init__()
        free = torch.ones(8, 8, dtype=torch.bool).triu(1)
        self.grammar = TemplateGrammar(self.grammar.types, absent=torch.ones_like(free), present=free)


class Raises(NASBench201):
    def canonical(self, codes: Tensor) -> Tensor:
        raise ZeroDivisionError("oops")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (KeysOfCodes, "keys: equal keys and equal canonical codes do not coincide"),
        (NoMutation, r"mutate: \[.*\] is its own mutant"),
        (WrongText, r"parse: '\|.*' does not give back \["),
        (LenientText, "parse: '' is accepted"),
        (BlindGraphs, "from_node_graphs: calls a graph valid that is not the cell"),
        (OpenGrammar, "grammar: it allows a graph that is no cell"),
        (Raises, "keys: raised ZeroDivisionError: oops"),
    ],
)
def test_broken_promises_are_named(broken: type[SearchSpace], message: str) -> None:
    with pytest.raises(LatentNASError, match=message) as error:
        check_space(broken())
    assert str(error.value).startswith("nasbench201 breaks ")
