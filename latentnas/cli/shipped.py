"""``latentnas latents`` and ``analogy``: the latent spaces that come with the package, arithmetic on latents."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import app
from .latents import Latent
from .output import print_table

Text = Annotated[str, typer.Argument(metavar="TEXT", help="A cell as a string.", show_default=False)]


@app.command("latents")
def latents() -> None:
    """List the latent spaces that come with the package: how they were made, and how good they are."""
    from ..latent import LatentSpace, list_latent_spaces
    from ..latent.storage import SHIPPED

    head = ["name", "dims", "encoder", "cells a pass", "passes", "trained", "reconstructed", "valid, free", "size"]
    rows = []
    for name in list_latent_spaces():
        model = LatentSpace.load(name, device="cpu")
        fit, metrics, config = model.info["fit"], model.info["metrics"], model.model.config
        rows.append(
            [
                name,
                str(model.latent_dim),
                config.encoder,
                f"{fit['train_cells']:,}",
                str(metrics["best_epoch"]),
                f"{metrics['seconds']:.0f} s",
                f"{100 * metrics['reconstruction_accuracy']:.2f}% of {metrics['cells_reconstructed']:,}",
                f"{100 * metrics['prior_validity_free']:.2f}%",
                f"{sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) / 1e6:.2f} MB",
            ]
        )
    print_table(head, rows, right=(1, 3, 4, 5, 6, 7, 8))


@app.command("analogy")
def analogy(latent: Latent, a: Text, b: Text, c: Text) -> None:
    """What is to C as A is to B: the cell at z(A) - z(B) + z(C), with the density of the latents at each point."""
    import torch

    from ..latent import LatentSpace
    from ..latent.tools import analogy as combined

    model = LatentSpace.load(latent)
    z = [model.encode(model.space.parse([text])) for text in (a, b, c)]
    points = torch.cat([*z, combined(*z)])
    cells = model.space.format(model.decode(points))
    rows = [
        [name, f"{float(density):.1f}", cell]
        for name, density, cell in zip(
            ("A", "B", "C", "A - B + C"), model.log_density(points), [a, b, c, cells[-1]], strict=True
        )
    ]
    print_table(["point", "log density", "cell"], rows, right=[1])
