"""The settings of a campaign, checked all at once before anything runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from ..errors import ConfigError, LatentNASError, UnknownNameError
from ..seeding import MAX_SEED
from ..spaces import list_spaces

FREE = ("budget", "max_seconds", "max_attempts", "store", "name", "evaluator_options.device")
"""Settings that may change when a campaign is resumed."""

REGISTER_FIRST = (
    "if it is one of your own, register it first (register_space; on the command line: latentnas --import FILE ...)"
)

_MISSING = object()


class CampaignConfig(BaseModel):
    """The settings of a campaign.

    Build it with :meth:`of` or :meth:`from_yaml`, which report every fault as one ConfigError.

    Attributes:
        space: name of the search space.
        strategy: name of the strategy.
        evaluator: name of the evaluator.
        budget: number of evaluations in all, failed ones included, at least 1.
        batch: cells asked for at a time, at least 1; of a larger batch 100 are asked for, stored and evaluated
            at a time, so that time limit, Ctrl-C and other workers need not wait for all of it.
        initial: random cells first, for the strategies that have such a phase, at least 1.
        seed: seed of every random choice, in 0..2**63-1.
        latent: shipped name or folder of the latent space, for the strategies that search in one.
        surrogate: what judges cells, of :func:`latentnas.optimization.list_surrogates`, for the strategies that take
            one; None or "gp" for Gaussian processes.
        surrogate_options: settings of that predictor.
        strategy_options: further arguments of the strategy.
        evaluator_options: further arguments of the evaluator.
        max_seconds: stop a run after this time, between two evaluations; None for no limit.
        max_attempts: evaluations of a cell whose process died, after which the cell counts as failed.
        store: URL (or path of an SQLite file) of the campaign's memory; None keeps it in memory.
        name: the campaign's name in its store; by default made of space, table and metric where these
            are not the usual ones, strategy, surrogate where it is a predictor, evaluator and seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    space: str
    strategy: str = "latent-bo"
    evaluator: str = "tabular"
    budget: int = Field(ge=1)
    batch: int = Field(default=5, ge=1)
    initial: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    latent: str | None = None
    surrogate: str | None = None
    surrogate_options: dict[str, Any] = Field(default_factory=dict)
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    evaluator_options: dict[str, Any] = Field(default_factory=dict)
    max_seconds: float | None = Field(default=None, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    store: str | None = None
    name: str | None = Field(default=None, min_length=1, max_length=200)

    @field_validator("space", "strategy", "evaluator")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        from ..evaluation import list_evaluators
        from ..optimization import list_strategies

        names = {"space": list_spaces, "strategy": list_strategies, "evaluator": list_evaluators}
        field = str(info.field_name)
        known = names[field]()
        if field not in (info.context or ()) and value not in known:
            hint = f"; {REGISTER_FIRST}" if field == "space" else ""
            raise ValueError(f"{UnknownNameError(field, value, known)}{hint}")
        return value

    @field_validator("surrogate")
    @classmethod
    def _known_surrogate(cls, value: str | None) -> str | None:
        from ..optimization import list_surrogates

        if value is not None and value not in list_surrogates():
            raise ValueError(str(UnknownNameError("surrogate", value, list_surrogates())))
        return value

    @field_validator("surrogate_options", "strategy_options", "evaluator_options")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be plain values that JSON can hold, {error}") from None

    @classmethod
    def of(cls, settings: Mapping[str, Any], *, custom: Collection[str] = (), origin: str = "") -> CampaignConfig:
        """Check ``settings``.

        Args:
            settings: by name.
            custom: those of "space", "strategy", "evaluator" that are objects of the caller's own, so
                that their names need not be registered.
            origin: where the settings come from, for the message.

        Raises:
            ConfigError: lists every fault.
        """
        try:
            return cls.model_validate(dict(settings), context=frozenset(custom))
        except ValidationError as error:
            faults = [_sentence(item) for item in error.errors()]
        where = f" in {origin}" if origin else ""
        count = "1 wrong setting" if len(faults) == 1 else f"{len(faults)} wrong settings"
        raise ConfigError(f"{count}{where}:\n" + "\n".join(f"  {fault}" for fault in faults))

    @classmethod
    def from_yaml(cls, path: str | Path) -> CampaignConfig:
        """Read the settings from a YAML file.

        Raises:
            ConfigError: the file cannot be read, is no YAML mapping, or has wrong settings (all listed).
        """
        import yaml

        try:
            settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read the campaign's settings from {path}: {error}") from None
        if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
            raise ConfigError(f"{path}: expected a mapping of settings such as 'space: nasbench201'")
        return cls.of(settings, origin=str(path))

    @property
    def title(self) -> str:
        """The campaign's name: the one given, else made of what it does.

        A table that does not bear the name of the space, a metric that is not the table's default and a surrogate that
        is a predictor are in it.
        """
        if self.name:
            return self.name
        parts = [self.space, self.strategy, self.evaluator, f"s{self.seed}"]
        if self.evaluator == "tabular":
            benchmark = str(self.evaluator_options.get("benchmark") or self.space)
            metric = self.evaluator_options.get("metric")
            if benchmark != self.space:
                parts[0] = benchmark if benchmark.startswith(f"{self.space}-") else f"{self.space}-{benchmark}"
            if metric is not None and metric != _default_metric(benchmark):
                parts.insert(3, str(metric))
        if self.surrogate not in (None, "gp"):
            parts.insert(2, str(self.surrogate))
        return "-".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types; the surrogate's only where they say anything: "gp" is what is there without."""
        settings = self.model_dump(mode="json")
        if self.surrogate in (None, "gp"):
            del settings["surrogate"]
        if not self.surrogate_options:
            del settings["surrogate_options"]
        return settings


def _default_metric(benchmark: str) -> str | None:
    """The metric that a table's name alone stands for; None where there is no such table, which is reported later."""
    from ..benchmarks import get_benchmark

    try:
        return get_benchmark(benchmark).default_metric
    except LatentNASError:
        return None


def differences(stored: Mapping[str, Any], given: Mapping[str, Any], free: Collection[str] = ()) -> list[str]:
    """What differs between two nested settings, a line each.

    Settings in ``free`` are left out: names of top-level settings, or dotted names inside them.
    """
    old, new = dict(_leaves(stored)), dict(_leaves(given))
    lines = []
    for name in sorted({*old, *new}):
        if name.split(".")[0] not in free and name not in free and old.get(name, _MISSING) != new.get(name, _MISSING):
            was, now = (repr(side[name]) if name in side else "not set" for side in (old, new))
            lines.append(f"{name}: stored {was}, given {now}")
    return lines


def setting_of(line: str) -> str:
    """The name of the setting that a line of :func:`differences` is about, without those that it is inside of."""
    return line.partition(":")[0].rpartition(".")[2]


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _sentence(item: Any) -> str:
    """One fault that pydantic found, in our words."""
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = get_close_matches(name, CampaignConfig.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(CampaignConfig.model_fields)}"
        return f"{name}: unknown setting, {hint}"
    if item["type"] == "missing":
        return f"{name}: missing"
    if item["type"] == "value_error":
        return f"{name}: {item['ctx']['error']}"
    message = item["msg"].removeprefix("Input ")
    return f"{name}: {message}, got {item['input']!r}"
