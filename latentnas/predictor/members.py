"""The members of a Predictor's ensemble: what they read, and how they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..latent import resolve_latent
from ..models.predictors import (
    CellEncoder,
    CellFacts,
    CellInputs,
    Comparator,
    LatentEncoder,
    NARRanker,
    Ranker,
    encoder_class,
    get_encoder,
)
from ..seeding import derive_seed
from ..spaces import SearchSpace, get_space
from .features import Measure, Standardizer, get_measure, measured
from .inputs import cell_facts, cell_inputs
from .settings import DIMS, measure_of, measures_of
from .training import seeded

if TYPE_CHECKING:
    from .predictor import Predictor


class Reader:
    """From codes to what members read and learn: views, and measures standardised over the training cells.

    Args:
        space: the space.
        predictor: its encoder and its measures are taken.
        max_epochs: the largest number of epochs that a cell is measured after, 0 without them.

    Attributes:
        standardizers: by kind of measure, of those that are given; set by :meth:`standardize` or by hand.
    """

    def __init__(self, space: SearchSpace, predictor: Predictor, max_epochs: int = 0) -> None:
        self.space, self.max_epochs = space, max_epochs
        self.measures: dict[str, Measure] = {}
        for kind in DIMS:
            given = measure_of(predictor, kind)
            if given is not None:
                self.measures[kind] = get_measure(given, measures_of(kind), kind)
        self.costs = "op_costs" in encoder_class(predictor.encoder).needs
        self.standardizers: dict[str, Standardizer] = {}

    def standardize(self, codes: Tensor) -> Reader:
        """Scale measures by those of the training cells [n, D]; returns itself."""
        raw = {kind: self._measured(kind, codes) for kind in self.measures}
        self.standardizers = {kind: Standardizer.of(found) for kind, found in raw.items()}
        return self

    @property
    def facts(self) -> CellFacts:
        """What encoders are built from."""
        sizes = {kind: len(each.center) for kind, each in self.standardizers.items() if kind != "targets"}
        return cell_facts(self.space, **sizes, max_epochs=self.max_epochs)

    @property
    def num_targets(self) -> int:
        """How many auxiliary targets there are."""
        return len(self.standardizers["targets"].center) if "targets" in self.standardizers else 0

    def inputs(self, codes: Tensor, epochs: Tensor | None = None) -> CellInputs:
        """What encoders read of the cells [B, D], and of the numbers of epochs [B] that are asked for."""
        features = {kind: self._standardized(kind, codes) for kind in ("op_features", "cell_features")}
        return cell_inputs(self.space, codes, **features, costs=self.costs, epochs=epochs)

    def targets(self, codes: Tensor) -> Tensor | None:
        """The auxiliary targets of the cells [B, D]: [B, t] float, None without any."""
        return self._standardized("targets", codes)

    def _standardized(self, kind: str, codes: Tensor) -> Tensor | None:
        return self.standardizers[kind](self._measured(kind, codes)) if kind in self.measures else None

    def _measured(self, kind: str, codes: Tensor) -> Tensor:
        return measured(self.measures[kind], self.space, codes, DIMS[kind])


def new_member(predictor: Predictor, reader: Reader, number: int) -> Ranker:
    """The untrained member ``number`` of the ensemble, its weights drawn from the predictor's seed, on the CPU."""
    kind = {"comparator": Comparator, "nar": NARRanker}.get(predictor.loss, Ranker)
    with seeded(derive_seed(predictor.seed, "weights", number), torch.device("cpu")):
        model = kind(
            _new_encoder(predictor, reader.facts),
            loss=predictor.loss,
            margin=predictor.margin,
            hidden=tuple(predictor.head),
            dropout=predictor.dropout,
            batch_norm=predictor.batch_norm,
            targets=reader.num_targets,
            target_weight=predictor.target_weight,
            cell_features=reader.facts.cell_features,
        )
    return model.eval()


def grown_member(predictor: Predictor, reader: Reader, number: int, member: Ranker) -> Ranker:
    """``member`` with room for the reader's ``max_epochs``: what is new of an embedding's rows is untrained."""
    grown, learned = new_member(predictor, reader, number), member.state_dict()
    for name, own in grown.state_dict().items():
        known = learned[name]
        (own if own.shape == known.shape else own[: len(known)]).copy_(known)
    return grown


def _new_encoder(predictor: Predictor, facts: CellFacts) -> CellEncoder:
    options = predictor.options or {}
    if predictor.latent is None:
        return get_encoder(predictor.encoder, facts, **options)
    latent = resolve_latent(get_space(predictor.space), predictor.latent)
    statistics = {"center": latent.center, "scale": latent.scale}
    return LatentEncoder.pretrained(facts, latent.model, **statistics, frozen=options.get("frozen", False))
