"""latentnas/benchmarks/_unpickle.py and _pickle_scan.py"""

from __future__ import annotations

import io
import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentnas.benchmarks import _pickle_scan, _unpickle
from latentnas.benchmarks._pickle_scan import PickleScanner, TupleDepths
from latentnas.benchmarks._unpickle import (
    CONTAINERS,
    NUMPY_SCALARS,
    TENSORS,
    Record,
    load_plain_pickle,
    load_plain_stream,
    shown,
)
from latentnas.errors import DataFileError

ADMITTED = [("far.away", "Thing")]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def thing(**state: object) -> bytes:
    """A protocol-0-style pickle of one ``far.away.Thing`` with the given attributes."""
    return b"cfar.away\nThing\n)\x81" + pickle.dumps(state, protocol=2)[2:-1] + b"b."


def test_plain_data_comes_back_equal(tmp_path: Path) -> None:
    data = {(0, 1): [1.5, "text", None, True, b"bytes", {3}], "n": {"deep": (2, [3])}}
    assert load_plain_pickle(write(tmp_path / "a", pickle.dumps(data)), ()) == data


def test_admitted_class_becomes_an_inert_record_and_its_module_is_not_imported(tmp_path: Path) -> None:
    record = load_plain_pickle(write(tmp_path / "a", thing(accuracy=93.5, name="cell")), ADMITTED)
    assert isinstance(record, Record)
    assert type(record).__name__ == "Thing"
    assert vars(record) == {"accuracy": 93.5, "name": "cell"}
    assert "far.away" not in sys.modules


@pytest.mark.parametrize(
    ("module", "call", "argument"),
    [
        ("os", "system", "touch {target}"),
        ("posix", "system", "touch {target}"),
        ("builtins", "eval", "open({target!r}, 'w')"),
        ("builtins", "exec", "open({target!r}, 'w')"),
        ("subprocess", "getoutput", "touch {target}"),
        ("far.away", "Thing.__init__", "{target}"),
        ("far.away.Thing", "__class__", "{target}"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 4])
def test_a_hostile_file_is_refused_and_does_not_run(
    tmp_path: Path, module: str, call: str, argument: str, protocol: int
) -> None:
    target = tmp_path / "ran"
    text = argument.format(target=str(target))
    if protocol == 0:
        data = f"c{module}\n{call}\n(S{text!r}\ntR.".encode()
    else:
        name = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, call))
        data = b"\x80\x04" + name + b"\x93(X" + len(text).to_bytes(4, "little") + text.encode() + b"tR."
    with pytest.raises(DataFileError, match=f"refused.*{call}"):
        load_plain_pickle(write(tmp_path / "bad", data), ADMITTED)
    assert not target.exists()


def test_the_same_hostile_bytes_do_run_in_an_ordinary_unpickler(tmp_path: Path) -> None:
    """The test above tests something: without the restriction the payload works."""
    target = tmp_path / "ran"
    pickle.loads(f"cos\nsystem\n(S'touch {target}'\ntR.".encode())
    assert target.exists()


def test_reduce_of_a_library_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"collections\.OrderedDict"):
        load_plain_pickle(write(tmp_path / "a", pickle.dumps(OrderedDict(a=1))), ADMITTED)


def test_a_record_is_not_callable_into_anything(tmp_path: Path) -> None:
    for data in (
        b"cfar.away\nThing\n(S'x'\ntR.",  # Thing('x')
        b"cfar.away\nThing\n)\x81((dS'a'\nI1\nsN\x86b.",  # state (dict, slots): would use setattr
        b"cfar.away\nThing\n)\x81N}S'__class__'\nN s\x86b.",
        b"cfar.away\nThing\n}S'__setstate__'\nI1\nsb.",  # BUILD on the class itself
    ):
        with pytest.raises(DataFileError, match="truncated or corrupted"):
            load_plain_pickle(write(tmp_path / "a", data), ADMITTED)


def test_one_file_cannot_change_what_the_next_one_gets(tmp_path: Path) -> None:
    path = write(tmp_path / "a", thing(x=1))
    first, second = load_plain_pickle(path, ADMITTED), load_plain_pickle(path, ADMITTED)
    assert type(first) is not type(second)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, share: float) -> None:
    data = pickle.dumps({i: float(i) for i in range(1000)})
    with pytest.raises(DataFileError, match="truncated or corrupted"):
        load_plain_pickle(write(tmp_path / "a", data[: int(len(data) * share)]), ())


@pytest.mark.parametrize("data", [b"hello world", b"\x80\x63.", b"PK\x03\x04zip", b"}I1\nI2\nI3\nss.", b"."])
def test_no_pickle(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataFileError, match="truncated or corrupted"):
        load_plain_pickle(write(tmp_path / "a", data), ())


def test_missing_directory_and_too_large(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        load_plain_pickle(tmp_path / "none", ())
    with pytest.raises(DataFileError, match="cannot be read"):
        load_plain_pickle(tmp_path, ())
    with pytest.raises(DataFileError, match="expected at most 4"):
        load_plain_pickle(write(tmp_path / "a", pickle.dumps([1, 2, 3])), (), max_bytes=4)


# --- constructors that a format may admit -----------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numpy_scalars_become_plain_data(tmp_path: Path, protocol: int) -> None:
    data = {
        "ordered": OrderedDict([("b", 1), ("a", OrderedDict())]),
        "sets": [{1, 2}, frozenset({"x"})],
        "numbers": [np.float64(0.1), np.float32(0.5), np.int64(-3), np.uint8(200), np.bool_(True), np.float16(1.5)],
    }
    path = write(tmp_path / "a", pickle.dumps(data, protocol=protocol))
    found = load_plain_pickle(path, (), makers={**CONTAINERS, **NUMPY_SCALARS})
    assert found == data
    assert type(found["ordered"]) is dict
    assert list(found["ordered"]) == ["b", "a"]
    assert [type(number) for number in found["numbers"]] == [float, float, int, int, bool, float]


@pytest.mark.parametrize(
    "value",
    [
        np.arange(3),
        np.complex128(1j),
        np.str_("text"),
        np.datetime64("2020-01-01"),
        np.dtype([("a", "f8")]),
        np.float64,
    ],
)
def test_other_numpy_objects_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataFileError):
        load_plain_pickle(write(tmp_path / "a", pickle.dumps(value)), (), makers=NUMPY_SCALARS)


@pytest.mark.parametrize(
    "call",
    [
        b"cnumpy\ndtype\n(S'O'\nI00\nI01\ntR.",  # Python objects
        b"cnumpy\ndtype\n(S'V8'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(I1\nS'x'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRC\x04abcdtR.",  # four bytes for a double
        b"cnumpy\ndtype\n(S'f8'\ntR(dS'order'\nS'>'\nsb.",
        b"c_codecs\nencode\n(S'x'\nS'utf-16'\ntR.",
        b"ccollections\nOrderedDict\n(dS'_make'\nI1\nsb.",  # state for the constructor itself
        b"ccollections\nOrderedDict\n(N(dS'__class__'\nI1\nstb.",
        b"ccollections\nOrderedDict\n)\x81.",  # __new__ of what is no class
        b"\x80\x02K\x01Q.",  # refers to an object outside the file
    ],
)
def test_misuse_of_admitted_constructors(tmp_path: Path, call: bytes) -> None:
    with pytest.raises(DataFileError, match="truncated or corrupted"):
        load_plain_pickle(write(tmp_path / "a", call), (), makers={**NUMPY_SCALARS, **CONTAINERS})


def test_tensors_become_placeholders_that_allocate_nothing(tmp_path: Path) -> None:
    """A tensor of 2^40 numbers, as torch.save names it."""
    call = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
        b"0X\x03\0\0\0cpu\x8a\x06\0\0\0\0\0\x01tQK\0\x8a\x06\0\0\0\0\0\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    path = write(tmp_path / "a", call)
    tracemalloc.start()
    found = load_plain_pickle(path, (), makers={**TENSORS, **CONTAINERS})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(found).__name__ == "_Inert"
    assert peak < 2**24


# --- numbers in a file that would make the loader allocate ------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Nr\xff\xff\xff\x7f.", "a memo index of 2,147,483,647"),
        (b"Nr\x00\x00\x10\x00.", "a memo index of 1,048,576"),
        (b"Np99999999999\n.", "a memo index of b'99999999999'"),
        (b"Np-1\n.", "a memo index of b'-1'"),
        (b"X\xff\xff\xff\xff.", "a length of 4,294,967,295"),
        (b"B\x00\x00\x00\x7f.", "a length of 2,130,706,432"),
        (b"\x8d" + struct.pack("<Q", 2**60) + b".", "a length of 1,152,921,504,606,846,976"),
        (b"\x8e" + struct.pack("<Q", 2**40) + b".", "a length of 1,099,511,627,776"),
        (b"\x96" + struct.pack("<Q", 2**40) + b".", "a length of"),
        (b"\x95" + struct.pack("<Q", 2**63) + b".", "a length of"),
        (b"\x8b\xff\xff\xff\x7f.", "a length of"),
        (b"I" + b"1" * 2**17, "a line without an end"),
        (b"\xff.", "is no opcode of a pickle"),
    ],
)
def test_numbers_that_no_honest_file_has(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path / "a", b"\x80\x04" + data)
    tracemalloc.start()
    with pytest.raises(DataFileError, match=message):
        load_plain_pickle(path, ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def honest(generator: random.Random) -> Any:
    """Nested data with all kinds of texts, numbers and bytes."""
    kinds = ["text", "bytes", "int", "float", "list", "dict", "tuple", "none", "long"]
    kind = generator.choice(kinds)
    size = generator.choice([0, 1, 5, 31, 32, 33, 255, 256, 300])
    if kind == "text":
        return "".join(chr(generator.choice([65, 10, 233, 8364])) for _ in range(size))
    if kind == "bytes":
        return generator.randbytes(size)
    if kind == "int":
        return generator.randrange(-(2**33), 2**33) >> generator.randrange(34)
    if kind == "long":
        return generator.getrandbits(size * 8)
    if kind == "float":
        return generator.random()
    if kind == "none":
        return generator.choice([None, True, False, {1, 2}, frozenset({3}), bytearray(b"x")])
    items = [honest(generator) for _ in range(generator.randrange(4))]
    if kind == "dict":
        return {i: item for i, item in enumerate(items)}
    return items if kind == "list" else tuple(items)


@pytest.mark.parametrize("protocol", range(6))
def test_honest_pickles_pass_in_pieces_of_any_size(protocol: int) -> None:
    generator = random.Random(protocol)
    data = pickle.dumps([honest(generator) for _ in range(600)], protocol=protocol)
    for piece in (1, 7, 100, len(data)):
        scanner = PickleScanner(longest=2**20)
        for start in range(0, len(data), piece):
            scanner.feed(data[start : start + piece])
        scanner.feed(b"\xff whatever follows the end")


def test_pickles_that_follow_each_other() -> None:
    data = pickle.dumps([1, "a"]) + pickle.dumps({"b": 2}) + b"\xff\xff raw data"
    assert load_plain_stream(io.BytesIO(data), "a", pickles=2) == [[1, "a"], {"b": 2}]
    with pytest.raises(DataFileError, match="a: truncated or corrupted"):
        load_plain_stream(io.BytesIO(data), "a", pickles=3)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_sweep_forgets_what_it_is_told_to(monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    """Large parts are emptied while the stream goes on, and names that are kept still mean the same."""
    shared = ["shared"]
    items = [{"large": list(range(2000)), "shared": shared, "number": i} for i in range(1000)]
    data = pickle.dumps(items, protocol=protocol)
    assert len(data) > 4 * 2**20
    monkeypatch.setattr(_unpickle, "_SWEEP_BYTES", 2**20)
    sizes = []

    def sweep(named: dict[int, Any]) -> dict[int, Any]:
        gone = set()
        for value in named.values():
            if type(value) is dict and "large" in value:
                gone |= {id(value), id(value.pop("large"))}
        kept = {number: value for number, value in named.items() if id(value) not in gone}
        sizes.append((len(named), len(kept)))
        return kept

    found = load_plain_stream(io.BytesIO(data), "a", sweep=sweep)[0]
    assert [item["number"] for item in found] == list(range(1000))
    assert all(item["shared"] is found[0]["shared"] for item in found)
    assert found[0]["shared"] == ["shared"]
    assert "large" not in found[0]
    assert len(sizes) >= 4
    assert all(after < 20 for _, after in sizes)


def test_fuzzed_pickles_give_data_or_the_documented_error(tmp_path: Path) -> None:
    generator = random.Random(77)
    makers = {**CONTAINERS, **NUMPY_SCALARS, **TENSORS}
    objects = [OrderedDict(a=[1.5, "x" * 40, {2, 3}], b=np.float64(3)), [{"k": (1, 2)}] * 3, honest(generator)]
    good = [pickle.dumps(value, protocol=protocol) for value in objects for protocol in (0, 2, 4)]
    path = tmp_path / "fuzzed"
    refused = 0
    for trial in range(2000):
        bad = bytearray(good[trial % len(good)])
        if trial % 4 == 0:
            del bad[generator.randrange(len(bad)) :]
        else:
            for _ in range(generator.choice([1, 2, 8])):
                bad[generator.randrange(len(bad))] = generator.randrange(256)
        try:
            load_plain_pickle(write(path, bytes(bad)), ADMITTED, makers=makers)
        except DataFileError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 1000


def test_values_of_any_size_and_depth_can_be_shown() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, 10**5000, -(10**5000), "x" * 10**6, {i: i for i in range(10**5)}, [10**5000]):
        assert 0 < len(shown(value)) <= 60
    assert shown("text") == "'text'"
    assert shown(-12) == "-12"


# --- tuples in tuples -----------------------------------------------------------------------------------


def nested(depth: int, how: str) -> bytes:
    """A dictionary with a key of so many tuples in each other."""
    if how == "one by one":
        key = b")" + b"\x85" * depth
    elif how == "marks":
        key = b"(" * (depth + 1) + b"t" * (depth + 1)
    elif how == "numbers":
        key = b")q\x00" + b"0h\x00K\x01\x86q\x00" * depth
    elif how == "numbers as text":
        key = b")p0\n" + b"0g0\n\x85p0\n" * depth
    elif how == "long numbers":
        key = b")r\x01\x00\x00\x00" + b"0j\x01\x00\x00\x00\x85r\x01\x00\x00\x00" * depth
    elif how == "memoized":
        key = b")\x94" + b"".join(b"0j" + struct.pack("<i", i) + b"\x85\x94" for i in range(depth))
    elif how == "frames":
        key = b"\x95" + struct.pack("<Q", depth + 5) + b")" + b"\x85" * depth
    elif how == "twice":
        key = b")" + b"2\x86" * depth
    elif how == "wide":
        key = b")q\x00" + b"0(" + b"h\x00" * 1000 + b"tq\x00"
        key += b"0(" + b"h\x00" * 1000 + b"t"
    else:
        key = b")" + b"K\x01\x86" * depth
    return b"\x80\x04}" + key + b"K\x01s."


NESTINGS = ["one by one", "marks", "numbers", "numbers as text", "long numbers", "memoized", "frames", "pairs"]
CHILD = """
import sys, threading
from latentnas.benchmarks._unpickle import load_plain_pickle
from latentnas.errors import DataFileError

def load():
    try:
        load_plain_pickle(sys.argv[1], ())
        print("read")
    except DataFileError as error:
        print("tuples in each other" in str(error) and "refused")

if sys.argv[2] == "main":
    load()
else:
    threading.stack_size(2**19)
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
"""


def outcomes(paths: list[Path], thread: str) -> list[str]:
    """What a process of its own makes of files: one that crashes says nothing."""
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(path), thread], stdout=subprocess.PIPE, text=True)
        for path in paths
    ]
    return [child.communicate(timeout=120)[0].strip() for child in children]


@pytest.mark.parametrize("how", NESTINGS)
def test_tuples_in_each_other(tmp_path: Path, how: str) -> None:
    """As many as are admitted; one more; and so many that hashing them would end the process."""
    assert list(load_plain_pickle(write(tmp_path / "a", nested(98, how)), ()).values()) == [1]
    for depth in (101, 200_000):
        with pytest.raises(DataFileError, match="more than 100 tuples in each other"):
            load_plain_pickle(write(tmp_path / "a", nested(depth, how)), ())


@pytest.mark.parametrize(("how", "depth"), [("twice", 60), ("wide", 2)])
def test_few_tuples_that_are_met_many_times(tmp_path: Path, how: str, depth: int) -> None:
    """2^60 visits of sixty tuples: hashing these would never end."""
    with pytest.raises(DataFileError, match="or 10,000 in one"):
        load_plain_pickle(write(tmp_path / "a", nested(depth, how)), ())


@pytest.mark.parametrize("thread", ["main", "other"])
def test_no_thread_ends_the_process(tmp_path: Path, thread: str) -> None:
    paths = [write(tmp_path / f"{depth}", nested(depth, "one by one")) for depth in (99, 1_000_000)]
    assert outcomes(paths, thread) == ["read", "refused"]


def test_the_same_tuples_end_a_process_that_does_not_look(tmp_path: Path) -> None:
    """The tests above test something."""
    path = write(tmp_path / "a", nested(1_000_000, "one by one"))
    child = subprocess.run(
        [sys.executable, "-c", "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))", path], capture_output=True
    )
    assert child.returncode < 0


@pytest.mark.parametrize("protocol", range(6))
def test_honest_pickles_pass_where_tuples_are_followed(protocol: int) -> None:
    generator = random.Random(protocol)
    shared = (1, (2, 3))
    objects = [
        [honest(generator) for _ in range(600)],
        OrderedDict((i, (shared, np.float64(i), Odd(i), {(i, shared): {shared, i}})) for i in range(500)),
    ]
    data = b"".join(pickle.dumps(value, protocol=protocol) for value in objects)
    for piece in (1, 7, 100, len(data)):
        scanner = PickleScanner(pickles=2, follow=True)
        for start in range(0, len(data), piece):
            scanner.feed(data[start : start + piece])
        scanner.feed(b"\xff whatever follows the end")
    with pytest.raises(pickle.UnpicklingError, match="tuples in each other"):
        PickleScanner(follow=True).feed(pickle.dumps(depth_of(101), protocol=protocol))
    PickleScanner(follow=True).feed(pickle.dumps(depth_of(100), protocol=protocol))


class Odd:
    """Pickled with arguments, state and keyword arguments."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, int]]:
        return (self.number,), {}

    def __new__(cls, number: int = 0) -> Odd:
        return super().__new__(cls)


def depth_of(depth: int) -> Any:
    value: Any = ()
    for _ in range(depth - 1):
        value = (value,)
    return value


def depth_by_walk(value: Any) -> int:
    return 1 + max((depth_by_walk(part) for part in value), default=0) if type(value) is tuple else 0


def test_the_depth_is_that_of_the_objects() -> None:
    """Random programs for the pickle machine: what is followed agrees with what an unpickler makes of them."""
    generator = random.Random(5)
    parts = [
        b")", b"N", b"K\x01", b"(", b"t", b"\x85", b"\x86", b"\x87", b"2", b"0", b"1", b"q\x01", b"h\x01", b"h\x02",
        b"q\x02", b"p3\n", b"g3\n", b"r\x01\0\0\0", b"j\x02\0\0\0", b"]", b"a", b"e", b"l", b"\x91", b"I7\n",
        b"K\x05q\x02", b"X\x01\0\0\0ah\x01",
    ]  # fmt: skip
    agreed = 0
    for _ in range(20_000):
        program = b")q\x01q\x02p3\n" + b"".join(generator.choices(parts, k=generator.randrange(4, 40)))
        try:
            found = depth_by_walk(pickle.loads(program + b"."))
        except (pickle.UnpicklingError, IndexError, EOFError, TypeError, AttributeError):
            continue
        depths = TupleDepths()
        depths.feed(program)
        depth = depths._stack[-1] % 2**32
        assert depth >= found
        agreed += depth == found
    assert agreed > 500


def test_files_too_large_to_keep_are_followed_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pickle_scan, "_KEPT", 1000)
    scanner = PickleScanner()
    for _ in range(20):
        scanner.feed(b"X\x64\0\0\0" + b"x" * 100 + b"0")
    assert scanner._depths is not None
    scanner.feed(b")" + b"\x85" * 99)
    with pytest.raises(pickle.UnpicklingError, match="tuples in each other"):
        scanner.feed(b"\x85")


@pytest.mark.parametrize(
    "program", [b"\x85", b"0", b"t", b"(1t", b"Ns", b"e", b"gx\n", b"p1\n", b"2", b"\x94", b"Nq\x01N\x94"]
)
def test_what_no_pickler_writes_is_refused_where_tuples_are_followed(program: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        PickleScanner(follow=True).feed(program)
