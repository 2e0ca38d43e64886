from __future__ import annotations

import pytest
import torch

from latentnas.device import PRECISIONS, cpu_threads, matmul_precision, resolve_device
from latentnas.errors import ConfigError


def test_default_is_the_gpu_where_there_is_one() -> None:
    assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta"])
def test_a_device_that_cannot_be_used(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used"):
        resolve_device(device)


def test_threads_are_limited_inside_the_block_only() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), cpu_threads(1):
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
    with cpu_threads(10_000):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_matmul_precision_holds_inside_the_block_only(name: str) -> None:
    with matmul_precision("high"):
        with pytest.raises(KeyError), matmul_precision(name):
            assert torch.get_float32_matmul_precision() == name
            raise KeyError
        assert torch.get_float32_matmul_precision() == "high"
