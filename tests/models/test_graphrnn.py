from __future__ import annotations

from .conformance import ModelConformance


class TestGraphRNN(ModelConformance):
    encoder = "graphrnn"
    published = "ends"
    impossible_bits = True
