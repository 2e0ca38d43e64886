"""latentnas/benchmarks/csv_table.py and collecting.py, on files written here."""

from __future__ import annotations

import gzip
import math
import random
from pathlib import Path

import pytest
import torch

from latentnas.benchmarks import ImportedTable, TabularBenchmark
from latentnas.benchmarks.csv_table import MAX_LINE, read
from latentnas.errors import ConfigError, DataFileError, LatentNASError, UnknownNameError
from latentnas.spaces import get_space

SPACE = get_space("nasbench201")
CODES = SPACE.sample(40, seed=0).unique(dim=0)
CELLS = SPACE.format(CODES)
ACCURACY = [round(90 + 0.01 * k, 2) for k in range(len(CELLS))]


def write(path: Path, rows: list[str], *, end: str = "\n", before: bytes = b"") -> Path:
    data = before + end.join(rows).encode() + end.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows(head: str = "index,arch,acc", count: int = len(CELLS)) -> list[str]:
    return [head, *(f"{k},{CELLS[k]},{ACCURACY[k]}" for k in range(count))]


def check(table: ImportedTable) -> None:
    assert torch.equal(table.codes.long(), CODES)
    assert list(table.metrics) == ["acc"]
    torch.testing.assert_close(table.metrics["acc"], torch.tensor(ACCURACY), rtol=0, atol=0)
    assert (table.default, table.space, table.by_network) == ("acc", "nasbench201", False)


@pytest.mark.parametrize("name", ["Table 1.csv", "a.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_plain_files(tmp_path: Path, name: str, end: str, before: bytes) -> None:
    table = read(write(tmp_path / name, rows(), end=end, before=before), space="nasbench201")
    check(table)
    assert table.name == ("table-1" if name.startswith("T") else "a")
    assert table.facts == {"column": "arch", "ignored": ["index"]}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    check(read(write(tmp_path / "a.csv", [row.replace(",", delimiter) for row in rows()]), space=SPACE))


def test_quoted_fields_with_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    space = get_space("enas_macro6")
    codes = space.sample(3, seed=0)
    lines = ['note,"cell, as a text",acc']
    lines += [f'"a ""note"",\nin two lines","{text}",{k}' for k, text in enumerate(space.format(codes))]
    table = read(write(tmp_path / "a.csv", lines), space=space)
    assert torch.equal(table.codes.long(), codes)
    assert table.metrics["acc"].tolist() == [0.0, 1.0, 2.0]
    assert table.facts == {"column": "cell, as a text", "ignored": ["note"]}


def test_chosen_columns(tmp_path: Path) -> None:
    lines = ["arch,note,acc@12,ms,size", *(f"{cell},x,{k},{2 * k},7335187457" for k, cell in enumerate(CELLS))]
    path = write(tmp_path / "a.csv", lines)
    table = read(path, space=SPACE, metrics=["ms", "acc@12", "size"], minimize=["ms"], default="acc@12", column="arch")
    assert list(table.metrics) == ["ms", "acc@12", "size"]
    assert table.metrics["size"].tolist() == [7335187457.0] * len(CELLS)
    assert (table.default, table.minimize) == ("acc", frozenset({"ms"}))
    assert list(read(path, space=SPACE).metrics) == ["acc@12", "ms", "size"]
    assert list(read(path, space=SPACE, metrics="size").metrics) == ["size"]


def test_a_fidelity_in_a_name_is_one_of_the_metric(tmp_path: Path) -> None:
    lines = ["arch,acc@12,acc@200", *(f"{cell},{k},{10 * k}" for k, cell in enumerate(CELLS))]
    table = TabularBenchmark.from_imported(read(write(tmp_path / "a.csv", lines), space=SPACE, minimize=["acc@12"]))
    assert (table.default_metric, table.metrics, table.fidelities()) == ("acc", ["acc"], [12, 200])
    assert table.direction() == "minimize"
    assert table.query(CODES[:3]).tolist() == [0.0, 10.0, 20.0]


def test_empty_fields_were_not_measured(tmp_path: Path) -> None:
    lines = ["arch,acc", f"{CELLS[0]},", f"{CELLS[1]},  ", f"{CELLS[2]},3", ""]
    values = read(write(tmp_path / "a.csv", lines), space=SPACE).metrics["acc"].tolist()
    assert [math.isnan(value) for value in values] == [True, True, False]


def test_nan_was_not_measured(tmp_path: Path) -> None:
    """As pandas writes it with na_rep."""
    lines = ["arch,acc,note", f"{CELLS[0]},nan,nan", f"{CELLS[1]},NaN,x", f"{CELLS[2]},3,nan"]
    table = read(write(tmp_path / "a.csv", lines), space=SPACE)
    assert [math.isnan(value) for value in table.metrics["acc"].tolist()] == [True, True, False]
    assert table.facts["ignored"] == ["note"]


def test_a_decimal_comma_far_down(tmp_path: Path) -> None:
    codes = SPACE.enumerate()[:500]
    lines = ["arch;acc", *(f"{cell};{k}" for k, cell in enumerate(SPACE.format(codes)))]
    lines[400] = lines[400].replace(";399", ";39,9")
    with pytest.raises(DataFileError, match=r"line 401, column 'acc': '39,9' is no finite number: a decimal comma"):
        read(write(tmp_path / "a.csv", lines), space=SPACE)


def test_the_column_with_the_most_cells_is_taken(tmp_path: Path) -> None:
    lines = ["near,arch,acc", *(f"{CELLS[0] if k < 3 else 'x'},{CELLS[k]},{k}" for k in range(9))]
    assert read(write(tmp_path / "a.csv", lines), space=SPACE).facts == {"column": "arch", "ignored": ["near"]}


def test_names_given_as_one_text_and_units(tmp_path: Path) -> None:
    lines = ["arch,acc@12,ms", f"{CELLS[0]},1,2"]
    path = write(tmp_path / "a.csv", lines)
    table = read(path, space=SPACE, minimize="ms", units=["ms=s", "acc = %"])
    assert (table.minimize, table.units, table.source) == (frozenset({"ms"}), {"ms": "s", "acc": "%"}, "a.csv, 1 row")
    assert read(path, space=SPACE, units={"acc@12": "%"}).units == {"acc": "%"}
    for units in (["ms"], ["=s"], {"ms": 1}):
        with pytest.raises(ConfigError, match="units must be"):
            read(path, space=SPACE, units=units)  # type: ignore[arg-type]
    for options in ({"units": {"x": "s"}}, {"minimize": "x"}):
        with pytest.raises(UnknownNameError, match=r"metric of a\.csv 'x'.* Known: acc, ms"):
            read(path, space=SPACE, **options)  # type: ignore[arg-type]


def test_options_are_checked_before_the_file_is_read(tmp_path: Path) -> None:
    calls: list[int] = []
    path = write(tmp_path / "a.csv", rows())
    for options in ({"duplicates": "last"}, {"minimize": ["x"]}, {"column": "x"}, {"default": "x"}):
        with pytest.raises(LatentNASError):
            read(path, space=SPACE, progress=lambda done, total: calls.append(done), **options)  # type: ignore[arg-type]
    assert calls == []


def test_files_longer_than_a_portion(tmp_path: Path) -> None:
    codes = SPACE.enumerate()
    lines = ["arch,acc", *(f"{cell},{k}" for k, cell in enumerate(SPACE.format(codes)))]
    calls: list[tuple[int, int | None]] = []
    path = write(tmp_path / "a.csv.gz", lines)
    table = read(path, space=SPACE, progress=lambda done, total: calls.append((done, total)))
    assert torch.equal(table.codes.long(), codes)
    assert table.metrics["acc"].tolist() == list(range(15_625))
    assert [total for _, total in calls] == [path.stat().st_size] * 5
    lines[10_000] = f"{CELLS[0]},high"
    with pytest.raises(DataFileError, match=r"line 10001, column 'acc': 'high' is no finite number"):
        read(write(tmp_path / "a.csv", lines), space=SPACE)


def test_duplicates(tmp_path: Path) -> None:
    lines = ["arch,acc,b", *(f"{CELLS[k]},{v},{w}" for k, v, w in [(5, 1, ""), (2, 7, 1), (5, 2, 4), (5, 6, "")])]
    path = write(tmp_path / "a.csv", lines)
    with pytest.raises(
        DataFileError, match=r"lines 2 and 4 are the same cell, .*duplicates='mean' \(--set duplicates=mean\)"
    ):
        read(path, space=SPACE)
    table = read(path, space=SPACE, duplicates="mean")
    assert torch.equal(table.codes.long(), CODES[[5, 2]])
    assert table.metrics["acc"].tolist() == [3.0, 7.0]
    assert table.metrics["b"].tolist() == [4.0, 1.0]
    with pytest.raises(ConfigError, match="'error' or 'mean', got 'last'"):
        read(path, space=SPACE, duplicates="last")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty"),
        (["arch,acc"], "no rows"),
        ([f"{CELLS[0]},1"], "first line must name the columns, but it holds the value .*~0"),
        (["arch,1.5", f"{CELLS[0]},1"], "first line must name the columns, but it holds the value '1.5'"),
        (["arch,a,a", f"{CELLS[0]},1,2"], "two columns are called 'a'"),
        (["arch,acc", f"{CELLS[0]},1,2"], "line 2 has 3 fields, the first line names 2"),
        (["arch,acc", "x,1"], "no column holds cells of nasbench201; columns: arch, acc"),
        (["a,b,acc", f"{CELLS[0]},{CELLS[1]},1"], "columns a, b all hold cells; name one"),
        (["arch,note", f"{CELLS[0]},x"], "no column of numbers"),
        (["arch,index", f"{CELLS[0]},1"], "no column of numbers"),
        (["arch,acc", f"{CELLS[0]},1", f"{CELLS[1]},x"], "line 3, column 'acc': 'x' is no number, other rows"),
        (["arch,acc", f"{CELLS[0]},1", f"{CELLS[1]},inf"], "line 3, column 'acc': 'inf' is no finite number"),
        (["arch,acc", f"{CELLS[0]},1", f"{CELLS[1]},-nan"], "line 3, column 'acc': '-nan' is no finite number"),
        (
            ["arch;acc", f"{CELLS[0]};94,1"],
            "line 2, column 'acc': '94,1' is no number: a decimal comma.*94.1; to leave",
        ),
        (["arch;acc", f"{CELLS[0]};94", f'{CELLS[1]};"94,1"'], "line 3, column 'acc': '94,1' is no number: a decimal"),
        (["arch,acc", "|x~0|,1", f"{CELLS[1]},2"], r"line 2: nasbench201: '\|x~0\|' is no cell"),
        (["id,acc", "7,1"], "no column holds cells of nasbench201; columns: id, acc \\("),
        (["arch,acc", f"{CELLS[0]},1", f"{CELLS[1]},-inf"], "line 3, column 'acc': '-inf'"),
        (["arch,acc", f"{CELLS[0]},1", f"{CELLS[1]},1_0"], "line 3, column 'acc': '1_0'"),
        (["arch,acc", f"{CELLS[0]},1", f'"{CELLS[1]}'], "line 3: "),
        (["arch,acc", f'"{CELLS[0]}"x,1'], "line 2: "),
        (["arch,acc", f"{CELLS[0]},1", "x" * (MAX_LINE + 1)], "line 3 has more than 1,048,576 characters"),
    ],
)
def test_faulty_files(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read(write(tmp_path / "a.csv", lines) if lines else _empty(tmp_path), space=SPACE)


def _empty(folder: Path) -> Path:
    (folder / "a.csv").touch()
    return folder / "a.csv"


def test_a_cell_that_is_none_far_down_is_named(tmp_path: Path) -> None:
    lines = [*rows(), "99,|nor_conv_9x9~0|,1"]
    with pytest.raises(DataFileError, match=rf"line {len(lines)}: nasbench201: .*nor_conv_9x9"):
        read(write(tmp_path / "a.csv", lines), space=SPACE)


def test_options_that_do_not_fit_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", rows())
    for option in ({"column": "cell"}, {"metrics": ["accuracy"]}):
        with pytest.raises(DataFileError, match=r"no column is called .*; columns: index, arch, acc"):
            read(path, space=SPACE, **option)
    with pytest.raises(DataFileError, match="line 2: nasbench201: "):
        read(path, space=SPACE, column="index")
    with pytest.raises(DataFileError, match="line 2, column 'arch'"):
        read(path, space=SPACE, metrics=["arch"])
    with pytest.raises(ConfigError, match="default 'x'"):
        read(path, space=SPACE, default="x")
    with pytest.raises(UnknownNameError, match="space 'nasbench202'"):
        read(path, space="nasbench202")


def test_missing_files_folders_and_broken_gzip(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none.csv", space=SPACE)
    with pytest.raises(DataFileError, match="a folder"):
        read(tmp_path, space=SPACE)
    good = write(tmp_path / "a.csv.gz", rows()).read_bytes()
    for data in (good[: len(good) // 2], good[:-3], good[:40] + bytes([good[40] ^ 255]) + good[41:]):
        (tmp_path / "b.csv.gz").write_bytes(data)
        with pytest.raises(DataFileError):
            read(tmp_path / "b.csv.gz", space=SPACE)


def test_a_bomb_is_not_held_in_memory(tmp_path: Path) -> None:
    """100 MB of one line in 100 kB."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"arch,acc\n" + b"x" * 100_000_000, 1))
    with pytest.raises(DataFileError, match="line 2 has more than"):
        read(path, space=SPACE)


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    """500 files with changed, cut, repeated and random bytes: a table, or a DataFileError."""
    generator = random.Random(0)
    good = write(tmp_path / "a.csv", rows(count=6)).read_bytes()
    refused = 0
    for _ in range(500):
        data = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(len(data))
            change = generator.randrange(4)
            if change == 0:
                data[at] = generator.randrange(256)
            elif change == 1:
                del data[at:]
                data += b"\n"
            elif change == 2:
                data[at:at] = data[at : at + generator.randrange(200)]
            else:
                data[at:at] = generator.randbytes(5)
        (tmp_path / "b.csv").write_bytes(data)
        try:
            read(tmp_path / "b.csv", space=SPACE)
        except DataFileError:
            refused += 1
        except LatentNASError as error:
            pytest.fail(f"{data!r}: {error!r}")
    assert refused > 250
