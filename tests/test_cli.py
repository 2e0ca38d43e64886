"""The command line: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner, Result

from latentnas.benchmarks import get_benchmark
from latentnas.campaign import SearchProgress, Store
from latentnas.cli import app, main
from latentnas.cli.app import one_line
from latentnas.cli.latents import read_latents
from latentnas.cli.live import SearchView, line
from latentnas.cli.reports import report_folder
from latentnas.cli.search import merge, parse_options, resume_command, standing
from latentnas.errors import ConfigError, DataFileError, WeightsError
from latentnas.evaluation import get_evaluator, list_evaluators
from latentnas.latent import LatentSpace
from latentnas.latent._trainer import Trainer
from latentnas.optimization import list_strategies, list_surrogates
from latentnas.spaces import get_space, list_spaces
from tests.report.campaigns import trial

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, so default paths are its own, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert result.exit_code == code, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    program = "from latentnas.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a latent space, hardly trained."""
    codes = get_space("nasbench201").sample(64, seed=0)
    folder = tmp_path_factory.mktemp("latent")
    LatentSpace.fit("nasbench201", codes=codes, epochs=1, hidden=8, latent_dim=4, progress=False, device="cpu").save(
        folder
    )
    return str(folder)


# --- the group ------------------------------------------------------------------------------------


def test_help_lists_the_commands_in_the_order_of_their_use() -> None:
    text = run("--help").stdout
    names = [
        "spaces", "draw", "data", "benchmarks", "pretrain", "encode", "decode", "explore", "search", "report", "doctor",
    ]  # fmt: skip
    first_words = [text.strip("\u2502 ").split(" ")[0] for text in text.splitlines()]
    assert [word for word in first_words if word in names] == names
    assert run(code=2).stdout.strip().startswith("Usage")


def test_help_names_choices_and_defaults() -> None:
    text = run("search", "--help").stdout
    for name in (*list_strategies(), *list_evaluators(), *list_surrogates()):
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w+-])", text), name
    defaults = re.findall(r"\(default: ([^)]+)\)", text)
    assert defaults == [
        "nasbench201", "latent-bo", "tabular", "100", "5", "10", "0", "gp", "runs/campaigns.db", "runs/NAME-report",
    ]  # fmt: skip
    assert "(default: standard output)" in run("decode", "--help").stdout
    assert "(default: adjacency)" in run("pretrain", "--help").stdout


def test_version() -> None:
    assert run("--version").stdout.startswith("latentnas")


def test_errors_are_one_line_and_debug_shows_where() -> None:
    result = run("spaces", "--show", "nasbench", code=2)
    assert result.stdout == ""
    assert result.stderr.startswith("error: unknown space 'nasbench'. Did you mean 'nasbench201'?")
    assert result.stderr.count("\n") == 1
    debugged = CliRunner().invoke(app, ["--debug", "spaces", "--show", "nasbench"])
    assert type(debugged.exception).__name__ == "UnknownNameError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--budget", "many"], "error: Invalid value for '--budget': "),
        (["search", "--speed", "3"], "error: No such option: --speed"),
        (["find"], "error: No such command 'find'"),
        (["--speed"], "error: No such option: --speed"),
        (["pretrain", "nasbench201"], "error: Missing option '--out'"),
        (["decode", "--latent", "x", "--sample", "1000001"], "error: Invalid value for '--sample': "),
    ],
)
def test_wrong_words_are_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments, code=2)
    assert result.stderr.startswith(message)
    assert result.stderr.endswith("--help\n")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_ctrl_c_outside_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(prog_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("latentnas.cli.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"


def test_lists_in_messages_become_one_line() -> None:
    error = ConfigError("2 wrong settings:\n  budget: too small\n  batch: missing\nSee the manual.")
    assert one_line(error) == "2 wrong settings: budget: too small; batch: missing; See the manual."
    assert one_line(ValueError()) == "ValueError"


def test_commands_load_heavy_modules_only_when_they_run() -> None:
    program = (
        "import sys; import latentnas.cli\n"
        "print([m for m in ('optuna', 'botorch', 'gpytorch', 'matplotlib', 'sklearn', 'networkx') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


# --- what there is --------------------------------------------------------------------------------


def test_spaces() -> None:
    lines = run("spaces").stdout.splitlines()
    assert [text.split()[0] for text in lines[1:]] == list_spaces()
    row = next(text for text in lines if text.startswith("nasbench201"))
    assert row.split() == ["nasbench201", "6", "15,625", "4,930", "8", "node,", "edge", "ICLR", "2020"]
    assert "423,624" in next(text for text in lines if text.startswith("nasbench101 "))
    assert max(map(len, lines)) <= 120


def test_spaces_show_says_what_a_code_means() -> None:
    text = run("spaces", "--show", "darts").stdout
    assert "1.077e+18 codes, 146,021,935,250,523,556 networks" in text
    assert "(16): 0 = max_pool_3x3, 1 = avg_pool_3x3, 2 = skip_connect, 3 = sep_conv_3x3" in text
    assert "normal_inputs_3, reduce_inputs_3: 0 = (0, 1), 1 = (0, 2), 2 = (1, 2)" in text
    assert "DARTS (Liu, Simonyan, Yang, ICLR 2019)" in text
    assert "latentnas draw --space darts" in text
    assert "skip_0_2, skip_0_3, ..., skip_4_6 (15): 0..1" in run("spaces", "--show", "enas_macro6").stdout
    assert "networks" not in run("spaces", "--show", "random_wired8").stdout  # too many codes to count them


@pytest.mark.parametrize("name", list_spaces())
def test_spaces_show_a_cell_that_can_be_parsed(name: str) -> None:
    lines = run("spaces", "--show", name, "--seed", "3").stdout.splitlines()
    cell = next(text for text in lines if text.startswith("a cell")).removeprefix("a cell").strip()
    space = get_space(name)
    torch.testing.assert_close(space.parse(cell), space.sample(1, seed=3))


def test_benchmarks() -> None:
    text = run("benchmarks").stdout
    best = get_benchmark("nasbench201").best()
    row = next(line for line in text.splitlines() if line.startswith("nasbench201 "))
    assert row.split()[:3] == ["nasbench201", "nasbench201", "15,625"]
    assert row.split()[3:] == ["cifar10_test", "and", "4", "more", f"{best.value:.5g}", best.text]
    assert "nas_bench_graph-cora" in text


def test_doctor() -> None:
    text = run("doctor").stdout
    assert text.splitlines()[-1] == "all good: latentnas is ready"
    for part in (torch.__version__, "GFLOP/s", "nasbench201: 15,625 cells", "used by default", "writable"):
        assert part in text


def test_doctor_says_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise DataFileError("the table is\ndamaged")

    monkeypatch.setattr("latentnas.benchmarks.get_benchmark", broken)
    text = run("doctor", code=1).stdout
    assert "PROBLEM: the table is; damaged" in text
    assert text.splitlines()[-1] == "1 of 5 checks failed: tables"


# --- latent spaces --------------------------------------------------------------------------------


def test_encode_and_decode_agree_with_the_library(latent: str) -> None:
    model = LatentSpace.load(latent)
    codes = model.space.sample(5, seed=1)
    texts = model.space.format(codes)
    Path("cells.txt").write_text("\n".join(texts[1:]) + "\n\n")
    result = run("encode", "--latent", latent, texts[0], "--input", "cells.txt")
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows[0] == ["cell", "z0", "z1", "z2", "z3"]
    assert [row[0] for row in rows[1:]] == texts
    written = torch.tensor([[float(x) for x in row[1:]] for row in rows[1:]])
    torch.testing.assert_close(written, model.encode(codes), rtol=0, atol=0)  # nine digits are all of a float32
    decoded = run("decode", "--latent", latent, "--input", "-", stdin=result.stdout).stdout.splitlines()
    assert decoded == model.space.format(model.decode(model.encode(codes)))


def test_encode_and_decode_write_files(latent: str) -> None:
    cells = run("decode", "--latent", latent, "--sample", "4", "--seed", "7").stdout
    assert len(get_space("nasbench201").parse(cells.split())) == 4
    assert run("decode", "--latent", latent, "--sample", "4", "--seed", "7").stdout == cells
    result = run("encode", "--latent", latent, "--input", "-", "--output", "new/z.csv", stdin=cells)
    assert result.stdout == ""
    assert len(Path("new/z.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encode"], "no cell given: name cells, or a file with --input (- for standard input)"),
        (["encode", "|rubbish|"], "'|rubbish|' is no cell"),
        (["encode", "--input", "missing.txt"], "cannot read missing.txt"),
        (["decode"], "give either --input FILE or --sample N"),
        (["decode", "--input", "a.csv", "--sample", "2"], "give either --input FILE or --sample N"),
    ],
)
def test_encode_and_decode_refuse(latent: str, arguments: list[str], message: str) -> None:
    assert message in run(*arguments, "--latent", latent, code=2).stderr


def test_a_wrong_cell_of_a_file_is_named_by_its_line(latent: str) -> None:
    good = get_space("nasbench201").format(get_space("nasbench201").sample(1, seed=0))[0]
    Path("cells.txt").write_text(f"{good}\n\n|rubbish|\n")
    message = run("encode", "--latent", latent, "--input", "cells.txt", code=2).stderr
    assert message.startswith("error: cells.txt, line 3: ")
    assert "'|rubbish|' is no cell" in message


def test_files_may_begin_with_a_byte_order_mark(latent: str) -> None:
    cell = run("decode", "--latent", latent, "--sample", "1").stdout
    Path("cells.txt").write_text(cell, encoding="utf-8-sig")
    table = run("encode", "--latent", latent, "--input", "cells.txt").stdout
    assert run("encode", "--latent", latent, "--input", "-", stdin="\ufeff" + cell).stdout == table
    Path("z.csv").write_text(table.replace("cell,", "").replace(cell.strip() + ",", ""), encoding="utf-8-sig")
    assert len(run("decode", "--latent", latent, "--input", "z.csv").stdout.splitlines()) == 1


def test_unknown_latent_space() -> None:
    assert "no latent space 'nowhere'" in run("decode", "--latent", "nowhere", "--sample", "1", code=2).stderr


def test_latents_are_read_by_name_or_by_position() -> None:
    expected = torch.tensor([[1.0, 2.0], [3.0, -4.5]])
    torch.testing.assert_close(read_latents("z1,cell,z0\n2,a,1\n-4.5,b,3\n", 2, "t"), expected)
    torch.testing.assert_close(read_latents("1,2\n\n3,-4.5\n", 2, "t"), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t: the table of latents is empty"),
        ("cell,z0,z1\n", "no latents in t: the table has a head and no rows"),
        (f"z0,z1\n1,2\n1,{'2' * 140_000}\n", "t, row 3: field larger than field limit (131072)"),
        ("cell,z0\n", "t: no column z1; this latent space needs z0 to z1"),
        ("cell,z0,z1\na,1\n", "t, row 2: 2 columns, expected 3"),
        ("1,2,3\n", "t, row 1: 3 columns, expected 2"),
        ("z0,z1\n1,nan\n", "t, row 2: 'nan' is no finite number"),
        ("z0,z1\n1,2\nx,2\n", "t, row 3: 'x' is no finite number"),
    ],
)
def test_wrong_latents_are_named(text: str, message: str) -> None:
    with pytest.raises(DataFileError) as caught:
        read_latents(text, 2, "t")
    assert str(caught.value) == message


def test_pretrain_saves_a_latent_space() -> None:
    text = run("pretrain", "enas_macro6", "--out", "runs/e", "--epochs", "1", "--hidden", "8", "--latent-dim", "3",
               "--op-embedding", "0", "--cells", "64", "--device", "cpu", "--matmul-precision", "medium"
               ).stdout  # fmt: skip
    assert "latentnas decode --latent runs/e --sample 5" in text
    assert json.loads(Path("runs/e/config.json").read_text())["fit"]["matmul_precision"] == "medium"
    assert re.search(r"reconstruction +\d+\.\d\d% of held-out cells", text)
    model = LatentSpace.load("runs/e", device="cpu")
    assert (model.space.name, model.latent_dim) == ("enas_macro6", 3)
    assert model.model.config.op_embedding is None
    assert not Path("runs/e/checkpoint").exists()


def test_an_interrupted_pretraining_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("pretrain", "enas_macro6", "--out", "out", "--epochs", "3", "--hidden", "8", "--latent-dim", "3",
               "--cells", "64", "--device", "cpu")  # fmt: skip
    epoch = Trainer.run_epoch

    def stop_after_two(trainer: Trainer) -> dict[str, float]:
        if trainer.epoch == 2:
            raise KeyboardInterrupt
        return epoch(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", stop_after_two)
        assert "run the same command" in run(*command, code=130).stderr
    assert "seed: 0 there, 1 here" in run(*command, "--seed", "1", code=2).stderr
    assert "resumed after epoch 2 of 3" in run(*command).stderr
    assert not Path("out/checkpoint").exists()


PRETRAIN = ("pretrain", "enas_macro6", "--epochs", "1", "--hidden", "8", "--latent-dim", "3", "--cells", "64",
            "--device", "cpu")  # fmt: skip


def test_pretrain_replaces_a_finished_latent_space_only_when_told() -> None:
    run(*PRETRAIN, "--out", "out")
    first = Path("out/model.safetensors").read_bytes()
    message = run(*PRETRAIN, "--out", "out", "--seed", "1", code=2).stderr
    assert message == "error: out holds a finished latent space; choose another folder or give --overwrite\n"
    assert Path("out/model.safetensors").read_bytes() == first
    run(*PRETRAIN, "--out", "out", "--seed", "1", "--overwrite")
    assert Path("out/model.safetensors").read_bytes() != first


def test_pretrain_names_a_folder_that_cannot_be_written_before_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(trainer: Trainer) -> dict[str, float]:
        raise AssertionError("trained")

    monkeypatch.setattr(Trainer, "run_epoch", never)
    Path("file").write_text("")
    assert "file is a file, not a folder" in run(*PRETRAIN, "--out", "file", code=2).stderr
    message = run(*PRETRAIN, "--out", "x" * 300, code=2).stderr
    assert message.startswith("error: cannot keep checkpoints in ")
    assert message.count("\n") == 1


def test_pretraining_that_cannot_be_saved_stays_in_its_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(latent: LatentSpace, folder: Path) -> Path:
        raise WeightsError("cannot save: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LatentSpace, "save", full)
        message = run(*PRETRAIN, "--out", "out", code=2).stderr
    assert "the trained weights stay in out/checkpoint, run the same command again" in message
    run(*PRETRAIN, "--out", "out")
    assert LatentSpace.load("out", device="cpu").latent_dim == 3


def test_pretrain_warns_where_few_cells_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for share, warns in ((0.25, True), (0.5, False)):
        monkeypatch.setattr("latentnas.latent._trainer.reconstruction_accuracy", lambda *_, share=share: share)
        message = run(*PRETRAIN, "--out", f"out{share}").stderr
        warning = "warning: only 25.00% come back; train longer (--epochs) or on more cells (--cells)\n"
        assert message.endswith(warning) == warns
        assert ("warning" in message) == warns


def test_pretrain_refuses_a_number_of_cells_where_it_takes_all() -> None:
    message = run("pretrain", "nasbench201", "--cells", "1000", "--out", "out", code=2).stderr
    assert "--cells 1000: nasbench201 is small and is trained on all its cells" in message
    assert not Path("out").exists()


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_pretrain_refuses_to_stream_where_it_takes_all(option: str) -> None:
    message = run("pretrain", "nasbench201", option, "--out", "out", code=2).stderr
    assert f"{option}: nasbench201 is small and is trained on all its cells" in message
    assert not Path("out").exists()


def test_pretrain_passes_on_how_cells_are_drawn_and_steps_are_shared() -> None:
    run(*PRETRAIN, "--out", "out", "--no-stream", "--over", "networks", "--accumulate", "4", "--batch-size", "32")
    fitted = json.loads(Path("out/config.json").read_text())["fit"]
    names = ("stream", "over", "accumulate", "processes", "batch_size")
    assert {name: fitted[name] for name in names} == {
        "stream": False,
        "over": "networks",
        "accumulate": 4,
        "processes": 1,
        "batch_size": 32,
    }
    message = run(*PRETRAIN, "--out", "other", "--processes", "0", "--accumulate", "-1", code=2).stderr
    assert "accumulate must be a positive integer, got -1; processes must be a positive integer, got 0" in message


@pytest.mark.slow
def test_pretrain_with_two_processes_saves_what_one_does() -> None:
    run(*PRETRAIN, "--out", "alone")
    run(*PRETRAIN, "--out", "together", "--processes", "2")
    alone, together = (LatentSpace.load(name, device="cpu") for name in ("alone", "together"))
    codes = alone.space.sample(50, seed=0)
    torch.testing.assert_close(alone.encode(codes), together.encode(codes), atol=1e-4, rtol=1e-4)
    assert not Path("together/checkpoint").exists()


def test_pretrain_reports_every_fault() -> None:
    message = run("pretrain", "nasbench201", "--out", "out", "--epochs", "0", "--encoder", "no", code=2).stderr
    assert "epochs" in message
    assert "encoder" in message
    assert message.count("\n") == 1


# --- search and report ----------------------------------------------------------------------------

QUICK = ("search", "--strategy", "random", "--budget", "12", "--seed", "4")


def test_search_finds_reports_and_goes_on() -> None:
    text = run(*QUICK).stdout
    trials = Store("runs/campaigns.db", "nasbench201-random-tabular-s4").trials()
    values = [t.value for t in trials if t.value is not None]
    assert len(values) == 12
    assert f"12/12 evaluations  best {max(values):.5g}" in text
    assert f"{max(values):#.5g}" in text
    assert "optimum:    94.066" in text
    folder = Path("runs/nasbench201-random-tabular-s4-report")
    assert f"report:     {folder / 'report.html'}" in text
    assert (folder / "report.html").stat().st_size > 10_000
    again = run(*QUICK).stdout
    assert "nothing left to evaluate: 12 of 12 evaluations" in again
    longer = run(*QUICK[:3], "--budget", "15", "--seed", "4", "--no-report").stdout
    assert "going on after 12 of 15 evaluations" in longer
    after = Store("runs/campaigns.db", "nasbench201-random-tabular-s4").trials()
    assert [t.code for t in after[:12]] == [t.code for t in trials]
    assert len(after) == 15


def test_settings_come_from_a_file_and_the_command_line_wins() -> None:
    Path("run.yaml").write_text(
        "strategy: random\nbudget: 3\nseed: 9\nevaluator_options: {metric: cifar10_test_qat}\nname: from file\n"
    )
    text = run("search", "--config", "run.yaml", "--budget", "4", "--report", "here").stdout
    assert "4/4 evaluations" in text
    assert Path("here/report.html").exists()
    store = Store("runs/campaigns.db", "from file")
    assert store.config is not None
    assert store.config["seed"] == 9
    table = get_benchmark("nasbench201")
    found = store.trials()
    expected = table.query(torch.tensor([t.code for t in found]), "cifar10_test_qat")
    assert [t.value for t in found] == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--budget", "0", "--batch", "0"], ["2 wrong settings", "budget", "batch"]),
        (["--strategy", "rondom"], ["unknown strategy 'rondom'", "'random'"]),
        (["--config", "missing.yaml"], ["cannot read the settings in missing.yaml"]),
        (["--strategy", "random", "--evaluator-option", "metric"], ["--evaluator-option 'metric': expected KEY=VALUE"]),
        (["--strategy", "random", "--evaluator-option", "metric=speed"], ["speed"]),
        (["--strategy", "random", "--strategy-option", "colour=blue"], ["colour"]),
        (["--strategy", "random", "--surrogate", "gates"], ["random: takes no surrogate, got 'gates'", "latent-bo"]),
        (["--surrogate", "gates", "--surrogate-option", "epoch=3"], ["unknown option 'epoch'; known: average"]),
    ],
)
def test_wrong_settings_are_one_line(arguments: list[str], parts: list[str]) -> None:
    message = run("search", *arguments, code=2).stderr
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert all(part in message for part in parts)


def test_search_where_everything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentnas.evaluation import Evaluation, TabularEvaluator

    def fail(self: TabularEvaluator, codes: torch.Tensor):  # type: ignore[no-untyped-def]
        return (Evaluation(None, failure="the loss became NaN") for _ in codes)

    monkeypatch.setattr(TabularEvaluator, "evaluate", fail)
    text = run(*QUICK, code=1).stdout
    assert "done after 12 evaluations, 12 failed" in text
    assert "no evaluation gave a value; the last reason: the loss became NaN" in text
    assert "12 failed" in Path("runs/nasbench201-random-tabular-s4-report/report.html").read_text()


def test_ctrl_c_stops_in_order_and_says_how_to_go_on() -> None:
    arguments = ["search", "--strategy", "random", "--budget", "5000", "--store", "runs/my.db", "--name", "long one"]
    process = start(*arguments)
    deadline = time.monotonic() + 60
    done = 0
    while done < 10 and time.monotonic() < deadline:
        time.sleep(0.3)
        if Path("runs/my.db").exists() and "long one" in _campaigns("runs/my.db"):
            done = sum(t.finished is not None for t in Store("runs/my.db", "long one").trials())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == ""
    command = "latentnas search --budget 5000 --store runs/my.db --strategy random --name 'long one'"
    assert out.rstrip().endswith(command)
    finished = sum(t.finished is not None for t in Store("runs/my.db", "long one").trials())
    assert 10 <= finished < 5000
    assert f"stopped after {finished} evaluations" in out


def _campaigns(path: str) -> list[str]:
    from latentnas.errors import StoreError

    try:
        return Store.campaigns(path)
    except StoreError:  # the file is just being made
        return []


def test_report_again_from_a_store() -> None:
    run(*QUICK, "--store", "s.db", "--no-report")
    text = run("report", "--store", "s.db").stdout
    assert text == "report: runs/nasbench201-random-tabular-s4-report/report.html\n"
    run(*QUICK, "--store", "s.db", "--name", "second", "--no-report")
    listed = run("report", "--store", "s.db", code=2).stdout.splitlines()
    assert listed == ["s.db holds 2 campaigns; choose one with --name:", "  nasbench201-random-tabular-s4", "  second"]
    assert run("report", "--store", "s.db", "--name", "second", "--out", "x").stdout == "report: x/report.html\n"
    assert "second" in Path("x/report.html").read_text()


def test_report_of_nothing() -> None:
    assert "no such file" in run("report", "--store", "missing.db", code=2).stderr
    run(*QUICK, "--store", "s.db", "--no-report")
    assert "has no campaign 'other'" in run("report", "--store", "s.db", "--name", "other", code=2).stderr


@pytest.mark.parametrize(
    ("name", "folder"),
    [("demo", "demo-report"), ("../../etc", "etc-report"), ("a b/c", "a-b-c-report"), ("///", "campaign-report")],
)
def test_report_folders_stay_below_runs(name: str, folder: str) -> None:
    assert report_folder(name) == Path("runs") / folder


def test_options_are_read_as_yaml() -> None:
    found = parse_options(["epochs=3", "lr=0.1", "name=x=y", "flag=true", "limit=null", "time-limit=2"], "--o")
    assert found == {"epochs": 3, "lr": 0.1, "name": "x=y", "flag": True, "limit": None, "time_limit": 2}
    assert parse_options(["lr=1e-3", "decay=5E-4", "name=e5", "tag=1e"], "--o") == {
        "lr": 0.001, "decay": 0.0005, "name": "e5", "tag": "1e",
    }  # fmt: skip


def test_resume_command_quotes_and_leaves_defaults_out() -> None:
    settings = {"space": "nasbench201", "budget": 100, "store": "runs/campaigns.db", "seed": 3, "name": "my run",
                "evaluator_options": {"metric": "cifar10_test", "time_limit": None}, "max_seconds": 5.0}  # fmt: skip
    assert resume_command(settings, "out") == (
        "latentnas search --seed 3 --name 'my run' --evaluator-option metric=cifar10_test "
        "--evaluator-option time_limit=null --time-limit 5.0 --report out"
    )


def test_resume_command_of_a_file_keeps_the_file_and_what_was_given() -> None:
    given = {"budget": 100, "evaluator_options": {"metric": "x"}}  # 100 is the default, not what the file says
    assert resume_command(given, no_report=True, config=Path("my run.yaml")) == (
        "latentnas search --config 'my run.yaml' --budget 100 --evaluator-option metric=x --no-report"
    )


def test_resume_command_keeps_the_surrogate() -> None:
    settings = {"surrogate": "gates", "surrogate_options": {"epochs": 30, "head": [8, 8]}}
    assert resume_command(settings) == (
        "latentnas search --surrogate gates --surrogate-option epochs=30 --surrogate-option 'head=[8, 8]'"
    )


def test_search_with_a_surrogate() -> None:
    arguments = ["search", "--budget", "12", "--initial", "8", "--surrogate", "forest", "--surrogate-option", "trees=5"]
    text = run(*arguments, "--strategy-option", "candidates=16").stdout
    assert "nasbench201: latent-bo by forest, tabular, seed 0; campaign nasbench201-latent-bo-forest-tabular-s0" in text
    assert "done after 12 evaluations" in text
    store = Store("runs/campaigns.db", "nasbench201-latent-bo-forest-tabular-s0")
    assert store.config is not None
    assert (store.config["surrogate"], store.config["surrogate_options"]) == ("forest", {"trees": 5})
    assert "nothing left to evaluate" in run(*arguments, "--strategy-option", "candidates=16").stdout


def test_resume_command_hides_the_password() -> None:
    command = resume_command({"store": "postgresql://me:secret@host/db"})
    assert "secret" not in command
    assert command == "latentnas search --store 'postgresql://me:***@host/db'"


@pytest.mark.parametrize("store", ["null", "postgresql://me:secret@host/db"])
def test_what_is_said_after_ctrl_c(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentnas.campaign import search

    Path("run.yaml").write_text(f"strategy: random\nbudget: 2\nstore: {store}\n")
    ended = replace(search(space="nasbench201", strategy="random", budget=2, store=None), stopped="interrupted")

    class Interrupted:
        def __init__(self, *_: object, **__: object) -> None:
            self.store = SimpleNamespace(trials=list)
            self.evaluator = get_evaluator("tabular")

        run = staticmethod(lambda: ended)

    monkeypatch.setattr("latentnas.campaign.Campaign", Interrupted)
    lines = run("search", "--config", "run.yaml", "--seed", "0", code=130).stdout.splitlines()
    if store == "null":
        assert lines[-1].startswith("the results were kept in memory only")
        assert not any("latentnas search" in text for text in lines)
    else:
        assert lines[-2:] == [
            "to go on:   latentnas search --config run.yaml --seed 0",
            "            (put the password of the store back in the place of ***)",
        ]


def test_options_of_the_command_line_are_merged() -> None:
    file = {"budget": 3, "strategy_options": {"a": 1, "b": 2}}
    assert merge(file, {"budget": 4, "strategy_options": {"b": 5}}) == {
        "budget": 4, "strategy_options": {"a": 1, "b": 5},
    }  # fmt: skip
    assert merge({"strategy_options": None}, {"strategy_options": {"b": 5}}) == {"strategy_options": {"b": 5}}


def test_options_of_a_file_that_are_no_mapping_are_reported() -> None:
    Path("run.yaml").write_text("strategy: random\nstrategy_options: [1, 2]\n")
    message = run("search", "--config", "run.yaml", "--strategy-option", "a=1", code=2).stderr
    assert message.startswith("error: 1 wrong setting in run.yaml: strategy_options: ")
    assert message.count("\n") == 1


def test_standing() -> None:
    assert standing(3, 5) == "going on after 3 of 5 evaluations"
    assert standing(5, 5) == "nothing left to evaluate: 5 of 5 evaluations"
    assert standing(7, 5) == "nothing left to evaluate: has 7 evaluations already, more than the budget of 5"


def test_the_reports_folder_is_checked_first() -> None:
    Path("file").write_text("")
    assert "file is a file, not a folder" in run(*QUICK, "--report", "file", code=2).stderr
    assert "file is a file, not a folder" in run(*QUICK, "--report", "file/below", code=2).stderr
    assert "--report needs a folder, got an empty text" in run(*QUICK, "--report", "", code=2).stderr
    assert not Path("runs").exists()


def test_a_report_that_fails_leaves_the_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise ConfigError("no space left on device")

    monkeypatch.setattr("latentnas.report.write_report", full)
    message = run(*QUICK, "--store", "s.db", code=2).stderr
    assert "no report: no space left on device; the campaign is safe, try: " in message
    assert "latentnas report --store s.db --name nasbench201-random-tabular-s4 --out FOLDER" in message
    assert len(Store("s.db", "nasbench201-random-tabular-s4").trials()) == 12


# --- the live view --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def state(done: int, **changes: object) -> SearchProgress:
    settings = {"done": done, "budget": 20, "failures": 1, "best": trial(3, 93.25), "regret": 0.75, "rate": 4.0,
                "eta": (20 - done) / 4.0}  # fmt: skip
    return SearchProgress(**{**settings, **changes})  # type: ignore[arg-type]


def test_plain_lines() -> None:
    assert line(state(8)) == "8/20 evaluations  best 93.25, regret 0.75  1 failed  4 evaluations/s  3.0 s left"
    assert line(state(0, best=None, regret=None, failures=0, rate=0.0, eta=None)) == "0/20 evaluations"
    assert "20 s an evaluation" in line(state(1, rate=0.05))
    now = [0.0]
    stream = io.StringIO()
    with SearchView("title", stream=stream, clock=lambda: now[0], interval=5) as view:
        for done in range(1, 21):
            now[0] += 1
            view(state(done, notes=["the search was widened"] if done == 2 else []))
    lines = stream.getvalue().splitlines()
    # A note after 2 s counts as a line; then every five seconds, and the end once.
    assert [text.split()[0] for text in lines] == ["title", "note:", "7/20", "12/20", "17/20", "20/20"]


def test_a_kind_of_note_is_written_once_and_at_the_end() -> None:
    stream = io.StringIO()
    with SearchView("title", stream=stream, clock=lambda: 0.0) as view:
        for done in range(1, 5):
            view(state(done, notes=[f"{100 * done} latents gave 1 new one"] + ["waiting"] * (done == 2)))
    lines = stream.getvalue().splitlines()
    assert [text for text in lines if text.startswith("note: ")] == [
        "note: 100 latents gave 1 new one",
        "note: waiting",
        "note: 400 latents gave 1 new one (4 such notes, this is the last)",
    ]


def test_the_best_of_a_part_of_a_space_is_called_so() -> None:
    text = run("search", "--space", "nas_bench_graph", "--strategy", "random", "--budget", "30", "--no-report",
               "--evaluator-option", "benchmark=nas_bench_graph-proteins", "--seed", "1").stdout  # fmt: skip
    assert "campaign nas_bench_graph-proteins-random-tabular-s1 in" in text
    assert "best of the table (2,021 of 26,207 networks): 0.79263, " in text
    assert "optimum" not in text


def test_long_cells_are_short_in_the_list_and_whole_below(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "cell" * 50
    monkeypatch.setattr(type(get_space("nasbench201")), "format", lambda self, codes: [text] * len(codes))
    shown = run(*QUICK, "--no-report").stdout
    assert shown.count(text) == 1
    assert f"best cell:  {text}" in shown


def test_live_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with SearchView("a [title]", stream=stream) as view:
        view(state(8, notes=[f"note {k}" for k in range(5)]))
    text = stream.getvalue()
    for part in ("a [title]", "8 of 20", "93.25", "0.75", "4 evaluations/s", "3.0 s", trial(3, 1.0).text, "note 4"):
        assert part in text
    assert "note 1" not in text


def test_import_registers_a_space_of_the_users(tmp_path: Path) -> None:
    text = (
        "from latentnas.spaces import ENASMacro, register_space\n"
        "class Named(ENASMacro):\n"
        "    def __init__(self):\n"
        "        super().__init__(layers=2)\n"
        "        self.name = 'two_layers'\n"
        "register_space('two_layers', Named)\n"
    )
    (tmp_path / "mine.py").write_text(text)
    done = CliRunner().invoke(app, ["--import", str(tmp_path / "mine.py"), "spaces"])
    assert done.exit_code == 0, done.output
    assert re.search(r"two_layers +3 +72 ", done.output)


@pytest.mark.parametrize("name", ["no_such_module_here", "missing.py"])
def test_import_of_nothing_is_one_line(name: str) -> None:
    done = CliRunner().invoke(app, ["--import", name, "spaces"])
    assert done.exit_code == 2
    assert f"error: --import {name}: " in done.output
    assert len(done.output.strip().splitlines()) == 1
