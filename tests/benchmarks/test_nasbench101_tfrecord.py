"""latentnas/benchmarks/nasbench101_tfrecord.py, _tfrecord.py and _protobuf.py"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentnas.benchmarks._protobuf import MessageError, decode, decode_one
from latentnas.benchmarks._tfrecord import masked_crc32c, read_batches
from latentnas.benchmarks.nasbench101_tfrecord import read
from latentnas.errors import DataFileError
from latentnas.spaces.nasbench101 import NASBench101

from .layouts import (
    crc32c,
    crc32c_by_table,
    evaluation_data,
    masked,
    model_metrics,
    nasbench101_record,
    tfrecord,
    varint,
    write_tfrecords,
)

INCEPTION = (  # the example of the benchmark's documentation
    [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    ["input", "conv1x1-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"],
)
CHAIN = ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "maxpool3x3", "output"])
EMPTY = ([[0, 1], [0, 0]], ["input", "output"])
CELLS = [INCEPTION, CHAIN, EMPTY]
SPACE = NASBench101()


def code(cell: Any) -> torch.Tensor:
    return SPACE.parse(json.dumps({"matrix": cell[0], "ops": cell[1]}))


HASHES = [SPACE.module_hash(code(cell))[0] for cell in CELLS]


def share(cell: int, epochs: int, run: int, halfway: bool, field: int) -> float:
    """A made-up accuracy; multiples of 1/2048, exact in float32."""
    return (cell * 500 + epochs * 3 + run * 41 + halfway * 17 + field * 7) / 2048


def metrics(cell: int, epochs: int, run: int, checkpoint: str | None = None) -> bytes:
    evaluations = [evaluation_data(0, 1.5, 0.125, 0.125, 0.125, checkpoint)]
    for halfway in (True, False):
        values = [share(cell, epochs, run, halfway, field) for field in range(3)]
        evaluations.append(
            evaluation_data(epochs / 2 if halfway else epochs, epochs + run + halfway / 4, *values, checkpoint)
        )
    return model_metrics(evaluations, 1000 * (cell + 1), 5.0)


def records(budgets: tuple[int, ...] = (108,), runs: int = 3, **options: Any) -> list[bytes]:
    return [
        nasbench101_record(HASHES[c], epochs, *CELLS[c], metrics(c, epochs, run, **options))
        for c in range(3)
        for epochs in budgets
        for run in range(runs)
    ]


# --- checksums and framing ------------------------------------------------------------------------


def test_crc32c_of_the_published_test_vectors() -> None:
    """RFC 3720, B.4: 32 bytes of zeros, of ones, ascending; and the check value of "123456789"."""
    vectors = {
        bytes(32): 0x8A9136AA,
        b"\xff" * 32: 0x62A8AB43,
        bytes(range(32)): 0x46DD794E,
        b"123456789": 0xE3069283,
    }
    for data, expected in vectors.items():
        assert crc32c(data) == expected == crc32c_by_table(data)
        found = masked_crc32c(np.frombuffer(data, dtype=np.uint8), np.array([0]), np.array([len(data)]))
        assert int(found[0]) == masked(expected)


def test_crc32c_of_many_pieces_of_different_lengths() -> None:
    generator = random.Random(0)
    data = generator.randbytes(5000)
    starts = [generator.randrange(4000) for _ in range(300)]
    lengths = [generator.choice([1, 2, 7, 8, 9, 100, 333, 1000]) for _ in starts]
    found = masked_crc32c(np.frombuffer(data, dtype=np.uint8), np.array(starts), np.array(lengths))
    assert found.tolist() == [masked(crc32c_by_table(data[s : s + n])) for s, n in zip(starts, lengths, strict=True)]


def test_records_come_back_in_order_over_the_borders_of_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentnas.benchmarks import _tfrecord

    generator = random.Random(1)
    data = [generator.randbytes(generator.randrange(1, 300)) for _ in range(500)]
    path = write_tfrecords(tmp_path / "a.tfrecord", data)
    for chunk in (50, 1000, 2**21):
        monkeypatch.setattr(_tfrecord, "_CHUNK", chunk)
        found: list[bytes] = []
        for number, offset, batch in read_batches(path):
            assert number == len(found)
            assert offset == sum(16 + len(record) for record in found)
            found += batch
        assert found == data


# --- the message ----------------------------------------------------------------------------------


def test_messages_in_the_published_form_and_in_others() -> None:
    parameters = [0, 5, 127, 128, 300_000, 49_979_274, 2**31 - 1]  # parameter counts of 1 to 5 bytes
    evaluations = [evaluation_data(0, 1, 0.1, 0.2, 0.3), evaluation_data(54, 2, 0.4, 0.5, 0.6)]
    usual = [model_metrics([*evaluations, evaluation_data(108, n, 0.7, 0.8, 0.9)], p) for n, p in enumerate(parameters)]
    last = evaluation_data(108, 9, 0.7, 0.8, 0.9, checkpoint="/path/model.ckpt-1")
    with_path = model_metrics([*evaluations, last], 77)
    reversed_fields = varint(2 << 3) + varint(78) + model_metrics([*evaluations, last], 78)[: -9 - 2]
    unknown = varint(9 << 3 | 5) + b"abcd" + varint(10 << 3 | 2) + varint(3) + b"xyz" + with_path
    decoded = decode([*usual, with_path, reversed_fields, unknown])
    assert decoded.parameters.tolist() == [*parameters, 77, 78, 77]
    assert decoded.evaluations[:, 2, 1].tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 9, 9]
    assert (decoded.evaluations[:, 0] == [0, 1, 0.1, 0.2, 0.3]).all()
    assert (decoded.evaluations[:, 1] == [54, 2, 0.4, 0.5, 0.6]).all()
    assert (decoded.evaluations[:, 2, 2:] == [0.7, 0.8, 0.9]).all()


def test_the_fast_path_and_the_general_decoder_agree_on_anything() -> None:
    generator = random.Random(2)
    good = metrics(0, 108, 0)
    rows = []
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(generator.choice([0, 1, 1, 2])):
            bad[generator.randrange(len(bad))] = generator.randrange(256)
        rows.append(bytes(bad))
    outcomes = {True: 0, False: 0}
    for row in rows:
        try:
            expected: Any = decode_one(row)
        except ValueError:
            expected = None
        outcomes[expected is None] += 1
        if expected is None:
            with pytest.raises(MessageError) as caught:
                decode([good, row])
            assert caught.value.row == 1
        else:
            found = decode([good, row])
            np.testing.assert_array_equal(found.evaluations[1], expected[0])
            assert found.parameters[1] == expected[1]
    assert min(outcomes.values()) > 40


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "0 evaluations, expected 3"),
        (b"\xff" * 12, "an integer of more than ten bytes"),
        (b"\x0a\xff\xff\xff\xff\x0f", "reaches over the end"),
        (b"\x0a", "truncated"),
        (b"\x00\x01", "field number 0"),
        (b"\x0b", "wire type 3"),
        (model_metrics([b""] * 3, 1), "an evaluation has no current_epoch"),
        (model_metrics([evaluation_data(0, 0, 0, 0, 0)] * 4, 1), "4 evaluations"),
        (model_metrics([evaluation_data(0, 0, 0, 0, 0)] * 3, 2**40), "trainable_parameters is 1099511627776"),
        (b"".join(b"\x0a\x2d" + evaluation_data(0, 0, 0, 0, 0) for _ in range(3)), "trainable_parameters is None"),
    ],
)
def test_broken_messages(message: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        decode([message])


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", [None, "/some/where/model.ckpt-4321"])
def test_only108(tmp_path: Path, checkpoint: str | None) -> None:
    path = write_tfrecords(tmp_path / "nasbench_only108.tfrecord", records(checkpoint=checkpoint))
    table = read(path)
    assert (table.name, table.space, table.default, table.by_network) == (
        "nasbench101",
        "nasbench101",
        "test_accuracy",
        True,
    )
    order = sorted(range(3), key=lambda c: HASHES[c])
    assert torch.equal(table.codes.long(), torch.cat([code(CELLS[c]) for c in order]))
    assert SPACE.module_hash(table.codes.long()) == sorted(HASHES)
    names = ["train_accuracy", "validation_accuracy", "test_accuracy"]
    for row, c in enumerate(order):
        for field, name in enumerate(names):
            runs = [share(c, 108, run, False, field) for run in range(3)]
            assert [float(table.metrics[f"{name}@108#{run}"][row]) for run in range(3)] == runs
            assert float(table.metrics[name][row]) == pytest.approx(sum(runs) / 3)
        assert [float(table.metrics[f"training_time@108#{run}"][row]) for run in range(3)] == [108, 109, 110]
        assert table.metrics["training_time"][row] == 109
        assert table.metrics["params"][row] == 1000 * (c + 1)
    assert table.minimize == {"training_time", "params"}
    assert table.source == "nasbench_only108.tfrecord: 3 cells, 9 training runs"
    assert len(table.metrics) == 4 * (3 + 1 + 1) + 1
    assert all(column.dtype == torch.float32 for column in table.metrics.values())


def test_full_with_halfway_values(tmp_path: Path) -> None:
    data = records((4, 12, 36, 108))
    random.Random(0).shuffle(data)  # any order of cells and budgets
    table = read(write_tfrecords(tmp_path / "full.tfrecord", data), halfway=True)
    order = sorted(range(3), key=lambda c: HASHES[c])
    for row, c in enumerate(order):
        for epochs in (4, 12, 36, 108):
            for halfway in (True, False):
                name = "halfway_test_accuracy" if halfway else "test_accuracy"
                expected = sorted(share(c, epochs, run, halfway, 2) for run in range(3))
                found = [float(table.metrics[f"{name}@{epochs}#{run}"][row]) for run in range(3)]
                assert sorted(found) == expected
                assert float(table.metrics[f"{name}@{epochs}"][row]) == pytest.approx(sum(expected) / 3)
        assert table.metrics["halfway_training_time@12"][row] == 13.25
    assert torch.equal(table.metrics["test_accuracy"], table.metrics["test_accuracy@108"])
    assert "halfway_test_accuracy@108" not in read(tmp_path / "full.tfrecord").metrics


def test_missing_runs_are_nan_and_counted(tmp_path: Path) -> None:
    data = records((12, 108))
    del data[1]  # one run of the first cell at 12 epochs
    del data[-3:]  # all runs of the last cell at 108 epochs
    table = read(write_tfrecords(tmp_path / "a.tfrecord", data))
    first, last = sorted(HASHES).index(HASHES[0]), sorted(HASHES).index(HASHES[2])
    assert table.metrics["test_accuracy@12#2"].isnan().nonzero().tolist() == [[first]]
    assert table.metrics["test_accuracy@108"].isnan().nonzero().tolist() == [[last]]
    runs = [share(0, 12, run, False, 2) for run in (0, 2)]
    assert float(table.metrics["test_accuracy@12"][first]) == pytest.approx(sum(runs) / 2)
    assert table.source.endswith("14 training runs; 2 of 6 trainings have fewer than 3 runs, 1 none")


def test_progress_is_told(tmp_path: Path) -> None:
    path = write_tfrecords(tmp_path / "a.tfrecord", records())
    calls: list[tuple[int, int | None]] = []
    read(path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (path.stat().st_size, path.stat().st_size)


# --- faults ---------------------------------------------------------------------------------------


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    with pytest.raises(DataFileError, match="no such file"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(DataFileError, match="empty"):
        read(path)
    path.write_bytes(b"hash,epochs\n" * 100)
    with pytest.raises(DataFileError, match=r"record 0 at byte 0 claims [\d,]+ bytes.*no TFRecord file"):
        read(path)
    with pytest.raises(DataFileError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("length", [2**60, 2**64 - 1, 2**16 + 1, 0])
def test_hostile_lengths(tmp_path: Path, length: int) -> None:
    head = struct.pack("<Q", length)
    path = tmp_path / "a.tfrecord"
    good = tfrecord(records()[0])
    path.write_bytes(good + head + struct.pack("<I", masked(crc32c(head))) + b"x" * 100)
    with pytest.raises(DataFileError, match=f"record 1 at byte {len(good):,} claims {length:,} bytes"):
        read(path)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    data = b"".join(map(tfrecord, records(runs=1)))
    borders = {0, *np.cumsum([len(tfrecord(record)) for record in records(runs=1)]).tolist()}
    path = tmp_path / "a.tfrecord"
    for length in range(1, len(data), 7):
        path.write_bytes(data[:length])
        if length not in borders:
            with pytest.raises(DataFileError, match=r"truncated: record \d at byte [\d,]+ is not complete"):
                read(path)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """A CRC-32 finds every error within four bytes."""
    data = b"".join(map(tfrecord, records(runs=1)))
    generator = random.Random(101)
    path = tmp_path / "a.tfrecord"
    for _ in range(400):
        bad = bytearray(data)
        bad[generator.randrange(len(bad))] ^= generator.randrange(1, 256)
        path.write_bytes(bad)
        with pytest.raises(DataFileError, match=r"record \d at byte"):
            read(path)


def test_a_corrupted_record_is_named(tmp_path: Path) -> None:
    data = [tfrecord(record) for record in records()]
    bad = bytearray(b"".join(data))
    place = len(data[0]) + len(data[1])
    bad[place + 40] ^= 1
    path = tmp_path / "a.tfrecord"
    path.write_bytes(bad)
    with pytest.raises(DataFileError, match=f"record 2 at byte {place:,} is corrupted: the checksum of its data"):
        read(path)


ITEM = json.loads(records()[4])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("no json", "no JSON"),
        ('["a', "no JSON"),
        ("1], [2", "no JSON"),
        ("[" * 5000 + "]" * 5000, r"no JSON|not \[hash"),
        ("{}", r"not \[hash"),
        ("[1, 2]", r"not \[hash"),
        ("7", r"not \[hash"),
        (b"\xff\xfe", "no JSON"),
        ([*ITEM, 1], r"not \[hash"),
        ([ITEM[0][:-1], *ITEM[1:]], "has not 32 digits"),
        (["z" * 32, *ITEM[1:]], r"not \[hash"),
        ([None, *ITEM[1:]], "must be texts"),
        ([ITEM[0], "108", *ITEM[2:]], "epochs is '108'"),
        ([ITEM[0], 0, *ITEM[2:]], "epochs is 0"),
        ([ITEM[0], 10**30, *ITEM[2:]], "epochs is 1000"),
        ([ITEM[0], True, *ITEM[2:]], "epochs is True"),
        ([*ITEM[:2], 9, *ITEM[3:]], "must be texts"),
        ([*ITEM[:2], "010000000", *ITEM[3:]], f"module {HASHES[1]} is another cell than in an earlier record"),
        ([*ITEM[:3], "input,conv1x1-bn-relu,output", ITEM[4]], "is another cell than in an earlier record"),
        ([*ITEM[:4], "%%%"], "no ModelMetrics"),
        ([*ITEM[:4], "é"], r"not \[hash"),
        ([*ITEM[:4], None], r"not \[hash"),
        ([*ITEM[:4], ITEM[4][:40]], "no ModelMetrics"),
    ],
)
def test_wrong_records(tmp_path: Path, item: Any, message: str) -> None:
    data = records()
    data[4] = item if isinstance(item, bytes) else (item if isinstance(item, str) else json.dumps(item)).encode()
    place = sum(16 + len(record) for record in data[:4])
    with pytest.raises(DataFileError, match=f"record 4 at byte {place:,}: .*(?:{message})"):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.0, float("nan"), 0.5, 0.5), "values out of range.*nan"),
        ((1.0, 0.5, float("inf"), 0.5), "values out of range.*inf"),
        ((1.0, 0.5, 0.5, 94.3), "values out of range.*94.3"),
        ((-1.0, 0.5, 0.5, 0.5), "values out of range.*-1.0"),
        ((float("nan"), 0.5, 0.5, 0.5), "values out of range"),
    ],
)
def test_values_out_of_range(tmp_path: Path, values: tuple[float, ...], message: str) -> None:
    data = records()
    evaluations = [evaluation_data(epoch, 1, 0.5, 0.5, 0.5) for epoch in (0, 54)]
    message_bytes = model_metrics([*evaluations, evaluation_data(108, *values)], 2000)
    data[5] = nasbench101_record(HASHES[1], 108, *CHAIN, message_bytes)
    with pytest.raises(DataFileError, match=f"record 5 at byte [0-9,]+: {message}"):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))


def test_parameters_that_differ_between_runs(tmp_path: Path) -> None:
    data = records()
    data[5] = nasbench101_record(HASHES[1], 108, *CHAIN, metrics(2, 108, 2))
    with pytest.raises(DataFileError, match=r"record 5 .*3,000 parameters, 2,000 in another record of this module"):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "output"]), "3 vertices, but 2 operations"),
        (([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv5x5", "output"]), "are not input, up to 5 of"),
        (([[0, 1], [0, 0]], ["output", "input"]), "are not input"),
        (([[0, 0], [1, 0]], ["input", "output"]), "no cell of NAS-Bench-101"),
        (([[0, 2], [0, 0]], ["input", "output"]), "adjacency '0200' is not n x n digits"),
        (([[0, 1, 0]], ["input", "output"]), "adjacency '010' is not n x n digits"),
        (([[0] * 8] * 8, ["input", "output"]), "is not n x n digits"),
        (([[0, 0, 1], [0, 0, 1], [0, 0, 0]], ["input", "maxpool3x3", "output"]), "no cell of NAS-Bench-101"),
        (([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["input", "maxpool3x3", "output"]), "its cell has the hash [0-9a-f]{32}"),
    ],
)
def test_wrong_cells(tmp_path: Path, cell: Any, message: str) -> None:
    data = [nasbench101_record(HASHES[1], 108, *cell, metrics(1, 108, run)) for run in range(3)]
    with pytest.raises(DataFileError, match=message):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))


def test_far_too_many_runs_or_budgets(tmp_path: Path) -> None:
    data = [nasbench101_record(HASHES[1], 108, *CHAIN, metrics(1, 108, 0)) for _ in range(9)]
    with pytest.raises(DataFileError, match="a module has 9 runs of 108 epochs"):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))
    data = [nasbench101_record(HASHES[1], epochs, *CHAIN, metrics(1, 4, 0)) for epochs in range(1, 10)]
    with pytest.raises(DataFileError, match="9 different numbers of epochs"):
        read(write_tfrecords(tmp_path / "a.tfrecord", data))


def test_hostile_json_with_right_checksums(tmp_path: Path) -> None:
    """Any change of a record's text, framed anew, gives a table or the documented error."""
    data = records()
    generator = random.Random(5)
    path = tmp_path / "a.tfrecord"
    refused = 0
    for _ in range(300):
        bad = list(data)
        row = generator.randrange(len(bad))
        text = bytearray(bad[row])
        for _ in range(generator.choice([1, 2, 5])):
            text[generator.randrange(len(text))] = generator.choice(b'[]{}",0123456789abcdefNaI\\-e. \x00\xff')
        bad[row] = bytes(text)
        try:
            read(write_tfrecords(path, bad))
        except DataFileError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 200
