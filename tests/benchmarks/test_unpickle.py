"""latentnas/benchmarks/_unpickle.py"""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import pytest

from latentnas.benchmarks._unpickle import Record, load_plain_pickle
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
