r"""GATES++: GATES that knows what operations and architectures compute, by zero-cost metrics.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme with Multifaceted Information" (TPAMI 2023),
section 5. Of operations the metrics :math:`z^o` (grad_norm, snip, synflow, params, flops) are read beside the
embeddings, the enhanced encoding scheme (EES),

.. math:: \sigma([\mathrm{EMB}(o), z^o(o)] W_o)

and of architectures the metrics :math:`z^a` (grad_norm, plain, snip, synflow, relu_logdet) are learned by a head beside
the ranking one, the enhanced training scheme (ETS), over the N cells trained on,

.. math:: \mathcal L_{aux} = \sum_{j=1}^N \| \mathrm{MLP}_{reg}(\mathrm{Enc}(\alpha_j)) - z^a_j \|^2. \quad (13)

Either scheme alone is the encoder ``gates`` of a predictor with ``op_features="zero_cost"`` (EES) or
``targets="zero_cost"`` (ETS).
"""

from __future__ import annotations

from typing import ClassVar

from .base import register_encoder
from .gates import GATESEncoder


@register_encoder("gates++")
class GATESPlusPlusEncoder(GATESEncoder):
    """The GATES encoder, by default with zero-cost metrics as measures of operations and as targets."""

    measures: ClassVar[dict[str, str]] = {"op_features": "zero_cost", "targets": "zero_cost"}
