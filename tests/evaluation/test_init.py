"""latentnas/evaluation/__init__.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from latentnas.benchmarks import import_table
from latentnas.errors import ConfigError, UnknownNameError
from latentnas.evaluation import TabularEvaluator, default_table, evaluator_options, get_evaluator, list_evaluators
from latentnas.spaces import get_space


def test_names_and_options() -> None:
    assert list_evaluators() == ["tabular", "train", "zero-cost"]
    assert evaluator_options("tabular") == ["benchmark", "metric"]
    assert {"data", "epochs", "time_limit", "device"} <= set(evaluator_options("train"))
    assert "space" not in evaluator_options("train")


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown evaluator 'tabula'\. Did you mean 'tabular'"):
        get_evaluator("tabula")
    with pytest.raises(UnknownNameError, match="evaluator"):
        evaluator_options("none")
    with pytest.raises(UnknownNameError, match="space"):
        get_evaluator("tabular", "nasbench202")
    with pytest.raises(UnknownNameError, match="metric"):
        get_evaluator("tabular", metric="imagenet")


def test_unknown_options_list_the_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown option epoch, lr; known: data, channels, .*epochs"):
        get_evaluator("train", lr=0.1, epoch=3)
    with pytest.raises(ConfigError, match="known: benchmark, metric"):
        get_evaluator("tabular", epochs=3)


def test_evaluators_that_do_not_fit_the_space() -> None:
    with pytest.raises(
        ConfigError, match=r"no table holds cells of enas_macro6; import one: latentnas data import PATH$"
    ):
        get_evaluator("tabular", "enas_macro6")
    with pytest.raises(ConfigError, match="tabular evaluates cells of nasbench201, not of enas_macro6"):
        get_evaluator("tabular", "enas_macro6", benchmark="nasbench201")
    with pytest.raises(ConfigError, match="cells of enas_macro6 cannot be built as networks yet"):
        get_evaluator("train", "enas_macro6")


def test_an_evaluator_passes_through() -> None:
    evaluator = TabularEvaluator()
    assert get_evaluator(evaluator, "nasbench201") is evaluator
    with pytest.raises(ConfigError, match="not of enas_macro12"):
        get_evaluator(evaluator, "enas_macro12")
    with pytest.raises(ConfigError, match="options"):
        get_evaluator(evaluator, "nasbench201", metric="cifar10_test")


def test_the_only_table_of_a_space_is_taken(tmp_path: Path) -> None:
    space = get_space("enas_macro6")

    def import_as(name: str) -> None:
        texts = space.format(space.sample(2, seed=0))
        (tmp_path / f"{name}.csv").write_text(
            "\n".join(["cell,acc", *(f'"{text}",{k}' for k, text in enumerate(texts))])
        )
        import_table(tmp_path / f"{name}.csv", space="enas_macro6")

    import_as("mine")
    assert default_table("enas_macro6") == "mine"
    config = get_evaluator("tabular", "enas_macro6").config()
    assert (config["benchmark"], config["metric"]) == ("mine", "acc")
    import_as("other")
    with pytest.raises(
        ConfigError, match=r"name one with benchmark= \(--evaluator-option benchmark=NAME\): mine, other$"
    ):
        get_evaluator("tabular", "enas_macro6")
    assert default_table("nasbench201") == "nasbench201"
    with pytest.raises(ConfigError, match=r"nas_bench_graph; name one .*: nas_bench_graph-arxiv, .*-pubmed$"):
        default_table("nas_bench_graph")
    with pytest.raises(ConfigError, match="published file of nasbench101, of which its table is a part"):
        default_table("nasbench1shot1-2")
