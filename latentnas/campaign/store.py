"""Store: an Optuna study as a campaign's memory.

Every proposal is a trial of the study. Its parameters are the columns of the code, its value is the
objective, and its user attributes hold everything else that :class:`~latentnas.campaign.Trial` has,
so that Optuna and its dashboard show a campaign as it is. What belongs to the whole campaign are user
attributes of the study: ``config``, ``strategy``, ``evaluator``, ``optimum``, ``note:...`` (sentences for the user),
``run:...`` (versions, platform and start of every worker), ``seen:...`` (their last sign of life).

Guarantees, on every storage:

- The proposals of one ``ask`` are stored together or not at all; an evaluation is finished once
  :meth:`Store.finish` has returned, with value, metrics and state in one transaction. A process that
  is killed before leaves the proposal unfinished, to be evaluated again.
- A network (by key) is stored once, and never more proposals than the budget. Both are checked inside
  the transaction that stores proposals, in which no other process can write: of two processes that
  propose one network the first keeps it, and the other one's proposal never comes into being.
- Failed evaluations count against the budget: they were spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..evaluation.base import Evaluation
from ..optimization.base import Proposals
from ..spaces import SearchSpace
from .config import FREE, differences, setting_of
from .database import Database
from .frozen import check_campaign, frozen_trials, is_proposal, read_trial, readable
from .records import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage

MANY_COLUMNS = 24
"""In spaces with more columns than this, those with two values only (connections) are no parameters."""


class Store:
    """One campaign's memory.

    Thread-safe; processes may share it. Values are stored exactly.

    Args:
        url: a URL as Optuna takes it, or the path of an SQLite file; None for memory only.
        name: the campaign's name, the study's name in Optuna.
        create: create the campaign, the file and its parent folders where they are missing; else a
            missing campaign is an error.
        timeout: seconds to wait for another writer of an SQLite file.

    Raises:
        StoreError: the storage cannot be used, or has no campaign of this name; every method raises it, too,
            where the storage cannot be used any longer or a record in it is damaged.
    """

    def __init__(self, url: str | Path | None, name: str, *, create: bool = False, timeout: float = 60.0) -> None:
        self.name = name
        self._database = Database(url, create=create, timeout=timeout)
        self.url = self._database.url
        self._finished: dict[int, Trial] = {}
        try:
            self._study = self._open_or_create() if create else self._open(create=False)
        except BaseException:
            self._database.close()
            raise

    def _open_or_create(self) -> int:
        from optuna.exceptions import DuplicatedStudyError

        try:
            return self._open(create=True)
        except DuplicatedStudyError:  # another process was faster: now it is there
            return self._open(create=True)

    def _open(self, create: bool) -> int:
        import optuna
        from optuna.study import StudyDirection

        with self._database.transaction() if create else self._database.reading() as storage:
            with readable(self._database.shown):
                studies = storage.get_all_studies()
            study = next((s for s in studies if s.study_name == self.name), None)
            if study is not None:
                if "config" not in study.user_attrs and (not create or storage.get_n_trials(study._study_id)):
                    raise StoreError(f"{self.name!r} in {self._database.shown} is an Optuna study, but no campaign")
                return study._study_id
            if not create:
                known = ", ".join(_campaigns(storage)) or "none"
                raise StoreError(f"{self._database.shown} has no campaign {self.name!r}; it has: {known}")
            level = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                return storage.create_new_study([StudyDirection.MAXIMIZE], self.name)
            finally:
                optuna.logging.set_verbosity(level)

    @staticmethod
    def campaigns(url: str | Path) -> list[str]:
        """Names of the campaigns in a storage, oldest first.

        Raises:
            StoreError: the storage cannot be used.
        """
        database = Database(url)
        try:
            with database.reading() as storage, readable(database.shown):
                return _campaigns(storage)
        finally:
            database.close()

    def close(self) -> None:
        """Give the connections back; the store opens new ones when it is used again."""
        self._database.close()

    # --- the whole campaign -----------------------------------------------------------------------

    def _attributes(self) -> dict[str, Any]:
        with self._database.reading() as storage:
            return self._checked(storage)

    def _checked(self, storage: BaseStorage) -> dict[str, Any]:
        with readable(f"the record of {self._title}"):
            attributes = storage.get_study_user_attrs(self._study)
        check_campaign(attributes, self._title)
        return attributes

    @property
    def _title(self) -> str:
        return f"the campaign {self.name!r} in {self._database.shown}"

    @property
    def config(self) -> dict[str, Any] | None:
        """The campaign's settings; None before it was registered."""
        return self._attributes().get("config")

    @property
    def optimum(self) -> float | None:
        """The best value of the space where the evaluator knows it."""
        return self._attributes().get("optimum")

    def notes(self) -> list[str]:
        """What the strategies had to say, in order."""
        return [text for name, text in sorted(self._attributes().items()) if name.startswith("note:")]

    def runs(self) -> list[dict[str, str]]:
        """Provenance of every worker that took part, by time."""
        found = [run for name, run in self._attributes().items() if name.startswith("run:")]
        return sorted(found, key=lambda run: run["time"])

    def seen(self) -> dict[str, float]:
        """POSIX seconds of the last sign of life of every worker."""
        marks = self._attributes().items()
        return {name.removeprefix("seen:"): time for name, time in marks if name.startswith("seen:")}

    def register(
        self, config: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]], optimum: float | None
    ) -> None:
        """Store the campaign's settings, or check that the stored ones are the same.

        Args:
            config: the settings.
            parts: "strategy" and "evaluator": what these say of themselves (data, weights).
            optimum: the best value of the space where it is known.

        Raises:
            StoreError: the campaign was started with other settings; the message lists each.
        """
        given = {**{k: v for k, v in config.items() if k not in ("store", "name")}}
        with self._database.transaction(self._study) as storage:
            attributes = self._checked(storage)
            if "config" in attributes:
                lines = differences(attributes["config"], given, FREE)
                named = {setting_of(line) for line in lines}
                for part, own in parts.items():
                    if part not in named:  # else all of it differs
                        found = differences(attributes.get(part, {}), own)
                        lines += [f"{part}: {line}" for line in found if setting_of(line) not in named]
                if lines:
                    raise StoreError(
                        f"{self._title} was started with other settings:\n"
                        + "\n".join(f"  {line}" for line in lines)
                        + f".\nUse the stored settings (only {', '.join(FREE[:3])} may change), or another name."
                    )
            for name, value in {"config": given, **parts, "optimum": optimum}.items():
                stored = dict(value) if isinstance(value, Mapping) else value
                if name not in attributes or attributes[name] != stored:
                    storage.set_study_user_attr(self._study, name, stored)

    def add_run(self, worker: str, provenance: Mapping[str, str]) -> None:
        """Keep a worker's versions and platform."""
        with self._database.transaction(self._study) as storage:
            storage.set_study_user_attr(self._study, f"run:{worker}", dict(provenance))

    def beat(self, worker: str, time: float) -> None:
        """Keep a worker's sign of life."""
        with self._database.transaction(self._study) as storage:
            storage.set_study_user_attr(self._study, f"seen:{worker}", time)

    # --- proposals --------------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        """Every proposal, by number; finished ones are read from the storage once."""
        with self._database.reading() as storage:
            return self._trials(storage)

    def _trials(self, storage: BaseStorage) -> list[Trial]:
        trials = []
        for frozen in frozen_trials(storage, self._study, self._title):
            trial = self._finished.get(frozen.number)
            if trial is None:
                if not is_proposal(frozen):
                    continue  # not a campaign's: somebody used the study with Optuna, too
                trial = read_trial(frozen, self._title)
                if trial.state in ("complete", "failed"):
                    self._finished[trial.number] = trial
            trials.append(trial)
        return trials

    def propose(self, space: SearchSpace, proposals: Proposals, *, budget: int, seed: int, worker: str) -> list[Trial]:
        """Store proposals, owned by ``worker``, as far as they are new and the budget allows.

        Returns:
            Those that were stored, in order. Networks that the store has already are left out, and so
            is what exceeds ``budget`` proposals in all.
        """
        from optuna.trial import TrialState, create_trial

        values, distributions = _parameters(space, proposals)
        columns = [
            x.tolist() if x is not None else None for x in (proposals.acquisition, proposals.mean, proposals.std)
        ]
        texts, keys, codes = space.format(proposals.codes), space.keys(proposals.codes), proposals.codes.tolist()
        with self._database.transaction(self._study) as storage:
            trials = self._trials(storage)
            known, room = {trial.key for trial in trials}, budget - len(trials)
            batch = max((trial.batch for trial in trials), default=-1) + 1
            for row, key in enumerate(keys):
                if key in known or room <= 0:
                    continue
                known.add(key)
                room -= 1
                attributes = {
                    "code": codes[row],
                    "key": key,
                    "text": texts[row],
                    "source": proposals.sources[row],
                    "batch": batch,
                    "seed": seed,
                    "worker": worker,
                    "latent": None if proposals.latents is None else proposals.latents[row].tolist(),
                    **{n: c and c[row] for n, c in zip(("acquisition", "mean", "std"), columns, strict=True)},
                }
                template = create_trial(
                    state=TrialState.WAITING,
                    params=values[row],
                    distributions=distributions,
                    user_attrs={name: value for name, value in attributes.items() if value is not None},
                )
                storage.create_new_trial(self._study, template)
            stored = self._trials(storage)[len(trials) :]
            if stored:
                for i, note in enumerate(proposals.notes):
                    storage.set_study_user_attr(self._study, f"note:{stored[0].number:06d}:{i:02d}", note)
            return stored

    def start(self, trial: Trial, worker: str) -> bool:
        """Take a proposal in hand: its evaluation starts now.

        Returns:
            False where the proposal is no longer as ``trial`` has it, because another process took it.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with self._database.transaction(self._study) as storage:
            identifier = self._identifier(storage, trial.number)
            if not self._unchanged(identifier, trial):
                return False
            try:
                storage.set_trial_user_attr(identifier, "worker", worker)
            except UpdateFinishedTrialError:
                return False
            storage.set_trial_user_attr(identifier, "attempts", trial.attempts + 1)
            if trial.state == "running":  # its worker died
                storage.set_trial_state_values(identifier, TrialState.WAITING)
            storage.set_trial_state_values(identifier, TrialState.RUNNING)
            return True

    def finish(self, number: int, evaluation: Evaluation, worker: str) -> Trial | None:
        """Store the outcome of an evaluation: once this returns it is finished and will not be lost.

        Returns:
            The finished proposal; None where it is no longer ``worker``'s, because another process
            took this one for dead.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        outcome = {
            "metrics": dict(evaluation.metrics) or None,
            "seconds": evaluation.seconds,
            "failure": evaluation.failure,
        }
        with self._database.transaction(self._study) as storage:
            identifier = self._identifier(storage, number)
            if self._database.trial_attributes(identifier).get("worker") != worker:
                return None
            try:
                for name, value in outcome.items():
                    if value is not None:
                        storage.set_trial_user_attr(identifier, name, value)
            except UpdateFinishedTrialError:
                return None
            if evaluation.failure is None:
                assert evaluation.value is not None
                storage.set_trial_state_values(identifier, TrialState.COMPLETE, [evaluation.value])
            else:
                storage.set_trial_state_values(identifier, TrialState.FAIL)
            trial = read_trial(storage.get_trial(identifier), self._title)
        self._finished[number] = trial
        return trial

    def give_up(self, trial: Trial, failure: str) -> Trial | None:
        """Record a proposal that nobody has in hand as failed.

        Returns:
            The failed proposal; None where it is no longer as ``trial`` has it.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with self._database.transaction(self._study) as storage:
            identifier = self._identifier(storage, trial.number)
            if not self._unchanged(identifier, trial):
                return None
            try:
                storage.set_trial_user_attr(identifier, "failure", failure)
            except UpdateFinishedTrialError:
                return None
            storage.set_trial_state_values(identifier, TrialState.FAIL)
            failed = read_trial(storage.get_trial(identifier), self._title)
        self._finished[trial.number] = failed
        return failed

    def release(self, worker: str) -> None:
        """Let go of a worker's unfinished proposals, so that others may take them at once."""
        from optuna.trial import TrialState

        with self._database.transaction(self._study) as storage:
            for trial in self._trials(storage):
                if trial.worker != worker or trial.state not in ("waiting", "running"):
                    continue
                identifier = self._identifier(storage, trial.number)
                storage.set_trial_user_attr(identifier, "worker", None)
                if trial.state == "running":  # it was called off, its worker did not die
                    storage.set_trial_user_attr(identifier, "attempts", trial.attempts - 1)
                    storage.set_trial_state_values(identifier, TrialState.WAITING)

    def _identifier(self, storage: BaseStorage, number: int) -> int:
        return storage.get_trial_id_from_study_id_trial_number(self._study, number)

    def _unchanged(self, identifier: int, seen: Trial) -> bool:
        """Whether a proposal, if it is unfinished, is in the hands of the same worker as when it was seen."""
        now = self._database.trial_attributes(identifier)
        return (now.get("worker"), now.get("attempts", 0)) == (seen.worker, seen.attempts)


def _campaigns(storage: BaseStorage) -> list[str]:
    return [study.study_name for study in storage.get_all_studies() if "config" in study.user_attrs]


def _parameters(
    space: SearchSpace, proposals: Proposals
) -> tuple[list[dict[str, str | int]], dict[str, BaseDistribution]]:
    """The codes as Optuna's parameters: operations by name, everything else as integers."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    names: dict[str, Sequence[str] | None] = {}
    for column, cardinality in zip(space.columns, space.cardinalities, strict=True):
        if len(space.columns) > MANY_COLUMNS and cardinality <= 2:
            continue
        vocabularies = (space.edge_types, space.node_types[2:]) if column.startswith(("op", "edge_")) else ()
        names[column] = next((v for v in vocabularies if len(v) == cardinality), None)
    cardinalities = dict(zip(space.columns, space.cardinalities, strict=True))
    distributions: dict[str, BaseDistribution] = {
        column: IntDistribution(0, cardinalities[column] - 1) if labels is None else CategoricalDistribution(labels)
        for column, labels in names.items()
    }
    values = []
    for code in proposals.codes.tolist():
        row = dict(zip(space.columns, code, strict=True))
        values.append({c: row[c] if labels is None else labels[row[c]] for c, labels in names.items()})
    return values, distributions
