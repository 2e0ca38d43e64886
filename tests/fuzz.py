"""Hostile and random inputs to every parser and reader: nothing but the documented errors may come out.

    python -m tests.fuzz                                # 100,000 inputs to each, prints one line for each
    python -m tests.fuzz --inputs 1000 --only darts     # fewer, to one of them
    python -m tests.fuzz --only darts --index 4711      # one input again, with its traceback

Input number i of a target depends on the seed, the target and i alone. ``tests/test_fuzz.py`` runs a
few hundred of each with the tests.
"""

from __future__ import annotations

import argparse
import bz2
import json
import os
import pickle
import random
import resource
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from latentnas.benchmarks import Origin, TabularBenchmark, cache, nasbench201
from latentnas.errors import DataFileError, LatentNASError, ParseError, UnknownNameError
from latentnas.spaces import get_space, list_spaces

from . import fuzz_readers as readers
from .fuzz_readers import Make

SEED = 20261123
TOKENS = (
    "[", "]", "(", ")", "{", "}", "|", "~", "+", "-", ",", ":", ".", "'", '"', "\\", "\n", "\0", " ", "0", "1", "9",
    "-1", "1e999", "NaN", "null", "true", "range(2, 6)", "__import__('os')", "0x10", "\u0661", "é", "\ud800",
    "\uff19", "9" * 400, "[" * 300, "'" * 50, " " * 500,
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Attributes:
        name: what it is called here.
        run: reads one input.
        make: makes one input from a random generator.
        errors: what it may raise.
    """

    name: str
    run: Callable[[Any], object]
    make: Callable[[random.Random], Any]
    errors: type[LatentNASError] | tuple[type[LatentNASError], ...]


def damaged_text(text: str, rng: random.Random) -> str:
    """A text with one to four random edits."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice((0, 1, 1, 2, 5, 40)))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:start] + text[end:]
        elif kind == 1:
            text = text[:start] + rng.choice(TOKENS) + text[end:]
        elif kind == 2:
            text = text[:start] + text[start:end] * rng.randint(2, 4) + text[end:]
        elif kind == 3:
            text = text[:start] + "".join(chr(rng.randrange(32, 0x250)) for _ in range(rng.randint(1, 6))) + text[end:]
        else:
            other = rng.randint(0, len(text))
            text = text[:start] + text[other : other + rng.randint(0, 30)] + text[start:]
    return text


def random_text(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return "".join(rng.choice(TOKENS) for _ in range(rng.randint(0, 20)))
    return "".join(chr(rng.randrange(1, 0xD7FF)) for _ in range(rng.randint(0, 60)))


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A file with one to four random edits: flipped, cut, repeated, foreign bytes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        start = rng.randrange(len(out))
        kind = rng.randrange(6)
        if kind == 0:
            out[start] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[start] = rng.choice(NUMBERS)
        elif kind == 2:
            del out[start : start + rng.choice((1, 2, 8, 64, len(out)))]
        elif kind == 3:
            out[start:start] = rng.randbytes(rng.choice((1, 4, 16)))
        elif kind == 4:
            out[start : start + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\0\0\0\0\0\0\0\x10", b"cos\nsystem"))
        else:
            other = rng.randrange(len(out))
            out[start:start] = out[other : other + rng.randint(1, 64)]
    return bytes(out)


def space_targets() -> Iterator[Target]:
    for name in list_spaces():
        space = get_space(name)
        texts = space.format(space.sample(40, seed=0))

        def make(rng: random.Random, texts: list[str] = texts) -> str:
            return random_text(rng) if rng.random() < 0.2 else damaged_text(rng.choice(texts), rng)

        yield Target(name, space.parse, make, ParseError)


def reader_target(name: str, suffix: str, files: list[bytes], read: Callable[[Path], object], folder: Path) -> Target:
    """A reader of files: the input is written to a file that the reader is then given."""
    path = folder / f"{name}{suffix}"

    def run(data: str | bytes) -> object:
        assert isinstance(data, bytes)
        path.write_bytes(data)
        return read(path)

    def make(rng: random.Random) -> bytes:
        return rng.randbytes(rng.randint(0, 200)) if rng.random() < 0.1 else damaged_bytes(rng.choice(files), rng)

    return Target(name, run, make, DataFileError)


def packed_target(name: str, suffix: str, make: Make, read: Callable[[Path], object], folder: Path) -> Target:
    """A reader whose inputs are packed here after damage; one in ten is damaged once more as it is."""
    path = folder / f"{name}{suffix}"

    def run(data: Any) -> object:
        path.write_bytes(data)
        return read(path)

    def make_input(rng: random.Random) -> bytes:
        data = make(rng)
        return damaged_bytes(data, rng) if rng.random() < 0.1 else data

    return Target(name, run, make_input, DataFileError)


def config_target() -> Target:
    """NAS-Bench-301's configurations: dictionaries, and lists of them."""
    space = get_space("darts")
    configs = space.format_config(space.sample(20, seed=0))  # type: ignore[attr-defined]
    keys = list(configs[0])

    def make(rng: random.Random) -> Any:
        config: dict[Any, Any] = dict(rng.choice(configs))
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(list(config) or keys)
            kind = rng.randrange(5)
            if kind == 0:
                config.pop(key, None)
            elif kind == 1:
                config[key] = rng.choice(readers.VALUES)
            elif kind == 2:
                config[rng.choice((damaged_text(str(key), rng), 7, None, ("a",)))] = config.get(key)
            elif kind == 3:
                config[key] = damaged_text(str(config.get(key)), rng)
            else:
                config[key] = rng.choice(list(config.values()))
        one = [config, [config, rng.choice(configs)], (config,), [[config]], rng.choice(readers.VALUES), [None, config]]
        return rng.choices(one, weights=[6, 4, 2, 1, 1, 1])[0]

    return Target("darts-config", space.parse_config, make, ParseError)  # type: ignore[attr-defined]


def folder_targets(folder: Path) -> Iterator[Target]:
    """Readers of folders; an input is the files by name, and the seed of what else is wrong with the folder."""
    results, data = readers.nasbench301_results(), readers.nats_data()

    def make_nasbench301(rng: random.Random) -> Any:
        files = {f"rs/results_{k}.json": readers.nasbench301_json(rng, results, damaged_bytes) for k in range(2)}
        return files, rng.random()

    def make_nats(rng: random.Random) -> Any:
        parts = {"meta": {"meta_archs": data["meta_archs"]}} | {f"{k:06d}": v for k, v in data["arch2infos"].items()}
        hit = rng.choice(list(parts))
        pickles = {
            name: readers.pickled(part, damaged_bytes, rng) if name == hit else pickle.dumps(part)
            for name, part in parts.items()
        }
        return {f"{name}.pickle.pbz2": bz2.compress(part) for name, part in pickles.items()}, rng.random()

    for name, format, make in (
        ("nasbench301-folder", "nasbench301", make_nasbench301),
        ("nats-simple", "nats", make_nats),
    ):
        read, place = readers.read_bench(format), folder / name

        def run(files: Any, read: Callable[[Path], object] = read, place: Path = place) -> object:
            return read(readers.write_cell_folder(place, files[0], random.Random(files[1])))

        yield Target(name, run, make, DataFileError)
    yield packed_target(
        "nasbench301-zip",
        ".zip",
        lambda rng: readers.zipped(make_nasbench301(rng)[0], rng),
        readers.read_bench("nasbench301"),
        folder,
    )


def cache_target(folder: Path) -> Target:
    """Cached tables, whole, damaged, and with a damaged header whose checksum is right."""
    os.environ["LATENTNAS_CACHE"] = str(folder / "cache")
    space = get_space("nasbench201")
    codes = space.sample(10, seed=0).unique(dim=0)
    columns = {"acc@12": torch.arange(len(codes)).float(), "acc": torch.arange(len(codes)).float()}
    table = TabularBenchmark("t", space, codes, columns, default="acc")
    path = cache.write_table(table, Origin("/a.csv", 1, 1, "a", "csv", {}))
    good = path.read_bytes()
    size = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + size])
    key, sums = next(k for k, v in header["__metadata__"].items() if v.startswith("{")), header["__metadata__"]
    checksum = next(k for k in sums if k != key)

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.4:
            return damaged_bytes(good, rng)
        head = json.loads(good[8 : 8 + size])
        if rng.random() < 0.7:
            text = readers.as_json(readers.altered(json.loads(sums[key]), rng)).decode()
            head["__metadata__"] = {key: text, checksum: str(zlib.crc32(text.encode()))}
        else:
            head = readers.altered(head, rng)
        raw = readers.as_json(head)
        return len(raw).to_bytes(8, "little") + raw + good[8 + size :]

    def read(path: Path) -> object:
        table = cache.read_table("t")
        return [table.values(metric) for metric in table.metrics]

    def run(data: Any) -> object:
        path.write_bytes(data)
        return read(path)

    return Target("cache", run, make, (DataFileError, UnknownNameError))


def reader_targets(folder: Path) -> Iterator[Target]:
    for name, suffix, make in readers.nats_makers(damaged_bytes):
        yield packed_target(name, suffix, make, readers.read_bench("nats"), folder)
    yield packed_target("tfrecord", ".tfrecord", readers.tfrecord_maker(damaged_bytes),
                        readers.read_bench("nasbench101-tfrecord"), folder)  # fmt: skip
    yield packed_target("npz", ".npz", readers.npz_maker(damaged_bytes), readers.read_bench("nasbench101-npz"), folder)
    yield packed_target(
        "bench", ".bench", readers.bench_maker(damaged_bytes), readers.read_bench("nas-bench-graph"), folder
    )
    for name, suffix, format, options, make in readers.text_makers(damaged_bytes):
        yield packed_target(name, suffix, make, readers.read_bench(format, **options), folder)
    yield reader_target("parquet", ".parquet", [readers.parquet_file()],
                        readers.read_bench("parquet", space="nasbench201"), folder)  # fmt: skip
    yield packed_target("wheel", ".anb", readers.wheel_maker(damaged_bytes), nasbench201.load, folder)
    yield from folder_targets(folder)
    yield cache_target(folder)


def targets(folder: Path) -> list[Target]:
    return [*space_targets(), config_target(), *reader_targets(folder)]


def input_of(target: Target, index: int, seed: int = SEED) -> Any:
    """Input number ``index`` of a target."""
    return target.make(random.Random(f"{seed} {target.name} {index}"))


@dataclass
class Outcome:
    """What a number of inputs to one target came to."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_index: int = -1
    grown: int = 0
    failures: tuple[tuple[int, BaseException], ...] = ()


def fuzz(target: Target, inputs: int, seed: int = SEED) -> Outcome:
    """Give ``inputs`` inputs to a target; only its documented errors are no failures."""
    outcome = Outcome()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(inputs):
        data = input_of(target, index, seed)
        started = time.process_time()  # other work on the machine does not count
        try:
            target.run(data)
            outcome.read += 1
        except target.errors:
            outcome.refused += 1
        except Exception as error:  # the finding
            outcome.failures += ((index, error),)
        taken = time.process_time() - started
        if taken > outcome.slowest:
            outcome.slowest, outcome.slowest_index = taken, index
    outcome.grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs to each target")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", action="append", help="a target's name; may be given several times")
    parser.add_argument("--index", type=int, help="run this one input of --only and show what happens")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        chosen = [target for target in targets(Path(folder)) if not options.only or target.name in options.only]
        if options.index is not None:
            for target in chosen:
                data = input_of(target, options.index, options.seed)
                print(f"{target.name}, input {options.index}: {data!r}")
                with suppress(*(target.errors if isinstance(target.errors, tuple) else (target.errors,))):
                    print(target.run(data))
            return
        print(f"seed {options.seed}")
        print(
            f"{'target':<24} {'inputs':>9} {'refused':>9} {'read':>9} {'failed':>7} {'slowest, s':>11} "
            f"{'input':>8} {'MiB more':>9}"
        )
        failed = 0
        for target in chosen:
            outcome = fuzz(target, options.inputs, options.seed)
            failed += len(outcome.failures)
            print(
                f"{target.name:<24} {options.inputs:>9,} {outcome.refused:>9,} {outcome.read:>9,} "
                f"{len(outcome.failures):>7,} {outcome.slowest:>11.3f} "
                f"{outcome.slowest_index:>8} {outcome.grown / 1024:>9.1f}",
                flush=True,
            )
            for index, error in outcome.failures[:3]:
                print(f"  input {index}: {''.join(traceback.format_exception(error)[-2:])}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
