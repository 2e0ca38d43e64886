from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentnas.spaces import OUTPUT, ENASMacro, get_space

from . import reference
from .reference import SMALL_GRAPHS, as_lists, batch_of, vae

SPACES = ["nasbench201", "enas_macro6"]
EXTREMES = [0.0, 1.0, 30.0, 1e6, 1e30, 3e38]


def latents(n: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


@pytest.mark.parametrize("latent_input", [False, True])
@pytest.mark.parametrize("op_embedding", [None, 3])
@pytest.mark.parametrize("space", SPACES)
def test_likelihood_agrees_with_the_plain_decoder(space: str, op_embedding: int | None, latent_input: bool) -> None:
    model = vae(space, op_embedding=op_embedding, latent_input=latent_input)
    graphs = get_space(space).node_graphs(get_space(space).sample(5, seed=1))
    z = latents(5)
    expected = torch.stack([reference.log_likelihood(model, *pair) for pair in zip(z, as_lists(graphs), strict=True)])
    torch.testing.assert_close(model.decoder.log_likelihood(z, graphs), expected, rtol=1e-8, atol=1e-10)
    single = model.float().decoder.log_likelihood(z.float(), graphs)
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("latent_input", [False, True])
def test_gradients_agree_with_the_plain_decoder(latent_input: bool) -> None:
    model = vae("enas_macro6", latent_input=latent_input)
    graphs = get_space("enas_macro6").node_graphs(get_space("enas_macro6").sample(3, seed=2))
    z = latents(3).requires_grad_()
    wanted = {"z": z, **dict(model.decoder.named_parameters())}
    ours = torch.autograd.grad(model.decoder.log_likelihood(z, graphs).sum(), list(wanted.values()))
    plain = sum(reference.log_likelihood(model, *pair) for pair in zip(z, as_lists(graphs), strict=True))
    assert isinstance(plain, torch.Tensor)
    theirs = torch.autograd.grad(plain, list(wanted.values()))
    for name, a, b in zip(wanted, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-10, msg=name)
        assert bool(a.abs().sum() > 0), name


def test_likelihood_ignores_padding() -> None:
    model = vae("nasbench201")
    z = latents(len(SMALL_GRAPHS))
    expected = torch.stack([reference.log_likelihood(model, *pair) for pair in zip(z, SMALL_GRAPHS, strict=True)])
    torch.testing.assert_close(model.decoder.log_likelihood(z, batch_of(SMALL_GRAPHS, 8)), expected)


def test_likelihood_of_a_row_does_not_depend_on_its_batch() -> None:
    model, space = vae("enas_macro6"), get_space("enas_macro6")
    graphs, z = space.node_graphs(space.sample(8, seed=3)), latents(8)
    alone = torch.cat([model.decoder.log_likelihood(z[i : i + 1], graphs[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(model.decoder.log_likelihood(z, graphs), alone, rtol=1e-10, atol=1e-12)


def test_published_decoder_sees_the_latent_in_its_first_state_alone() -> None:
    model = vae("enas_macro6", latent_input=False)
    assert {"latent_to_type", "latent_to_edge", "pair_bias"}.isdisjoint(
        name.split(".")[0] for name, _ in model.decoder.named_parameters()
    )
    with torch.no_grad():
        model.decoder.initial.weight.zero_()
    space = get_space("enas_macro6")
    graphs = space.node_graphs(space.sample(4, seed=0))
    assert torch.equal(
        model.decoder.log_likelihood(latents(4, seed=1), graphs),
        model.decoder.log_likelihood(latents(4, seed=2), graphs),
    )


@pytest.mark.parametrize("space", SPACES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from(EXTREMES), stochastic=st.booleans(), wired=st.booleans())
def test_constrained_decoding_is_always_valid(
    space: str, seed: int, scale: float, stochastic: bool, wired: bool
) -> None:
    cells = get_space(space)
    model = vae(space, seed=seed, dtype=torch.float, latent_input=wired)
    z = latents(16, scale, seed).clamp(-3.4e38, 3.4e38).float()
    graphs = model.decoder.decode(z, grammar=cells.grammar, stochastic=stochastic, seed=seed)
    assert bool(cells.from_node_graphs(graphs)[1].all())


@pytest.mark.parametrize("stochastic", [False, True])
def test_decisions_that_overflow_still_follow_the_grammar(stochastic: bool) -> None:
    model, space = vae("nasbench201", dtype=torch.float), get_space("nasbench201")
    with torch.no_grad():
        model.decoder.type_out.weight.fill_(-1.0)  # logits of every type are minus infinity
        assert model.decoder.latent_to_type is not None
        model.decoder.latent_to_type.weight.fill_(1.0)
    graphs = model.decoder.decode(torch.full((3, 5), 3e38), grammar=space.grammar, stochastic=stochastic, seed=0)
    assert bool(space.from_node_graphs(graphs)[1].all())


@pytest.mark.parametrize("space", SPACES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1.0, 30.0]), stochastic=st.booleans())
def test_free_decoding_ends_as_published(space: str, seed: int, scale: float, stochastic: bool) -> None:
    model = vae(space, seed=seed, dtype=torch.float)
    graphs = model.decoder.decode(latents(16, scale, seed).float(), stochastic=stochastic, seed=seed)
    for types, edges in as_lists(graphs):
        assert types.count(OUTPUT) == 1, "one output, the last vertex"
        assert types[-1] == OUTPUT
        end = len(types) - 1
        inner = [(u, v) for u, v in edges if v != end]
        loose = set(range(end)) - {u for u, _ in inner}
        assert {u for u, v in edges if v == end} == loose, "the output is fed by exactly the loose ends"
        assert all(u < v for u, v in edges)
    assert not bool((graphs.adj & ~(graphs.mask[:, :, None] & graphs.mask[:, None, :])).any())
    assert bool((graphs.ops[~graphs.mask] == 0).all())


@pytest.mark.parametrize("constrained", [False, True])
def test_sampling_is_reproducible_by_seed(constrained: bool) -> None:
    model, space = vae("enas_macro6", dtype=torch.float), get_space("enas_macro6")
    grammar = space.grammar if constrained else None
    z = latents(32).float()
    one, same, other = (model.decoder.decode(z, grammar=grammar, stochastic=True, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.ops, same.ops)
    assert torch.equal(one.adj, same.adj)
    assert not torch.equal(one.ops, other.ops)


def one_layer() -> tuple[reference.GraphVAE, ENASMacro]:
    """A random model of the six cells with one layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = reference.GraphVAE(
            reference.VAEConfig(num_types=8, num_nodes=3, hidden=8, latent_dim=5, type_hidden=8, edge_hidden=8)
        )
    with torch.no_grad():
        model.decoder.type_out.weight.mul_(8)
    return model, ENASMacro(layers=1)


def type_probabilities(model: reference.GraphVAE, z: torch.Tensor) -> torch.Tensor:
    """Of the six operations of vertex 1, given that it is one of them: [6]."""
    decoder = model.decoder
    assert decoder.latent_to_type is not None
    start = reference.gru(decoder.gru, reference.embed(model, 0), torch.tanh(decoder.initial(z)))
    hidden = decoder.type_in(start) + decoder.latent_to_type.weight[8:16] @ z
    return decoder.type_out(hidden.relu())[2:].softmax(0).detach()


def test_argmax_decoding_takes_the_most_probable_type() -> None:
    model, space = one_layer()
    z = latents(20, 3.0).float()
    decoded = space.from_node_graphs(model.decoder.decode(z, grammar=space.grammar))[0]
    assert decoded[:, 0].tolist() == [int(type_probabilities(model, row).argmax()) for row in z]
    assert len(set(decoded[:, 0].tolist())) > 1


def test_argmax_decoding_takes_edges_above_one_half() -> None:
    """Against the plain likelihood: turning any one skip edge of a decoded first layer over makes it less likely."""
    space = ENASMacro(layers=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = reference.GraphVAE(
            reference.VAEConfig(num_types=8, num_nodes=4, hidden=8, latent_dim=5, type_hidden=8, edge_hidden=8)
        ).double()
    with torch.no_grad():
        model.decoder.edge_out.weight.mul_(3)
        model.decoder.latent_to_edge.weight.mul_(5)  # type: ignore[union-attr]
    z = latents(60, 2.0)
    decoded = space.from_node_graphs(model.decoder.decode(z, grammar=space.grammar))[0]
    for row, code in zip(z, decoded, strict=True):
        turned = code.clone()
        turned[2] = 1 - turned[2]
        scores = []
        for cell in (code, turned):
            types, edges = reference.as_lists(space.node_graphs(cell[None]))[0]
            graph = types[:3], [(u, v) for u, v in edges if v < 3]  # without the output, which comes later
            scores.append(float(reference.log_likelihood(model, row, graph).detach()))
        assert scores[0] > scores[1]
    assert set(decoded[:, 2].tolist()) == {0, 1}


def test_sampling_frequencies_are_the_likelihoods() -> None:
    """Free sampling on 2 layers: each of the 72 cells comes with probability exp(log_likelihood), up to END's edges.

    The likelihood also scores the edges into the output, which free decoding sets by rule; with the edge network's
    output at zero each of those decisions has probability one half, so the factor is known.
    """
    space = ENASMacro(layers=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = reference.GraphVAE(
            reference.VAEConfig(num_types=8, num_nodes=4, hidden=8, latent_dim=5, type_hidden=8, edge_hidden=8)
        )
    with torch.no_grad():
        model.decoder.edge_out.weight.zero_()
        model.decoder.edge_out.bias.fill_(0.0)
        # nearly always an operation, then an operation, so that most samples are cells
        model.decoder.type_out.bias[:2] = -4.0
        model.decoder.type_out.bias[2] = 1.0
        model.decoder.type_out.bias[5] = 2.0
    z, n = latents(1).float(), 40_000
    cells = space.enumerate()
    with torch.no_grad():
        log_p = model.decoder.log_likelihood(z.expand(len(cells), -1), space.node_graphs(cells)).double()
        graphs = model.decoder.decode(z.expand(n, -1), stochastic=True, seed=3)
    # vertex 3 is forced to be the output (its type costs nothing), and its three edges are set by rule
    forced = torch.stack([_last_type(model, z[0], cell) for cell in reference.as_lists(space.node_graphs(cells))])
    expected = (log_p - forced + 3 * math.log(2)).exp()
    codes, valid = space.from_node_graphs(graphs)
    # a loose input (no skip from it, first layer unconnected) makes other edges than the cell's; such rows are invalid
    found = (codes[valid][:, None] == cells).all(2).double().sum(0) / n
    error = (expected * (1 - expected) / n).sqrt()
    assert float(expected.max()) > 0.02
    assert bool(((found - expected).abs() < 5 * error + 1e-4).all())


def _last_type(model: reference.GraphVAE, z: torch.Tensor, graph: reference.Graph) -> torch.Tensor:
    """log p(type of the last vertex): likelihood with it, less the likelihood without and less its edges."""
    double = reference.GraphVAE(model.config).double()
    double.load_state_dict(model.state_dict())
    types, edges = graph
    last = len(types) - 1
    shorter = (types[:-1], [(u, v) for u, v in edges if v != last])
    both = [reference.log_likelihood(double, z.double(), g) for g in (graph, shorter)]
    return (both[0] - both[1] + last * math.log(2)).detach()


def test_constrained_sampling_frequencies_are_the_renormalised_likelihoods() -> None:
    """On one layer the open decision is one type among six: frequencies are the softmax over those six."""
    model, space = one_layer()
    z, n = latents(1).float(), 40_000
    expected = type_probabilities(model, z[0])
    codes, valid = space.from_node_graphs(
        model.decoder.decode(z.expand(n, -1), grammar=space.grammar, stochastic=True, seed=4)
    )
    assert bool(valid.all())
    found = torch.bincount(codes[:, 0], minlength=6) / n
    assert float(expected.max()) < 0.95
    assert bool(((found - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt() + 1e-4).all())


def test_no_latents_give_no_graphs() -> None:
    model, space = vae("nasbench201"), get_space("nasbench201")
    for grammar in (None, space.grammar):
        assert len(model.decoder.decode(torch.empty(0, 5, dtype=torch.double), grammar=grammar)) == 0
