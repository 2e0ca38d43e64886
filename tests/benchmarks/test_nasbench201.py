"""latentnas/benchmarks/nasbench201.py, on the installed wheel and on damaged copies of its file."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import latentnas.benchmarks.nasbench201 as module
from latentnas.benchmarks import TabularBenchmark, get_benchmark, list_benchmarks
from latentnas.errors import DataFileError, UnknownNameError


@pytest.fixture(scope="module")
def bench() -> TabularBenchmark:
    return get_benchmark("nasbench201")


def test_every_cell_of_the_space_once(bench: TabularBenchmark) -> None:
    assert len(bench) == 15_625
    assert torch.equal(bench.codes, bench.space.enumerate())
    assert bench.default_metric == "cifar10_test"
    assert bench.metrics == [
        "cifar10_test",
        "cifar10_test_analog",
        "cifar10_test_noisy",
        "cifar10_test_ptq",
        "cifar10_test_qat",
    ]
    assert len(bench.values_by_key()) == 4_930


def test_best_cell(bench: TabularBenchmark) -> None:
    best = bench.best()
    assert best.value == pytest.approx(94.066, abs=1e-3)
    assert bench.query(best.code[None]).item() == best.value
    assert bench.ranks()[best.row] == 1
    assert bench.values_by_key()[best.key].max().item() == best.value


def test_cells_without_a_path_to_the_output_are_at_chance(bench: TabularBenchmark) -> None:
    """A wrong operation or edge order would put trainable cells among these."""
    dead = torch.tensor([key == "0" for key in bench.keys])
    assert int(dead.sum()) > 100
    assert bench.values()[dead].tolist() == [10.0] * int(dead.sum())
    # A parameterless cell, one skip connection from input to output, still trains the reduction blocks.
    assert bench.query(bench.space.parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")).item() > 60


def test_operations_and_edges_are_where_they_belong(bench: TabularBenchmark) -> None:
    names = bench.space.edge_types
    top, low = bench.codes[bench.ranks() <= 100], bench.codes[bench.ranks() > 12_000]
    assert (top == names.index("nor_conv_3x3")).float().mean() > 0.4
    assert (top == names.index("none")).float().mean() < 0.1 < (low == names.index("none")).float().mean()
    assert (top == names.index("avg_pool_3x3")).float().mean() < 0.05
    # One operation on the edge 0 -> 3, nothing else: more expressive operations are better.
    single = {
        op: bench.query(bench.space.parse(f"|none~0|+|none~0|none~1|+|{op}~0|none~1|none~2|")).item() for op in names
    }
    assert single["nor_conv_3x3"] > single["nor_conv_1x1"] > single["skip_connect"] > single["none"]
    # The same network through other edges: only training noise lies between the measured values.
    values = bench.values_by_key()["c3(c3(x))"]
    assert len(values) > 3
    assert values.max() - values.min() < 2


def test_registry_reads_the_file_once(bench: TabularBenchmark) -> None:
    assert "nasbench201" in list_benchmarks()
    assert get_benchmark("nasbench201") is bench
    assert get_benchmark(bench) is bench
    with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
        get_benchmark("nasbench-201")


def test_the_wheel_is_not_imported(bench: TabularBenchmark) -> None:
    assert not [name for name in sys.modules if name.startswith("analognasbench")]


def test_missing_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", absent)
    with pytest.raises(DataFileError, match="pip install analog-nasbench"):
        module.load()


def test_wheel_without_its_data_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DATA_FILE", "analognasbench/none.anb")
    with pytest.raises(DataFileError, match="missing from the installed package"):
        module.load()


def test_truncated_file(tmp_path: Path) -> None:
    data = module.find_data_file().read_bytes()
    path = tmp_path / "data.anb"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataFileError, match="truncated or corrupted"):
        module.load(path)


def test_tampered_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    """The real file with one more value in front, made by calling os.system."""
    data = module.find_data_file().read_bytes()
    target = tmp_path / "ran"
    payload = f"cos\nsystem\n(S'touch {target}'\ntR0".encode()  # call, then drop the result
    path = tmp_path / "data.anb"
    path.write_bytes(payload + data)
    with pytest.raises(DataFileError, match=r"refused, the file asks for os\.system"):
        module.load(path)
    assert not target.exists()


def write_cells(path: Path, cells: list[object], values: dict[str, object]) -> Path:
    """A file of the benchmark's form: every cell with a record of the given attributes."""
    records = b"".join(
        pickle.dumps(cell, protocol=2)[2:-1]
        + b"canalognasbench.data\nArchitecture\n)\x81"
        + pickle.dumps(values, protocol=2)[2:-1]
        + b"b"
        for cell in cells
    )
    path.write_bytes(b"\x80\x02}(" + records + b"u.")
    return path


GOOD: dict[str, object] = dict.fromkeys(module.FIELDS.values(), 50.0)
CELLS: list[object] = [tuple(cell) for cell in torch.cartesian_prod(*[torch.arange(5)] * 6).tolist()]


def test_rows_are_sorted_by_code_whatever_the_order_in_the_file(tmp_path: Path, bench: TabularBenchmark) -> None:
    table = module.load(write_cells(tmp_path / "a", CELLS[::-1], GOOD))
    assert torch.equal(table.codes, bench.codes)
    assert table.values().unique().tolist() == [50.0]


@pytest.mark.parametrize(
    ("cells", "values", "message"),
    [
        (CELLS[:-1], GOOD, "expected a dictionary of 15,625 cells, got 15,624 entries"),
        ([*CELLS[:-1], "cell"], GOOD, "expected cells of 6 operations 0..4, got 'cell'"),
        ([*CELLS[:-1], (0, 0, 0, 0, 0, 5)], GOOD, r"got \(0, 0, 0, 0, 0, 5\)"),
        ([*CELLS[:-1], (0, 0)], GOOD, r"got \(0, 0\)"),
        (CELLS, {**GOOD, "qat_accuracy": "high"}, "qat_accuracy must be a number in 0..100, got 'high'"),
        (CELLS, {**GOOD, "ptq_accuracy": float("nan")}, "ptq_accuracy must be .* got nan"),
        (CELLS, {"baseline_accuracy": 50.0}, "ptq_accuracy must be .* got None"),
        (CELLS, {**GOOD, "baseline_accuracy": 101.0}, "got 101.0"),
    ],
)
def test_wrong_payload(tmp_path: Path, cells: list[object], values: dict[str, object], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        module.load(write_cells(tmp_path / "a", cells, values))


def test_another_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataFileError, match="expected a dictionary of 15,625 cells, got list"):
        module.load(path)
