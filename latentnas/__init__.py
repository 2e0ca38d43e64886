"""latentnas: generative neural architecture search in a latent space."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmarks import get_benchmark, list_benchmarks
    from .campaign import CampaignConfig, SearchResult, search
    from .evaluation import get_evaluator, list_evaluators
    from .latent import LatentSpace, list_latent_spaces
    from .optimization import get_strategy, list_strategies
    from .predictor import Predictor
    from .report import write_report
    from .spaces import check_space, get_space, list_spaces, register_space

__version__ = "0.1.0"

_LAZY = {
    "CampaignConfig": "campaign",
    "LatentSpace": "latent",
    "Predictor": "predictor",
    "SearchResult": "campaign",
    "check_space": "spaces",
    "get_benchmark": "benchmarks",
    "get_evaluator": "evaluation",
    "get_space": "spaces",
    "get_strategy": "optimization",
    "list_benchmarks": "benchmarks",
    "list_evaluators": "evaluation",
    "list_latent_spaces": "latent",
    "list_spaces": "spaces",
    "list_strategies": "optimization",
    "register_space": "spaces",
    "search": "campaign",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'latentnas' has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "CampaignConfig",
    "LatentSpace",
    "Predictor",
    "SearchResult",
    "__version__",
    "check_space",
    "get_benchmark",
    "get_evaluator",
    "get_space",
    "get_strategy",
    "list_benchmarks",
    "list_evaluators",
    "list_latent_spaces",
    "list_spaces",
    "list_strategies",
    "register_space",
    "search",
    "write_report",
]
