"""What every encoder of a predictor must do: a suite that each test module of an encoder derives its tests from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from latentnas.errors import ConfigError
from latentnas.models.predictors import CellEncoder, CellInputs, get_encoder
from latentnas.spaces import NodeGraphs, get_space
from latentnas.spaces.graphs import random_topological_order, relabel

from .inputs import cells, facts

EVERY_SPACE = [
    "darts",
    "enas_macro6",
    "enas_micro",
    "gpnas6",
    "nas_bench_graph",
    "nasbench101",
    "nasbench1shot1-3",
    "nasbench201",
    "random_wired8",
]
"""One space of each family; the encoders are the same for all sizes."""


class EncoderConformance:
    """Subclasses say which encoder, where it applies, and which of its options change the arithmetic."""

    name: ClassVar[str]
    small: ClassVar[dict[str, Any]]
    """Options of a small encoder."""

    forms: ClassVar[Sequence[dict[str, Any]]] = ({},)
    """Options beside the small ones that change what is computed."""

    spaces: ClassVar[Sequence[str]] = EVERY_SPACE
    """Where the encoder applies."""

    refusal: ClassVar[str] = ""
    """What the error says elsewhere."""

    def encoder(self, space: str, seed: int = 0, **options: Any) -> CellEncoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return get_encoder(self.name, facts(space), **{**self.small, **options}).double().eval()

    def cells(self, space: str, n: int, seed: int = 0) -> CellInputs:
        return in_double(cells(space, get_space(space).sample(n, seed=seed)))

    def outputs(self, encoder: CellEncoder, inputs: CellInputs) -> torch.Tensor:
        """Everything that the encoder computes, [B, ...]; its gradients must reach every parameter."""
        return encoder(inputs)

    def test_embeddings_have_the_size_that_is_said_on_every_space(self) -> None:
        for space in self.spaces:
            encoder, inputs = self.encoder(space), self.cells(space, 5)
            embedding = encoder(inputs)
            assert embedding.shape == (5, encoder.dim), space
            assert embedding.dtype == torch.double
            assert bool(embedding.isfinite().all())
            assert encoder(self.cells(space, 0)).shape == (0, encoder.dim), space
            assert len(embedding.unique(dim=0)) > 1, f"{space}: cells look different"

    def test_other_spaces_are_refused(self) -> None:
        for space in set(EVERY_SPACE) - set(self.spaces):
            with pytest.raises(ConfigError, match=self.refusal):
                self.encoder(space)

    def test_rows_do_not_depend_on_their_batch(self) -> None:
        for form in self.forms:
            for space in self.spaces:
                encoder, inputs = self.encoder(space, **form), self.cells(space, 6, seed=1)
                together = self.outputs(encoder, inputs)
                alone = torch.cat([self.outputs(encoder, inputs[i : i + 1]) for i in range(6)])
                torch.testing.assert_close(together, alone, rtol=1e-8, atol=1e-10, msg=space)

    def test_gradients_reach_every_parameter(self) -> None:
        for form in self.forms:
            for space in self.spaces:
                encoder, inputs = self.encoder(space, **form), self.cells(space, 60, seed=2)
                outputs = self.outputs(encoder.train(), inputs)
                weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
                (outputs * weights).sum().backward()
                for parameter, value in encoder.named_parameters():
                    if value.requires_grad:
                        assert value.grad is not None and bool(value.grad.any()), f"{space}: {parameter}"

    def test_padding_changes_nothing(self) -> None:
        """Whatever stands in slots without a vertex."""
        if "nodes" not in self.encoder(self.spaces[0]).needs:
            return
        for form in self.forms:
            for space in {"nasbench101"} & set(self.spaces):  # the one space with cells of several sizes
                inputs = self.cells(space, 40, seed=3)
                nodes = inputs.nodes
                assert not bool(nodes.mask.all())
                others = torch.where(nodes.mask, nodes.ops, torch.full_like(nodes.ops, 3))
                changed = replace(inputs, nodes=NodeGraphs(others, nodes.adj, nodes.mask))
                encoder = self.encoder(space, **form)
                torch.testing.assert_close(
                    self.outputs(encoder, changed), self.outputs(encoder, inputs), rtol=1e-8, atol=1e-10
                )

    def test_relabelled_graphs_get_equal_embeddings_where_that_is_promised(self) -> None:
        for form in self.forms:
            for space in self.spaces:
                encoder, inputs = self.encoder(space, **form), self.cells(space, 200, seed=4)
                if not encoder.invariant:
                    continue
                order = random_topological_order(inputs.nodes, torch.Generator().manual_seed(0))
                changed = replace(inputs, nodes=relabel(inputs.nodes, order))
                torch.testing.assert_close(
                    self.outputs(encoder, changed), self.outputs(encoder, inputs), rtol=1e-8, atol=1e-10, msg=space
                )

    def test_every_fault_of_the_options_is_reported_at_once(self) -> None:
        wrong = dict.fromkeys(get_encoder(self.name, facts(self.spaces[0]), **self.small).default_options(), "x")
        with pytest.raises(ConfigError) as error:
            get_encoder(self.name, facts(self.spaces[0]), **wrong, colour=3)
        for option in (*wrong, "colour"):
            assert option in str(error.value), option


def in_double(inputs: CellInputs) -> CellInputs:
    return inputs if inputs.op_costs is None else replace(inputs, op_costs=inputs.op_costs.double())
