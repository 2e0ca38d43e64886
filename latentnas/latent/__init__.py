"""Latent spaces: train, load and save them; encode cells, decode latents."""

from .fit import FitConfig
from .quality import GenerationQuality, generation_quality, reconstruction_accuracy
from .resolve import resolve_latent
from .space import LatentSpace
from .storage import list_latent_spaces

__all__ = [
    "FitConfig",
    "GenerationQuality",
    "LatentSpace",
    "generation_quality",
    "list_latent_spaces",
    "reconstruction_accuracy",
    "resolve_latent",
]
