"""latentnas/benchmarks/nas_bench_graph.py"""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas.benchmarks import _unpickle
from latentnas.benchmarks import nas_bench_graph as module
from latentnas.benchmarks.nas_bench_graph import DATASETS, find_data_file, read
from latentnas.errors import ConfigError, DataFileError, UnknownNameError
from latentnas.spaces.nas_bench_graph import NASBenchGraph

SPACE = NASBenchGraph()


@pytest.fixture(scope="module")
def cora() -> Any:
    return read()


def test_cora_as_published(cora: Any) -> None:
    assert (cora.name, cora.space, cora.default, cora.by_network) == (
        "nas_bench_graph-cora",
        "nas_bench_graph",
        "test_performance",
        True,
    )
    assert cora.codes.shape == (26_206, 7)
    hashes = SPACE.bench_hash(cora.codes.long())
    assert bool((hashes[1:] > hashes[:-1]).all())
    # The file's first two records, hashes 0 and 10000, as its opcodes show them: all operations gat.
    assert hashes[0] == 0
    first = SPACE.parse("Arch([0, 0, 0, 0], ['gat', 'gat', 'gat', 'gat'])")
    assert torch.equal(cora.codes[:1].long(), first)
    assert float(cora.metrics["validation_performance"][0]) == pytest.approx(0.7733333333333334, abs=1e-7)
    assert float(cora.metrics["test_performance"][0]) == pytest.approx(0.797, abs=1e-7)
    assert float(cora.metrics["latency"][0]) == pytest.approx(0.005922238032023112, rel=1e-6)
    second = (hashes == 10_000).nonzero()[0, 0]
    assert SPACE.format(cora.codes[second][None].long()) == ["Arch([0, 0, 0, 1], ['gat', 'gat', 'gat', 'gat'])"]
    assert float(cora.metrics["validation_performance"][second]) == pytest.approx(0.7993333333333333, abs=1e-7)
    assert float(cora.metrics["test_performance"][second]) == pytest.approx(0.8143333333333334, abs=1e-7)
    assert cora.minimize == {"latency", "params"}
    assert cora.facts == {"dataset": "cora"}


def test_rows_equal_an_ordinary_reading_of_the_file(cora: Any) -> None:
    """The wheel is trusted in this test: pickle with NumPy gives what the restricted reading gives."""
    records = pickle.loads(find_data_file("cora").read_bytes())
    for row, number in enumerate(sorted(records)[::500]):
        for metric, field in module.FIELDS.items():
            assert float(cora.metrics[metric][row * 500]) == pytest.approx(float(records[number][field]), rel=1e-6)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set(dataset: str) -> None:
    table = read(dataset=dataset)
    assert table.name == f"nas_bench_graph-{dataset}"
    assert len(table.codes) == (2021 if dataset == "proteins" else 26_206)
    assert all(bool(column.isfinite().all()) for column in table.metrics.values())
    if dataset == "proteins":
        operations = {SPACE.node_types[2:][op] for op in table.codes[:, 3:].unique().tolist()}
        assert operations == {"gcn", "sage", "arma", "fc", "skip"}


def test_the_wheel_is_not_imported() -> None:
    program = (
        "import sys\n"
        "from latentnas.benchmarks import get_benchmark\n"
        "get_benchmark('nas_bench_graph-proteins')\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'nas_bench_graph'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_data_set_missing_wheel_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cora'"):
        read(dataset="core")
    monkeypatch.setattr(module, "DATASETS", (*DATASETS, "mutag"))
    with pytest.raises(DataFileError, match="missing from the installed package"):
        read(dataset="mutag")

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", absent)
    with pytest.raises(DataFileError, match="pip install nas-bench-graph"):
        read()


# --- files with training curves -------------------------------------------------------------------


def curve(cell: int, epochs: int) -> list[list[float]]:
    """Rows as documented: train, validation, test performance, three losses, best performance."""
    return [[(cell + epoch) / 4096, epoch / 4096, cell / 4096, 1.5, 1.6, 1.7, 0.5] for epoch in range(epochs)]


def full(lengths: dict[int, int]) -> dict[int, dict[str, Any]]:
    return {
        number: {"valid_perf": 0.5, "perf": 0.25, "latency": 0.01, "para": 0.4, "dur": curve(number // 1000, epochs)}
        for number, epochs in lengths.items()
    }


def write(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "cora0.bench"
    path.write_bytes(pickle.dumps(data, protocol=3))
    return path


def test_curves_at_chosen_epochs(tmp_path: Path) -> None:
    table = read(write(tmp_path, full({0: 300, 10_000: 60, 81_111: 300})))
    assert table.metrics["test_performance"].tolist() == [0.25] * 3
    assert table.metrics["train_curve@50"].tolist() == [50 / 4096, 60 / 4096, 131 / 4096]
    assert table.metrics["validation_curve@200"][0] == 200 / 4096
    assert table.metrics["test_curve@200"].isnan().tolist() == [False, True, False]
    assert table.metrics["test_curve"][2] == 81 / 4096
    table = read(tmp_path / "cora0.bench", epochs=[0, 59])
    assert {name for name in table.metrics if "curve" in name and "test" in name} == {
        "test_curve",
        "test_curve@0",
        "test_curve@59",
    }
    with pytest.raises(DataFileError, match="no training curve reaches"):
        read(tmp_path / "cora0.bench", epochs=[5000])
    with pytest.raises(DataFileError, match="epochs must be integers from 0"):
        read(tmp_path / "cora0.bench", epochs=[-1])


def test_files_of_another_data_set_are_not_taken_for_cora(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"this file is of citeseer, not of cora; give dataset='citeseer' \(--set"):
        read(tmp_path / "citeseer0.bench")
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "citeseer0.bench", dataset="citeseer")


def test_curves_are_dropped_while_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = SPACE.bench_hash(SPACE.networks()).sort().values[:200].tolist()
    path = write(tmp_path, full(dict.fromkeys(hashes, 300)))
    assert path.stat().st_size > 3 * 2**20
    whole = read(path)
    sizes: list[int] = []
    original = _unpickle._memo

    def spy(named: dict[int, Any]) -> Any:
        sizes.append(len(named))
        return original(named)

    monkeypatch.setattr(_unpickle, "_memo", spy)
    monkeypatch.setattr(_unpickle, "_SWEEP_BYTES", 2**20)
    swept = read(path)
    assert all(torch.equal(whole.metrics[name], swept.metrics[name]) for name in whole.metrics)
    assert len(sizes) >= 3
    assert max(sizes) < 1000  # every curve alone has 300 lists, all of them 60,000


# --- faults ---------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"valid_perf": 0.5, "perf": 0.25, "latency": 0.01, "para": 0.4}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "expected a dictionary of 1..88,889 cells, got list"),
        ({}, "got 0 entries"),
        ({"0": GOOD}, "expected a hash and a record, got '0'"),
        ({0: [1]}, "expected a hash and a record, got 0: list"),
        ({88_889: GOOD}, "expected a hash and a record, got 88889"),
        ({9: GOOD}, r"hashes\[0\] = 9 is no hash of the benchmark"),
        ({0: {**GOOD, "perf": 1.5}}, "perf of the cell 0 is 1.5"),
        ({0: {**GOOD, "valid_perf": float("nan")}}, "valid_perf of the cell 0 is nan"),
        ({0: {**GOOD, "latency": -1}}, "latency of the cell 0 is -1"),
        ({0: {**GOOD, "perf": 10**5000}}, "perf of the cell 0 is an integer of"),
        ({10**5000: GOOD}, "got an integer of"),
        ({0: {"perf": 0.5}}, "valid_perf of the cell 0 is None"),
        ({0: {**GOOD, "para": "many"}}, "para of the cell 0 is 'many'"),
        ({0: {**GOOD, "dur": {"a": 1}}}, "the cell 0 has no training curve"),
        ({0: {**GOOD, "dur": curve(0, 300)}, 10_000: GOOD}, "the cell 10000 has no training curve"),
        ({0: {**GOOD, "dur": [1, 2, 3]}}, r"dur\[1\] must be a list"),
        ({0: {**GOOD, "dur": [[0.5] * 7, [0.5, 7.0, 0.5]]}}, r"dur\[1\] is 7.0"),
    ],
)
def test_wrong_contents(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read(write(tmp_path, data))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none.bench")
    with pytest.raises(DataFileError, match="cannot be read"):
        read(tmp_path)


def test_a_hostile_file_does_not_run(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    path = tmp_path / "cora.bench"
    path.write_bytes(f"cos\nsystem\n(S'touch {target}'\ntR0".encode() + find_data_file("cora").read_bytes())
    with pytest.raises(DataFileError, match=r"refused, the file asks for os\.system"):
        read(path)
    assert not target.exists()


def test_truncated_and_corrupted_files_give_the_documented_error(tmp_path: Path) -> None:
    data = pickle.loads(find_data_file("cora").read_bytes())
    good = pickle.dumps({number: data[number] for number in sorted(data)[:40]}, protocol=3)  # with NumPy scalars
    generator = random.Random(9)
    path = tmp_path / "fuzzed.bench"
    refused = 0
    for trial in range(400):
        bad = bytearray(good)
        if trial % 4 == 0:
            del bad[generator.randrange(len(bad)) :]
        else:
            for _ in range(generator.choice([1, 3, 20])):
                bad[generator.randrange(len(bad))] = generator.randrange(256)
        path.write_bytes(bad)
        try:
            read(path)
        except DataFileError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 150
