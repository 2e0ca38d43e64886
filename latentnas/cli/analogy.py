"""``latentnas analogy``: arithmetic on latents."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import app
from .latents import Latent
from .output import print_table

Text = Annotated[str, typer.Argument(metavar="TEXT", help="A cell as a string.", show_default=False)]


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
