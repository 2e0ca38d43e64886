"""What a predictor weighed in a few cells, gathered for pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import ConfigError
from ..predictor import Predictor
from ..spaces import SearchSpace


@dataclass(frozen=True, eq=False)
class Explanation:
    """B cells as a predictor saw them.

    Attributes:
        space: of the cells.
        encoder: name of the predictor's encoder.
        codes: [B, D] long, the cells as they are encoded.
        scores: [B] double, what they are predicted to be worth.
        attention: [B, K, V, V] float, entry (b, t, j, i) the share of vertex j in what vertex i takes in, in layer t;
            None where the encoder has none.
        gates: [B, K * cells] float in 0..1, how much of each layer is read; None where there are none.
        tiers: [B, T] float, probabilities of the quality tiers, the best first; None where there are none.
    """

    space: SearchSpace
    encoder: str
    codes: Tensor
    scores: Tensor
    attention: Tensor | None
    gates: Tensor | None
    tiers: Tensor | None

    def links(self, number: int) -> list[tuple[int, int]]:
        """Links (from, to) of cell ``number`` that carry any attention, by target, without the input's to itself."""
        assert self.attention is not None
        pairs: list[list[int]] = (self.attention[number].amax(0).T > 0).nonzero().tolist()
        return [(source, target) for target, source in pairs if target]


def explain_cells(predictor: Predictor, codes: Tensor) -> Explanation:
    """Ask a fitted predictor of cells [B, D].

    Raises:
        ConfigError: its encoder explains nothing, or was not trained to.
        ObservationError: it is not fitted.
    """
    if predictor.encoder == "nar" and predictor.loss != "nar":
        raise ConfigError(f"the tiers of this 'nar' were not trained: its loss is {predictor.loss!r}, not 'nar'")
    found = predictor.explain(codes)
    if not found:
        raise ConfigError(f"the encoder {predictor.encoder!r} weighs nothing that could be drawn; 'hop' and 'nar' do")
    space = predictor.space_
    return Explanation(
        space,
        predictor.encoder,
        space.canonical(codes) if predictor.canonical else codes,
        predictor.member_scores(codes).mean(0),
        found.get("attention"),
        found.get("layer_gates"),
        found.get("tiers"),
    )
