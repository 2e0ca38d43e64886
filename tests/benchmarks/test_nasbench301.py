"""latentnas/benchmarks/nasbench301.py"""

from __future__ import annotations

import copy
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.benchmarks.nasbench301 import read
from latentnas.errors import DataFileError
from latentnas.spaces.darts import DARTS

from .layouts import nasbench301_result

PREFIX = "NetworkSelectorDatasetInfo:darts:"


def architecture(**entries: str) -> dict[str, str]:
    return {PREFIX + key: value for key, value in entries.items()}


# The cell of the example in the benchmark's repository (surrogate_models/test/results_fidelity_0/results_0.json).
FIRST = architecture(
    edge_normal_0="skip_connect",
    edge_normal_1="sep_conv_3x3",
    edge_reduce_0="max_pool_3x3",
    edge_reduce_1="avg_pool_3x3",
    inputs_node_normal_3="0_1",
    inputs_node_normal_4="0_2",
    inputs_node_normal_5="1_2",
    inputs_node_reduce_3="0_1",
    inputs_node_reduce_4="1_2",
    inputs_node_reduce_5="2_3",
    edge_normal_10="sep_conv_3x3",
    edge_normal_11="skip_connect",
    edge_normal_2="sep_conv_3x3",
    edge_normal_3="skip_connect",
    edge_normal_5="dil_conv_3x3",
    edge_normal_7="dil_conv_5x5",
    edge_reduce_11="sep_conv_3x3",
    edge_reduce_12="dil_conv_3x3",
    edge_reduce_2="skip_connect",
    edge_reduce_3="dil_conv_5x5",
    edge_reduce_6="sep_conv_3x3",
    edge_reduce_7="sep_conv_5x5",
)
SECOND = {**FIRST, PREFIX + "edge_normal_0": "max_pool_3x3"}
GENOTYPE = (
    "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), "
    "('dil_conv_3x3', 0), ('dil_conv_5x5', 2), ('sep_conv_3x3', 1), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('dil_conv_5x5', 1), "
    "('sep_conv_3x3', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 2), ('dil_conv_3x3', 3)], reduce_concat=[2, 3, 4, 5])"
)


def write(root: Path, results: dict[str, Any], *, zipped: bool = False) -> Path:
    """The results as a folder, or as a zip file of it."""
    if zipped:
        path = root / "nb_301.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, result in results.items():
                archive.writestr(f"nb_301/{name}", result if isinstance(result, bytes) else json.dumps(result))
        return path
    for name, result in results.items():
        path = root / "nb_301" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(result if isinstance(result, bytes) else json.dumps(result).encode())
    return root / "nb_301"


RESULTS = {
    "rs/results_0.json": nasbench301_result(FIRST, 90.5, 90.0),
    "rs/results_1.json": nasbench301_result(SECOND, 92.0, 91.0),
    "bananas/results_0.json": nasbench301_result(FIRST, 91.5, 90.5),
    "bananas/notes.json": {"not": "a result"},
}


@pytest.mark.parametrize("zipped", [False, True])
def test_folder_and_zip_file(tmp_path: Path, zipped: bool) -> None:
    table = read(write(tmp_path, RESULTS, zipped=zipped))
    assert (table.name, table.space, table.default, table.by_network) == (
        "nasbench301",
        "darts",
        "test_accuracy",
        True,
    )
    space = DARTS()
    first = space.parse(GENOTYPE)
    assert torch.equal(table.codes[:1].long(), space.canonical(first))
    assert len(table.codes) == 2
    assert table.metrics["runs"].tolist() == [2, 1]
    assert table.metrics["validation_accuracy"].tolist() == [91, 92]
    assert table.metrics["test_accuracy"].tolist() == [90.25, 91]
    assert table.metrics["test_accuracy@100#0"].tolist() == [90.5, 91]  # in the order of the names: bananas first
    assert table.metrics["test_accuracy@100#1"][0] == 90
    assert table.metrics["test_accuracy@100#1"].isnan().tolist() == [False, True]
    assert torch.equal(table.metrics["test_accuracy@100"], table.metrics["test_accuracy"])
    assert table.metrics["params"].tolist() == [1234567, 1234567]
    assert table.metrics["training_time"].tolist() == [5000, 5000]
    assert table.metrics["train_accuracy"].tolist() == [86.5, 86.5]
    assert table.minimize == {"params", "training_time"}
    assert table.units["test_accuracy"] == "%"
    assert table.source.endswith(": 3 trainings of 2 networks")


def test_other_experiments_are_left_out_and_counted(tmp_path: Path) -> None:
    changed = dict(FIRST)
    del changed[PREFIX + "edge_normal_0"]
    results = {
        **RESULTS,
        "a/results_0.json": nasbench301_result(FIRST, 80.0, 80.0, budget=50),
        "a/results_1.json": nasbench301_result(FIRST, 80.0, 80.0, budget=50),
        "a/results_2.json": nasbench301_result(FIRST, 80.0, 80.0, **{PREFIX + "layers": 20}),
        "a/results_3.json": nasbench301_result(FIRST, 80.0, 80.0, **{"OptimizerSelector:sgd:learning_rate": 0.1}),
        "a/results_4.json": nasbench301_result(FIRST, 80.0, 80.0, **{"NetworkSelectorDatasetInfo:network": "resnet"}),
        "a/results_5.json": nasbench301_result(changed, 80.0, 80.0),
    }
    path = write(tmp_path, results)
    table = read(path)
    assert table.metrics["test_accuracy"].tolist() == [90.25, 91]
    for part in (
        "3 trainings of 2 networks",
        "2 left out: budget 50 epochs",
        "1 left out: layers other than 8",
        "1 left out: learning_rate other than 0.025",
        "1 left out: network 'resnet'",
        "1 left out: no cell of the DARTS space",
        "edge_normal_0",
    ):
        assert part in table.source
    assert read(path, epochs=50).metrics["test_accuracy@50#1"].tolist() == [80]
    assert read(path, settings={}).metrics["runs"].tolist() == [4, 1]
    with pytest.raises(DataFileError, match=r"no result can be taken.*budget 100 epochs"):
        read(path, epochs=7)


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    read(write(tmp_path, RESULTS), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 3)]


# --- faults ---------------------------------------------------------------------------------------


def test_missing_empty_and_foreign(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none.zip")
    with pytest.raises(DataFileError, match=r"there are no files results_\*\.json"):
        read(tmp_path)
    path = tmp_path / "a.zip"
    for content in (b"", b"hello", b"PK\x03\x04" + b"x" * 100):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match="truncated or corrupted"):
            read(path)


def with_info(**entries: Any) -> dict[str, Any]:
    result = copy.deepcopy(RESULTS["rs/results_0.json"])
    result["info"][0].update(entries)
    return result


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (b"", "no JSON"),
        (b'{"budget": 100', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe\xfd", "no JSON"),
        (b"[]", "no dictionary 'optimized_hyperparamater_config'"),
        ({**RESULTS["rs/results_0.json"], "optimized_hyperparamater_config": []}, "no dictionary"),
        ({**RESULTS["rs/results_0.json"], "info": []}, "info must be a list with a dictionary"),
        ({**RESULTS["rs/results_0.json"], "test_accuracy": "high"}, "test_accuracy is 'high'"),
        ({**RESULTS["rs/results_0.json"], "test_accuracy": None}, "test_accuracy is None"),
        ({**RESULTS["rs/results_0.json"], "runtime": -1}, "runtime is -1"),
        ({**RESULTS["rs/results_0.json"], "runtime": float("inf")}, "runtime is inf"),
        (with_info(val_accuracy=float("nan")), r"val_accuracy'\] is nan"),
        (with_info(val_accuracy=100.5), r"val_accuracy'\] is 100.5"),
        (with_info(train_accuracy=True), r"train_accuracy'\] is True"),
        (with_info(model_parameters=[]), r"model_parameters'\] is \[\]"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_wrong_results(tmp_path: Path, result: Any, message: str, zipped: bool) -> None:
    path = write(tmp_path, {**RESULTS, "rs/results_2.json": result}, zipped=zipped)
    with pytest.raises(DataFileError, match=f"results_2.json: .*{message}"):
        read(path)


def test_parameters_and_time_may_be_absent(tmp_path: Path) -> None:
    result = copy.deepcopy(RESULTS["rs/results_0.json"])
    del result["runtime"], result["info"][0]["model_parameters"]
    table = TabularBenchmark.from_imported(read(write(tmp_path, {"results_0.json": result})))
    assert not {"params", "training_time"} & set(table.metrics)  # no result says them
    results = {"results_0.json": RESULTS["rs/results_0.json"], "results_1.json": result}
    (tmp_path / "both").mkdir()
    table = TabularBenchmark.from_imported(read(write(tmp_path / "both", results)))
    assert table.repeats("test_accuracy", 100) == [0, 1]
    assert table.repeats("training_time", 100) == [0]
    assert table.values("training_time").tolist() == [5000]


def test_trainings_of_isomorphic_cells_are_repeats_of_one_network(tmp_path: Path) -> None:
    space = DARTS()
    codes = space.sample(50, seed=0)
    code = codes[(space.canonical(codes) != codes).any(1)][:1]
    other = space.canonical(code)
    assert not torch.equal(code, other)
    results = {
        f"results_{i}.json": nasbench301_result(config, 90.0 + i, 90.0)
        for i, config in enumerate([*space.format_config(code), *space.format_config(other)])
    }
    table = TabularBenchmark.from_imported(read(write(tmp_path, results)))
    assert len(table) == 1
    assert table.holds(torch.cat([code, other])).all()
    assert table.query(code, "validation_accuracy").tolist() == [90.5]


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"rs/results_0.json": b" " * 2**24}, zipped=True)
    assert path.stat().st_size < 2**16
    with pytest.raises(DataFileError, match="more than 4,194,304 bytes"):
        read(path)


def test_a_zip_file_with_hostile_names_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, {"../../results_0.json": RESULTS["rs/results_0.json"]}, zipped=True)
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(read(path).codes) == 1
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_one_training_too_often(tmp_path: Path) -> None:
    results = {f"rs/results_{i}.json": RESULTS["rs/results_0.json"] for i in range(65)}
    with pytest.raises(DataFileError, match="more than 64 trainings of one network"):
        read(write(tmp_path, results))


def test_truncated_and_corrupted_files_give_the_documented_error(tmp_path: Path) -> None:
    small = copy.deepcopy(RESULTS["rs/results_0.json"])
    del small["learning_curves"]
    good = write(tmp_path, {"rs/results_0.json": small, "rs/results_1.json": small}, zipped=True).read_bytes()
    text = json.dumps(small).encode()
    generator = random.Random(301)
    archive, folder = tmp_path / "fuzzed.zip", tmp_path / "fuzzed"
    folder.mkdir()
    refused = 0
    for trial in range(400):
        bad = bytearray(good if trial % 2 else text)
        if trial % 5 == 0:
            del bad[generator.randrange(len(bad)) :]
        else:
            for _ in range(generator.choice([1, 3, 20])):
                bad[generator.randrange(len(bad))] = generator.randrange(256)
        path = archive if trial % 2 else folder
        (archive if trial % 2 else folder / "results_0.json").write_bytes(bad)
        try:
            read(path)
        except DataFileError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 200


def test_settings_beyond_all_floats_are_another_experiment(tmp_path: Path) -> None:
    huge = nasbench301_result(FIRST, 80.0, 80.0, **{"OptimizerSelector:sgd:learning_rate": 10**400})
    table = read(write(tmp_path, {**RESULTS, "a/results_0.json": huge}))
    assert "1 left out: learning_rate other than 0.025" in table.source
