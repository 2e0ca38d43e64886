"""latentnas/benchmarks/table.py, against values worked out by hand on a table of five cells."""

from __future__ import annotations

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.errors import DataFileError, InvalidCodeError, ObservationError, UnknownNameError

# Rows 1 and 4 are the same network: x reaches the output by one skip connection.
CODES = [
    [3, 0, 0, 0, 0, 1],
    [0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, 3, 0, 0],
    [0, 1, 0, 0, 0, 1],
]
ACCURACY = [10.5, 70.0, 10.0, 90.0, 70.0]
SPEED = [5.0, 4.0, 3.0, 2.0, 1.0]


@pytest.fixture
def table() -> TabularBenchmark:
    return TabularBenchmark(
        "tiny", "nasbench201", torch.tensor(CODES), {"speed": SPEED, "accuracy": ACCURACY}, default="accuracy"
    )


def test_facts(table: TabularBenchmark) -> None:
    assert len(table) == 5
    assert table.metrics == ["accuracy", "speed"]
    assert table.default_metric == "accuracy"
    assert table.codes.tolist() == CODES
    assert table.values().tolist() == ACCURACY
    assert table.values("speed").tolist() == SPEED
    assert table.values().dtype == torch.double
    assert "tiny" in repr(table)


def test_query_finds_rows_in_any_order_and_repeated(table: TabularBenchmark) -> None:
    codes = torch.tensor([CODES[3], CODES[0], CODES[3], CODES[2]])
    assert table.rows(codes).tolist() == [3, 0, 3, 2]
    assert table.query(codes).tolist() == [90.0, 10.5, 90.0, 10.0]
    assert table.query(codes, "speed").tolist() == [2.0, 5.0, 2.0, 3.0]
    assert table.query(CODES[1:2]).tolist() == [70.0]
    assert table.query(torch.empty(0, 6, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_query_answers_on_the_device_of_the_codes(table: TabularBenchmark, device: str) -> None:
    codes = torch.tensor(CODES, device=device)
    assert table.query(codes).device == codes.device
    assert table.query(codes).tolist() == ACCURACY
    assert table.regret(codes).device == codes.device


def test_query_names_the_first_cell_that_is_not_in_the_table(table: TabularBenchmark) -> None:
    with pytest.raises(InvalidCodeError, match=r"codes\[1\] = \[4, 4, 4, 4, 4, 4\] .*avg_pool_3x3~0.*\(2 of 3"):
        table.query([CODES[0], [4] * 6, [2] * 6])
    with pytest.raises(InvalidCodeError, match=r"codes\[0, 2\] .* is 5, must be in 0\.\.4"):
        table.query([[0, 0, 5, 0, 0, 0]])


def test_unknown_metric(table: TabularBenchmark) -> None:
    for lookup in (table.query, table.regret):
        with pytest.raises(UnknownNameError, match=r"'acuracy'\. Did you mean 'accuracy'"):
            lookup(CODES, "acuracy")
    for name in ("best", "ranks", "values", "values_by_key"):
        with pytest.raises(UnknownNameError, match="metric of tiny"):
            getattr(table, name)("speeed")


def test_best(table: TabularBenchmark) -> None:
    best = table.best()
    assert (best.value, best.metric, best.row, best.code.tolist()) == (90.0, "accuracy", 3, CODES[3])
    assert best.key == "c3(x)"
    assert best.text == "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    assert table.best("speed").row == 0


def test_regret(table: TabularBenchmark) -> None:
    assert table.regret(CODES).tolist() == [79.5, 20.0, 80.0, 0.0, 20.0]
    assert table.regret(CODES[:2], "speed").tolist() == [0.0, 1.0]
    assert table.regret_of_values(torch.tensor([[89.0, 90.0]])).tolist() == [[1.0, 0.0]]
    assert table.regret_of_values(torch.tensor(4), "speed").item() == 1.0
    with pytest.raises(ObservationError, match="NaN"):
        table.regret_of_values([float("nan")])


def test_ranks_ties_share_the_smallest(table: TabularBenchmark) -> None:
    assert table.ranks().tolist() == [4, 2, 5, 1, 2]
    assert table.ranks("speed").tolist() == [1, 2, 3, 4, 5]


def test_isomorphic_codes_are_rows_of_their_own() -> None:
    table = TabularBenchmark("t", "nasbench201", CODES, {"a": [1.0, 2.0, 3.0, 4.0, 2.5]}, default="a")
    assert table.keys == ["0", "x", "0", "c3(x)", "x"]
    values = {key: tensor.tolist() for key, tensor in table.values_by_key().items()}
    assert values == {"0": [1.0, 3.0], "x": [2.0, 2.5], "c3(x)": [4.0]}


def test_what_is_returned_can_be_changed_without_harm(table: TabularBenchmark) -> None:
    table.values().zero_()
    table.best().code.zero_()
    assert table.best().value == 90.0
    assert table.best().code.tolist() == CODES[3]


@pytest.mark.parametrize(
    ("codes", "metrics", "message"),
    [
        ([], {"a": []}, "no cells"),
        ([CODES[0], CODES[0]], {"a": [1.0, 2.0]}, "occurs more than once"),
        (CODES, {"a": [1.0, 2.0]}, r"shape \[5\], got \[2\]"),
        (CODES, {"a": [1.0, 2.0, float("nan"), 4.0, 5.0]}, r"'a' is nan for the cell \[0, 0, 0, 0, 0, 0\]"),
        (CODES, {"a": [1.0, 2.0, 3.0, float("inf"), 5.0]}, "must be finite"),
    ],
)
def test_faulty_tables(codes: list[list[int]], metrics: dict[str, list[float]], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        TabularBenchmark("t", "nasbench201", codes, metrics, default="a")


def test_default_must_be_a_metric_and_space_must_fit() -> None:
    with pytest.raises(UnknownNameError, match="metric of t 'b'"):
        TabularBenchmark("t", "nasbench201", CODES, {"a": ACCURACY}, default="b")
    with pytest.raises(DataFileError, match=r"at most 2\^63"):
        TabularBenchmark("t", "enas_macro12", [[0] * 78], {"a": [1.0]}, default="a")


def test_query_in_a_space_of_mixed_cardinalities() -> None:
    from latentnas.spaces import get_space

    codes = get_space("enas_macro6").sample(200, seed=0).unique(dim=0)
    values = torch.arange(len(codes), dtype=torch.double)
    shuffled = torch.randperm(len(codes), generator=torch.Generator().manual_seed(1))
    table = TabularBenchmark("t", "enas_macro6", codes[shuffled], {"a": values[shuffled]}, default="a")
    assert torch.equal(table.query(codes), values)
