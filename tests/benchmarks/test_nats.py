"""latentnas/benchmarks/nats.py"""

from __future__ import annotations

import bz2
import copy
import io
import pickle
import random
import resource
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from latentnas.benchmarks import _unpickle
from latentnas.benchmarks.nats import DATASETS, read
from latentnas.errors import DataFileError
from latentnas.spaces.nasbench201 import NASBench201

from .layouts import (
    EVALUATION_SETS,
    arch_results,
    nasbench201_file,
    nats_accuracy,
    nats_cell,
    write_pbz2,
    write_simple_folder,
)

TEXTS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
]
DATA = nasbench201_file(TEXTS)


def nats_file() -> dict[str, Any]:
    """What NATS-tss-v1_0-3ffb9.pickle.pbz2 holds: trainings by the number of epochs."""
    infos = {index: nats_cell(index, text) for index, text in enumerate(TEXTS)}
    return {"meta_archs": TEXTS, "total_archs": 3, "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}


def write(tmp_path: Path, layout: str, data: dict[str, Any] | None = None) -> Path:
    """The benchmark in one of its four published layouts."""
    if layout == "folder":
        return write_simple_folder(tmp_path / "NATS-tss-v1_0-3ffb9-simple", TEXTS)
    if layout == "pbz2":
        return write_pbz2(tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2", data or nats_file())
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(data or DATA, path, _use_new_zipfile_serialization=layout == "zip")
    return path


LAYOUTS = ["legacy", "zip", "pbz2", "folder"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_table(tmp_path: Path, layout: str) -> None:
    table = read(write(tmp_path, layout))
    assert table.name == "nats-tss"
    assert (table.space, table.default, table.by_network) == ("nasbench201", "cifar10_test", False)
    assert NASBench201().format(table.codes.long()) == TEXTS  # in index order
    for row in range(3):
        for dataset, sets in EVALUATION_SETS.items():
            names = {
                "train": "train",
                "x-valid": "valid",
                "x-test": "test",
                "ori-test": "test" if dataset.startswith("cifar10") and dataset != "cifar100" else "valtest",
            }
            for evaluation in ("train", *sets):
                metric = f"{dataset}_{names[evaluation]}"
                expected = {seed: nats_accuracy(row, dataset, evaluation, 200, 199, seed) for seed in (777, 888)}
                for seed, value in expected.items():
                    assert table.metrics[f"{metric}@200#{seed}"][row] == value
                assert float(table.metrics[f"{metric}@200"][row]) == pytest.approx(sum(expected.values()) / 2)
                assert table.metrics[metric][row] == table.metrics[f"{metric}@200"][row]
                first = nats_accuracy(row, dataset, evaluation, 12, 11, 777)
                assert table.metrics[f"{metric}@12#777"][row] == first == table.metrics[f"{metric}@12"][row]
                assert f"{metric}@12#888" not in table.metrics
            assert table.metrics[f"{dataset}_train_time@200#888"][row] == 10 + row
            assert table.metrics[f"{dataset}_flops"][row] == 100 + row
            assert table.metrics[f"{dataset}_params"][row] == 0.5 + row
            assert table.metrics[f"{dataset}_latency"][row] == 0.5
    assert table.units["cifar100_valtest"] == "%"
    assert "cifar100_latency" in table.minimize
    assert "cifar100_test" not in table.minimize
    assert all(column.dtype == torch.float32 and column.shape == (3,) for column in table.metrics.values())
    assert "3 cells, 36 training runs" in table.source  # 4 data sets x (1 run of 12 epochs + 2 of 200) x 3


def test_cells_with_fewer_seeds_or_data_sets_are_nan(tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    data["arch2infos"][1]["full"] = arch_results(1, TEXTS[1], 200, (999,), ("cifar10", "cifar100"))
    table = read(write(tmp_path, "legacy", data))
    assert table.metrics["cifar10_test@200#777"].isnan().tolist() == [False, True, False]
    assert table.metrics["cifar10_test@200#999"].isnan().tolist() == [True, False, True]
    assert not table.metrics["cifar10_test"].isnan().any()
    assert table.metrics["ImageNet16-120_test@200"].isnan().tolist() == [False, True, False]


def test_a_latency_that_was_not_measured_is_nan(tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    for training in data["arch2infos"][0].values():
        for key, run in training["all_results"].items():
            run["latency"] = None if key[0] == "cifar10" else [-1.0]
    table = read(write(tmp_path, "zip", data))
    assert all(table.metrics[f"{dataset}_latency"].isnan().tolist() == [True, False, False] for dataset in DATASETS)


def test_weights_and_numpy_numbers_are_passed_over(tmp_path: Path) -> None:
    """As in the archives with weights: no tensor is made; NumPy scalars become numbers."""
    import numpy as np

    data = copy.deepcopy(DATA)
    weights = OrderedDict(weight=torch.arange(6.0).reshape(2, 3), parameter=torch.nn.Parameter(torch.ones(2)))
    for training in data["arch2infos"][0].values():
        for run in training["all_results"].values():
            run["net_state_dict"] = weights
            run["flop"] = np.float64(run["flop"])
            run["params"] = np.float32(run["params"])
    for layout in ("legacy", "zip"):
        table = read(write(tmp_path, layout, data))
        assert table.metrics["cifar10_flops"].tolist() == [100, 101, 102]
        assert table.metrics["cifar10_params"].tolist() == [0.5, 1.5, 2.5]


def test_curves_are_dropped_while_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sweep at every megabyte the table is the same, and finished runs have lost their curves."""
    texts = NASBench201().format(NASBench201().enumerate()[5000:5016])
    data = nasbench201_file(texts)
    path = tmp_path / "a.pth"
    torch.save(data, path, _use_new_zipfile_serialization=False)
    assert path.stat().st_size > 3 * 2**20
    whole = read(path)
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(_unpickle, "_SWEEP_BYTES", 2**20)
    from latentnas.benchmarks import nats

    original = nats._Sweep.__call__

    def spy(self: nats._Sweep, named: dict[int, Any]) -> dict[int, Any]:
        kept = original(self, named)
        sizes.append((len(named), len(kept)))
        return kept

    monkeypatch.setattr(nats._Sweep, "__call__", spy)
    swept = read(path)
    assert len(sizes) >= 3
    assert sizes[-1][1] < sizes[-1][0] / 2
    assert torch.equal(whole.codes, swept.codes)
    assert list(whole.metrics) == list(swept.metrics)
    assert all(torch.equal(whole.metrics[name], swept.metrics[name]) for name in whole.metrics)


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    read(write(tmp_path, "folder"), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)


# --- faults ---------------------------------------------------------------------------------------


def test_a_folder_with_missing_files(tmp_path: Path) -> None:
    folder = write(tmp_path, "folder")
    (folder / "000001.pickle.pbz2").unlink()
    with pytest.raises(DataFileError, match=r"1 of 3 cells have no file, the first is 000001\.pickle\.pbz2"):
        read(folder)
    table = read(folder, allow_missing=True)
    assert NASBench201().format(table.codes.long()) == [TEXTS[0], TEXTS[2]]
    (folder / "000002.pickle.pbz2").rename(folder / "2.pickle.pbz2")  # numbers without zeros are found, too
    assert len(read(folder, allow_missing=True).codes) == 2
    for name in ("000000.pickle.pbz2", "2.pickle.pbz2"):
        (folder / name).unlink()
    with pytest.raises(DataFileError, match="3 of 3 cells have no file"):
        read(folder, allow_missing=True)
    (folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(DataFileError, match=r"meta\.pickle\.pbz2: no such file"):
        read(folder)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none.pth")
    path = tmp_path / "a.pth"
    for content in (b"", b"hello world", pickle.dumps(DATA)):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"neither bzip2 nor written by torch\.save"):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(DataFileError, match=r"a zip file without data\.pkl"):
        read(path)
    path.write_bytes(b"BZh9" + b"\x00" * 50)
    with pytest.raises(DataFileError, match="truncated or corrupted"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("meta_archs"), "meta_archs"),
        (lambda d: d.update(meta_archs=[1]), "meta_archs"),
        (lambda d: d.update(arch2infos={}), "arch2infos must be a dictionary"),
        (lambda d: d["arch2infos"].update({7: {}}), "has the index 7, expected 0..2"),
        (lambda d: d["arch2infos"].update({1: []}), r"cell 1 \(.*\) has no trainings, got list of 0"),
        (lambda d: d["arch2infos"][1]["full"].pop("all_results"), "training 'full' has no all_results"),
        (lambda d: d["arch2infos"][1]["full"].update(arch_str=TEXTS[0]), "holds the results of"),
        (lambda d: run(d).update(epochs=0), "a training run of 0 epochs"),
        (lambda d: run(d).update(epochs=12), "a training run|has a run of 12 epochs|accuracy"),
        (lambda d: run(d).pop("flop"), "a training run has no flop"),
        (lambda d: run(d)["eval_acc1es"].pop("x-test@199"), "accuracy x-test@199 is None, expected a number"),
        (lambda d: run(d)["eval_acc1es"].update({"x-test@199": float("nan")}), "is nan"),
        (lambda d: run(d)["train_acc1es"].update({199: 101.0}), "train accuracy is 101.0"),
        (lambda d: run(d).update(flop="many"), "flop is 'many'"),
        (lambda d: run(d).update(params=float("inf")), "params is inf"),
        (lambda d: run(d).update(train_times={0: 1e300}), "train_times is 1e.300"),
        (lambda d: run(d).update(epochs=10**5000), "a training run of an integer of"),
        (lambda d: d["arch2infos"][1].update({10**5000: d["arch2infos"][1]["full"]}), "training an integer of"),
        (lambda d: d["arch2infos"][1]["full"]["all_results"].update({("cifar10", 10**5000): 1}), "is no seed"),
        (lambda d: run(d).update(eval_names=[3]), "3 is no name of an evaluation set"),
        (lambda d: run(d).update(train_times={0: "long"}), "train_times is 'long'"),
        (lambda d: d["arch2infos"][1]["full"]["all_results"].update({"cifar10": {}}), "is no .data set, seed."),
        (lambda d: d["arch2infos"][1]["full"]["all_results"].update({("mnist", 1): {}}), "is no .data set, seed."),
        (lambda d: d["arch2infos"][1]["full"]["all_results"].update({("cifar10", -1): run(d)}), "-1 is no seed"),
    ],
)
def test_wrong_contents(tmp_path: Path, change: Any, message: str) -> None:
    data = copy.deepcopy(DATA)
    change(data)
    with pytest.raises(DataFileError, match=message):
        read(write(tmp_path, "legacy", data))


def run(data: dict[str, Any]) -> dict[str, Any]:
    return data["arch2infos"][1]["full"]["all_results"]["cifar100", 777]


def test_the_size_space_is_refused_by_name(tmp_path: Path) -> None:
    text = "64:64:64:64:64"
    path = write_simple_folder(tmp_path / "NATS-sss-v1_0-50262-simple", [text])
    with pytest.raises(DataFileError, match="only the topology space of NATS-Bench"):
        read(path)


def test_a_cell_that_occurs_twice(tmp_path: Path) -> None:
    path = write_simple_folder(tmp_path / "twice", [TEXTS[0], TEXTS[0]])
    with pytest.raises(DataFileError, match="occurs more than once"):
        read(path)


@pytest.mark.parametrize("layout", ["legacy", "pbz2"])
def test_a_hostile_file_does_not_run(tmp_path: Path, layout: str) -> None:
    target = tmp_path / "ran"
    payload = (
        b"\x80\x02cos\nsystem\nX"
        + len(f"touch {target}").to_bytes(4, "little")
        + f"touch {target}".encode()
        + b"\x85R."
    )
    path = tmp_path / "bad"
    if layout == "pbz2":
        path.write_bytes(bz2.compress(payload))
    else:
        buffer = io.BytesIO()
        torch.save(1, buffer, _use_new_zipfile_serialization=False)
        start = buffer.getvalue()[: buffer.getvalue().index(b"\x80\x02K\x01")]
        path.write_bytes(start + payload)
    with pytest.raises(DataFileError, match=r"refused, the file asks for os\.system"):
        read(path)
    assert not target.exists()


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentnas.benchmarks import nats

    monkeypatch.setattr(nats, "MAX_BYTES", 2**22)
    path = tmp_path / "bomb.pickle.pbz2"
    path.write_bytes(bz2.compress(b"\x80\x04(" + b"N" * 2**24 + b"l."))
    assert path.stat().st_size < 1000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataFileError, match="more than 4,194,304 bytes of data, refused"):
        read(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 2**28


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_truncated_and_corrupted_files_give_the_documented_error(tmp_path: Path, layout: str) -> None:
    texts = [TEXTS[0]]
    data = nasbench201_file(texts)
    for training in data["arch2infos"][0].values():  # a small file: one data set, two epochs would not be the benchmark
        training["all_results"] = {k: v for k, v in training["all_results"].items() if k == ("cifar10", 777)}
    source = write(tmp_path, layout, data)
    good = source.read_bytes()
    path = tmp_path / "fuzzed"
    generator = random.Random(201)
    refused = 0
    for trial in range(150):
        bad = bytearray(good)
        if trial % 3 == 0:
            del bad[generator.randrange(len(bad)) :]
        else:
            for _ in range(generator.choice([1, 3, 30])):
                bad[generator.randrange(len(bad))] = generator.randrange(256)
        path.write_bytes(bad)
        try:
            read(path)
        except DataFileError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused >= 50  # all truncations but of what follows the data; pickles have no checksum
