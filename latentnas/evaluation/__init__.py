"""Evaluators: what a cell is worth."""

from __future__ import annotations

import inspect
from typing import Any

from ..benchmarks import nasbench1shot1, tables_of
from ..errors import ConfigError, UnknownNameError
from ..spaces import SearchSpace, get_space
from .base import Evaluation, Evaluator
from .tabular import TabularEvaluator
from .training import TrainingEvaluator
from .zero_cost import ZeroCostEvaluator, ZeroCostMetrics, zero_cost_metrics

_EVALUATORS: dict[str, type[Evaluator]] = {
    "tabular": TabularEvaluator,
    "train": TrainingEvaluator,
    "zero-cost": ZeroCostEvaluator,
}


def list_evaluators() -> list[str]:
    """Names that :func:`get_evaluator` knows, sorted."""
    return sorted(_EVALUATORS)


def evaluator_options(name: str) -> list[str]:
    """Names of the options that an evaluator takes, in the order of its constructor.

    Raises:
        UnknownNameError: no evaluator has this name.
    """
    if name not in _EVALUATORS:
        raise UnknownNameError("evaluator", name, _EVALUATORS)
    parameters = inspect.signature(_EVALUATORS[name]).parameters
    return [option for option in parameters if option != "space"]


def default_table(space: str | SearchSpace) -> str:
    """The benchmark table of a space: the one that bears its name, else the only one there is.

    Raises:
        UnknownNameError: no such space.
        ConfigError: there is none, or there are several.
    """
    space = get_space(space)
    fitting = tables_of(space.name)
    if space.name in fitting:
        return space.name
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigError(
            f"evaluator tabular: several tables hold cells of {space.name}; name one with benchmark= "
            f"(--evaluator-option benchmark=NAME): {', '.join(fitting)}"
        )
    source = nasbench1shot1.SOURCE if space.name in nasbench1shot1.TABLES else ""
    raise ConfigError(
        f"evaluator tabular: no table holds cells of {space.name}; import one: latentnas data import PATH"
        + (f" with the published file of {source}, of which its table is a part" if source else "")
    )


def get_evaluator(name: str | Evaluator, space: str | SearchSpace = "nasbench201", **options: Any) -> Evaluator:
    """The evaluator called ``name`` for the cells of ``space``; an evaluator of that space passes through.

    Args:
        name: one of :func:`list_evaluators`, or an evaluator.
        space: the space to search, or its name.
        options: what the evaluator's constructor takes, see :func:`evaluator_options`. ``tabular``
            without ``benchmark`` takes the space's table, see :func:`default_table`.

    Raises:
        UnknownNameError: no such evaluator, space, benchmark or metric.
        ConfigError: an option is unknown or wrong, or the evaluator does not evaluate this space.
    """
    space = get_space(space)
    if isinstance(name, Evaluator):
        if options:
            raise ConfigError(f"{name.name}: options ({', '.join(options)}) are for evaluators given by name")
        evaluator = name
    else:
        known = evaluator_options(name)
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ConfigError(f"evaluator {name}: unknown option {', '.join(unknown)}; known: {', '.join(known)}")
        if name == "tabular":
            options = {"benchmark": default_table(space), **options} if "benchmark" not in options else options
        else:
            options = {"space": space, **options}
        evaluator = _EVALUATORS[name](**options)
    if evaluator.space.name != space.name:
        hint = f"; tables of {space.name}: {', '.join(tables_of(space.name)) or 'none'}" if name == "tabular" else ""
        raise ConfigError(f"{evaluator.name} evaluates cells of {evaluator.space.name}, not of {space.name}{hint}")
    return evaluator


__all__ = [
    "Evaluation",
    "Evaluator",
    "TabularEvaluator",
    "TrainingEvaluator",
    "ZeroCostEvaluator",
    "ZeroCostMetrics",
    "default_table",
    "evaluator_options",
    "get_evaluator",
    "list_evaluators",
    "zero_cost_metrics",
]
