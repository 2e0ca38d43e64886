"""Hostile and random inputs to every parser and reader: nothing but the documented errors may come out.

    python -m tests.fuzz                                # 100,000 inputs to each, prints one line for each
    python -m tests.fuzz --inputs 1000 --only darts     # fewer, to one of them
    python -m tests.fuzz --only darts --index 4711      # one input again, with its traceback

Input number i of a target depends on the seed, the target and i alone. ``tests/test_fuzz.py`` runs a
few hundred of each with the tests.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from latentnas.errors import DataFileError, LatentNASError, ParseError
from latentnas.spaces import get_space, list_spaces

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
    run: Callable[[str | bytes], object]
    make: Callable[[random.Random], str | bytes]
    errors: type[LatentNASError]


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

        yield Target(name, space.parse, make, ParseError)  # type: ignore[arg-type]


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


def targets(folder: Path) -> list[Target]:
    return [*space_targets()]


def input_of(target: Target, index: int, seed: int = SEED) -> str | bytes:
    """Input number ``index`` of a target."""
    return target.make(random.Random(f"{seed} {target.name} {index}"))


@dataclass
class Outcome:
    """What a number of inputs to one target came to."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: tuple[tuple[int, BaseException], ...] = ()


def fuzz(target: Target, inputs: int, seed: int = SEED) -> Outcome:
    """Give ``inputs`` inputs to a target; only its documented errors are no failures."""
    outcome = Outcome()
    for index in range(inputs):
        data = input_of(target, index, seed)
        started = time.perf_counter()
        try:
            target.run(data)
            outcome.read += 1
        except target.errors:
            outcome.refused += 1
        except Exception as error:  # the finding
            outcome.failures += ((index, error),)
        outcome.slowest = max(outcome.slowest, time.perf_counter() - started)
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
                with suppress(target.errors):
                    print(target.run(data))
            return
        print(f"seed {options.seed}")
        print(f"{'target':<24} {'inputs':>9} {'refused':>9} {'read':>9} {'failed':>7} {'slowest, s':>11}")
        failed = 0
        for target in chosen:
            outcome = fuzz(target, options.inputs, options.seed)
            failed += len(outcome.failures)
            print(
                f"{target.name:<24} {options.inputs:>9,} {outcome.refused:>9,} {outcome.read:>9,} "
                f"{len(outcome.failures):>7,} {outcome.slowest:>11.3f}",
                flush=True,
            )
            for index, error in outcome.failures[:3]:
                print(f"  input {index}: {''.join(traceback.format_exception(error)[-2:])}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
