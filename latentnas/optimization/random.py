"""Random search."""

from __future__ import annotations

import torch

from .base import Proposals, Strategy


class RandomSearch(Strategy):
    """Uniform over the codes of the space, never the same network twice."""

    name = "random"

    def _propose(self, n: int, generator: torch.Generator) -> Proposals:
        codes = self.sample_new(n, generator)
        return Proposals(codes, ["random"] * len(codes))
