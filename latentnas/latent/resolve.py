"""Which latent space belongs to a search space."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from ..spaces import SearchSpace
from .space import LatentSpace
from .storage import list_latent_spaces

PREFERRED = {"nasbench201": "nasbench201-dvae-emb"}
"""Which of several shipped latent spaces a search takes: `latent-bo` needed 33.7 evaluations with this one and 35.3
with `nasbench201` (means over development seeds; 24 and 10, the spread is 10)."""


def resolve_latent(space: SearchSpace, latent: LatentSpace | str | Path | None) -> LatentSpace:
    """A latent space of ``space``: itself, loaded by name or folder, or by default the shipped one.

    Of several that are shipped for a space it is the one of :data:`PREFERRED`.

    Raises:
        ConfigError: none is shipped for the space, or the given one belongs to another space.
        WeightsError: it cannot be loaded.
    """
    if latent is None:
        names = [name for name in list_latent_spaces() if name == space.name or name.startswith(f"{space.name}-")]
        if not names:
            raise ConfigError(
                f"no latent space comes with the package for {space.name!r}; train one "
                f"(latentnas pretrain {space.name} --out FOLDER) and give its folder as latent"
            )
        latent = PREFERRED.get(space.name, names[0])
    if not isinstance(latent, LatentSpace | str | Path):
        raise ConfigError(f"latent must be a LatentSpace, a folder or a shipped name, got {latent!r}")
    loaded = latent if isinstance(latent, LatentSpace) else LatentSpace.load(latent, space=space, device="cpu")
    if loaded.space.name != space.name:
        raise ConfigError(f"the latent space belongs to {loaded.space.name!r}, the search to {space.name!r}")
    return loaded
