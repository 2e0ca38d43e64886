"""What zero-cost metrics are computed on: the size of the networks, the images, and the initial weights."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ...errors import ConfigError
from ...seeding import derive_seed


@dataclass(frozen=True)
class NetworkSize:
    """The size of the network that is built around every cell.

    Attributes:
        channels: channels of the first stage; they double with every stage.
        layers: cells in each stage.
        stages: number of stages; height and width halve between two.
        classes: number of classes.
    """

    channels: int = 8
    layers: int = 3
    stages: int = 3
    classes: int = 10

    @property
    def places(self) -> int:
        """Copies of the cell, and so of each of its operations, in the network."""
        return self.layers * self.stages

    def widths(self) -> list[int]:
        """Channels of the stages."""
        return [self.channels * 2**stage for stage in range(self.stages)]


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and labels on which the metrics are computed.

    Attributes:
        images: [n, channels, size, size], float32 or float64; all work is done in this type.
        labels: [n] long, in 0..classes-1.
        seed: seed of the initial weights.
    """

    images: Tensor
    labels: Tensor
    seed: int

    @property
    def digest(self) -> str:
        """SHA-256 of images and labels."""
        found = hashlib.sha256()
        for tensor in (self.images, self.labels):
            found.update(f"{tensor.dtype}{list(tensor.shape)}".encode())
            found.update(tensor.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def experiment_digest(space: str, size: NetworkSize, batch: Batch) -> str:
    """A name for everything that the values of a cell depend on, besides the cell."""
    facts = {"space": space, "size": asdict(size), "images": batch.digest, "seed": batch.seed, "weights": 1}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def make_batch(
    size: NetworkSize,
    *,
    images: Tensor | None,
    labels: Tensor | None,
    batch: int,
    image_size: int,
    seed: int,
    device: torch.device,
) -> Batch:
    """The given images, or ``batch`` images of N(0, 1) noise; the given labels, or random ones.

    Noise and labels are drawn on the CPU: a seed gives the same ones on every device.

    Raises:
        ConfigError: sizes, images or labels are wrong; names every fault.
    """
    wrong = [
        f"{name} must be an integer of at least {low}, got {value!r}"
        for name, value, low in (
            *((name, value, 1) for name, value in asdict(size).items()),
            ("batch", batch, 2),
            ("image_size", image_size, 1),
            ("seed", seed, 0),
        )
        if type(value) is not int or value < low
    ]
    if images is not None:
        wrong += _faults_of_images(images)
    if wrong:
        raise ConfigError("zero-cost metrics: " + "; ".join(wrong))
    if images is None:
        generator = torch.Generator().manual_seed(derive_seed(seed, "zero-cost", "images"))
        images = torch.randn(batch, 3, image_size, image_size, generator=generator)
    if labels is None:
        generator = torch.Generator().manual_seed(derive_seed(seed, "zero-cost", "labels"))
        labels = torch.randint(size.classes, (len(images),), generator=generator)
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ConfigError(
            f"zero-cost metrics: labels must be {len(images)} integers, one an image, got {labels.dtype} "
            f"of shape {list(labels.shape)}"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < size.classes:
        raise ConfigError(
            f"zero-cost metrics: labels must be in 0..{size.classes - 1}, got {int(labels.min())}..{int(labels.max())}"
        )
    height = images.shape[-1]
    if 2 ** (size.stages - 1) > height:
        raise ConfigError(
            f"zero-cost metrics: {size.stages} stages halve the images {size.stages - 1} times, which are only "
            f"{height} x {height}; at most {height.bit_length()} stages"
        )
    return Batch(images.to(device).clone(), labels.long().to(device).clone(), seed)


def _faults_of_images(images: Tensor) -> list[str]:
    if images.ndim != 4 or 0 in images.shape or images.shape[2] != images.shape[3] or len(images) < 2:
        return [f"images must have shape [n >= 2, channels, size, size], got {list(images.shape)}"]
    if images.dtype not in (torch.float32, torch.float64):
        return [f"images must be float32 or float64, got {images.dtype}"]
    if not bool(images.isfinite().all()):
        return ["images hold NaN or infinite values"]
    return []


def initial_weight(seed: int, layer: str, shape: tuple[int, ...], fan_in: int) -> Tensor:
    """Initial weights of one layer, a function of the seed and of the layer's name alone.

    They are uniform in +-1 / sqrt(fan_in), PyTorch's default for convolutions and linear layers. ``layer``
    is the parameter's name in the network of :func:`~latentnas.evaluation.networks.build_network`, so that
    networks that have a layer in common have its weights in common, and differ by their cells only.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "zero-cost", layer))
    bound = 1 / math.sqrt(fan_in)
    return (2 * torch.rand(shape, generator=generator) - 1) * bound
