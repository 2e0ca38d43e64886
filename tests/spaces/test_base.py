"""latentnas/spaces/base.py: what the base class does by itself, on a space with an impossible and a fixed column."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from latentnas.errors import InvalidCodeError, ParseError, SpaceTooLargeError
from latentnas.spaces import NodeGraphs, SearchSpace


class Toy(SearchSpace):
    """Three columns, of which the second has one value only; the row 1, 0, 2 is no cell."""

    name = "toy"
    cardinalities = (2, 1, 3)
    columns = ("a", "b", "c")

    def _valid(self, codes: Tensor) -> Tensor:
        return ~((codes[:, 0] == 1) & (codes[:, 2] == 2))

    def format(self, codes: Tensor) -> list[str]:
        return ["".join(map(str, row)) for row in self.check_codes(codes).tolist()]

    def _parse_one(self, text: str) -> list[int]:
        return [int(digit) for digit in text]

    def keys(self, codes: Tensor) -> list[str]:
        return self.format(codes)

    def node_graphs(self, codes: Tensor) -> NodeGraphs:
        raise NotImplementedError

    def _from_node_graphs(self, graphs: NodeGraphs) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def test_size_and_enumeration() -> None:
    toy = Toy()
    assert (toy.dim, toy.size) == (3, 6)
    assert toy.enumerate().tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 0], [1, 0, 1], [1, 0, 2]]


def test_rows_in_range_that_are_no_cells_are_refused() -> None:
    with pytest.raises(InvalidCodeError, match=r"toy: codes\[1\] = \[1, 0, 2\] is no cell"):
        Toy().check_codes([[0, 0, 0], [1, 0, 2]])
    with pytest.raises(InvalidCodeError, match="is no cell"):
        Toy().parse("102")


def test_columns_with_one_value_are_never_mutated() -> None:
    mutants = Toy().mutate(torch.zeros(500, 3, dtype=torch.long), seed=0)
    assert {tuple(row) for row in mutants.tolist()} == {(1, 0, 0), (0, 0, 1), (0, 0, 2)}


def test_edge_view_is_refused_by_default() -> None:
    with pytest.raises(InvalidCodeError, match="toy has no edge view"):
        Toy().edge_graphs(torch.zeros(1, 3, dtype=torch.long))


def test_enumeration_of_a_large_space_names_its_size() -> None:
    class Large(Toy):
        cardinalities = (300, 300, 300)

    with pytest.raises(SpaceTooLargeError, match="27,000,000 codes"):
        Large().enumerate()


def test_shape_error_says_what_would_be_right() -> None:
    with pytest.raises(InvalidCodeError, match=r"must have shape \[B, 3\], got \[2, 4\]"):
        Toy().check_codes(torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(InvalidCodeError, match=r"must be integers, got torch\.float32"):
        Toy().check_codes(torch.zeros(2, 3))


def test_texts_are_no_codes() -> None:
    for texts in ("000", ["000", "001"]):
        with pytest.raises(InvalidCodeError, match=r"these are texts, codes are expected; use space\.parse\(texts\)"):
            Toy().check_codes(texts)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [5, None, b"000", {"a": 1}, [5], ["000", None], torch.zeros(1, 3), object()])
def test_what_is_no_text_is_not_parsed(given: Any) -> None:
    with pytest.raises(ParseError, match=r"toy: (expected a string, got|parse takes texts, got a tensor)"):
        Toy().parse(given)


def test_texts_come_one_by_one_or_in_any_iterable() -> None:
    for given in (["000", "101"], ("000", "101"), iter(["000", "101"])):
        assert Toy().parse(given).tolist() == [[0, 0, 0], [1, 0, 1]]
    assert Toy().parse([]).shape == (0, 3)


def test_objects_of_a_space_are_parsed_one_by_one_or_as_a_list() -> None:
    class Pairs(Toy):
        """(a, c) stands for a cell; so does {"text": ...}."""

        def _from_object(self, item: object) -> str | list[int] | None:
            if isinstance(item, dict):
                return str(item["text"])
            return [item[0], 0, item[1]] if isinstance(item, tuple) else None

    assert Pairs().parse((1, 1)).tolist() == [[1, 0, 1]]
    assert Pairs().parse({"text": "002"}).tolist() == [[0, 0, 2]]
    assert Pairs().parse([(1, 0), {"text": "002"}, "100"]).tolist() == [[1, 0, 0], [0, 0, 2], [1, 0, 0]]


@pytest.mark.parametrize("n", ["5", 2.5, None])
def test_numbers_of_samples_are_integers(n: Any) -> None:
    with pytest.raises(InvalidCodeError, match="the number of samples must be an integer"):
        Toy().sample(n)


def test_values_of_columns_are_numbers_by_default() -> None:
    assert Toy().column_values() == [("0", "1"), ("0",), ("0", "1", "2")]
