"""Fuzz targets for the readers of benchmark files: tiny valid files, damaged before and after they are packed."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import os
import pickle
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentnas.benchmarks import nasbench201
from latentnas.benchmarks.formats import get_format
from latentnas.benchmarks.reader import ImportedTable
from latentnas.benchmarks.table import TabularBenchmark
from latentnas.errors import DataFileError, InvalidCodeError
from latentnas.spaces import get_space

from .benchmarks import layouts

Make = Callable[[random.Random], bytes]
Damage = Callable[[bytes, random.Random], bytes]
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 10**400, 1e308, float("nan"), float("inf"), "", "x" * 5000, "\ud800", b"\xff", [], {}, (),
    [[]] * 3, {"a": {}}, ((((1,),),),), 3.5, "nan", "0", ["x"], [None],
)  # fmt: skip
NAMES = (
    "../../x.json", "/tmp/results_0.json", "a/../results_1.json", "results_?.json", "data.pkl", "x/data.pkl",
    "num_vertices.npy", "é.npy",
)  # fmt: skip


def altered(value: Any, rng: random.Random) -> Any:
    """A copy of nested data in which one to three parts are others, missing, repeated or nested deeply."""
    value = pickle.loads(pickle.dumps(value))
    for _ in range(rng.randint(1, 3)):
        parent: Any = None
        key: Any = None
        part: Any = value
        while isinstance(part, (dict, list)) and part and (parent is None or rng.random() < 0.85):
            parent, key = part, rng.choice(list(part)) if isinstance(part, dict) else rng.randrange(len(part))
            part = parent[key]
        if parent is None:
            return rng.choice(VALUES)
        kind = rng.randrange(5)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, dict):
            parent[rng.choice(("x", 7, ("cifar10", 1), "12", ""))] = part
        elif kind == 1:
            parent.append(part)
        elif kind == 2 and isinstance(part, (int, float)):
            parent[key] = part * (rng.choice((-1, 0, 10, 1e300)) if abs(part) < 1e9 else -1)
        elif kind == 3:
            for _ in range(rng.choice((1, 60, 3000))):
                part = [part]
            parent[key] = part
        else:
            parent[key] = rng.choice(VALUES)
    return value


def bomb(rng: random.Random) -> bytes:
    """Some megabytes of one byte, which compress to nothing."""
    return bytes([rng.choice((0, 32, 48, 91, 0x5D, 0x85))]) * rng.choice((10_000, 2_000_000))


def zipped(members: dict[str, bytes], rng: random.Random) -> bytes:
    """A zip file with right checksums, its names and members maybe others."""
    stream = io.BytesIO()
    kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", kind) as archive:  # equal names
        for name, data in members.items():
            archive.writestr(rng.choice(NAMES) if rng.random() < 0.05 else name, data)
    return stream.getvalue()


def table_of(imported: ImportedTable) -> TabularBenchmark:
    """What importing makes of it."""
    try:
        return TabularBenchmark.from_imported(imported, name="fuzzed")
    except InvalidCodeError as error:
        raise DataFileError(str(error)) from error


def pickled(value: Any, damage: Damage, rng: random.Random) -> bytes:
    try:
        data = pickle.dumps(altered(value, rng) if rng.random() < 0.6 else value, protocol=rng.choice((2, 4)))
    except RecursionError:
        data = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
    return damage(data, rng) if rng.random() < 0.4 else data


def cells(name: str, count: int = 8) -> list[str]:
    space = get_space(name)
    return space.format(space.sample(count, seed=0).unique(dim=0))


def nats_data() -> dict[str, Any]:
    texts = cells("nasbench201", 3)
    infos = {
        i: {str(e): layouts.arch_results(i, t, e, (777,), ("cifar10-valid", "cifar10")) for e in (1, 2)}
        for i, t in enumerate(texts)
    }
    return {"meta_archs": texts, "total_archs": 3, "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}


def nats_makers(damage: Damage) -> Iterator[tuple[str, str, Make]]:
    data = nats_data()
    stream = io.BytesIO()
    torch.save({}, stream, _use_new_zipfile_serialization=False)
    empty = stream.getvalue()
    head = empty[: empty.index(pickle.dumps({}, protocol=2))]

    def pbz2(rng: random.Random) -> bytes:
        return bz2.compress(bomb(rng) if rng.random() < 0.02 else pickled(data, damage, rng))

    def legacy(rng: random.Random) -> bytes:
        return head + pickled(data, damage, rng) + pickle.dumps([], protocol=2)

    def archive(rng: random.Random) -> bytes:
        return zipped({"archive/data.pkl": pickled(data, damage, rng), "archive/version": b"3\n"}, rng)

    yield "nats-pbz2", ".pickle.pbz2", pbz2
    yield "nats-legacy", ".pth", legacy
    yield "nats-zip", ".pth", archive


def nasbench101_records() -> list[bytes]:
    space = get_space("nasbench101")
    codes = space.sample(4, seed=0).unique(dim=0)
    hashes = space.module_hash(codes)  # type: ignore[attr-defined]
    records = []
    for name, text in zip(hashes, space.format(codes), strict=True):
        cell = json.loads(text)
        evaluations = [layouts.evaluation_data(e, 1.0, 0.5, 0.5, 0.5) for e in (0.0, 54.0, 108.0)]
        metrics = layouts.model_metrics(evaluations, 1000)
        records.append(layouts.nasbench101_record(name, 108, cell["matrix"], cell["ops"], metrics))
    return records


def tfrecord_maker(damage: Damage) -> Make:
    records = nasbench101_records()

    def make(rng: random.Random) -> bytes:
        chosen = rng.choices(records, k=rng.randint(1, 4))
        k = rng.randrange(len(chosen))
        kind = rng.randrange(3)
        if kind == 0:
            chosen[k] = damage(chosen[k], rng)
        else:
            row = json.loads(chosen[k])
            if kind == 1:
                row[4] = base64.b64encode(damage(base64.b64decode(row[4]), rng)).decode()
                chosen[k] = json.dumps(row).encode()
            else:
                chosen[k] = as_json(altered(row, rng))
        return b"".join(layouts.tfrecord(record) for record in chosen)

    return make


def as_json(value: Any) -> bytes:
    try:
        return json.dumps(value, default=str, skipkeys=True).encode()
    except (RecursionError, ValueError):
        return b"[" * 100_000


def npz_maker(damage: Damage) -> Make:
    arrays = {
        "num_vertices": np.array([2, 3, 4], np.uint8),
        "ops": np.array([[255] * 5, [0] + [255] * 4, [1, 2] + [255] * 3], np.uint8),
        "edges": np.array([1, 5, 3 | 1 << 4 | 1 << 5], np.uint32),
        "test_accuracy": np.array([0.1, 0.5, 0.9], np.float32),
        "macs": np.array([1, 2, 3], np.int64),
        "params": np.array([5, 6, 7], np.int64),
    }

    def make(rng: random.Random) -> bytes:
        chosen: dict[str, Any] = dict(arrays)
        name = rng.choice(list(chosen))
        kind = rng.randrange(6)
        if kind == 0:
            del chosen[name]
        elif kind == 1:
            chosen[name] = chosen[name].astype(
                rng.choice(("f4", "f8", "i8", "u2", "S3", "M8[s]", "c8", ">i4", "O", "?"))
            )
        elif kind == 2:
            chosen[name] = np.resize(chosen[name], rng.choice(((0,), (3, 1), (4,), (), (3, 7), (1, 3, 5))))
        elif kind == 3:
            value = chosen[name].copy()
            value.reshape(-1)[rng.randrange(value.size)] = rng.choice((0, 1, 7, 200))
            chosen[name] = value
        members = {}
        for key, value in chosen.items():
            stream = io.BytesIO()
            np.save(stream, value)
            members[f"{key}.npy"] = stream.getvalue()
        if kind > 3 and name in chosen:
            members[f"{name}.npy"] = damage(members[f"{name}.npy"], rng)
        return zipped(members, rng)

    return make


def nasbench301_results() -> list[dict[str, Any]]:
    space = get_space("darts")
    configs = space.format_config(space.sample(4, seed=0))  # type: ignore[attr-defined]
    results = [layouts.nasbench301_result(config, 90.0, 89.0) for config in configs]
    for result in results:
        result["learning_curves"] = {}
    return results


def nasbench301_json(rng: random.Random, results: list[dict[str, Any]], damage: Damage) -> bytes:
    data = as_json(altered(rng.choice(results), rng)) if rng.random() < 0.6 else as_json(rng.choice(results))
    return damage(data, rng) if rng.random() < 0.4 else data


def bench_maker(damage: Damage) -> Make:
    space = get_space("nas_bench_graph")
    hashes = space.bench_hash(space.sample(6, seed=0)).tolist()  # type: ignore[attr-defined]
    record = {"perf": 0.5, "valid_perf": 0.5, "latency": 0.01, "para": np.float64(0.1), "dur": [[0.1, 0.2, 0.3]] * 3}
    data = {number: dict(record) for number in hashes}
    return lambda rng: pickled(data, damage, rng)


def text_makers(damage: Damage) -> Iterator[tuple[str, str, str, dict[str, Any], Make]]:
    lines = [f"{text}, 0.{k + 5}" for k, text in enumerate(cells("enas_macro6"))]
    enas = ("\n".join(lines) + "\n").encode()
    rows = [f'{k},"{text}",{k}.5' for k, text in enumerate(cells("nasbench201"))]
    csv = ("\n".join(["index,arch,acc", *rows]) + "\n").encode()

    def plain(data: bytes) -> Make:
        def make(rng: random.Random) -> bytes:
            return gzip.compress(damage(data, rng), 1) if rng.random() < 0.3 else damage(data, rng)

        return make

    yield "enas-text", ".txt", "enas-text", {"burn_in": 0}, plain(enas)
    yield "csv", ".csv", "csv", {"space": "nasbench201"}, plain(csv)


def parquet_file() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    texts = cells("nasbench201")
    stream = io.BytesIO()
    parquet.write_table(pa.table({"arch": texts, "acc": [float(k) for k in range(len(texts))]}), stream)
    return stream.getvalue()


def wheel_maker(damage: Damage) -> Make:
    """A short file of the wheel's form: pickled records, of which there are too few, or no records."""
    field = {name: 50.0 for name in nasbench201.FIELDS.values()}
    body = pickle.dumps(field, protocol=2)[2:-1]
    record = b"canalognasbench.data\nArchitecture\n)\x81" + body + b"b"
    data = b"\x80\x02}(" + b"".join(b"(" + b"K\x01" * 5 + b"K" + bytes([k]) + b"t" + record for k in range(4)) + b"u."
    return lambda rng: damage(data, rng)


def read_bench(format: str, **options: Any) -> Callable[[Path], object]:
    return lambda path: table_of(get_format(format).read_file(path, **options))


def write_cell_folder(folder: Path, files: dict[str, bytes], rng: random.Random) -> Path:
    """A folder of files; now and then one is a link to elsewhere or to itself, or a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = rng.random()
        if kind < 0.02:
            os.symlink(rng.choice((str(folder), str(path), "/nowhere", "/dev/null")), path)
        elif kind < 0.04:
            path.mkdir()
        elif kind > 0.06:
            path.write_bytes(data)
    return folder
