"""What benchmark tables cost: seconds and rate of imports, seconds and memory of a load from the cache.

    python scripts/benchmark_tables.py
    python scripts/benchmark_tables.py --data-dir FOLDER    # with nasbench101.npz, nasbench201_cifar10.csv.gz

Without a folder, files are written first, with made-up measurements: NAS-Bench-101's tfrecord layout, three
runs a cell; a CSV file of NAS-Bench-201; and a table of all 423,624 networks of NAS-Bench-101 with four
metrics at four numbers of epochs in three runs, in the cache. Loads run in a fresh
process each; memory is the growth of its peak resident size after torch and latentnas were imported.
The cache is a temporary folder.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

import latentnas as ln
from latentnas.benchmarks import Origin, TabularBenchmark, import_table
from latentnas.benchmarks._tfrecord import masked_crc32c
from latentnas.benchmarks.cache import write_table

RUNS = 3


def tfrecord_texts(cells: int, epochs: int = 108) -> Iterator[bytes]:
    """Records of NAS-Bench-101's files, unframed: every network of the space (up to ``cells``), three runs each."""
    space = ln.get_space("nasbench101")
    codes = space.networks()[:cells]
    rng = np.random.default_rng(0)
    for part in codes.split(20_000):
        hashes = space.module_hash(part)  # type: ignore[attr-defined]
        graphs = space.node_graphs(part)
        sizes = graphs.mask.sum(1).tolist()
        adjacency, ops = graphs.adj.int().numpy(), graphs.ops.tolist()
        names = space.node_types
        values = rng.uniform(0.8, 0.95, (len(part), RUNS, 3, 3))
        for row, name in enumerate(hashes):
            n = sizes[row]
            matrix = "".join(map(str, adjacency[row, :n, :n].flatten().tolist()))
            operations = ",".join(names[op] for op in ops[row][:n])
            for run in range(RUNS):
                message = b""
                for point, share in enumerate((0.0, 0.5, 1.0)):
                    fields = (share * epochs, 1500.0 * share, *values[row, run, point])
                    body = b"".join(bytes([k << 3 | 1]) + struct.pack("<d", v) for k, v in enumerate(fields, 1))
                    message += b"\x0a" + bytes([len(body)]) + body
                message += b"\x10\xb6\xb8\xa4\x01" + b"\x19" + struct.pack("<d", 1500.0)
                yield json.dumps([name, epochs, matrix, operations, base64.b64encode(message).decode()]).encode()


def write_tfrecord(path: Path, cells: int) -> int:
    """Write a file in the layout of ``nasbench_only108.tfrecord``; returns the number of its records."""
    count = 0
    with path.open("wb") as file:
        for records in portions(tfrecord_texts(cells), 20_000):
            heads = [struct.pack("<Q", len(record)) for record in records]
            for (head, head_sum), (record, record_sum) in zip(framed(heads), framed(records), strict=True):
                file.write(head + head_sum + record + record_sum)
            count += len(records)
    return count


def portions(items: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while portion := list(islice(items, size)):
        yield portion


def framed(pieces: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Every piece with its masked CRC-32C."""
    lengths = np.array([len(piece) for piece in pieces])
    sums = masked_crc32c(np.frombuffer(b"".join(pieces), np.uint8), np.cumsum(lengths) - lengths, lengths)
    for piece, checksum in zip(pieces, sums.tolist(), strict=True):
        yield piece, struct.pack("<I", checksum)


def write_csv(path: Path) -> int:
    """Write all cells of NAS-Bench-201 with three columns of made-up numbers; returns the number of rows."""
    space = ln.get_space("nasbench201")
    texts = space.format(space.enumerate())
    values = np.random.default_rng(0).uniform(10, 95, (len(texts), 3)).round(4).tolist()
    lines = ["arch,a,b,c", *(f"{text},{a},{b},{c}" for text, (a, b, c) in zip(texts, values, strict=True))]
    path.write_text("\n".join(lines))
    return len(texts)


def timed_import(path: Path, name: str, rows: int | None, **options: object) -> None:
    began = time.perf_counter()
    table = import_table(path, name=name, **options)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    rows = len(table) if rows is None else rows
    print(
        f"import {path.name:<28} {rows:>10,} records {seconds:>8.2f} s {rows / seconds:>12,.0f} records/s", flush=True
    )


def peak() -> float:
    """Peak resident size of this process in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, ru_maxrss of a new process begins with that of its parent
        return float(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def cache_all_networks(name: str) -> None:
    """Put a table like that of ``nasbench_full.tfrecord`` into the cache: all networks, 48 columns."""
    codes = ln.get_space("nasbench101").networks().to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    metrics = ("train_accuracy", "validation_accuracy", "test_accuracy", "training_time")
    columns = {
        f"{metric}@{epochs}#{run}": torch.rand(len(codes), generator=generator)
        for metric in metrics
        for epochs in (4, 12, 36, 108)
        for run in range(RUNS)
    }
    table = TabularBenchmark(
        name, "nasbench101", codes, columns, default="test_accuracy", minimize=["training_time"], by_network=True
    )
    write_table(table, Origin("", 0, 0, "", "", {}))


def load(name: str) -> None:
    """Print seconds and memory of a first load and of a first query, in this process."""
    ln.list_benchmarks()

    before, began = peak(), time.perf_counter()
    table = ln.get_benchmark(name)
    loaded, after = time.perf_counter() - began, peak()
    began = time.perf_counter()
    table.regret(table.best().code[None])
    queried = time.perf_counter() - began
    print(
        f"load   {name:<28} {len(table):>10,} rows    {loaded:>8.2f} s {after - before:>8.0f} MiB; "
        f"first query {queried:.2f} s, {peak() - before:.0f} MiB in all",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with nasbench101.npz and nasbench201_cifar10.csv.gz")
    parser.add_argument("--cells", type=int, default=50_000, help="networks in the tfrecord file that is written")
    parser.add_argument("--load", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.load:
        return load(options.load)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LATENTNAS_CACHE"] = folder
        if options.data_dir is None:
            path = Path(folder) / "nasbench_only108.tfrecord"
            began = time.perf_counter()
            records = write_tfrecord(path, options.cells)
            seconds = time.perf_counter() - began
            print(
                f"write  {path.name:<28} {records:>10,} records {seconds:>8.2f} s, {path.stat().st_size / 1e6:,.0f} MB"
            )
            timed_import(path, "nasbench101", records)
            path = Path(folder) / "nasbench201.csv"
            timed_import(path, "nasbench201_csv", write_csv(path), space="nasbench201")
            cache_all_networks("nasbench101_full")
            names = ["nasbench101", "nasbench101_full", "nasbench201_csv"]
        else:
            timed_import(options.data_dir / "nasbench101.npz", "nasbench101", None)
            timed_import(options.data_dir / "nasbench201_cifar10.csv.gz", "nasbench201_csv", None, space="nasbench201")
            names = ["nasbench101", "nasbench201_csv"]
        for name in names:
            for _ in range(2):
                subprocess.run([sys.executable, __file__, "--load", name], check=True)


if __name__ == "__main__":
    main()
