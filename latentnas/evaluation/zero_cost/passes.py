"""Layers of many networks side by side.

Activations of G networks are [n, G, C, h, w]: the same n images pass all networks at once. A convolution
is one grouped convolution, group g having the weights of network g, and batch normalisation sees G * C
channels. The networks have equal initial weights, but each its own copy, so that one backward pass gives
each network its own gradients.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .settings import initial_weight

_SMALL = 8
"""Height of images up to which neighbourhoods are averaged by one matrix product."""

_ROUNDING = 1e-12
"""Variance of values of at most 1 that is no more than rounding."""


@dataclass(frozen=True, eq=False)
class Part:
    """The networks that have a layer.

    Attributes:
        name: the layer's name in the network of a single cell.
        rows: [R] long, which networks.
        operation: index of the cell's operation that it belongs to; None for the rest of the network.
    """

    name: str
    rows: Tensor
    operation: int | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights of a layer in the networks that have it.

    Attributes:
        weight: [R, ...], a leaf of the graph.
        part: which networks.
    """

    weight: Tensor
    part: Part


class Pass(ABC):
    """One pass of images through G networks side by side.

    Args:
        networks: G.
        seed: seed of the initial weights.
        like: a tensor whose type and device the weights have.
    """

    def __init__(self, networks: int, seed: int, like: Tensor) -> None:
        self.networks, self.seed, self.like = networks, seed, like
        self.every = torch.arange(networks, device=like.device)
        self.weights_have_gradients = True
        self.layers: list[Layer] = []

    @abstractmethod
    def prepared(self, weight: Tensor) -> Tensor:
        """Initial weights as this pass uses them."""

    @abstractmethod
    def norm(self, x: Tensor) -> Tensor:
        """Batch normalisation of [n, R, C, h, w]."""

    @abstractmethod
    def relu(self, x: Tensor, rows: Tensor, times: Tensor) -> Tensor:
        """ReLU of [n, R, C, h, w]; ``times`` [R]: how many ReLU layers of each network see this ``x``."""

    @abstractmethod
    def settle(self, x: Tensor) -> Tensor:
        """What happens to activations [n, G, C, h, w] between two blocks."""

    def whole(self, name: str) -> list[Part]:
        """A layer that every network has, outside of the cell."""
        return [Part(name, self.every)]

    def conv(self, parts: Sequence[Part], x: Tensor, out_channels: int, kernel: int, *, stride: int = 1) -> Tensor:
        """Convolutions without bias: [n, R, C, h, w] -> [n, R, out_channels, h', w'].

        Args:
            parts: layers of equal shape; their networks one after the other are the R networks of ``x``.
            x: inputs.
            out_channels: channels of the outputs.
            kernel: height and width of the kernels.
            stride: stride of the convolutions.
        """
        n, r, c, h, w = x.shape
        shape = (out_channels, c, kernel, kernel)
        weights = [self._layer(part, shape, c * kernel**2) for part in parts]
        weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        x, weight = x.reshape(n, r * c, h, w), weight.flatten(0, 1)
        y = F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=r)
        return y.view(n, r, out_channels, *y.shape[2:])

    def linear(self, name: str, x: Tensor, out_features: int) -> Tensor:
        """The classifier with bias: [n, G, C] -> [n, G, out_features]."""
        channels = x.shape[2]
        weight = self._layer(Part(name, self.every), (out_features, channels), channels)
        bias = self.prepared(initial_weight(self.seed, f"{name}.bias", (out_features,), channels).to(self.like))
        return torch.einsum("ngc,gkc->ngk", x, weight) + bias

    def _layer(self, part: Part, shape: tuple[int, ...], fan_in: int) -> Tensor:
        weight = self.prepared(initial_weight(self.seed, f"{part.name}.weight", shape, fan_in).to(self.like))
        leaf = weight.expand(len(part.rows), *shape).clone()
        leaf.requires_grad_(self.weights_have_gradients and torch.is_grad_enabled())
        self.layers.append(Layer(leaf, part))
        return leaf


class TrainingPass(Pass):
    """A pass in training mode: batch normalisation by the statistics of the images.

    Args:
        networks, seed, images: as for every pass.
        relus: whether to count the ReLUs that agree.
        blocks: whether to keep what each block returns.
        weights: whether weights get gradients.

    Attributes:
        kernel: [G, n, n] double, number of ReLUs that agree (both active, or both not) for two images.
        blocks: what each block of the networks returned, [n, G, C, h, w]; it keeps its gradient.
    """

    def __init__(
        self, networks: int, seed: int, images: Tensor, *, relus: bool, blocks: bool = False, weights: bool = True
    ) -> None:
        super().__init__(networks, seed, images)
        self.relus, self.keeps_blocks, self.weights_have_gradients = relus, blocks, weights
        self.blocks: list[Tensor] = []
        n = len(images)
        self.kernel = torch.zeros(networks, n, n, dtype=torch.float64, device=images.device)

    def prepared(self, weight: Tensor) -> Tensor:
        return weight

    def norm(self, x: Tensor) -> Tensor:
        n, r, c, h, w = x.shape
        return F.batch_norm(x.reshape(n, r * c, h, w), None, None, training=True).view_as(x)

    def relu(self, x: Tensor, rows: Tensor, times: Tensor) -> Tensor:
        y = F.relu(x)
        if self.relus:
            on = (y.detach() > 0).to(x.dtype).flatten(2).transpose(0, 1)  # [R, n, units]
            both = 2 * on @ on.transpose(1, 2)  # counts below 2^24, which float32 holds exactly
            active = on.sum(2)
            agree = both - active[:, :, None] - active[:, None, :] + on.shape[2]
            self.kernel.index_add_(0, rows, agree.double() * times[:, None, None])
        return y

    def settle(self, x: Tensor) -> Tensor:
        if self.keeps_blocks:
            self.blocks.append(x)
            if x.requires_grad:
                x.retain_grad()
            elif torch.is_grad_enabled():
                x.requires_grad_()
        return x


class FlowPass(Pass):
    """Synflow's pass: absolute weights, no batch normalisation, so that everything is non-negative.

    ReLU then changes nothing. Values grow exponentially with depth; between two blocks they are divided
    by their maximum in each network, and the logarithms add up. The flow is homogeneous in each block's
    input, so that a product of a layer's output and its gradient is scaled by just these factors.

    Attributes:
        log_scale: [G] double, logarithm of what the activations were divided by.
    """

    def __init__(self, networks: int, seed: int, images: Tensor) -> None:
        super().__init__(networks, seed, images)
        self.log_scale = torch.zeros(networks, dtype=torch.float64, device=images.device)

    def prepared(self, weight: Tensor) -> Tensor:
        return weight.abs()

    def norm(self, x: Tensor) -> Tensor:
        return x

    def relu(self, x: Tensor, rows: Tensor, times: Tensor) -> Tensor:
        return x

    def settle(self, x: Tensor) -> Tensor:
        largest = x.detach().amax((0, 2, 3, 4))
        largest = torch.where(largest > 0, largest, 1)
        self.log_scale += largest.double().log()
        return x / largest[:, None, None, None]


@dataclass(eq=False)
class Saliencies:
    """Sums of a saliency over the weights of G networks, double.

    Attributes:
        network: [G], over all layers.
        operation: [G, K], over the layers of each operation, in all its copies.
    """

    network: Tensor
    operation: Tensor


def saliencies(layers: list[Layer], networks: int, operations: int, metrics: tuple[str, ...]) -> dict[str, Saliencies]:
    """Sum saliencies after a backward pass.

    Args:
        layers: layers of a pass; one whose weights have no gradient counts 0.
        networks: G.
        operations: K.
        metrics: ``grad_norm`` (2-norm of the gradient, a layer), ``snip`` (absolute value of weight times
            gradient) and ``plain`` (weight times gradient).
    """
    device = layers[0].weight.device
    found = {
        name: Saliencies(
            torch.zeros(networks, dtype=torch.float64, device=device),
            torch.zeros(networks, operations, dtype=torch.float64, device=device),
        )
        for name in metrics
    }
    for layer in layers:
        gradient = layer.weight.grad
        if gradient is None:
            continue
        product = (gradient * layer.weight.detach()).flatten(1)
        for name, sums in found.items():
            if name == "grad_norm":
                value = gradient.flatten(1).norm(dim=1)
            else:
                value = (product.abs() if name == "snip" else product).double().sum(1)
            sums.network.index_add_(0, layer.part.rows, value.double())
            if layer.part.operation is not None:
                sums.operation[:, layer.part.operation].index_add_(0, layer.part.rows, value.double())
    return found


def neighbourhood_means(x: Tensor) -> Tensor:
    """3 x 3 average pooling of stride 1 over the neighbours that exist: [..., s, s] -> the same shape.

    As matrix products, which are several times faster than the library's pooling: a row times the banded
    matrix of its neighbours' shares, then a column; for small images, all at once.
    """
    s = x.shape[-1]
    place = torch.arange(s, device=x.device)
    near = (place[:, None] - place).abs() <= 1
    shares = near / near.sum(1, keepdim=True).to(x.dtype)
    if s <= _SMALL:
        return (x.flatten(-2) @ torch.kron(shares, shares).T).view_as(x)
    return shares @ (x @ shares.T)


def principal_entropy(x: Tensor, *, center: bool) -> Tensor:
    """Entropy, in nats, of the shares that principal components of the channels have in the variance.

    Args:
        x: [n, G, C, h, w], activations of G networks, or their gradients; a channel's values are those of all images
            and places.
        center: whether the mean of each channel is taken off before.

    Returns:
        [G] double, in 0..log(C); 0 where x is constant, up to rounding, or zero.
    """
    values = x.detach().permute(1, 2, 0, 3, 4).flatten(2)  # [G, C, n h w]
    values = values / values.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    if center:
        values = values - values.mean(2, keepdim=True)
    variances = torch.linalg.eigvalsh((values @ values.transpose(1, 2)).double() / values.shape[2]).clamp_min(0)
    total = variances.sum(1, keepdim=True)
    shares = torch.where(total > _ROUNDING, variances / total, 0.0)
    return torch.special.entr(shares).sum(1)


def log_flow(flow: Tensor, log_scale: Tensor) -> Tensor:
    """log(1 + flow * exp(log_scale)) without overflow; 0 where the flow is 0."""
    return torch.logaddexp(flow.log() + log_scale, torch.zeros_like(flow))


def log_determinant(kernel: Tensor) -> Tensor:
    """Logarithm of the determinant of symmetric positive semi-definite integer matrices: [G, n, n] -> [G] double.

    The determinant is an integer. It is at least 1, or it is 0, as for two images that no ReLU tells
    apart; then the logarithm is given as 0, the smallest that there is.
    """
    values = torch.linalg.eigvalsh(kernel)  # ascending
    n = kernel.shape[1]
    singular = values[:, 0] <= values[:, -1] * n * torch.finfo(values.dtype).eps
    return torch.where(singular, 0, values.clamp_min(math.ulp(0.0)).log().sum(1))
