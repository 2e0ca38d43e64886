"""From a campaign, finished or not, to the plain values of a report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..campaign.result import stored_space
from ..errors import ConfigError, StoreError, WeightsError
from ..spaces import SearchSpace
from .data import ReportData, Table
from .extent import table_extent

if TYPE_CHECKING:
    from ..benchmarks import TabularBenchmark
    from ..campaign import SearchResult, Store
    from ..latent import LatentSpace

_PASSWORD = re.compile(r"(://[^:/@]*:)[^@/]*@")


def report_data(source: SearchResult | Store) -> ReportData:
    """What a report needs of a search's result or of a campaign's store.

    The table, the optimum and the latent space are looked up by the names in the campaign's settings.

    Raises:
        StoreError: the store holds no settings, so it is no campaign.
        UnknownNameError: the campaign used a space or benchmark that this installation lacks.
    """
    trials = source.trials
    trials = trials() if callable(trials) else trials
    config = as_mapping(source.config)
    url, name = _address(source)
    if config is None:
        raise StoreError(f"{url or 'memory'}: the campaign {name!r} has no settings; it was not made by latentnas")
    space = stored_space(str(config["space"]), name)
    table, value_name, unit, scale = _known_values(config, space)
    others: list[str] = []
    if table is not None and source.optimum is not None and source.optimum != float(table.values.max()):
        others = [f"The table {table.name} is not the one that was searched, or has changed since: it is left out."]
        table = None
    notes = source.notes() if callable(source.notes) else source.notes
    searched = any(trial.latent is not None for trial in trials)
    latent_space, missing = _latent_space(config, space) if searched else (None, [])
    # A campaign in memory has no store, and one that others may read must not show a password.
    config = {**config, "store": url, "name": name}
    return ReportData(
        name=name,
        space=space,
        trials=list(trials),
        config=config,
        value_name=value_name,
        unit=unit,
        scale=scale,
        optimum=source.optimum,
        table=table,
        latent_space=latent_space,
        store=url,
        notes=[*notes, *missing, *others],
    )


def as_mapping(config: object) -> dict[str, object] | None:
    """A campaign's settings as a plain dict, whether they are a dict or a pydantic model."""
    if config is None:
        return None
    if isinstance(config, Mapping):
        return dict(config)
    dumped: dict[str, object] = config.model_dump(mode="json")  # type: ignore[attr-defined]
    return dumped


def _address(source: SearchResult | Store) -> tuple[str | None, str]:
    """URL (without a password; None for memory) and name, of a SearchResult or a Store."""
    url = source.store_url if hasattr(source, "store_url") else source.url
    return None if url is None else shown_url(url), source.name


def shown_url(url: str) -> str:
    """A database URL as it may be shown: a password in it is hidden."""
    return _PASSWORD.sub(r"\1***@", url)


def _options(config: Mapping[str, object], key: str) -> dict[str, object]:
    options = config.get(key)
    return dict(options) if isinstance(options, Mapping) else {}


def _known_values(config: Mapping[str, object], space: SearchSpace) -> tuple[Table | None, str, str, str]:
    """Table, name of the value, its unit, and what axes say where it has none."""
    if config.get("evaluator") == "train":
        return None, "validation accuracy", "%", ""
    if config.get("evaluator") != "tabular":
        return None, "value", "", ""
    from ..benchmarks import get_benchmark
    from ..evaluation import default_table

    options = _options(config, "evaluator_options")
    benchmark: TabularBenchmark = get_benchmark(str(options.get("benchmark") or default_table(space)))
    metric = str(options.get("metric") or benchmark.default_metric)
    values = benchmark.values(metric)
    known = values.isfinite()  # a table may lack some
    unit = benchmark.units.get(metric, "")
    table = Table(
        benchmark.codes[known],
        values[known],
        name=benchmark.name,
        metric=f"{metric} ({unit})" if unit else metric,
        source=benchmark.source,
        extent=table_extent(benchmark, metric),
    )
    scale = "share" if unit == "share in 0..1" else unit
    return table, metric_label(metric), "%" if unit == "%" else "", "" if unit == "%" else scale


def metric_label(metric: str) -> str:
    """How a benchmark's metric is written for people: ``cifar10_test`` -> ``CIFAR-10 test accuracy``."""
    text = metric.replace("cifar100", "CIFAR-100").replace("cifar10", "CIFAR-10").replace("_", " ")
    # the tables of NAS-Bench-201 name their accuracies after the data set and the split alone
    return f"{text} accuracy" if re.fullmatch(r"(CIFAR|ImageNet)\S* (train|valid|test).*", text) else text


def _latent_space(config: Mapping[str, object], space: SearchSpace) -> tuple[LatentSpace | None, list[str]]:
    """The latent space that the campaign searched, or a sentence that says why it is missing."""
    from ..latent import resolve_latent

    named = config.get("latent")
    try:
        return resolve_latent(space, None if named is None else str(named)), []
    except (ConfigError, WeightsError) as error:
        return None, [f"The map shows the proposals only, the latent space could not be read: {error}"]
