"""From real campaigns, in memory and in a store, to what a report shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentnas.benchmarks import get_benchmark
from latentnas.campaign import SearchResult, Store, search
from latentnas.errors import StoreError
from latentnas.latent import LatentSpace
from latentnas.report import report_data, write_report
from latentnas.report.gather import metric_label, shown_url
from latentnas.spaces import get_space


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
