"""latentnas/benchmarks/enas_text.py, on files written here in the layout of final_structures6.txt."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark
from latentnas.benchmarks.enas_text import METRIC, dvae_rows, dvae_split, read
from latentnas.errors import ConfigError, DataFileError, LatentNASError
from latentnas.spaces import SearchSpace, get_space

SPACE = get_space("enas_macro6")


def write(path: Path, codes: torch.Tensor, values: list[float]) -> Path:
    lines = [f"{text}, {value}\n" for text, value in zip(space_of(codes).format(codes), values, strict=True)]
    data = "".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def space_of(codes: torch.Tensor) -> SearchSpace:
    return get_space({21: "enas_macro6", 78: "enas_macro12"}[codes.shape[1]])


@pytest.mark.parametrize("name", ["final_structures6.txt", "a.txt.gz"])
@pytest.mark.parametrize("space", ["enas_macro6", "enas_macro12"])
def test_rows_in_the_order_of_the_file_after_the_burn_in(tmp_path: Path, name: str, space: str) -> None:
    codes = get_space(space).sample(1050, seed=0)
    assert len(codes.unique(dim=0)) == 1050
    table = read(write(tmp_path / name, codes, [0.7 + k / 10_000 for k in range(1050)]))
    assert (table.name, table.space, table.default) == (space, space, METRIC)
    assert torch.equal(table.codes, codes[1000:])
    assert table.metrics[METRIC].tolist() == pytest.approx([0.8 + k / 10_000 for k in range(50)])
    assert (table.facts["burn_in"], table.facts["file_rows"]) == (1000, 50)


def test_a_line_of_the_published_file(tmp_path: Path) -> None:
    """Operations 1, 4, 5, 0, 2, 3, and the skip bits layer by layer; read off by hand."""
    line = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]], 0.7302\n"
    (tmp_path / "a").write_text(line)
    table = read(tmp_path / "a", burn_in=0)
    assert table.codes.tolist() == [[1, 4, 5, 0, 2, 3, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1]]
    assert table.metrics[METRIC].item() == pytest.approx(0.7302)


@pytest.fixture
def repeated(tmp_path: Path) -> tuple[TabularBenchmark, torch.Tensor, list[float]]:
    """30 rows, in which the cell of row 3 is that of rows 10 and 20, and that of row 4 is that of row 29."""
    codes = SPACE.sample(30, seed=1)
    codes[10] = codes[20] = codes[3]
    codes[29] = codes[4]
    values = [round(0.5 + k / 100, 2) for k in range(30)]
    return TabularBenchmark.from_imported(read(write(tmp_path / "a", codes, values), burn_in=0)), codes, values


def test_cells_that_occur_again_have_their_mean(
    repeated: tuple[TabularBenchmark, torch.Tensor, list[float]],
) -> None:
    table, codes, _ = repeated
    once = [k for k in range(30) if k not in (10, 20, 29)]
    assert torch.equal(table.codes, codes[once])
    assert table.query(codes[3:5]).tolist() == pytest.approx([(0.53 + 0.6 + 0.7) / 3, (0.54 + 0.79) / 2])


def test_dvae_has_every_row(repeated: tuple[TabularBenchmark, torch.Tensor, list[float]]) -> None:
    table, codes, values = repeated
    rows, accuracies = dvae_rows(table)
    assert torch.equal(rows, codes)
    assert accuracies.tolist() == pytest.approx(values)
    train, test = dvae_split(table)
    order = list(range(30))
    random.Random(0).shuffle(order)
    assert (train.tolist(), test.tolist()) == (order[:27], order[27:])
    assert sorted(dvae_split(table, seed=1)[0].tolist() + dvae_split(table, seed=1)[1].tolist()) == list(range(30))
    assert dvae_split(table, seed=1)[0].tolist() != train.tolist()


def test_the_split_of_19020_rows() -> None:
    """The published sizes: 17,118 and 1,902."""
    facts = {"file_rows": 19_020, "repeated": {"row": [], "cell": [], "value": []}}
    table = TabularBenchmark("t", SPACE, SPACE.sample(1, seed=0), {METRIC: [0.7]}, default=METRIC, facts=facts)
    assert [len(part) for part in dvae_split(table)] == [17_118, 1_902]


def test_tables_of_other_files_have_no_such_split() -> None:
    table = TabularBenchmark("t", SPACE, SPACE.sample(1, seed=0), {METRIC: [0.7]}, default=METRIC)
    for function in (dvae_rows, dvae_split):
        with pytest.raises(DataFileError, match="t: not made from a file of D-VAE's form"):
            function(table)


CELL = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "0 rows, expected more than the 0"),
        (["hello"], "line 1: expected .*, accuracy'"),
        ([f"{CELL}, 0.7", CELL], "line 2: expected"),
        ([f"{CELL}, nan"], "line 1: expected .* accuracy in 0..1, got"),
        ([f"{CELL}, 73.02"], "line 1: .* accuracy in 0..1"),
        ([f"{CELL}, 0.7", f"{CELL[:-2]}, 2]], 0.7"], "line 2: enas_macro6"),
        ([f"{CELL}, 0.7", "[[1], [2, 0]], 0.7"], "line 2: enas_macro6"),
        (["0.5, 0.7"], r"line 1: expected 1\.\.30 layers"),
        (["[" * 200 + ", 0.7"], r"line 1: expected 1\.\.30 layers"),
        (["\xe9\xff, 0.7"], "line 1: expected"),
        (["[" * 10_000], "line 1: expected"),
    ],
)
def test_faulty_files(tmp_path: Path, lines: list[str], message: str) -> None:
    (tmp_path / "a").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DataFileError, match=message):
        read(tmp_path / "a", burn_in=0)


def test_missing_truncated_and_too_short(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        read(tmp_path / "none")
    path = write(tmp_path / "a.gz", SPACE.sample(20, seed=0), [0.7] * 20)
    with pytest.raises(DataFileError, match="20 rows, expected more than the 1,000 of the burn-in"):
        read(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataFileError, match="truncated or corrupted gzip"):
        read(path, burn_in=0)
    with pytest.raises(ConfigError, match="burn_in must be at least 0, got -1"):
        read(path, burn_in=-1)


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    generator = random.Random(0)
    good = write(tmp_path / "a", SPACE.sample(5, seed=0), [0.7] * 5).read_bytes()
    refused = 0
    for _ in range(500):
        data = bytearray(good)
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(len(data))] = generator.choice(b"[],. 0123456789\n\x00\xff")
        (tmp_path / "b").write_bytes(data)
        try:
            read(tmp_path / "b", burn_in=0)
        except DataFileError:
            refused += 1
        except LatentNASError as error:
            pytest.fail(f"{data!r}: {error!r}")
    assert refused > 250
