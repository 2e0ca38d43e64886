from __future__ import annotations

from .conformance import ModelConformance


class TestSVAE(ModelConformance):
    encoder = "svae"
    published = "ends"
    impossible_bits = True
