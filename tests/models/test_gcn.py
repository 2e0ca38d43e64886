from __future__ import annotations

from .conformance import ModelConformance


class TestGCN(ModelConformance):
    encoder = "gcn"
    published = "sum"
