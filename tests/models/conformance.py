"""What every model must do: a suite that each test module of a model derives its tests from."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import pytest
import torch

from latentnas.models import GraphVAE, VAEConfig
from latentnas.models.likelihood import grammar_log_mass
from latentnas.models.writer import GraphWriter
from latentnas.spaces import INPUT, OUTPUT, NodeGraphs, get_space
from latentnas.spaces.grammar import TemplateGrammar

from . import reference
from .reference import SMALL_GRAPHS, as_lists, batch_of, vae

SPACES = ["nasbench201", "enas_macro6", "nasbench101", "nas_bench_graph"]
EVERY_KIND_OF_GRAMMAR = [*SPACES, "nasbench1shot1-1", "enas_micro", "darts", "gpnas12", "random_wired32"]
LATENT = 5


def latents(n: int, scale: float = 1.0, seed: int = 0, dtype: torch.dtype = torch.double) -> torch.Tensor:
    return scale * torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cells(space: str, n: int, seed: int = 0) -> NodeGraphs:
    found = get_space(space)
    return found.node_graphs(found.sample(n, seed=seed))


def three_vertices(**options: Any) -> GraphVAE:
    """A random model of graphs with at most 3 vertices of 3 types, in double precision."""
    settings = {"hidden": 6, "latent_dim": LATENT, "type_hidden": 6, "edge_hidden": 6, **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = GraphVAE(VAEConfig(num_types=3, num_nodes=3, **settings)).double()
        with torch.no_grad():
            for layer in (model.decoder.type_out, model.decoder.edge_out):  # far from uniform
                layer.weight.mul_(4)
    return model


def all_graphs() -> list[reference.Graph]:
    """The 50 graphs of at most 3 vertices of 3 types that end with their first output, or at 3 vertices."""
    found: list[reference.Graph] = []
    for first, edge in product(range(3), (False, True)):
        edges = [(0, 1)] if edge else []
        if first == OUTPUT:
            found.append(([INPUT, first], edges))
            continue
        for second, bits in product(range(3), product((False, True), repeat=2)):
            found.append(([INPUT, first, second], edges + [(u, 2) for u in (0, 1) if bits[u]]))
    return found


def anything() -> TemplateGrammar:
    """A grammar of 3 vertices of 3 types that allows everything."""
    pairs = torch.ones(3, 3, dtype=torch.bool)
    return TemplateGrammar(pairs, pairs, pairs)


def row_numbers(graphs: NodeGraphs, among: list[reference.Graph]) -> torch.Tensor:
    """For each graph its place in the list: [B] long."""
    places = {str((types, sorted(edges))): i for i, (types, edges) in enumerate(among)}
    return torch.tensor([places[str((types, sorted(edges)))] for types, edges in as_lists(graphs)])


class ModelConformance:
    """Subclasses say which model, and which of its options change the arithmetic."""

    encoder: ClassVar[str]
    published: ClassVar[str]
    """The published readout; "all" is the other."""

    impossible_bits: ClassVar[bool] = False
    """Whether the likelihood also scores the bits of u >= v, which are always zero."""

    def model(self, space: str, **options: Any) -> GraphVAE:
        return vae(space, **{"encoder": self.encoder, **options})

    # --- encoder --------------------------------------------------------------------------------

    @pytest.mark.parametrize("readout", ["published", "all"])
    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("op_embedding", [None, 3])
    def test_encoder_agrees_with_the_plain_one(
        self, op_embedding: int | None, bidirectional: bool, readout: str
    ) -> None:
        readout = self.published if readout == "published" else readout
        for space in SPACES:
            model = self.model(space, op_embedding=op_embedding, bidirectional=bidirectional, readout=readout)
            graphs = cells(space, 3, seed=1)
            expected = [reference.encode(model, graph) for graph in as_lists(graphs)]
            for part, ours in enumerate(model.encode(graphs)):
                theirs = torch.stack([pair[part] for pair in expected])
                torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10, msg=space)

    @pytest.mark.parametrize("readout", ["published", "all"])
    def test_padding_changes_nothing_in_the_encoder(self, readout: str) -> None:
        model = self.model("nasbench201", readout=self.published if readout == "published" else readout)
        graphs = batch_of(SMALL_GRAPHS, 8)
        padded = model.encode(graphs)
        others = torch.where(graphs.mask, graphs.ops, torch.full_like(graphs.ops, 4))
        torch.testing.assert_close(model.encode(NodeGraphs(others, graphs.adj, graphs.mask)), padded)
        for i, graph in enumerate(SMALL_GRAPHS):
            alone = model.encode(batch_of([graph], len(graph[0])))
            expected = reference.encode(model, graph)
            for part in (0, 1):
                torch.testing.assert_close(padded[part][i], expected[part], rtol=1e-8, atol=1e-10)
                torch.testing.assert_close(alone[part][0], expected[part], rtol=1e-8, atol=1e-10)

    # --- likelihood -----------------------------------------------------------------------------

    @pytest.mark.parametrize("latent_input", [False, True])
    @pytest.mark.parametrize("op_embedding", [None, 3])
    def test_likelihood_agrees_with_the_plain_one(self, op_embedding: int | None, latent_input: bool) -> None:
        for space in SPACES:
            model = self.model(space, op_embedding=op_embedding, latent_input=latent_input)
            graphs, z = cells(space, 3, seed=1), latents(3)
            pairs = zip(z, as_lists(graphs), strict=True)
            expected = torch.stack([reference.log_likelihood(model, *pair) for pair in pairs])
            ours = model.decoder.log_likelihood(z, graphs)
            torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-10, msg=space)

    def test_padding_changes_nothing_in_the_likelihood(self) -> None:
        model, z = self.model("nasbench201"), latents(len(SMALL_GRAPHS))
        pairs = zip(z, SMALL_GRAPHS, strict=True)
        expected = torch.stack([reference.log_likelihood(model, *pair) for pair in pairs])
        torch.testing.assert_close(model.decoder.log_likelihood(z, batch_of(SMALL_GRAPHS, 8)), expected)
        torch.testing.assert_close(model.decoder.log_likelihood(z, batch_of(SMALL_GRAPHS, 5)), expected)

    @pytest.mark.parametrize("latent_input", [False, True])
    def test_gradients_are_those_of_the_plain_loss(self, latent_input: bool) -> None:
        model = self.model("enas_macro6", latent_input=latent_input, readout=self.published, beta=0.3).eval()
        graphs = cells("enas_macro6", 3, seed=2)
        parameters = dict(model.named_parameters())

        ours = torch.autograd.grad(model.loss(graphs).loss, list(parameters.values()))
        plain = torch.zeros((), dtype=torch.double)
        for graph in as_lists(graphs):
            mean, logvar = reference.encode(model, graph)
            kld = 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum()
            plain = plain + (0.3 * kld - reference.log_likelihood(model, mean, graph)) / 3
        theirs = torch.autograd.grad(plain, list(parameters.values()))
        for name, a, b in zip(parameters, ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-10, msg=name)
            assert bool(a.abs().sum() > 0), name

    @pytest.mark.parametrize("latent_input", [False, True])
    def test_probabilities_sum_to_one(self, latent_input: bool) -> None:
        model, graphs = three_vertices(encoder=self.encoder, latent_input=latent_input), batch_of(all_graphs(), 3)
        if self.impossible_bits:  # that of u = v = 1 is scored as well: every graph with it and without it
            loop = graphs.adj.clone()
            loop[:, 1, 1] = True
            ops, mask = graphs.ops.repeat(2, 1), graphs.mask.repeat(2, 1)
            graphs = NodeGraphs(ops, torch.cat([graphs.adj, loop]), mask)
        log_p = model.decoder.log_likelihood(latents(1).expand(len(graphs), -1), graphs).detach()
        assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-9)
        assert float(log_p.exp().max()) < 0.9

    # --- decoding -------------------------------------------------------------------------------

    def decoded_probabilities(self, model: GraphVAE, z: torch.Tensor) -> torch.Tensor:
        """Probability that unhindered sampling writes each of :func:`all_graphs`: [50]."""
        graphs = batch_of(all_graphs(), 3)
        z = z.expand(len(graphs), -1)
        log_p = model.decoder.log_likelihood(z, graphs)
        if not self.impossible_bits:
            return log_p.exp()
        # the bit of u = v = 1 is never asked for: divide by its probability to be zero
        first = NodeGraphs(graphs.ops[:, :2], graphs.adj[:, :2, :2], graphs.mask[:, :2])
        loop = first.adj.clone()
        loop[:, 1, 1] = True
        zero, one = (model.decoder.log_likelihood(z, NodeGraphs(first.ops, a, first.mask)) for a in (first.adj, loop))
        return (log_p - zero + torch.logaddexp(zero, one)).exp()

    def test_sampling_frequencies_are_the_probabilities(self) -> None:
        model, z, n = three_vertices(encoder=self.encoder), latents(1), 30_000
        with torch.no_grad():
            expected = self.decoded_probabilities(model, z)
            graphs = model.decoder.decode(z.expand(n, -1), grammar=anything(), stochastic=True, seed=0)
        found = torch.bincount(row_numbers(graphs, all_graphs()), minlength=50) / n
        assert float(expected.sum()) == pytest.approx(1, abs=1e-9)
        assert int((expected > 0.01).sum()) > 10
        assert bool(((found - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt() + 1e-4).all())

    def test_most_probable_decisions_are_those_of_ever_sharper_sampling(self) -> None:
        for space, constrained in product(("enas_macro6", "nasbench101"), (True, False)):
            model, z = self.model(space), latents(50, 30.0)
            grammar = get_space(space).grammar if constrained else None
            with torch.no_grad():
                best = model.decoder.decode(z, grammar=grammar)
                for layer in (model.decoder.type_out, model.decoder.edge_out):
                    layer.weight.mul_(1e12)
                    layer.bias.mul_(1e12)
                sampled = model.decoder.decode(z, grammar=grammar, stochastic=True, seed=0)
            assert torch.equal(best.ops, sampled.ops)
            assert torch.equal(best.adj, sampled.adj)
            assert len(torch.cat([best.ops, best.adj.flatten(1)], 1).unique(dim=0)) > 1

    @pytest.mark.parametrize("stochastic", [False, True])
    @pytest.mark.parametrize("op_embedding", [None, 3])
    def test_constrained_decoding_gives_cells_only(self, op_embedding: int | None, stochastic: bool) -> None:
        for seed, space in enumerate(EVERY_KIND_OF_GRAMMAR):
            model = self.model(space, seed=seed, dtype=torch.float, op_embedding=op_embedding)
            z = torch.cat([latents(8, scale, seed, torch.float) for scale in (0.0, 1.0, 30.0, 1e30)])
            found = get_space(space)
            with torch.no_grad():
                graphs = model.decoder.decode(z, grammar=found.grammar, stochastic=stochastic, seed=seed)
            assert bool(found.from_node_graphs(graphs)[1].all()), space

    @pytest.mark.parametrize("stochastic", [False, True])
    def test_free_decoding_ends_as_published(self, stochastic: bool) -> None:
        for space in ("enas_macro6", "nasbench101"):
            model = self.model(space, dtype=torch.float)
            graphs = model.decoder.decode(latents(64, 5.0, 1, torch.float), stochastic=stochastic, seed=1)
            for types, edges in as_lists(graphs):
                assert types.index(OUTPUT) == len(types) - 1, "one output, the last vertex"
                end = len(types) - 1
                loose = set(range(end)) - {u for u, v in edges if v != end}
                assert {u for u, v in edges if v == end} == loose, "the output is fed by exactly the loose ends"
                assert all(u < v for u, v in edges)
            assert not bool((graphs.adj & ~(graphs.mask[:, :, None] & graphs.mask[:, None, :])).any())
            assert bool((graphs.ops[~graphs.mask] == INPUT).all())

    # --- the grammar's mass ---------------------------------------------------------------------

    def test_mass_of_the_grammar_is_one_in_the_mean(self) -> None:
        """Graphs drawn under the grammar with p_G, p = p_G * mass: the mean of mass over p_G is p(a cell is drawn)."""
        model, z, n = three_vertices(encoder=self.encoder), latents(1), 4_000
        allowed = anything().types.clone()
        allowed[1, 2] = allowed[2, 0] = False
        pairs = torch.ones(3, 3, dtype=torch.bool)
        present = pairs.clone()
        present[1, 2] = False  # an edge that may not be, and one that must be
        absent = pairs.clone()
        absent[0, 1] = False
        writer = GraphWriter(n, 3, z.device, grammar=TemplateGrammar(allowed, absent, present), stochastic=True, seed=0)
        with torch.no_grad():
            model.decoder.write(z.expand(n, -1), writer)
            graphs = writer.graphs()
            types, edges = model.decoder.logits(z.expand(n, -1), graphs)
            mass = grammar_log_mass(types, edges, graphs, writer.choices).exp()
            every = batch_of(all_graphs(), 3)
            p = self.decoded_probabilities(model, z)
        legal = torch.tensor(
            [
                all(allowed[v, t] for v, t in enumerate(kinds) if v) and (0, 1) in found and (1, 2) not in found
                for kinds, found in as_lists(every)
            ]
        )
        expected = float(p[legal].sum())
        assert 0.01 < expected < 0.9
        assert float(mass.mean()) == pytest.approx(expected, abs=5 * float(mass.std()) / n**0.5 + 1e-6)
        assert bool((mass <= 1 + 1e-9).all())

    def test_sampling_is_reproducible_by_seed(self) -> None:
        model, z = self.model("enas_macro6"), latents(32)
        one, same, other = (model.decoder.decode(z, stochastic=True, seed=s) for s in (1, 1, 2))
        assert torch.equal(one.ops, same.ops)
        assert torch.equal(one.adj, same.adj)
        assert not torch.equal(one.ops, other.ops)

    def test_rows_do_not_depend_on_their_batch(self) -> None:
        model, graphs, z = self.model("nasbench101"), cells("nasbench101", 6, seed=3), latents(6)
        single = [graphs[i : i + 1] for i in range(6)]
        torch.testing.assert_close(model.encode(graphs)[0], torch.cat([model.encode(g)[0] for g in single]))
        alone = torch.cat([model.decoder.log_likelihood(z[i : i + 1], g) for i, g in enumerate(single)])
        torch.testing.assert_close(model.decoder.log_likelihood(z, graphs), alone)
        together = model.decoder.decode(z).adj
        assert torch.equal(together, torch.cat([model.decoder.decode(z[i : i + 1]).adj for i in range(6)]))

    def test_no_rows(self) -> None:
        model, space = self.model("nasbench201"), get_space("nasbench201")
        for grammar in (None, space.grammar):
            assert len(model.decoder.decode(latents(0), grammar=grammar)) == 0
        graphs = cells("nasbench201", 0)
        assert model.encode(graphs)[0].shape == (0, LATENT)
        assert model.decoder.log_likelihood(latents(0), graphs).shape == (0,)

    # --- operation embeddings -------------------------------------------------------------------

    def test_encoder_and_decoder_share_one_table(self) -> None:
        model = self.model("nasbench201", op_embedding=3)
        table = model.operations.weight
        holders = [m for m in model.modules() if getattr(m, "operations", None) is model.operations]
        assert model.encoder in holders
        assert (model.decoder in holders) == (self.encoder != "svae"), "S-VAE's decoder reads no types"
        assert sum(p is table for p in model.parameters()) == 1

    def test_a_round_goes_on_from_the_embeddings_of_the_last(self) -> None:
        first = self.model("nasbench201", op_embedding=3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(9)
            second = GraphVAE(first.config, embeddings=first.embeddings).double()
        for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
            constant = bool((b == b.flatten()[0]).all())  # pair biases, GCNConv's biases, an edge's coordinates
            assert (name == "operations.weight") == torch.equal(a, b) or constant, name
        with torch.no_grad():
            second.operations.weight.add_(1)
        assert not torch.equal(first.operations.weight, second.operations.weight), "a copy, not the same tensor"

    def test_a_step_of_training_lowers_the_loss(self) -> None:
        model = self.model("nasbench101", op_embedding=3).train()
        graphs = cells("nasbench101", 64, seed=5)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        losses = []
        for _ in range(8):
            optimizer.zero_grad()
            loss = model.loss(graphs).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.9 * losses[0]
