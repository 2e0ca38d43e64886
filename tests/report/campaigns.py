"""Campaigns made by hand, for the tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentnas.campaign.records import Trial
from latentnas.report import ReportData, Table
from latentnas.spaces import SearchSpace, get_space


class LinearLatent:
    """Stands for a LatentSpace: a latent is a fixed linear map of the one-hot code."""

    def __init__(self, space: SearchSpace, latent_dim: int = 6) -> None:
        self.space, self.latent_dim = space, latent_dim
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(sum(space.cardinalities), latent_dim, generator=generator)

    def encode(self, codes: Tensor) -> Tensor:
        parts = [torch.nn.functional.one_hot(codes[:, d], c) for d, c in enumerate(self.space.cardinalities)]
        return torch.cat(parts, 1).float() @ self.weight


def trial(number: int, value: float | None, *, code: Sequence[int] | None = None, **changes: Any) -> Trial:
    """One proposal; without a value it failed, unless ``state`` says otherwise."""
    space = get_space(changes.pop("space", "nasbench201"))
    if code is None:
        code = [(number // 5**k) % 5 for k in range(6)] if space.name == "nasbench201" else [0] * space.dim
    row = torch.tensor([list(code)])
    settings: dict[str, Any] = {
        "number": number,
        "state": "failed" if value is None else "complete",
        "code": tuple(code),
        "key": space.keys(row)[0],
        "text": space.format(row)[0],
        "value": value,
        "metrics": {} if value is None else {"accuracy": value},
        "source": "initial" if number < 2 else "latent",
        "batch": number // 2,
        "seed": 3,
        "latent": None,
        "acquisition": None,
        "mean": None,
        "std": None,
        "worker": "w",
        "attempts": 1,
        "started": 1000.0 + number,
        "finished": 1000.5 + number,
        "seconds": 0.5,
        "failure": "the loss became NaN" if value is None else None,
    }
    return Trial(**{**settings, **changes})


def small_table() -> Table:
    """Every NB201 cell; its value is 50 + the number of 3x3 convolutions minus the number of 'none'."""
    codes = get_space("nasbench201").enumerate()
    return Table(codes, 50.0 + (codes == 3).sum(1).double() - (codes == 0).sum(1).double())


def campaign(values: Sequence[float | None], **changes: Any) -> ReportData:
    """A campaign with these values in order, None for a failure."""
    settings: dict[str, Any] = {
        "name": "by hand",
        "space": get_space("nasbench201"),
        "trials": [trial(k, value) for k, value in enumerate(values)],
        "config": {"space": "nasbench201", "strategy": "latent-bo", "evaluator": "tabular", "budget": 20, "seed": 3},
        "value_name": "accuracy",
        "unit": "%",
    }
    return ReportData(**{**settings, **changes})
