"""Zero-cost metrics of one network after their definitions, layer by layer with autograd, slow."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from latentnas.evaluation.networks import build_network
from latentnas.evaluation.zero_cost import NetworkSize, initial_weight
from latentnas.spaces import SearchSpace

SIZE = NetworkSize(channels=5, layers=2, stages=2, classes=7)
SEED = 4
OPTIONS = {"channels": 5, "layers": 2, "stages": 2, "classes": 7, "seed": SEED, "cache": False, "device": "cpu"}


def images_and_labels() -> tuple[Tensor, Tensor]:
    """Five double images of 2 x 6 x 6, and labels."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(5, 2, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.randint(SIZE.classes, (5,), generator=generator)


def network_of(space: SearchSpace, code: Tensor, in_channels: int) -> nn.Module:
    """The cell's network with the metrics' initial weights, double."""
    network = build_network(
        space,
        code,
        channels=SIZE.channels,
        cells=SIZE.layers,
        stages=SIZE.stages,
        classes=SIZE.classes,
        in_channels=in_channels,
    ).double()
    with torch.no_grad():
        for name, module in weighted(network).items():
            fan_in = module.weight[0].numel()
            module.weight.copy_(initial_weight(SEED, f"{name}.weight", tuple(module.weight.shape), fan_in))
            if module.bias is not None:
                module.bias.copy_(initial_weight(SEED, f"{name}.bias", tuple(module.bias.shape), fan_in))
    return network


def weighted(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Layers whose weights count."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def plain_metrics(
    space: SearchSpace, code: Tensor
) -> tuple[dict[str, float], dict[str, dict[str, float]], dict[str, list[float]]]:
    """Metrics of a network, of each of its layers by name, and of each block by metric.

    A layer's synflow is S, without the logarithm.
    """
    images, labels = images_and_labels()
    network = network_of(space, code, images.shape[1])
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def count(module: nn.Module, inputs: object, output: Tensor) -> None:
        active = output.detach().flatten(1) > 0
        for i in range(len(images)):
            for j in range(len(images)):
                kernel[i, j] += int((active[i] == active[j]).sum())

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.ReLU)]
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        outputs.append(output)

    blocks = [network.stem, *(block for block in network.body if not isinstance(block, nn.MaxPool2d))]
    hooks += [block.register_forward_hook(keep) for block in blocks]
    cross_entropy(network(images), labels).backward()
    for hook in hooks:
        hook.remove()
    by_block = {
        "expressivity": [spread_of_components(output.detach(), center=True) for output in outputs],
        "backward_expressivity": [spread_of_components(gradient_of(output), center=False) for output in outputs],
    }
    layers: dict[str, dict[str, float]] = {}
    for name, module in weighted(network).items():
        weight = module.weight.detach()
        gradient = torch.zeros_like(weight) if module.weight.grad is None else module.weight.grad
        layers[name] = {
            "grad_norm": float(gradient.square().sum().sqrt()),
            "plain": float((gradient * weight).sum()),
            "snip": float((gradient * weight).abs().sum()),
        }
    sign, logarithm = torch.linalg.slogdet(kernel)

    network.zero_grad()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(images[:1])).sum().backward()
    for name, module in weighted(network).items():
        gradient = module.weight.grad
        layers[name]["synflow"] = 0.0 if gradient is None else float((gradient * module.weight.detach()).sum())

    total = {metric: sum(layer[metric] for layer in layers.values()) for metric in layers["stem.0"]}
    total["synflow"] = float(torch.tensor(total["synflow"], dtype=torch.float64).log1p())
    total["relu_logdet"] = float(logarithm) if sign > 0 and logarithm.isfinite() else 0.0
    total |= {metric: sum(values) for metric, values in by_block.items()}
    return total, layers, by_block


def gradient_of(output: Tensor) -> Tensor:
    """The gradient that a block's output got, zeros where nothing depends on it."""
    return torch.zeros_like(output) if output.grad is None else output.grad


def spread_of_components(output: Tensor, *, center: bool) -> float:
    """Entropy of the shares of the principal components of [n, C, h, w] in its variance, by singular values."""
    rows = torch.stack([channel.flatten() for channel in output.unbind(1)])  # [C, n h w]
    if center:
        rows = torch.stack([row - row.mean() for row in rows])
    variances = torch.linalg.svdvals(rows).square()
    if float(variances.sum()) <= 1e-12 * float(output.square().sum()):
        return 0.0
    shares = [float(v / variances.sum()) for v in variances]
    return -sum(share * math.log(share) for share in shares if share > 0)
