"""The report folder, as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from latentnas.errors import ConfigError
from latentnas.report import write_report
from latentnas.spaces import get_space
from tests.report.campaigns import LinearLatent, campaign, small_table, trial

ALWAYS = {"report.html", "convergence.png", "results.csv", "config.yaml", "versions.json"}


def test_everything_is_written(tmp_path: Path) -> None:
    trials = [trial(k, 50.0 + k, mean=51.0, std=1.0) for k in range(8)] + [trial(8, None)]
    data = campaign(
        [], trials=trials, table=small_table(), optimum=56.0, latent_space=LinearLatent(get_space("nasbench201"))
    )
    path = write_report(data, tmp_path / "deep" / "folder")
    assert path == tmp_path / "deep" / "folder" / "report.html"
    names = {file.name for file in path.parent.iterdir()}
    assert names == ALWAYS | {"best_cells.png", "latent_map.png", "predictions.png"}
    for file in path.parent.glob("*.png"):
        assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.read_text(encoding="utf-8").count("data:image/png;base64,") == 4
    assert len((path.parent / "results.csv").read_text(encoding="utf-8").splitlines()) == 10
    assert yaml.safe_load((path.parent / "config.yaml").read_text(encoding="utf-8"))["seed"] == 3


@pytest.mark.parametrize("values", [[], [None, None], [90.0]])
def test_odd_campaigns(tmp_path: Path, values: list[float | None]) -> None:
    path = write_report(campaign(values), tmp_path)
    expected = ALWAYS | ({"best_cells.png"} if values == [90.0] else set())
    assert {file.name for file in path.parent.iterdir()} == expected


def test_pictures_of_an_older_report_do_not_stay(tmp_path: Path) -> None:
    write_report(campaign([90.0]), tmp_path)
    (tmp_path / "mine.png").write_bytes(b"not a picture of ours")
    write_report(campaign([None]), tmp_path)
    assert not (tmp_path / "best_cells.png").exists()
    assert (tmp_path / "mine.png").exists()


def test_same_campaign_same_pictures(tmp_path: Path) -> None:
    data = campaign([90.0, 91.0], latent_space=LinearLatent(get_space("nasbench201")), table=small_table())
    first, second = (write_report(data, tmp_path / name).parent for name in ("a", "b"))
    for name in ("convergence.png", "latent_map.png", "best_cells.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot write the report into"):
        write_report(campaign([90.0]), tmp_path / "file")


def test_pyplot_and_its_backend_stay_untouched(tmp_path: Path) -> None:
    program = (
        "import sys, matplotlib\n"
        "from latentnas.report import write_report\n"
        "from tests.report.campaigns import campaign\n"
        "write_report(campaign([90.0, 91.0]), sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.get_backend(auto_select=False) is None\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
