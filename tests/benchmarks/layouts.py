"""Writers of the published layouts, for tests: each made from the format's description, not from the readers."""

from __future__ import annotations

import base64
import bz2
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# --- TFRecord and Protocol Buffers (NAS-Bench-101) ------------------------------------------------


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit, from its definition."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


_TABLE: list[int] = []


def crc32c_by_table(data: bytes) -> int:
    """The same, a byte at a time: fast enough for files of thousands of records."""
    if not _TABLE:
        _TABLE.extend(crc32c(bytes([byte])) ^ crc32c(b"\x00") for byte in range(256))
        # A CRC is affine: the table of register changes is the difference to that of a zero byte.
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def tfrecord(data: bytes) -> bytes:
    """One record with its frame."""
    head = struct.pack("<Q", len(data))
    return (
        head
        + struct.pack("<I", masked(crc32c_by_table(head)))
        + data
        + struct.pack("<I", masked(crc32c_by_table(data)))
    )


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def evaluation_data(
    current_epoch: float, training_time: float, train: float, valid: float, test: float, checkpoint: str | None = None
) -> bytes:
    """An EvaluationData message."""
    out = b""
    for number, value in enumerate((current_epoch, training_time, train, valid, test), start=1):
        out += varint(number << 3 | 1) + struct.pack("<d", value)
    if checkpoint is not None:
        out += varint(6 << 3 | 2) + varint(len(checkpoint)) + checkpoint.encode()
    return out


def model_metrics(evaluations: Sequence[bytes], parameters: int, total_time: float = 1.0) -> bytes:
    """A ModelMetrics message."""
    out = b"".join(varint(1 << 3 | 2) + varint(len(data)) + data for data in evaluations)
    return out + varint(2 << 3 | 0) + varint(parameters) + varint(3 << 3 | 1) + struct.pack("<d", total_time)


def nasbench101_record(
    module_hash: str, epochs: int, matrix: Sequence[Sequence[int]], operations: Sequence[str], metrics: bytes
) -> bytes:
    """The JSON of a training run as the benchmark's files hold it."""
    adjacency = "".join(str(bit) for row in matrix for bit in row)
    row = [module_hash, epochs, adjacency, ",".join(operations), base64.b64encode(metrics).decode("ascii")]
    return json.dumps(row).encode()


def write_tfrecords(path: Path, records: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(map(tfrecord, records)))
    return path


# --- NAS-Bench-201 and NATS-Bench -----------------------------------------------------------------

EVALUATION_SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def nats_accuracy(index: int, dataset: str, evaluation: str, epochs: int, epoch: int, seed: int) -> float:
    """A made-up accuracy in % that tells everything apart; multiples of 1/256, exact in every float type."""
    number = 7 * index + 31 * list(EVALUATION_SETS).index(dataset) + 101 * len(evaluation) + epochs + 3 * epoch + seed
    return number % 10_000 / 128


def results_count(index: int, text: str, dataset: str, epochs: int, seed: int) -> dict[str, Any]:
    """State of a ResultsCount: one training run, with its curves."""
    every = range(epochs)
    sets = EVALUATION_SETS[dataset]
    keys = {(name, i): f"{name}@{i}" for name in sets for i in every}

    def accuracy(name: str, i: int) -> float:
        return nats_accuracy(index, dataset, name, epochs, i, seed)

    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": OrderedDict((i, accuracy("train", i)) for i in every),
        "train_acc5es": OrderedDict((i, 99.0) for i in every),
        "train_losses": OrderedDict((i, 1.5) for i in every),
        "train_times": OrderedDict((i, 10.0 + index) for i in every),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": text, "class_num": 10},
        "params": 0.5 + index,
        "flop": 100.0 + index,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.25, 0.75],
        "eval_names": list(sets),
        "eval_acc1es": {key: accuracy(*name) for name, key in keys.items()},
        "eval_times": dict.fromkeys(keys.values(), 2.0),
        "eval_losses": dict.fromkeys(keys.values(), 0.5),
    }


def arch_results(
    index: int,
    text: str,
    epochs: int,
    seeds: Sequence[int] = (777, 888),
    datasets: Sequence[str] = tuple(EVALUATION_SETS),
) -> dict[str, Any]:
    """State of an ArchResults: all runs of a cell with one number of epochs."""
    return {
        "arch_index": index,
        "arch_str": text,
        "all_results": {
            (dataset, seed): results_count(index, text, dataset, epochs, seed) for dataset in datasets for seed in seeds
        },
        "dataset_seed": {dataset: list(seeds) for dataset in datasets},
        "clear_net_done": True,
    }


def nasbench201_file(texts: Sequence[str]) -> dict[str, Any]:
    """What ``torch.save`` wrote into NAS-Bench-201-v1_*.pth."""
    return {
        "meta_archs": list(texts),
        "total_archs": len(texts),
        "arch2infos": {
            i: {"less": arch_results(i, text, 12, (777,)), "full": arch_results(i, text, 200)}
            for i, text in enumerate(texts)
        },
        "evaluated_indexes": set(range(len(texts))),
    }


def nats_cell(index: int, text: str) -> OrderedDict[str, Any]:
    """What one file of the simple folder holds."""
    return OrderedDict([("12", arch_results(index, text, 12, (777,))), ("200", arch_results(index, text, 200))])


def write_pbz2(path: Path, data: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(data, protocol=4)))
    return path


def write_simple_folder(folder: Path, texts: Sequence[str]) -> Path:
    folder.mkdir()
    write_pbz2(folder / "meta.pickle.pbz2", {"meta_archs": list(texts), "evaluated_indexes": set(range(len(texts)))})
    for index, text in enumerate(texts):
        write_pbz2(folder / f"{index:06d}.pickle.pbz2", nats_cell(index, text))
    return folder


# --- NAS-Bench-301 --------------------------------------------------------------------------------


def nasbench301_result(architecture: dict[str, str], validation: float, test: float, **changes: Any) -> dict[str, Any]:
    """A results_*.json; ``changes`` replace settings of the configuration, or ``budget``."""
    budget = changes.pop("budget", 100)
    settings = {
        "CreateImageDataLoader:batch_size": 96,
        "ImageAugmentation:augment": "True",
        "ImageAugmentation:autoaugment": "False",
        "ImageAugmentation:cutout": "True",
        "LossModuleSelectorIndices:loss_module": "cross_entropy",
        "NetworkSelectorDatasetInfo:darts:auxiliary": "True",
        "NetworkSelectorDatasetInfo:darts:drop_path_prob": 0.2,
        "NetworkSelectorDatasetInfo:darts:init_channels": 32,
        "NetworkSelectorDatasetInfo:darts:layers": 8,
        "NetworkSelectorDatasetInfo:network": "darts",
        "OptimizerSelector:optimizer": "sgd",
        "OptimizerSelector:sgd:learning_rate": 0.025,
        "OptimizerSelector:sgd:momentum": 0.9,
        "OptimizerSelector:sgd:weight_decay": 0.0003,
        "SimpleLearningrateSchedulerSelector:cosine_annealing:T_max": budget,
        "SimpleLearningrateSchedulerSelector:cosine_annealing:eta_min": 1e-08,
        "SimpleLearningrateSchedulerSelector:lr_scheduler": "cosine_annealing",
        "SimpleTrainNode:batch_loss_computation_technique": "mixup",
        "SimpleTrainNode:mixup:alpha": 0.2,
    }
    return {
        "final_metric_score": -validation,
        "optimized_hyperparamater_config": {**settings, **architecture, **changes},
        "budget": budget,
        "info": [
            {
                "train_loss": 0.7,
                "train_accuracy": 86.5,
                "val_accuracy": validation,
                "epochs": budget - 2,
                "model_parameters": 1_234_567,
                "train_datapoints": 40000,
                "val_datapoints": 10000,
            }
        ],
        "learning_curves": {
            "Train/train_accuracy": [50.0 + i / 4 for i in range(budget - 2)],
            "Train/val_accuracy": [40.0 + i / 4 for i in range(budget - 2)],
        },
        "test_accuracy": test,
        "runtime": 5000,
    }
