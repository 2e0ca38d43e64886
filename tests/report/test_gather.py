"""From real campaigns, in memory and in a store, to what a report shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentnas.benchmarks import TabularBenchmark, get_benchmark
from latentnas.campaign import SearchResult, Store, search
from latentnas.errors import StoreError, UnknownNameError
from latentnas.evaluation import TabularEvaluator
from latentnas.latent import LatentSpace
from latentnas.report import ReportData, Table, report_data, write_report
from latentnas.report.extent import table_extent
from latentnas.report.gather import metric_label, shown_url
from latentnas.report.texts import facts
from latentnas.spaces import get_space
from tests.report.campaigns import trial


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a store with one random campaign, called "demo"."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'demo.db'}"
    search(space="nasbench201", strategy="random", budget=6, seed=1, store=url, name="demo",
           evaluator_options={"metric": "cifar10_test_ptq"})  # fmt: skip
    return url


def test_result_and_store_give_the_same_report(store: str, tmp_path: Path) -> None:
    memory = Store(store, "demo")
    from_store, from_result = report_data(memory), report_data(SearchResult.from_store(memory))
    table = get_benchmark("nasbench201")
    for data in (from_store, from_result):
        assert (data.name, data.space.name, data.store) == ("demo", "nasbench201", store)
        assert (data.value_name, data.unit) == ("CIFAR-10 test ptq accuracy", "%")
        assert data.optimum == table.best("cifar10_test_ptq").value
        assert data.table is not None
        torch.testing.assert_close(data.table.values, table.values("cifar10_test_ptq"))
        assert data.latent_space is None
        assert data.config["seed"] == 1
    assert from_store.trials == from_result.trials
    first, second = write_report(memory, tmp_path / "a"), write_report(SearchResult.from_store(memory), tmp_path / "b")
    for name in ("convergence.png", "results.csv"):
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes()


def test_campaign_in_memory_has_no_store() -> None:
    data = report_data(search(space="nasbench201", strategy="random", budget=3))
    assert data.store is None
    assert len(data.complete) == 3


def test_latent_space_is_the_one_that_was_searched(tmp_path: Path) -> None:
    codes = get_space("nasbench201").sample(64, seed=0)
    folder = LatentSpace.fit(
        "nasbench201", codes=codes, epochs=1, hidden=8, latent_dim=4, progress=False, device="cpu"
    ).save(tmp_path / "latent")
    result = search(space="nasbench201", strategy="latent-bo", budget=7, initial=4, batch=3, latent=str(folder))
    data = report_data(result)
    assert data.latent_space is not None
    assert data.latent_space.latent_dim == 4
    assert data.notes == result.notes
    for file in folder.iterdir():
        file.unlink()
    without = report_data(result)
    assert without.latent_space is None
    assert any("the latent space could not be read" in note for note in without.notes)
    page = write_report(result, tmp_path / "report").read_text(encoding="utf-8")
    assert "the latent space could not be read" in page
    assert "Map of the latent space" in page  # of the proposals' own latents


def test_an_empty_study_is_no_campaign(tmp_path: Path) -> None:
    empty = Store(tmp_path / "s.db", "nothing", create=True)
    with pytest.raises(StoreError, match="'nothing' has no settings"):
        report_data(empty)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql+psycopg://me:se:cr%40et@host/db", "postgresql+psycopg://me:***@host/db"),
        ("sqlite:///runs/a@b.db", "sqlite:///runs/a@b.db"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_metrics_are_written_for_people() -> None:
    assert metric_label("cifar10_test") == "CIFAR-10 test accuracy"
    assert metric_label("cifar100_valid") == "CIFAR-100 valid accuracy"
    assert metric_label("cifar10_test_noisy") == "CIFAR-10 test noisy accuracy"
    assert metric_label("ImageNet16-120_test") == "ImageNet16-120 test accuracy"
    assert metric_label("test_accuracy") == "test accuracy"
    assert metric_label("weight_sharing_accuracy") == "weight sharing accuracy"


def test_the_table_is_named_with_metric_size_and_source(store: str) -> None:
    data = report_data(Store(store, "demo"))
    table = get_benchmark("nasbench201")
    found = dict(facts(data))
    assert found["Table"] == "nasbench201, cifar10_test_ptq (%), 15,625 codes"
    assert found.get("Made from", "") == table.source
    assert "Best of the whole space" in found


def test_a_table_of_a_part_of_the_space_is_no_whole_space(tmp_path: Path) -> None:
    table = get_benchmark("nas_bench_graph-proteins")
    result = search(space="nas_bench_graph", strategy="random", budget=30, seed=1,
                    evaluator_options={"benchmark": "nas_bench_graph-proteins"})  # fmt: skip
    data = report_data(result)
    share = "2,021 of 26,207 networks"
    assert data.value_label == "test performance (share)"
    assert data.regret_label == "regret (share)"
    assert data.best_known == f"best of the table ({share})"
    found = dict(facts(data))
    assert found["Table"] == f"nas_bench_graph-proteins, test_performance (share in 0..1), {share}"
    assert found[f"Best of the table ({share})"] == f"{table.best().value:.5f}"
    assert "Time in evaluations" not in found
    # Random search over the space meets 157,464 codes, of which the table has few.
    curve = data.random_search
    assert curve is not None and len(curve.mean) == 30
    held = table.holds(data.space.enumerate())
    values = table.query(data.space.enumerate()[held])
    assert float(curve.mean[0]) == pytest.approx(float(values.mean()))
    assert bool(curve.low[0].isnan())
    page = write_report(result, tmp_path).read_text(encoding="utf-8")
    assert "whole space" not in page.split("<h2>Where this comes from")[0].split("</style>")[1]
    assert "count as failed evaluations" in page


def test_a_table_too_small_for_a_large_space_has_no_random_curve(tmp_path: Path) -> None:
    space = get_space("enas_macro6")
    codes = space.sample(40, seed=0)
    table = TabularBenchmark("part", space, codes, {"m": torch.rand(40).double()}, default="m")
    data = ReportData("x", space, [trial(0, 0.5, space="enas_macro6")], table=Table(
        codes, table.values(), "part", "m", "", table_extent(table, "m")))  # fmt: skip
    assert data.random_search is None
    assert "There is no curve of random search: the table holds 40 of 1,528,823,808 codes" in write_report(
        data, tmp_path
    ).read_text(encoding="utf-8")


def test_another_table_than_the_one_searched_is_left_out() -> None:
    table = get_benchmark("nasbench201")
    codes = table.codes[:2000]
    own = TabularBenchmark("own", "nasbench201", codes, {"m": torch.linspace(0, 1, 2000).double()}, default="m")
    # An object of the caller's own is recorded as "tabular" alone, which names the shipped table.
    data = report_data(search(space="nasbench201", strategy="random", budget=9, evaluator=TabularEvaluator(own)))
    assert (data.table, data.optimum) == (None, 1.0)
    assert any("is not the one that was searched" in note for note in data.notes)


def test_the_space_of_a_stored_campaign_must_be_registered(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Store(store, "demo")
    settings = {**(memory.config or {}), "space": "mine"}
    monkeypatch.setattr(Store, "config", property(lambda self: settings))
    for read in (report_data, SearchResult.from_store):
        with pytest.raises(UnknownNameError, match=r"unknown space 'mine'.*'demo'.*register it first.*--import FILE"):
            read(memory)
