from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import latentnas.latent.space
from latentnas.errors import InvalidCodeError
from latentnas.latent import LatentSpace
from latentnas.spaces import get_space

from .tiny import fit


@pytest.fixture(scope="module")
def latent() -> LatentSpace:
    return fit(epochs=1)


@pytest.fixture(scope="module")
def nasbench() -> LatentSpace:
    return fit("nasbench201", epochs=1)


def test_shapes_and_types(latent: LatentSpace) -> None:
    codes = latent.space.sample(5, seed=0)
    z = latent.encode(codes)
    assert (z.shape, z.dtype) == ((5, 4), torch.float)
    mean, std = latent.posterior(codes)
    assert torch.equal(mean, z)
    assert std.shape == (5, 4)
    assert bool((std > 0).all())
    back = latent.decode(z)
    assert (back.shape, back.dtype) == ((5, 21), torch.long)
    assert not z.requires_grad


def test_posterior_is_that_of_the_model(latent: LatentSpace) -> None:
    codes = latent.space.sample(3, seed=1)
    with torch.no_grad():
        mean, logvar = latent.model.encode(latent.space.node_graphs(codes))
    torch.testing.assert_close(latent.posterior(codes), (mean, logvar.exp().sqrt()))


def test_no_rows(latent: LatentSpace) -> None:
    assert latent.encode(torch.empty(0, 21, dtype=torch.long)).shape == (0, 4)
    assert latent.decode(torch.empty(0, 4)).shape == (0, 21)
    codes, valid = latent.decode_free(torch.empty(0, 4))
    assert codes.shape == (0, 21)
    assert valid.shape == (0,)
    assert valid.dtype == torch.bool
    assert latent.sample_prior(0).shape == (0, 4)


@pytest.mark.parametrize("codes", [torch.zeros(3, 20).long(), torch.zeros(21).long(), torch.full((1, 21), 7)])
def test_wrong_codes(latent: LatentSpace, codes: torch.Tensor) -> None:
    with pytest.raises(InvalidCodeError, match="enas_macro6"):
        latent.encode(codes)


@pytest.mark.parametrize("decode", ["decode", "decode_free"])
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.zeros(3, 5), r"\[B, 4\], got \[3, 5\]"),
        (torch.zeros(4), r"got \[4\]"),
        (torch.zeros(2, 4).long(), "floats, got torch.int64"),
        (torch.tensor([[0.0] * 4, [0, float("nan"), 0, 0]]), r"latents\[1\]"),
        (torch.tensor([[0.0, 0, 0, float("inf")]]), r"latents\[0\]"),
    ],
)
def test_wrong_latents(latent: LatentSpace, decode: str, z: torch.Tensor, message: str) -> None:
    with pytest.raises(InvalidCodeError, match=message):
        getattr(latent, decode)(z)


@pytest.mark.parametrize("name", ["enas_macro6", "nasbench201"])
def test_chunks_change_nothing(
    name: str, latent: LatentSpace, nasbench: LatentSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = latent if name == "enas_macro6" else nasbench
    codes = get_space(name).sample(50, seed=2)
    z = subject.encode(codes)
    back, free = subject.decode(z), subject.decode_free(z)
    monkeypatch.setattr(latentnas.latent.space, "CHUNK", 7)
    monkeypatch.setattr(latentnas.latent.space, "CACHED", 5)
    torch.testing.assert_close(subject.encode(codes), z, rtol=1e-5, atol=1e-6)
    assert torch.equal(subject.decode(z), back)
    assert all(torch.equal(a, b) for a, b in zip(subject.decode_free(z), free, strict=True))


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["enas_macro6", "nasbench201"]),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.0, 1.0, 1e3, 1e38, 1e300]),
    stochastic=st.booleans(),
)
def test_every_decoded_row_is_valid(
    latent: LatentSpace, nasbench: LatentSpace, name: str, seed: int, scale: float, stochastic: bool
) -> None:
    subject = latent if name == "enas_macro6" else nasbench
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.double) * scale
    codes = subject.decode(z, stochastic=stochastic, seed=seed)
    assert codes.shape == (20, subject.space.dim)
    subject.space.check_codes(codes)


def test_free_decoding_says_which_rows_are_cells(latent: LatentSpace) -> None:
    z = latent.sample_prior(300, seed=0)
    codes, valid = latent.decode_free(z, stochastic=True, seed=1)
    assert not bool(valid.all()), "a hardly trained model decodes to some cells only"
    assert bool((codes[~valid] == 0).all())
    latent.space.check_codes(codes[valid])


def test_sampling_is_reproducible(latent: LatentSpace) -> None:
    z = latent.sample_prior(100, seed=0)
    one, same, other = (latent.decode(z, stochastic=True, seed=s) for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_prior_is_shifted_and_scaled_to_the_training_latents(latent: LatentSpace) -> None:
    z = latent.sample_prior(20_000, seed=0)
    assert torch.equal(z, latent.sample_prior(20_000, seed=0))
    torch.testing.assert_close((z.mean(0) - latent.center) / latent.scale, torch.zeros(4), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0) / latent.scale, torch.ones(4), atol=0.03, rtol=0)


def test_bounds_enclose_the_training_latents(latent: LatentSpace) -> None:
    low, high = latent.bounds
    assert latent.bounds.shape == (2, 4)
    assert bool((low < latent.center).all() & (latent.center < high).all())


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_results_come_back_where_the_arguments_were(latent: LatentSpace, device: str) -> None:
    codes = latent.space.sample(20, seed=0)
    z = latent.encode(codes)
    moved = latent.to(device)
    assert moved is latent
    torch.testing.assert_close(latent.encode(codes), z, rtol=1e-3, atol=1e-4)
    assert latent.encode(codes.to(device)).device.type == device
    assert latent.decode(z.to(device)).device.type == device
    latent.to("cpu")
