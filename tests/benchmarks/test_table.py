"""latentnas/benchmarks/table.py, against values worked out by hand on a table of five cells."""

from __future__ import annotations

import math

import pytest
import torch

from latentnas.benchmarks import ImportedTable, TabularBenchmark
from latentnas.errors import DataFileError, InvalidCodeError, MissingCellError, ObservationError, UnknownNameError
from latentnas.spaces import get_space

# Rows 1 and 4 are the same network: x reaches the output by one skip connection.
CODES = [
    [3, 0, 0, 0, 0, 1],
    [0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, 3, 0, 0],
    [0, 1, 0, 0, 0, 1],
]
SPACE = get_space("nasbench201")
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


def test_default_must_be_a_metric() -> None:
    with pytest.raises(UnknownNameError, match="metric of t 'b'"):
        TabularBenchmark("t", "nasbench201", CODES, {"a": ACCURACY}, default="b")


def test_query_in_a_space_of_mixed_cardinalities() -> None:
    codes = get_space("enas_macro6").sample(200, seed=0).unique(dim=0)
    values = torch.arange(len(codes), dtype=torch.double)
    shuffled = torch.randperm(len(codes), generator=torch.Generator().manual_seed(1))
    table = TabularBenchmark("t", "enas_macro6", codes[shuffled], {"a": values[shuffled]}, default="a")
    assert torch.equal(table.query(codes), values)


def test_a_space_of_more_than_2_to_the_63_codes() -> None:
    space = get_space("enas_macro12")
    assert space.size > 2**63
    codes = space.sample(300, seed=0).unique(dim=0)
    table = TabularBenchmark("t", space, codes, {"a": torch.arange(len(codes))}, default="a")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(1))
    assert torch.equal(table.query(codes[order]), order.double())
    changed = codes[:1].clone()
    changed[0, -1] = 1 - changed[0, -1]
    with pytest.raises(InvalidCodeError, match="not among the table"):
        table.query(changed)
    assert table.holds(torch.cat([changed, codes[5:7]])).tolist() == [False, True, True]
    with pytest.raises(DataFileError, match="occurs more than once, in rows 0 and 300"):
        TabularBenchmark("t", space, torch.cat([codes, codes[:1]]), {"a": torch.arange(301)}, default="a")


# --- values that were not measured, and metrics of which less is better ----------------------------

NAN = float("nan")
LATENCY = [3.0, NAN, 2.0, 5.0, 2.0]


@pytest.fixture
def partial() -> TabularBenchmark:
    return TabularBenchmark(
        "partial",
        "nasbench201",
        CODES,
        {"accuracy": [NAN, 70.0, 10.0, NAN, 80.0], "latency": LATENCY},
        default="accuracy",
        minimize=["latency"],
        incomplete=["accuracy", "latency"],
        units={"latency": "ms"},
    )


def test_direction(partial: TabularBenchmark) -> None:
    assert partial.direction() == partial.direction("accuracy") == "maximize"
    assert partial.direction("latency") == "minimize"
    with pytest.raises(UnknownNameError, match="Did you mean 'latency'"):
        partial.direction("latencies")


def test_what_was_not_measured_is_nan(partial: TabularBenchmark) -> None:
    assert [math.isnan(v) for v in partial.query(CODES).tolist()] == [True, False, False, True, False]
    assert math.isnan(partial.values("latency")[1])
    assert math.isnan(partial.regret(CODES[:1]).item())


def test_best_and_ranks_pass_over_what_was_not_measured(partial: TabularBenchmark) -> None:
    assert (partial.best().row, partial.best().value) == (4, 80.0)
    assert partial.ranks().tolist() == [4, 2, 3, 4, 1]


def test_less_is_better(partial: TabularBenchmark) -> None:
    assert (partial.best("latency").row, partial.best("latency").value) == (2, 2.0)
    assert partial.ranks("latency").tolist() == [3, 5, 1, 4, 1]
    assert partial.regret([CODES[0], CODES[2]], "latency").tolist() == [1.0, 0.0]
    assert partial.regret_of_values([2.5], "latency").tolist() == [0.5]


@pytest.mark.parametrize("option", ["minimize", "incomplete"])
def test_options_name_metrics(option: str) -> None:
    with pytest.raises(UnknownNameError, match="metric of t 'b'"):
        TabularBenchmark("t", "nasbench201", CODES, {"a": ACCURACY}, default="a", **{option: ["b"]})


def test_a_metric_without_any_value() -> None:
    with pytest.raises(DataFileError, match="'a' has no value"):
        TabularBenchmark("t", "nasbench201", CODES, {"a": [NAN] * 5}, default="a", incomplete=["a"])
    with pytest.raises(DataFileError, match="'a' is inf"):
        TabularBenchmark("t", "nasbench201", CODES, {"a": [math.inf] * 5}, default="a", incomplete=None)


# --- fidelities and repeats ------------------------------------------------------------------------


@pytest.fixture
def epochs() -> TabularBenchmark:
    return TabularBenchmark(
        "epochs",
        "nasbench201",
        CODES,
        {
            "a@12#0": [1.0, 2.0, 3.0, 4.0, 5.0],
            "a@12#777": [3.0, 2.0, NAN, 4.0, NAN],
            "a@200#0": [10.0, 20.0, 30.0, 40.0, NAN],
            "a@200#1": [10.0, 30.0, 30.0, 40.0, NAN],
            "b": ACCURACY,
        },
        default="a",
        incomplete=["a"],
    )


def test_metrics_fidelities_and_repeats(epochs: TabularBenchmark) -> None:
    assert epochs.metrics == ["a", "b"]
    assert epochs.columns == ["a@12#0", "a@12#777", "a@200#0", "a@200#1", "b"]
    assert (epochs.fidelities(), epochs.fidelities("b")) == ([12, 200], [])
    assert (epochs.repeats(), epochs.repeats("a", 12), epochs.repeats("b")) == ([0, 1], [0, 777], [])


def test_means_are_over_the_repeats_that_were_measured(epochs: TabularBenchmark) -> None:
    assert epochs.query(CODES[:4]).tolist() == [10.0, 25.0, 30.0, 40.0]
    assert math.isnan(epochs.values()[4])
    assert epochs.query(CODES, fidelity=12).tolist() == [2.0, 2.0, 3.0, 4.0, 5.0]
    assert epochs.values("a@12").tolist() == [2.0, 2.0, 3.0, 4.0, 5.0]


def test_single_repeats(epochs: TabularBenchmark) -> None:
    assert epochs.query(CODES[:2], fidelity=12, repeat=777).tolist() == [3.0, 2.0]
    assert epochs.query(CODES[:2], repeat=1).tolist() == [10.0, 30.0]
    assert epochs.query(CODES[:2], "a@12#0").tolist() == [1.0, 2.0]
    assert epochs.query(CODES[:2], "a@12", repeat=0).tolist() == [1.0, 2.0]
    assert epochs.best("a@12#0").row == 4
    assert epochs.best().row == 3


@pytest.mark.parametrize(
    ("metric", "fidelity", "repeat", "message"),
    [
        ("a", 36, None, "fidelity of a in epochs 36. Known: 12, 200"),
        ("a@36", None, None, "fidelity of a in epochs 36"),
        ("a@12", 200, None, "fidelity of a@12 in epochs 200"),
        ("a", 12, 1, "repeat of a in epochs 1. Known: 0, 777"),
        ("a", None, 777, "repeat of a in epochs 777. Known: 0, 1"),
        ("b", 12, None, "epochs: b is held without a fidelity; leave fidelity 12 out"),
        ("b", None, 0, "epochs: of b there is one value a cell, no repeats; leave repeat 0 out"),
        ("c@12", None, None, "metric of epochs 'c@12'"),
        ("a#1", None, None, "metric of epochs 'a#1'"),
    ],
)
def test_unknown_fidelities_and_repeats(
    epochs: TabularBenchmark, metric: str, fidelity: int | None, repeat: int | None, message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        epochs.query(CODES[:1], metric, fidelity, repeat)


def test_a_stored_mean_is_taken_as_it_is() -> None:
    columns = {"a@5": [1.0] * 5, "a@5#0": [3.0] * 5, "a@5#1": [5.0] * 5}
    table = TabularBenchmark("t", "nasbench201", CODES, columns, default="a")
    assert table.values().tolist() == table.values(fidelity=5).tolist() == [1.0] * 5


# --- tables by network, and imported ones ----------------------------------------------------------


class Pairs(type(get_space("nasbench201"))):  # type: ignore[misc]
    """NAS-Bench-201 in which only the multiset of the operations counts: sorted codes stand for all others."""

    name = "pairs"

    def canonical(self, codes: torch.Tensor) -> torch.Tensor:
        return self.check_codes(codes).sort(1).values


def test_by_network_every_code_of_a_network_finds_its_row() -> None:
    space = Pairs()
    table = TabularBenchmark(
        "t", space, [[3, 0, 0, 0, 0, 1], [4, 2, 0, 0, 0, 0]], {"a": [1.0, 2.0]}, default="a", by_network=True
    )
    assert table.codes.tolist() == [[3, 0, 0, 0, 0, 1], [4, 2, 0, 0, 0, 0]]
    assert table.query([[0, 1, 3, 0, 0, 0], [0, 0, 0, 0, 2, 4], [1, 0, 0, 0, 0, 3]]).tolist() == [1.0, 2.0, 1.0]
    with pytest.raises(InvalidCodeError, match=r"codes\[0\] = \[4, 4, 0, 0, 0, 0\]"):
        table.query([[4, 4, 0, 0, 0, 0]])


def test_by_network_a_network_has_one_row() -> None:
    codes = [[3, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 3]]
    with pytest.raises(DataFileError, match="rows 0 and 2 are the same network"):
        TabularBenchmark("t", Pairs(), codes, {"a": [1.0, 2.0, 3.0]}, default="a", by_network=True)
    assert len(TabularBenchmark("t", Pairs(), codes, {"a": [1.0, 2.0, 3.0]}, default="a")) == 3


def test_what_a_reader_made() -> None:
    imported = ImportedTable(
        name="x",
        space="nasbench201",
        codes=torch.tensor(CODES, dtype=torch.int8),
        metrics={"a": torch.tensor([1.0, NAN, 3.0, 4.0, 5.0]), "s": torch.tensor(SPEED)},
        default="a",
        minimize=frozenset({"s"}),
        source="a file",
        units={"s": "seconds"},
        facts={"rows": 5},
    )
    table = TabularBenchmark.from_imported(imported)
    assert (table.name, table.source, table.facts, table.units) == ("x", "a file", {"rows": 5}, {"s": "seconds"})
    assert (table.best().row, table.best("s").row) == (4, 4)
    assert TabularBenchmark.from_imported(imported, name="y").name == "y"


def test_a_faulty_row_far_down_is_named() -> None:
    codes = torch.zeros(60_000, 6, dtype=torch.uint8)
    codes[55_000, 3] = 5
    with pytest.raises(InvalidCodeError, match=r"codes\[5000, 3\].*counted from row 50000"):
        TabularBenchmark("t", "nasbench201", codes, {"a": torch.zeros(60_000)}, default="a")


def test_codes_are_kept_compactly() -> None:
    table = TabularBenchmark("t", "nasbench201", torch.tensor(CODES), {"a": torch.tensor(ACCURACY)}, default="a")
    assert table.codes.dtype == torch.long
    assert table._codes.dtype == torch.uint8
    assert table.values().dtype == torch.double
    table.codes.zero_()
    assert table.codes.tolist() == CODES


def test_top_rows_are_those_of_the_ranks(epochs: TabularBenchmark) -> None:
    top = epochs.top(3)
    assert [cell.value for cell in top] == [40.0, 30.0, 25.0]
    assert [cell.row for cell in top] == [3, 2, 1]
    assert top[0].text == SPACE.format(CODES[3:4])[0] and top[0].key == SPACE.keys(CODES[3:4])[0]
    assert len(epochs.top(9)) == 4  # the fifth was not measured
    assert epochs.top(0) == []
    fewest = TabularBenchmark("t", SPACE, CODES, {"p": [3.0, 1.0, 2.0, 1.0, 5.0]}, default="p", minimize=["p"])
    assert [(cell.value, cell.row) for cell in fewest.top(3)] == [(1.0, 1), (1.0, 3), (2.0, 2)]
    with pytest.raises(UnknownNameError):
        epochs.top(1, "x")


def test_units_and_coverage() -> None:
    table = TabularBenchmark("t", SPACE, CODES, {"a@12#0": [1.0] * 5, "b": [1.0] * 5}, default="a", units={"a": "%"})
    assert (table.unit(), table.unit("a@12"), table.unit("b")) == ("%", "%", "")
    with pytest.raises(UnknownNameError):
        table.unit("x")
    assert table.coverage == 5 / 15_625
    networks = TabularBenchmark("t", SPACE, CODES[:1], {"a": [1.0]}, default="a", by_network=True)
    assert networks.coverage == 1 / 4_930
    wired = get_space("random_wired32")
    some = TabularBenchmark("t", wired, wired.sample(2, seed=0), {"a": [1.0, 2.0]}, default="a", by_network=True)
    assert some.coverage is None  # its networks are too many to be counted


def test_a_valid_cell_that_the_table_lacks_has_an_error_of_its_own() -> None:
    table = TabularBenchmark("t", SPACE, CODES[:1], {"a": [1.0]}, default="a")
    with pytest.raises(MissingCellError, match=r"codes\[1\] = .* is not among the table's 1 cells .* holds\(\) says"):
        table.query(CODES[:2])
    assert table.holds(CODES[:2]).tolist() == [True, False]
    with pytest.raises(InvalidCodeError) as caught:
        table.query([[9] * 6])
    assert not isinstance(caught.value, MissingCellError)
