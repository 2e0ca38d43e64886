"""The loop: ask a strategy for cells, store them, evaluate them, store the outcomes, tell the strategy."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby
from types import TracebackType
from typing import Any

import torch

from ..errors import ConfigError, ExhaustedError, ObservationError, StoreError
from ..evaluation.base import Evaluation, Evaluator
from ..optimization.base import Strategy
from ..provenance import provenance
from ..spaces import SearchSpace, get_space
from .config import CampaignConfig
from .outcomes import checked, in_words, why_hopeless
from .records import Trial
from .result import SearchProgress, SearchResult
from .store import Store
from .workers import BEAT_SECONDS, Worker, is_alive

ASK_AT_MOST = 100
"""Cells asked for and stored at once; storing them keeps other writers, the clock and Ctrl-C waiting."""

POLL_SECONDS = 0.2
"""How often a worker with nothing to do looks whether the others have finished."""


class Campaign:
    """One worker's part in a campaign: strategy and evaluator around a store.

    The strategy is told what the store has, in order of the trials' numbers and ask by ask, and
    proposals that were interrupted are evaluated before it is asked again. So a campaign with one
    worker that was killed goes on exactly as if it had not been. Several workers (processes) may run
    one campaign: each tells its strategy what the others finished and marks as pending what they
    have in hand.

    An evaluation that fails, or whose evaluator raises, is recorded as failed with its reason, and
    counts against the budget. A cell whose worker died ``max_attempts`` times in its evaluation
    (out of memory, for example) is recorded as failed, too.

    Args:
        config: the settings.
        space: the search space; by default the one that the settings name.
        strategy: the strategy; by default the one that the settings name.
        evaluator: the evaluator; by default the one that the settings name.
        latent: a latent space; by default the one that the settings name.
        on_event: is called with a :class:`SearchProgress` after every evaluation and with every note.

    Raises:
        ConfigError: strategy or evaluator refuse their options, or do not fit the space.
        UnknownNameError: a name is not registered.
        StoreError: the store cannot be used, or holds a campaign with other settings.
    """

    def __init__(
        self,
        config: CampaignConfig,
        *,
        space: SearchSpace | None = None,
        strategy: Strategy | None = None,
        evaluator: Evaluator | None = None,
        latent: Any = None,
        on_event: Callable[[SearchProgress], None] | None = None,
    ) -> None:
        self.config = config
        self.space = space or get_space(config.space)
        self.evaluator = evaluator or self._build_evaluator()
        self.strategy = strategy or self._build_strategy(latent)
        for part in (self.strategy, self.evaluator):
            if part.space.name != self.space.name:
                raise ConfigError(f"{part.name} is for the space {part.space.name!r}, not for {config.space!r}")
        self.store = Store(config.store, config.title, create=True)
        try:
            parts = {"strategy": self.strategy.config(), "evaluator": self.evaluator.config()}
            self.store.register(config.to_dict(), parts, self.evaluator.optimum)
            self.worker = Worker()
            start = {**provenance(), "seed": str(config.seed)}
            self.store.add_run(self.worker.id, start)
        except BaseException:
            self.store.close()
            raise
        self._on_event = on_event
        self._started = time.monotonic()
        self._told: set[int] = set()
        self._finished: dict[int, Trial] = {t.number: t for t in self.store.trials() if t.finished is not None}
        self._before = len(self._finished)
        self._best = max(self._completed(), key=lambda t: (t.value, -t.number), default=None)
        self._failures = len(self._finished) - len(self._completed())
        self._raised = self._returned = 0
        self._stopped: str | None = None
        self._notes: list[str] = []
        self._waiting = False
        self._closed = threading.Event()
        if self.store.url is not None:
            self.store.beat(self.worker.id, time.time())
            threading.Thread(target=_heart, args=(self.store, self.worker.id, self._closed), daemon=True).start()

    def _build_evaluator(self) -> Evaluator:
        from ..evaluation import get_evaluator

        options = self.config.evaluator_options
        _refuse(options, ("name", "space"), "evaluator")
        return get_evaluator(self.config.evaluator, self.space, **options)

    def _build_strategy(self, latent: Any) -> Strategy:
        from ..optimization import get_strategy

        config = self.config
        settings = ("name", "space", "seed", "initial", "latent", "surrogate", "surrogate_options")
        _refuse(config.strategy_options, settings, "strategy")
        options = {**config.strategy_options}
        if config.surrogate_options:
            options["surrogate_options"] = config.surrogate_options
        return get_strategy(
            config.strategy,
            self.space,
            seed=config.seed,
            initial=config.initial,
            latent=config.latent if latent is None else latent,
            surrogate=config.surrogate,
            **options,
        )

    # --- running ----------------------------------------------------------------------------------

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of proposals in hand, so that other workers (or a later run) take them at once."""
        if self._closed.is_set():
            return
        self._closed.set()
        try:
            self.store.release(self.worker.id)
        finally:
            self.worker.retire()
            self.store.close()

    def run(self) -> SearchResult:
        """Go on until the budget is spent, the time is over, the space is exhausted, or Ctrl-C.

        Ctrl-C (KeyboardInterrupt) ends the run in order: everything that was finished is kept, and the
        result says ``stopped="interrupted"``.

        Raises:
            ConfigError: the first evaluations all raised exceptions or, with more of them, all failed.
            StoreError: the store could no longer be used.
        """
        for note in self.evaluator.notes:
            self._say(note)
        try:
            try:
                while self._stopped is None:
                    self.step()
            except KeyboardInterrupt:
                self._stopped = "interrupted"
                again = "run the same command again to go on" if self.store.url else "it was kept in memory only"
                self._say(f"interrupted after {len(self._finished)} of {self.config.budget}; {again}")
        finally:
            self.close()
        result = self.result()
        self.store.close()
        return result

    def result(self) -> SearchResult:
        """What was found so far."""
        return SearchResult(
            space=self.space,
            trials=self.store.trials(),
            config=self.config,
            optimum=self.evaluator.optimum,
            store_url=self.store.url,
            name=self.store.name,
            stopped=self._stopped or "store",
            notes=self.store.notes() + self._notes,
        )

    @property
    def stopped(self) -> str | None:
        """Why the campaign ended, see :attr:`SearchResult.stopped`; None while there is more to do."""
        return self._stopped

    def step(self) -> list[Trial]:
        """One round: finish what was interrupted, or ask for a batch and evaluate it.

        Returns:
            The trials that this worker finished; none while it waits for others, or when it stopped.
        """
        trials = self._read()
        # Trials count proposals, so what exceeds the budget is what the budget was cut by since.
        unfinished = [trial for trial in trials[: self.config.budget] if trial.finished is None]
        if self._out_of_time():
            return []
        orphans = self._orphans(unfinished)
        if orphans:
            # What never began may go together; what was interrupted goes alone, so that it shows who is to blame.
            groups = groupby(orphans, key=lambda trial: trial.number if trial.attempts else -1)
            return [done for _, group in groups for done in self._evaluate(list(group))]
        if len(trials) < self.config.budget:
            batch = self._ask(trials)
            if batch:
                return self._evaluate(batch)
        elif not unfinished:
            self._tell(trials)
            self._stopped = "budget"
            done, budget = len(self._finished), self.config.budget
            if done > budget:
                self._say(f"the campaign has {done} evaluations already, more than the budget of {budget}")
        elif not self._waiting:
            self._waiting = True
            self._emit(notes=[f"waiting for {len(unfinished)} evaluations of other workers"])
        if self._stopped is None:
            time.sleep(POLL_SECONDS)
        return []

    def _out_of_time(self) -> bool:
        limit = self.config.max_seconds
        if self._stopped is None and limit is not None and time.monotonic() - self._started >= limit:
            self._stopped = "time limit"
            self._say(f"stopped at the time limit of {limit:g} s after {len(self._finished)} evaluations")
        return self._stopped is not None

    # --- what is known ----------------------------------------------------------------------------

    def _read(self) -> list[Trial]:
        """Every trial in the store; what others have finished since is counted."""
        trials = self.store.trials()
        for trial in trials:
            if trial.finished is not None:
                self._record(trial)
        return trials

    def _tell(self, trials: list[Trial]) -> None:
        """Tell the strategy what is finished, ask by ask, and what others have in hand."""
        new = [trial for trial in trials if trial.finished is not None and trial.number not in self._told]
        for _, group in groupby(new, key=lambda trial: trial.batch):
            batch = list(group)
            values = [math.nan if trial.value is None else trial.value for trial in batch]
            self.strategy.tell(torch.tensor([trial.code for trial in batch]), torch.tensor(values, dtype=torch.double))
        self._told.update(trial.number for trial in new)
        in_hand = [trial.code for trial in trials if trial.finished is None]
        if in_hand:
            self.strategy.pend(torch.tensor(in_hand))

    def _orphans(self, unfinished: list[Trial]) -> list[Trial]:
        """Unfinished proposals that nobody has in hand."""
        owners = {trial.worker for trial in unfinished} - {None, self.worker.id}
        seen = self.store.seen() if owners else {}
        dead = {owner for owner in owners if owner is not None and not is_alive(owner, seen.get(owner))}
        return [trial for trial in unfinished if trial.worker in dead | {None, self.worker.id}]

    def _ask(self, trials: list[Trial]) -> list[Trial]:
        """A stored batch of new proposals; empty where other workers were faster, or nothing is left."""
        budget = self.config.budget
        self._tell(trials)
        try:
            proposals = self.strategy.ask(min(self.config.batch, ASK_AT_MOST, budget - len(trials)))
        except ExhaustedError as error:
            if all(trial.finished is not None for trial in trials):
                self._stopped = "exhausted"
                self._say(f"stopped after {len(self._finished)} evaluations: {error}")
            return []
        stored = self.store.propose(self.space, proposals, budget=budget, seed=self.config.seed, worker=self.worker.id)
        if not stored and len(self.store.trials()) == len(trials):
            raise ObservationError(f"{self.strategy.name} proposed {len(proposals)} cells, all evaluated before")
        if proposals.notes:
            self._emit(notes=proposals.notes)
        return stored

    # --- evaluating -------------------------------------------------------------------------------

    def _evaluate(self, trials: list[Trial]) -> list[Trial]:
        """Evaluate proposals of one ask in order, each stored as soon as it is known."""
        finished: list[Trial] = []
        broken: Exception | None = None
        stream: Iterator[Evaluation] | None = None
        for i, trial in enumerate(trials):
            if self._out_of_time():
                break
            if trial.attempts >= self.config.max_attempts:
                times = "once" if trial.attempts == 1 else f"{trial.attempts} times"
                reason = f"its worker died {times} in this evaluation: out of memory?"
                done = self.store.give_up(trial, reason)
            elif self.store.start(trial, self.worker.id):
                began = time.monotonic()
                try:
                    if stream is None:
                        codes = torch.tensor([other.code for other in trials[i:]])
                        stream = iter(self.evaluator.evaluate(codes))
                    evaluation = checked(next(stream))
                    self._returned += 1
                except Exception as error:
                    # One cell's exception is a failed evaluation; the others of its batch are begun afresh.
                    evaluation = Evaluation(None, seconds=time.monotonic() - began, failure=in_words(error))
                    stream = None
                    self._raised += 1
                    broken = error
                done = self.store.finish(trial.number, evaluation, self.worker.id)
            else:
                done, stream = None, None
            if done is None:
                continue
            finished.append(done)
            self._record(done)
            hopeless = why_hopeless(
                self.evaluator,
                raised=self._raised,
                returned=self._returned,
                valued=self._best is not None,
                last=done.failure,
            )
            if hopeless is not None:
                raise ConfigError(
                    f"{hopeless}. They are recorded as failed in the campaign {self.store.name!r}: "
                    "repair the set-up and start under another name."
                ) from broken
        return finished

    # --- progress ---------------------------------------------------------------------------------

    def _completed(self) -> list[Trial]:
        return [trial for trial in self._finished.values() if trial.value is not None]

    def _record(self, trial: Trial) -> None:
        """Count a finished trial, and report it, once."""
        if trial.number in self._finished:
            return
        self._finished[trial.number] = trial
        self._failures += trial.value is None
        if trial.value is not None and (
            self._best is None or self._best.value is None or trial.value > self._best.value
        ):
            self._best = trial
        self._emit(trial)

    def _say(self, sentence: str) -> None:
        """Report why this run ends as it does, and keep it for the result; a later run has its own end."""
        self._notes.append(sentence)
        self._emit(notes=[sentence])

    def _emit(self, trial: Trial | None = None, notes: list[str] | None = None) -> None:
        if self._on_event is None:
            return
        optimum, done, budget = self.evaluator.optimum, len(self._finished), self.config.budget
        best = self._best
        elapsed = time.monotonic() - self._started
        rate = (done - self._before) / elapsed if elapsed > 0 else 0.0
        self._on_event(
            SearchProgress(
                done=done,
                budget=budget,
                failures=self._failures,
                best=best,
                regret=None if optimum is None or best is None or best.value is None else optimum - best.value,
                rate=rate,
                eta=max(budget - done, 0) / rate if rate > 0 else None,
                trial=trial,
                notes=list(notes or []),
            )
        )


def _refuse(options: Mapping[str, Any], settings: Collection[str], part: str) -> None:
    """Raise a ConfigError where options repeat settings of the campaign."""
    repeated = [repr(option) for option in options if option in settings]
    if repeated:
        are = "is a setting" if len(repeated) == 1 else "are settings"
        raise ConfigError(
            f"{part}_options: {', '.join(repeated)} {are} of the campaign, not for the options of the {part}"
        )


def _heart(store: Store, worker: str, closed: threading.Event) -> None:
    """Give a sign of life now and then, until the campaign is closed."""
    while not closed.wait(BEAT_SECONDS):
        try:
            store.beat(worker, time.time())
        except StoreError:
            continue  # the loop meets the same fault in its next step, and reports it
