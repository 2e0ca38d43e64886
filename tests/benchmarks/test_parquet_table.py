"""latentnas/benchmarks/parquet_table.py, on files written here by pyarrow."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from latentnas.benchmarks.parquet_table import read
from latentnas.errors import DataFileError, LatentNASError
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(40, seed=0).unique(dim=0)
CELLS = SPACE.format(CODES)


def write(path: Path, columns: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_columns_of_all_kinds(tmp_path: Path) -> None:
    n = len(CELLS)
    columns = {
        "id": list(range(n)),
        "arch": CELLS,
        "note": ["x"] * n,
        "flag": [True] * n,
        "acc": [k / 8 for k in range(n)],
        "size": [7_000_000_001 + k for k in range(n)],
        "ms": [None, math.nan, *(float(k) for k in range(2, n))],
    }
    table = read(write(tmp_path / "a.parquet", columns), space="nasbench201", minimize=["ms"])
    assert torch.equal(table.codes.long(), CODES)
    assert list(table.metrics) == ["acc", "size", "ms"]
    assert table.metrics["acc"].tolist() == columns["acc"]
    assert table.metrics["size"].tolist() == columns["size"]
    assert table.metrics["ms"][:2].isnan().all() and table.metrics["ms"][2:].tolist() == columns["ms"][2:]  # type: ignore[index]
    assert table.facts == {"column": "arch", "ignored": ["id", "note", "flag"]}
    assert (table.default, table.minimize) == ("acc", frozenset({"ms"}))


def test_the_whole_space_in_portions(tmp_path: Path) -> None:
    codes = SPACE.enumerate()
    path = write(tmp_path / "a", {"arch": SPACE.format(codes), "a": torch.arange(15_625).numpy()}, row_group_size=999)
    calls: list[tuple[int, int | None]] = []
    table = read(path, space=SPACE, progress=lambda done, total: calls.append((done, total)))
    assert torch.equal(table.codes.long(), codes)
    assert table.metrics["a"].tolist() == list(range(15_625))
    assert calls[-1] == (15_625, 15_625)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"arch": CELLS[:2], "a": [1.0, float("inf")]}, {}, "row 1, column 'a': inf is no finite number"),
        ({"arch": [CELLS[0]] * 2, "a": [1.0, 2.0]}, {}, "rows 0 and 1 are the same cell"),
        ({"arch": ["x"], "a": [1.0]}, {}, "no column holds cells of nasbench201; columns: arch, a"),
        ({"arch": CELLS[:1], "a": ["x"]}, {}, "no column of numbers"),
        ({"arch": CELLS[:1], "a": ["x"]}, {"metrics": ["a"]}, "the column 'a' holds no numbers"),
        ({"arch": CELLS[:1], "a": [1]}, {"metrics": ["b"]}, "no column is called 'b'"),
        ({"arch": CELLS[:1], "a": [1]}, {"column": "b"}, "no column is called 'b'"),
        ({"arch": [*CELLS[:20], "x"], "a": [1] * 21}, {}, "row 20: nasbench201"),
        ({"arch": [*CELLS[:20], None], "a": [1] * 21}, {}, "row 20: nasbench201"),
        ({"arch": pa.array([], pa.string()), "a": pa.array([], pa.int64())}, {}, "no rows"),
    ],
)
def test_faulty_tables(tmp_path: Path, columns: dict[str, object], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read(write(tmp_path / "a", columns), space=SPACE, **options)  # type: ignore[arg-type]


def test_missing_file_and_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none", space=SPACE)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataFileError, match=r"pip install 'latentnas\[parquet\]'"):
        read(tmp_path / "none", space=SPACE)


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    generator = random.Random(0)
    good = write(tmp_path / "a", {"arch": CELLS, "acc": [1.0] * len(CELLS)}).read_bytes()
    refused = 0
    for round_ in range(300):
        data = bytearray(good[: len(good) - round_ % 3 * generator.randrange(len(good))])
        for _ in range(generator.randint(1, 3)):
            if data:
                data[generator.randrange(len(data))] = generator.randrange(256)
        (tmp_path / "b").write_bytes(data)
        try:
            read(tmp_path / "b", space=SPACE)
        except DataFileError:
            refused += 1
        except LatentNASError as error:
            pytest.fail(repr(error))
    assert refused > 200
