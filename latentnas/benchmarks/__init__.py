"""Benchmark tables: published measurements of cells, queried by code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..errors import UnknownNameError
from . import nasbench201
from .table import BestCell, TabularBenchmark

_BENCHMARKS: dict[str, Callable[[], TabularBenchmark]] = {
    "nasbench201": nasbench201.load,
}


def list_benchmarks() -> list[str]:
    """Names that :func:`get_benchmark` knows, sorted."""
    return sorted(_BENCHMARKS)


@cache
def _load(name: str) -> TabularBenchmark:
    return _BENCHMARKS[name]()


def get_benchmark(name: str | TabularBenchmark) -> TabularBenchmark:
    """The benchmark table called ``name``, read once a process; a table passes through.

    Raises:
        UnknownNameError: no benchmark has this name.
        DataFileError: its data file is missing, truncated, corrupted or hostile.
    """
    if isinstance(name, TabularBenchmark):
        return name
    if name not in _BENCHMARKS:
        raise UnknownNameError("benchmark", name, _BENCHMARKS)
    return _load(name)


__all__ = ["BestCell", "TabularBenchmark", "get_benchmark", "list_benchmarks"]
