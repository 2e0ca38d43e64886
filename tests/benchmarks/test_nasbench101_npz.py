"""latentnas/benchmarks/nasbench101_npz.py, on files written here by numpy and by hand."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentnas.benchmarks import TabularBenchmark
from latentnas.benchmarks.nasbench101_npz import MAX_ROWS, TRAIN_ROWS, read
from latentnas.errors import DataFileError, InvalidCodeError, LatentNASError
from latentnas.spaces import get_space

PAIRS = [(i, j) for j in range(7) for i in range(j)]


def bits(*edges: tuple[int, int]) -> int:
    return sum(1 << PAIRS.index(edge) for edge in edges)


# input -> output; one operation; 1x1 and max pooling side by side; the same with the two exchanged and an edge more
EDGES = [
    bits((0, 1)),
    bits((0, 1), (1, 2)),
    bits((0, 1), (0, 2), (1, 3), (2, 3)),
    bits((0, 1), (0, 2), (1, 3), (2, 3), (0, 3)),
]


def arrays() -> dict[str, np.ndarray]:
    return {
        "num_vertices": np.array([2, 3, 4, 4], np.uint8),
        "ops": np.array([[255] * 5, [0] + [255] * 4, [1, 2] + [255] * 3, [2, 1] + [255] * 3], np.uint8),
        "edges": np.array(EDGES, np.uint32),
        "test_accuracy": np.array([0.1, 0.5, 0.9, 0.8], np.float32),
        "macs": np.array([1, 7_335_187_457, 3, 4], np.int64),
        "params": np.array([5, 6, 7, 8], np.int64),
    }


def write(path: Path, **changes: Any) -> Path:
    content = {name: value for name, value in (arrays() | changes).items() if value is not None}
    np.savez_compressed(path, **content)
    return path


def test_codes_and_metrics(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.npz"))
    expected = np.zeros((4, 27), int)
    expected[:, 0] = [0, 1, 2, 2]
    expected[1:, 1] = [0, 1, 2]
    expected[2:, 2] = [2, 1]
    for row, edges in enumerate(EDGES):
        for q in range(21):
            expected[row, 6 + q] = edges >> q & 1
    assert table.codes.tolist() == expected.tolist()
    assert (table.name, table.space, table.default, table.by_network) == (
        "nasbench101", "nasbench101", "test_accuracy", True,
    )  # fmt: skip
    assert table.minimize == {"macs", "params"}
    assert table.metrics["macs"].tolist() == [1, 7_335_187_457, 3, 4]
    assert table.metrics["test_accuracy@108#0"].tolist() == pytest.approx([0.1, 0.5, 0.9, 0.8])
    assert table.facts == {}


def test_the_cells_are_those_that_are_meant(tmp_path: Path) -> None:
    table = TabularBenchmark.from_imported(read(write(tmp_path / "a.npz")))
    texts = [
        '{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}',
        '{"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv3x3-bn-relu", "output"]}',
    ]
    assert table.space.format(table.codes[:2]) == texts
    # The two operations of the third cell are interchangeable: the other way round it is the same network.
    other = table.space.parse(
        '{"matrix": [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]],'
        ' "ops": ["input", "maxpool3x3", "conv1x1-bn-relu", "output"]}'
    )
    assert not (other == table.codes[2]).all()
    assert table.query(other).item() == pytest.approx(0.9)


def test_the_training_half_of_the_whole_table(tmp_path: Path) -> None:
    n = 423_624
    assert round(0.9 * n) == TRAIN_ROWS
    repeated = {name: np.repeat(value[:1], n, axis=0) for name, value in arrays().items()}
    assert read(write(tmp_path / "a.npz", **repeated)).facts == {"train_rows": 381_262}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": None}, "no item named 'edges.npy'.*expected the arrays num_vertices, ops"),
        ({"edges": np.array([1.0] * 4)}, r"edges is float64 \[4\], expected kind u \[n\]"),
        ({"edges": np.array([1] * 3, np.uint32)}, "edges has 3 rows, expected 4"),
        ({"edges": np.array([2**21] * 4, np.uint32)}, r"edges\[0\] is 2097152, must be below 2\^21"),
        ({"ops": np.zeros((4, 4), np.uint8)}, r"ops is uint8 \[4, 4\], expected kind u \[n, 5\]"),
        ({"ops": np.zeros((4, 5), np.uint8)}, r"ops\[0\] is \[0, 0, 0, 0, 0\] in a cell of 2 vertices, expected 0"),
        ({"ops": np.asfortranarray(arrays()["ops"])}, "Fortran order"),
        ({"num_vertices": np.array([2, 3, 8, 4], np.uint8)}, r"num_vertices\[2\] is 8, must be in 2\.\.7"),
        ({"test_accuracy": np.array([0.1, np.nan, 0.2, 0.3])}, r"test_accuracy\[1\] is nan"),
        ({"test_accuracy": np.array([90.0] * 4)}, r"test_accuracy\[0\] is 90.0, expected a share"),
        ({"params": np.array([1, -1, 2, 3])}, r"params\[1\] is -1"),
        ({"test_accuracy": np.array(["a"] * 4)}, "test_accuracy is <U1"),
        ({name: value[:0] for name, value in arrays().items()}, "no cells"),
    ],
)
def test_faulty_arrays(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read(write(tmp_path / "a.npz", **changes))


def test_what_is_no_cell_is_refused_by_the_table(tmp_path: Path) -> None:
    unconnected = np.array([0, *EDGES[1:]], np.uint32)
    with pytest.raises(InvalidCodeError, match=r"codes\[0\]"):
        TabularBenchmark.from_imported(read(write(tmp_path / "a.npz", edges=unconnected)))


def archive(path: Path, members: dict[str, bytes]) -> Path:
    content = {f"{name}.npy": npy(value) for name, value in arrays().items()} | members
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def npy(value: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, value, **options)
    return buffer.getvalue()


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header("(10**15,)"), "truncated, corrupted"),
        (header("(1000000000000,)"), "num_vertices has 1,000,000,000,000 rows, expected 0..2,000,000"),
        (header("(-4,)"), "num_vertices has -4 rows"),
        (header("(4,)") + b"\2\3\4", "holds fewer than the 4 bytes"),
        (header("(4,)") + b"\2\3\4" * 50_000_000, "holds more than the 4 bytes"),
        (header("(4,)", "'|u1', 'x': 1"), "truncated, corrupted"),
        (header("__import__('os').getcwd()"), "truncated, corrupted"),
        (header("(4,)", "[('a', '|u1')]"), "num_vertices is "),
        (b"\x93NUMPY\x09\x00" + bytes(100), r"version \(9, 0\)"),
        (b"hello", "truncated, corrupted"),
        (b"", "truncated, corrupted"),
    ],
)
def test_hostile_members_take_no_memory(tmp_path: Path, data: bytes, message: str) -> None:
    assert MAX_ROWS == 2_000_000
    with pytest.raises(DataFileError, match=message):
        read(archive(tmp_path / "a.npz", {"num_vertices.npy": data}))


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    data = npy(np.array([Payload(target)], object), allow_pickle=True)
    with pytest.raises(DataFileError, match="num_vertices is object"):
        read(archive(tmp_path / "a.npz", {"num_vertices.npy": data}))
    assert not target.exists()
    pickle.loads(data[128:])  # the payload works
    assert target.exists()


def test_missing_empty_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none.npz")
    with pytest.raises(DataFileError, match="cannot be read"):
        read(tmp_path)
    data = write(tmp_path / "a.npz").read_bytes()
    for share in (0.0, 0.3, 0.9, 0.99):
        (tmp_path / "b.npz").write_bytes(data[: int(share * len(data))])
        with pytest.raises(DataFileError, match="truncated, corrupted"):
            read(tmp_path / "b.npz")


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    generator = random.Random(0)
    good = write(tmp_path / "a.npz").read_bytes()
    refused = 0
    for _ in range(500):
        data = bytearray(good)
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        (tmp_path / "b.npz").write_bytes(data)
        try:
            read(tmp_path / "b.npz")
        except DataFileError:
            refused += 1
        except LatentNASError as error:
            pytest.fail(repr(error))
    assert refused > 250


def test_the_space_has_the_bits_in_this_order() -> None:
    assert get_space("nasbench101").columns[6:] == tuple(f"edge_{i}_{j}" for i, j in PAIRS)


@pytest.mark.parametrize("header", [b"{'descr': (", b"'''", b"{'descr': '<f4', 'fortran_order': False, 'shape': ("])
def test_a_header_that_is_no_python_literal(tmp_path: Path, header: bytes) -> None:
    """NumPy's tokenizer raises an error of its own on these."""
    member = b"\x93NUMPY\x01\x00" + len(header + b"\n").to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("num_vertices.npy", member)
    with pytest.raises(DataFileError, match="truncated, corrupted or of another form"):
        read(tmp_path / "a.npz")
