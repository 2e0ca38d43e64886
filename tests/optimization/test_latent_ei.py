from __future__ import annotations

import torch

from latentnas.latent import LatentSpace
from latentnas.optimization import LatentEI
from latentnas.spaces import ENASMacro

from .conformance import check, objective, run
from .test_latent_bo import Stuck


def test_proposals_stand_where_the_acquisition_was_highest(shipped_latent: LatentSpace) -> None:
    strategy = LatentEI("nasbench201", latent=shipped_latent, initial=6)
    run(strategy, [6])
    proposals = strategy.ask(2)
    check(strategy, proposals, 2)
    assert proposals.latents is not None
    low, high = shipped_latent.bounds
    slack = 1e-4 * (high - low)
    assert bool(((proposals.latents >= low - slack) & (proposals.latents <= high + slack)).all())
    decoded = shipped_latent.decode(proposals.latents.float())
    direct = torch.tensor([source == "acquisition" for source in proposals.sources])
    assert torch.equal(decoded[direct], proposals.codes[direct])


def test_where_every_decoded_cell_is_known_a_random_one_is_taken_with_a_note(tiny_latent: LatentSpace) -> None:
    space = ENASMacro(layers=2)
    cells = space.enumerate()[torch.randperm(72, generator=torch.Generator().manual_seed(1))]
    latent = Stuck(tiny_latent, cells[:1])
    strategy = LatentEI(space, latent=latent, initial=2)
    strategy.tell(cells[:60], objective(cells[:60]))
    proposals = strategy.ask(2)
    check(strategy, proposals, 2)
    assert proposals.sources == ["random", "random"]
    assert len(proposals.notes) == 2
    assert latent.calls < 30
