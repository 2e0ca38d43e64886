"""latentnas/benchmarks/cache.py"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

import latentnas.benchmarks.cache as module
from latentnas.benchmarks import Origin, TabularBenchmark
from latentnas.benchmarks.cache import (
    cache_folder,
    cached_names,
    read_description,
    read_origin,
    read_table,
    remove_table,
    table_path,
    write_table,
)
from latentnas.errors import ConfigError, DataFileError
from latentnas.spaces import NASBench201, get_space, register_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(200, seed=0).unique(dim=0)
VALUES = torch.rand(len(CODES), generator=torch.Generator().manual_seed(0))
VALUES[3] = torch.nan
COUNTS = torch.arange(len(CODES)).double() + 7_000_000_001
ORIGIN = Origin("/data/file.csv", 10, 20, "ab", "csv", {"space": "nasbench201"})


def table(name: str = "t", space: object = SPACE, *, by_network: bool = False) -> TabularBenchmark:
    return TabularBenchmark(
        name,
        space,  # type: ignore[arg-type]
        CODES,
        {"acc@12#0": VALUES, "acc@12#1": VALUES + 1, "size": COUNTS},
        default="acc",
        minimize=["size"],
        incomplete=["acc"],
        by_network=by_network,
        source="made here",
        units={"acc": "%"},
        facts={"rows": [1, 2]},
    )


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    assert cache_folder() == cache / "tables"
    monkeypatch.delenv("LATENTNAS_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    expected = {
        "linux": tmp_path / ".cache" / "latentnas" / "tables",
        "darwin": tmp_path / "Library" / "Caches" / "latentnas" / "tables",
        "win32": tmp_path / "AppData" / "Local" / "latentnas" / "tables",
    }
    for platform, folder in expected.items():
        monkeypatch.setattr("sys.platform", platform)
        assert cache_folder() == folder
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "latentnas" / "tables"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "l"))
    assert cache_folder() == tmp_path / "l" / "latentnas" / "tables"


@pytest.mark.parametrize("name", ["", "A", "../t", "a/b", "a\\b", ".t", "-t", "t\n", "a" * 101, "ä"])
def test_names_that_cannot_be_those_of_tables(name: str) -> None:
    with pytest.raises(ConfigError, match="a table's name has"):
        table_path(name)


# --- there and back --------------------------------------------------------------------------------


def test_a_table_comes_back_as_it_was() -> None:
    written = table()
    path = write_table(written, ORIGIN)
    assert path == table_path("t")
    assert cached_names() == ["t"]
    back = read_table("t")
    assert torch.equal(back.codes, CODES)
    assert back.space is SPACE
    for name in ("acc", "acc@12", "acc@12#0", "acc@12#1", "size"):
        torch.testing.assert_close(back.values(name), written.values(name), rtol=0, atol=0, equal_nan=True)
    for fact in ("name", "default_metric", "minimize", "by_network", "source", "units", "facts", "metrics", "columns"):
        assert getattr(back, fact) == getattr(written, fact)
    assert back.query(CODES[5:7], "size").tolist() == [7_000_000_006, 7_000_000_007]
    assert back.best().row == written.best().row
    assert read_origin("t") == ORIGIN
    facts = read_description("t")
    assert (facts["rows"], facts["space"], facts["bytes"]) == (len(CODES), "nasbench201", path.stat().st_size)


def test_the_file_is_compact() -> None:
    size = write_table(table(), ORIGIN).stat().st_size
    assert size < len(CODES) * (6 + 4 + 4 + 8) + 4_000
    with safe_open(table_path("t"), framework="numpy") as file:
        assert {name: file.get_tensor(name).dtype for name in file.keys()} == {  # noqa: SIM118
            "codes": np.uint8,
            "column:acc@12#0": np.float32,
            "column:acc@12#1": np.float32,
            "column:size": np.float64,
        }


def test_a_space_of_more_than_2_to_the_63_codes() -> None:
    space = get_space("enas_macro12")
    codes = space.sample(50, seed=0)
    write_table(TabularBenchmark("big", space, codes, {"a": torch.arange(50)}, default="a"), ORIGIN)
    assert read_table("big").query(codes).tolist() == list(range(50))


class Pairs(NASBench201):
    """NAS-Bench-201 in which only the multiset of the operations counts: sorted codes stand for all others."""

    name = "test-cache-pairs"
    descending = False

    def canonical(self, codes: torch.Tensor) -> torch.Tensor:
        return self.check_codes(codes).sort(1, descending=self.descending).values


@pytest.fixture
def pairs() -> Pairs:
    register_space(Pairs.name, Pairs)
    return get_space(Pairs.name)  # type: ignore[return-value]


def networks(pairs: Pairs) -> TabularBenchmark:
    codes = torch.tensor([[3, 0, 0, 0, 0, 1], [4, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    return TabularBenchmark("n", pairs, codes, {"a": [1.0, 2.0, 3.0]}, default="a", by_network=True)


def test_canonical_codes_are_kept_not_computed(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(networks(pairs), ORIGIN)
    back = read_table("n")
    assert back.codes[0].tolist() == [3, 0, 0, 0, 0, 1]
    assert back.query([[0, 1, 3, 0, 0, 0], [0, 0, 0, 0, 2, 4]]).tolist() == [1.0, 2.0]


def test_a_space_that_changed_since_is_noticed(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(networks(pairs), ORIGIN)
    monkeypatch.setattr(pairs, "descending", True)
    with pytest.raises(DataFileError, match=r"reads these codes otherwise .*import it again"):
        read_table("n")
    monkeypatch.setattr(pairs, "descending", False)
    read_table("n")
    monkeypatch.setattr(pairs, "columns", ("x", *pairs.columns[1:]))
    with pytest.raises(DataFileError, match=r"the codes of test-cache-pairs have changed since latentnas .*import"):
        read_table("n")


# --- what goes wrong -------------------------------------------------------------------------------


def test_what_is_not_there() -> None:
    for function in (read_table, read_description, remove_table):
        with pytest.raises(DataFileError, match="no imported table is called 'x'; imported: none"):
            function("x")
    assert cached_names() == []


def test_remove() -> None:
    path = write_table(table(), ORIGIN)
    assert remove_table("t") == path
    assert not path.exists()


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError("no memory")])
@pytest.mark.parametrize("where", ["os.replace", "os.fsync", "safetensors.numpy.save_file"])
def test_nothing_half_written_is_left(monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str) -> None:
    before = write_table(table(), ORIGIN).read_bytes()

    def fail(*args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        expected = DataFileError if isinstance(error, Exception) else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            write_table(table(), ORIGIN)
    if expected is DataFileError:
        assert "cannot be written" in str(caught.value)
    assert os.listdir(cache_folder()) == ["t.safetensors"]
    assert table_path("t").read_bytes() == before


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LATENTNAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataFileError, match=r"cannot be written: .*Set LATENTNAS_CACHE"):
        write_table(table(), ORIGIN)


def test_leftovers_of_killed_processes_are_not_tables_and_go_away() -> None:
    cache_folder().mkdir(parents=True)
    old, new = cache_folder() / ".t.1.ab.tmp", cache_folder() / ".t.2.ab.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 2 * 86_400))
    assert cached_names() == []
    write_table(table(), ORIGIN)
    assert sorted(os.listdir(cache_folder())) == [new.name, "t.safetensors"]


def test_writers_and_readers_at_once() -> None:
    write_table(table(), ORIGIN)
    faults: list[BaseException] = []

    def work(function: object) -> None:
        try:
            for _ in range(15):
                function()  # type: ignore[operator]
        except BaseException as error:
            faults.append(error)

    jobs = [lambda: write_table(table(), ORIGIN)] * 3 + [lambda: read_table("t").query(CODES[:9])] * 3
    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert os.listdir(cache_folder()) == ["t.safetensors"]


def load_all(name: str) -> None:
    back = read_table(name)
    for column in back.columns:
        back.values(column)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated(share: float) -> None:
    path = write_table(table(), ORIGIN)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataFileError, match=r"damaged .*import it again: latentnas data import PATH --name t"):
        read_table("t")


@pytest.mark.parametrize("data", [b"hello", bytes(1000), b"\xff" * 1000, b"\x80\x04cos\nsystem\n."])
def test_binary_junk(data: bytes) -> None:
    table_path("t").parent.mkdir()
    table_path("t").write_bytes(data)
    with pytest.raises(DataFileError, match="damaged"):
        read_table("t")


def test_every_changed_byte_is_noticed_or_harmless() -> None:
    """600 files, one byte changed in each: an error, or exactly the table that was written."""
    path = write_table(table(), ORIGIN)
    good, written, generator = path.read_bytes(), table(), random.Random(0)
    refused = 0
    for _ in range(600):
        data = bytearray(good)
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        try:
            load_all("t")
            back = read_table("t")
            assert torch.equal(back.codes, CODES)
            assert torch.equal(back.values("size"), written.values("size"))
        except DataFileError:
            refused += 1
    assert refused > 590


def rewrite(**changes: object) -> None:
    """The file again, with another description and a matching checksum."""
    path = table_path("t")
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(file.metadata()["latentnas_table"])
    text = json.dumps(description | changes)
    save_file(tensors, path, {"latentnas_table": text, "crc32": str(module.zlib.crc32(text.encode()))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 5}, "damaged"),
        ({"rows": -1}, "damaged"),
        ({"checksums": {}}, "damaged"),
        ({"format_version": 99}, "written in format 99 of the cache .*import it again"),
        ({"fingerprint": "0"}, "have changed since"),
        ({"probes": []}, "reads these codes otherwise"),
    ],
)
def test_descriptions_that_do_not_fit(changes: dict[str, object], message: str) -> None:
    write_table(table(), ORIGIN)
    rewrite()
    load_all("t")
    rewrite(**changes)
    with pytest.raises(DataFileError, match=message):
        load_all("t")


def test_another_safetensors_file() -> None:
    table_path("t").parent.mkdir()
    save_file({"x": np.zeros(3)}, table_path("t"))
    with pytest.raises(DataFileError, match="damaged"):
        read_table("t")


def test_what_happens_to_the_file_later_does_not_touch_a_loaded_table() -> None:
    write_table(table(), ORIGIN)
    back = read_table("t")
    other = TabularBenchmark("t", "nasbench201", CODES[:1], {"acc": [1.0]}, default="acc")
    write_table(other, ORIGIN)
    assert back.values("size")[0] == 7_000_000_001
    assert len(read_table("t")) == 1
    remove_table("t")
    torch.testing.assert_close(back.values("acc"), table().values("acc"), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fingerprint", None),
        ("space", ["nasbench201"]),
        ("units", ["a"]),
        ("units", {"acc": 1}),
        ("columns", ["acc@12#0", "acc@12#0"]),
        ("columns", [["acc"]]),
        ("columns", ["acc@12#0", "unknown"]),
        ("default", "other"),
        ("rows", -1),
        ("rows", True),
        ("checksums", {}),
        ("minimize", "size"),
        ("origin", {"path": "/a", "more": 1}),
    ],
)
def test_a_header_with_a_right_checksum_and_wrong_contents(cache: Path, field: str, value: object) -> None:
    path = write_table(table(), ORIGIN)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    key, text = next(item for item in metadata.items() if item[1].startswith("{"))
    checksum = next(name for name in metadata if name != key)
    changed = json.dumps({**json.loads(text), field: value})
    save_file(tensors, path, {key: changed, checksum: str(zlib.crc32(changed.encode()))})
    with pytest.raises(DataFileError, match="damaged or was changed"):
        read_table("t")
        read_origin("t")
