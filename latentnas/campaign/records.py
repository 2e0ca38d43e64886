"""What a campaign remembers of every proposal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One proposal of a campaign, as the store has it.

    Attributes:
        number: order of proposal, from 0.
        state: "waiting", "running", "complete" or "failed".
        code: D integers, the cell.
        key: the space's canonical key of the cell.
        text: the space's published string form of the cell.
        value: the objective, larger is better; None until complete.
        metrics: further measurements of the evaluation, by name.
        source: where the strategy found the cell, for example "initial".
        batch: which ``ask`` it belongs to, from 0.
        seed: the campaign's seed.
        latent: the d coordinates of the proposal in the latent space; None without one.
        acquisition: the acquisition value at the time of the proposal; None without a model.
        mean: the value that the model predicted, in the unit of ``value``.
        std: standard deviation of that prediction.
        worker: the process that evaluates or evaluated it.
        attempts: how often its evaluation was started.
        started: POSIX seconds; None while waiting.
        finished: POSIX seconds; None until complete or failed.
        seconds: duration of the evaluation.
        failure: why it failed, one sentence.
    """

    number: int
    state: str
    code: tuple[int, ...]
    key: str
    text: str
    value: float | None
    metrics: dict[str, float]
    source: str
    batch: int
    seed: int
    latent: tuple[float, ...] | None
    acquisition: float | None
    mean: float | None
    std: float | None
    worker: str | None
    attempts: int
    started: float | None
    finished: float | None
    seconds: float | None
    failure: str | None
