"""Evaluators: what a cell is worth."""

from __future__ import annotations

import inspect
from typing import Any

from ..benchmarks import list_benchmarks
from ..errors import ConfigError, UnknownNameError
from ..spaces import SearchSpace, get_space
from .base import Evaluation, Evaluator
from .tabular import TabularEvaluator
from .training import TrainingEvaluator

_EVALUATORS: dict[str, type[Evaluator]] = {"tabular": TabularEvaluator, "train": TrainingEvaluator}


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


def get_evaluator(name: str | Evaluator, space: str | SearchSpace = "nasbench201", **options: Any) -> Evaluator:
    """The evaluator called ``name`` for the cells of ``space``; an evaluator of that space passes through.

    Args:
        name: one of :func:`list_evaluators`, or an evaluator.
        space: the space to search, or its name.
        options: what the evaluator's constructor takes, see :func:`evaluator_options`. ``tabular``
            without ``benchmark`` takes the table that bears the name of the space.

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
            if "benchmark" not in options and space.name not in list_benchmarks():
                raise ConfigError(
                    f"evaluator tabular: no table is known for {space.name}; name one with benchmark=, or import one "
                    f"(latentnas data import PATH). Tables: {', '.join(list_benchmarks())}"
                )
            options = {"benchmark": space.name, **options}
        else:
            options = {"space": space, **options}
        evaluator = _EVALUATORS[name](**options)
    if evaluator.space.name != space.name:
        raise ConfigError(f"{evaluator.name} evaluates cells of {evaluator.space.name}, not of {space.name}")
    return evaluator


__all__ = [
    "Evaluation",
    "Evaluator",
    "TabularEvaluator",
    "TrainingEvaluator",
    "evaluator_options",
    "get_evaluator",
    "list_evaluators",
]
