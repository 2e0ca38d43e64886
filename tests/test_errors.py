from __future__ import annotations

import inspect

import pytest

from latentnas import errors
from latentnas.errors import LatentNASError, UnknownNameError

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_one_tree(error: type[Exception]) -> None:
    assert issubclass(error, LatentNASError)
    assert error.__doc__


@pytest.mark.parametrize("error", [e for e in CLASSES if e is not LatentNASError], ids=lambda error: error.__name__)
def test_code_that_knows_nothing_of_latentnas_can_handle_them(error: type[Exception]) -> None:
    assert issubclass(error, ValueError | LookupError | RuntimeError)


def test_unknown_name_says_what_is_known_and_what_is_near() -> None:
    assert str(UnknownNameError("space", "nasbench20l", ["zeta", "nasbench201"])) == (
        "unknown space 'nasbench20l'. Did you mean 'nasbench201'? Known: nasbench201, zeta"
    )
    assert str(UnknownNameError("metric", 3, [])) == "unknown metric 3. Known: none"
