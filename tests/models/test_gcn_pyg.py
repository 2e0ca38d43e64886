from __future__ import annotations

from .conformance import ModelConformance


class TestPyGGCN(ModelConformance):
    encoder = "gcn-pyg"
    published = "sum"
