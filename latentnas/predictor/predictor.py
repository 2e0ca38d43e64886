"""Predictor: an encoder, a head, a loss and features, with scikit-learn's habits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from ..device import cpu_threads, gradients, resolve_device
from ..errors import ConfigError, ObservationError
from ..evaluation.metrics import kendall_tau
from ..latent import LatentSpace
from ..models.predictors import CellInputs, encoder_class
from ..seeding import derive_seed
from ..spaces import SearchSpace
from .epochs import TrainedEpochs, asked_epochs, label_epochs, refuse_unread
from .features import MeasureSetting
from .inputs import cell_facts
from .labels import Codes, Labels, Values, as_codes, as_values, checked_labels
from .members import Reader, grown_member, new_member
from .moments import ensemble_moments
from .scoring import calibrate, scaled_scores
from .settings import auto_predictor, checked_space, show_measuring
from .training import Trainer, run_epochs

STRUCTURE = (
    *("encoder", "space", "loss", "margin", "head", "dropout", "batch_norm", "ensemble", "canonical"),
    *("op_features", "cell_features", "targets", "target_weight", "options", "latent"),
)
"""Settings that trained members are built from; they cannot change until the next ``fit`` from fresh weights."""


class Predictor(BaseEstimator):
    """Ranks the cells of a space after training on a few evaluated ones.

    It has scikit-learn's habits: ``fit``, ``predict``, ``score``, ``get_params`` and ``set_params``; ``clone``,
    ``cross_val_score`` and the like work with codes as X. Settings are checked by ``fit``, all at once.

    A ``fit`` that fails or is interrupted leaves the predictor as it was before. After a fit, settings that the trained
    members are built from (``STRUCTURE``) cannot be changed but for another ``fit`` from fresh weights.

    Labels that are NaN or infinite, fewer than two different cells, and labels that are all equal are refused
    (:class:`~latentnas.errors.ObservationError`). A cell that is given several times counts once, with the mean of its
    values.

    The encoder "gpnas-gcn" takes ``trained_epochs`` with its labels, after how many epochs of training each was
    measured, one integer or one a cell (GPNAS's eq. 6 and 7); others refuse them. A cell measured after several
    numbers of epochs is several labels. Predictions are asked for after one of these numbers, by default the largest.

    ``Predictor("auto")`` is :class:`.auto.AutoPredictor`, several rankers of different kinds that are weighted by
    cross-validation: it takes ``space``, ``seed``, ``device``, ``threads``, ``progress`` and, as ``options``, the other
    settings of that class. It is in ``auto_`` after ``fit``.

    Args:
        encoder: "auto", or a name of :func:`latentnas.models.predictors.list_encoders`.
        space: the search space, or its name.
        loss: "hinge" (all pairs), "hinge-cell" (HOP's eq. 11), "bce", "listmle", "mse", "comparator", or
            "nar" (tiers and ranking; for the encoder "nar").
        margin: of the hinge losses.
        epochs: passes over the labels.
        batch_size: most cells a step; pairs are formed within a step (published: 512; 128 ranked held-out cells of
            NAS-Bench-201 better).
        learning_rate, weight_decay: of AdamW; None for the learning rate that suits the encoder.
        schedule: "cosine" (with a warm-up) or "constant" learning rate.
        average: over which last share of the epochs the weights are averaged; 0 for the last weights.
        head: sizes of the head's hidden layers.
        dropout: in the head.
        batch_norm: batch normalisation in the head (GPNAS).
        ensemble: how many models are trained, from different seeds; scores are the mean.
        canonical: whether cells are encoded by their canonical codes, so that isomorphic cells (same-network cells)
            get equal scores, exactly.
        op_features: measures of operations that the encoder reads, "costs", "zero_cost" or a function of
            (space, codes) that returns [B, N, F] by vertex of the node view (EES of GATES++). None, here and below,
            for the encoder's own: "gates++" takes "zero_cost", others none.
        cell_features: measures of cells that stand beside the embedding, "costs", "zero_cost", "expressivity" or a
            function that returns [B, F]; or several of these names.
        targets: measures of cells that an auxiliary head learns, as for ``cell_features`` (ETS of GATES++).
        target_weight: factor of the auxiliary loss.
        options: keyword options of the encoder.
        latent: for the encoder "latent", the latent space whose encoder is trained further (a name, a folder, or the
            object); ``options={"frozen": True}`` leaves it as it is. None starts from fresh weights.
        warm_start: whether ``fit`` goes on from the weights of the last ``fit``.
        update_epochs: epochs of ``partial_fit``.
        seed: everything random comes from it.
        device: where to train and predict; by default the GPU where there is one.
        threads: CPU threads; small models gain nothing from more.
        progress: whether to show how far the training is.

    Attributes:
        members_: the trained models, ``ensemble`` of them.
        labels_: the different cells trained on, their values, and epochs where they were given.
    """

    def __init__(
        self,
        encoder: str = "gates",
        *,
        space: SearchSpace | str = "nasbench201",
        loss: str = "hinge",
        margin: float = 0.1,
        epochs: int = 200,
        batch_size: int = 128,
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        schedule: str = "cosine",
        average: float = 0.0,
        head: Sequence[int] = (300, 300, 300),
        dropout: float = 0.1,
        batch_norm: bool = False,
        ensemble: int = 1,
        canonical: bool = True,
        op_features: MeasureSetting | None = None,
        cell_features: MeasureSetting | None = None,
        targets: MeasureSetting | None = None,
        target_weight: float = 0.3,
        options: dict[str, Any] | None = None,
        latent: LatentSpace | str | Path | None = None,
        warm_start: bool = False,
        update_epochs: int = 50,
        seed: int = 0,
        device: torch.device | str | None = None,
        threads: int = 1,
        progress: bool = False,
    ) -> None:
        self.encoder, self.space, self.loss, self.margin = encoder, space, loss, margin
        self.epochs, self.batch_size = epochs, batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.schedule, self.average = schedule, average
        self.head, self.dropout, self.batch_norm = head, dropout, batch_norm
        self.ensemble, self.canonical = ensemble, canonical
        self.op_features, self.cell_features = op_features, cell_features
        self.targets, self.target_weight = targets, target_weight
        self.options, self.latent = options, latent
        self.warm_start, self.update_epochs = warm_start, update_epochs
        self.seed, self.device, self.threads, self.progress = seed, device, threads, progress

    # --- training ---------------------------------------------------------------------------------

    def fit(
        self,
        codes: Codes,
        accuracies: Values,
        *,
        trained_epochs: TrainedEpochs | None = None,
        on_epoch: Callable[[int], None] | None = None,
    ) -> Predictor:
        """Train on evaluated cells.

        Args:
            codes: [n, D] integers.
            accuracies: [n], larger is better.
            trained_epochs: after how many epochs of training each was measured, an integer or [n], see the class.
            on_epoch: called after every epoch with its number; the predictor can be used inside.

        Raises:
            ConfigError: settings are wrong; the message lists all of them.
            InvalidCodeError, ObservationError: the labels cannot be learned from, see the class.
        """
        space = self.checked_space()
        if self.encoder == "auto" and on_epoch is not None:
            raise ConfigError('Predictor: "auto" has no epochs that on_epoch could be called after')
        fresh = not (self.warm_start and self._is_fitted())
        if not fresh:
            self._check_fitted()
        codes = as_codes(space, codes)
        measured = label_epochs(self.encoder, trained_epochs, len(codes), known=None if fresh else self.labels_)
        labels = checked_labels(space, codes, accuracies, canonical=self.canonical, epochs=measured)
        self._train(space, labels, self.epochs, fresh=fresh, on_epoch=on_epoch)
        return self

    def partial_fit(
        self, codes: Codes, accuracies: Values, *, trained_epochs: TrainedEpochs | None = None
    ) -> Predictor:
        """Take more labels in: ``update_epochs`` epochs on all labels so far, from the weights as they are.

        The first call is a ``fit``; "auto" is fitted anew every time. A cell that was given before counts with the mean
        of its old and its new value. With ``trained_epochs``, which every call gives or none, new numbers of epochs may
        be among them.
        """
        if not self._is_fitted():
            return self.fit(codes, accuracies, trained_epochs=trained_epochs)
        self._check_fitted()
        space = self.checked_space()
        codes = as_codes(space, codes)
        known, new = self.labels_, as_values(accuracies, len(codes))
        measured = label_epochs(self.encoder, trained_epochs, len(codes), known=known)
        if known.epochs is not None and measured is not None:
            measured = torch.cat([known.epochs, measured])
        both = torch.cat([known.codes, codes]), torch.cat([known.values, new])
        labels = checked_labels(space, *both, canonical=self.canonical, epochs=measured)
        self._train(space, labels, self.update_epochs, fresh=False, on_epoch=None)
        return self

    def _train(
        self, space: SearchSpace, labels: Labels, epochs: int, *, fresh: bool, on_epoch: Callable[[int], None] | None
    ) -> None:
        """Train, and stay what it was before where that fails or is interrupted."""
        before = dict(self.__dict__)
        try:
            with gradients():
                self._train_on(space, labels, epochs, fresh=fresh, on_epoch=on_epoch)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _train_on(
        self, space: SearchSpace, labels: Labels, epochs: int, *, fresh: bool, on_epoch: Callable[[int], None] | None
    ) -> None:
        show_measuring(self, space, labels.codes)
        if self.encoder == "auto":
            self.auto_ = auto_predictor(self).fit(labels.codes, labels.values)
            self.space_, self.labels_ = space, labels
            return
        device = resolve_device(self.device)
        if fresh:
            self._reader = Reader(space, self, labels.max_epochs).standardize(labels.codes)
            self.members_ = [new_member(self, self._reader, number).to(device) for number in range(self.ensemble)]
        else:
            self._reader, self.members_ = copy.copy(self._reader), copy.deepcopy(self.members_)
            if labels.max_epochs > self._reader.max_epochs:
                self._reader.max_epochs = labels.max_epochs
                self.members_ = [grown_member(self, self._reader, *each) for each in enumerate(self.members_)]
            self.members_ = [member.to(device) for member in self.members_]
        self.space_, self.labels_, self._built_from = space, labels, self._structure()
        scale = labels.values.std(unbiased=False)
        values = ((labels.values - labels.values.mean()) / scale).float().to(device)
        inputs = self._inputs(labels.codes, labels.epochs)
        targets = self._reader.targets(labels.codes)
        rate = self.learning_rate
        if rate is None:
            rate = encoder_class(self.encoder).learning_rate(cell_facts(space))
        trainers = [
            Trainer(
                member,
                learning_rate=rate,
                weight_decay=self.weight_decay,
                schedule=self.schedule,
                average=self.average,
                epochs=epochs,
                batch_size=self.batch_size,
                seed=derive_seed(self.seed, "member", number, len(labels)),
            )
            for number, member in enumerate(self.members_)
        ]

        def after(epoch: int) -> None:
            if on_epoch is not None or epoch == epochs - 1:
                self.members_ = [trainer.result for trainer in trainers]
                calibrate(self, inputs)
            if on_epoch is not None:
                on_epoch(epoch)

        targets = None if targets is None else targets.to(device)
        with cpu_threads(self.threads):
            run_epochs(trainers, inputs, values, targets, name=self.encoder, progress=self.progress, after=after)

    # --- prediction -------------------------------------------------------------------------------

    def predict(self, codes: Codes, return_std: bool = False, *, trained_epochs: TrainedEpochs | None = None) -> Any:
        """What cells are worth, in units of the accuracies trained on.

        Ranking losses leave the scale of scores open, so each member's scores are shifted and scaled to the mean and
        the standard deviation that the training labels have. With ``loss="comparator"`` the cells given are sorted by
        randomised quick-sort, and each gets the training labels' quantile of its place: values depend on the cells
        they were asked with.

        Args:
            codes: [B, D] integers.
            return_std: whether to return the standard deviation over the members of the ensemble, too.
            trained_epochs: after how many epochs of training, an integer or [B], each one of those in the labels; None
                for the largest of them.

        Returns:
            NumPy array [B] of doubles; with ``return_std`` a pair of them.

        Raises:
            ConfigError: ``return_std`` with a single model.
            ObservationError: the predictor is not fitted, or to no label of these ``trained_epochs``.
        """
        if self.encoder == "auto":
            self._check_fitted()
            refuse_unread(self.encoder, trained_epochs)
            codes = as_codes(self.space_, codes)
            show_measuring(self, self.space_, codes)
            return self.auto_.predict(codes, return_std=return_std)
        if return_std and self.ensemble < 2:
            raise ConfigError("Predictor: return_std needs an ensemble of at least 2, got ensemble=1")
        scores = self.member_scores(codes, trained_epochs=trained_epochs)
        mean = scores.mean(0).numpy()
        return (mean, scores.std(0).numpy()) if return_std else mean

    def joint(self, codes: Codes, *, trained_epochs: TrainedEpochs | None = None) -> tuple[Tensor, Tensor]:
        """Mean and covariance over the members of the ensemble, see :func:`.moments.ensemble_moments`.

        Args:
            codes: [B, D] integers.
            trained_epochs: see :meth:`predict`.

        Returns:
            mean: [B] double, in units of the accuracies trained on.
            covariance: [B, B] double.

        Raises:
            ConfigError: a single model, or a comparator, whose values depend on the cells asked with it.
            ObservationError: the predictor is not fitted.
        """
        if self.encoder == "auto":
            self._check_fitted()
            refuse_unread(self.encoder, trained_epochs)
            return self.auto_.joint(codes)
        if self.ensemble < 2 or self.loss == "comparator":
            raise ConfigError(
                "Predictor: joint needs an ensemble of at least 2 of any loss but 'comparator', "
                f"got ensemble={self.ensemble}, loss={self.loss!r}"
            )
        return ensemble_moments(self.member_scores(codes, trained_epochs=trained_epochs))

    def member_scores(self, codes: Codes, *, trained_epochs: TrainedEpochs | None = None) -> Tensor:
        """What each member of the ensemble predicts, see :meth:`predict`: double [members, B]."""
        return scaled_scores(self, *self._asked("member_scores", codes, trained_epochs))

    def score(self, codes: Codes, accuracies: Values, *, trained_epochs: TrainedEpochs | None = None) -> float:
        """Kendall's tau-b between predictions, see :meth:`predict`, and accuracies."""
        predicted = self.predict(codes, trained_epochs=trained_epochs)
        return kendall_tau(torch.from_numpy(predicted), as_values(accuracies, len(predicted)))

    def explain(self, codes: Codes, *, trained_epochs: TrainedEpochs | None = None) -> dict[str, Tensor]:
        """What the first member's encoder weighed in each cell, see the encoder; of the cells as they are encoded.

        With ``canonical`` these are the canonical codes, ``space.canonical(codes)``.
        """
        inputs = self._inputs(*self._asked("explain", codes, trained_epochs))
        with torch.inference_mode():
            found = self.members_[0].encoder.explain(inputs)
        return {name: tensor.cpu() for name, tensor in found.items()}

    # --- storage ----------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write the fitted predictor: ``model.safetensors`` and ``config.json``.

        Raises:
            ConfigError: a measure is a function of your own, which has no name to be stored under.
            ObservationError: the predictor is not fitted.
            WeightsError: the folder cannot be written.
        """
        from .storage import save_predictor

        self._check_fitted()
        return save_predictor(self, folder)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        space: SearchSpace | None = None,
        device: torch.device | str | None = None,
    ) -> Predictor:
        """Read what :meth:`save` wrote; nothing in it is executed.

        Args:
            folder: where.
            space: for a space that is not registered.
            device: where to use it.

        Raises:
            WeightsError: files are missing, damaged or of another space.

        Of the encoder "latent" the name of the latent space is stored; where it was an object, a ``fit`` of the loaded
        predictor starts from fresh weights.
        """
        from .storage import load_predictor

        return load_predictor(folder, space=space, device=device)

    # --- settings ---------------------------------------------------------------------------------

    def checked_space(self) -> SearchSpace:
        """The space, after all settings are checked.

        Raises:
            ConfigError: settings are wrong; the message lists all of them.
        """
        return checked_space(self)

    # --- inside -----------------------------------------------------------------------------------

    def _asked(self, what: str, codes: Codes, trained_epochs: TrainedEpochs | None) -> tuple[Tensor, Tensor | None]:
        """The cells that the method ``what`` is asked about, as they are encoded [B, D], and their epochs [B]."""
        self._check_fitted()
        self._refuse_auto(what)
        codes = as_codes(self.space_, codes)
        show_measuring(self, self.space_, codes)
        epochs = asked_epochs(self, trained_epochs, len(codes))
        return (self.space_.canonical(codes) if self.canonical else codes), epochs

    def _inputs(self, codes: Tensor, epochs: Tensor | None = None) -> CellInputs:
        """What the members read, where they are."""
        return self._reader.inputs(codes, epochs).to(self._device())

    def _device(self) -> torch.device:
        return next(self.members_[0].parameters()).device

    def _refuse_auto(self, what: str) -> None:
        if self.encoder == "auto":
            raise ConfigError(
                f"Predictor: {what} is for a single encoder, not for 'auto'; its parts are in auto_.members_"
            )

    def _is_fitted(self) -> bool:
        return hasattr(self, "auto_" if self.encoder == "auto" else "members_")

    def _check_fitted(self) -> None:
        if not self._is_fitted():
            raise ObservationError("this Predictor is not fitted yet: call fit(codes, accuracies) first")
        if self.encoder == "auto":
            return
        before, now = self._built_from, self._structure()
        changed = [f"{name} from {before[name]!r} to {now[name]!r}" for name in now if before[name] != now[name]]
        if changed:
            raise ConfigError(
                f"Predictor: it was fitted with other settings, changed since: {'; '.join(changed)}; fit a new one, "
                "clone(predictor), or change them back"
            )

    def _structure(self) -> dict[str, Any]:
        """The settings that the members are built from."""
        kept = {name: getattr(self, name) for name in STRUCTURE}
        return {name: copy.copy(each) if isinstance(each, dict | list) else each for name, each in kept.items()}

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()
