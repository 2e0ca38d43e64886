"""Zero-cost metrics of cells: what is computed, in which order, and how isomorphic codes share it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ...benchmarks import cache_folder
from ...device import gradients, resolve_device
from ...errors import ConfigError, UnknownNameError
from ...progress import Progress
from ...spaces import SearchSpace, get_space
from ...spaces.costs import NASBench101Skeleton, NASBench201Skeleton, Skeleton, operation_costs
from ...spaces.nasbench201 import NASBench201
from . import nasbench101, nasbench201
from .cache import MetricStore
from .passes import FlowPass, Pass, TrainingPass, log_determinant, log_flow, principal_entropy, saliencies
from .settings import NetworkSize, experiment_digest, make_batch
from .terms import same_term_weights

SALIENCIES = ("grad_norm", "plain", "snip")
COMPUTED = (*SALIENCIES, "synflow", "relu_logdet")
BLOCKWISE = ("expressivity", "backward_expressivity")
COUNTED = ("params", "flops")
METRICS = (*COMPUTED, *BLOCKWISE, *COUNTED)
SPACES = ("nasbench101", "nasbench1shot1-1", "nasbench1shot1-2", "nasbench1shot1-3", "nasbench201")

_CHUNK_VALUES = 2**20
"""Values that one activation of the first stage may have, over all networks of a chunk (4 MiB of float32)."""

_MAX_CHUNK = 64
_SECONDS_BETWEEN_SAVES = 20.0


@dataclass(frozen=True, eq=False)
class ZeroCostMetrics:
    """Zero-cost metrics of B cells; indexing by a name gives ``network[name]``.

    Attributes:
        network: name -> [B] double, of the whole network (architecture level).
        operations: name -> [B, K] double, of each of the K operations of the code, averaged over its copies
            (operation level); ``grad_norm``, ``plain``, ``snip``, ``synflow``, ``params`` and ``flops``. Operation k
            is vertex k + 1 of the node view.
        blocks: name -> [B, L] double, after each of the L blocks of the network: the stem, the cells of every stage,
            and, where they have weights, the reductions between two stages; ``expressivity`` and
            ``backward_expressivity``.
    """

    network: dict[str, Tensor]
    operations: dict[str, Tensor]
    blocks: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.network[name]


def zero_cost_metrics(
    space: str | SearchSpace,
    codes: Tensor,
    *,
    metrics: tuple[str, ...] | list[str] = METRICS,
    channels: int = 8,
    layers: int = 3,
    stages: int = 3,
    classes: int = 10,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    batch: int = 32,
    image_size: int = 16,
    seed: int = 0,
    device: str | torch.device | None = None,
    cache: str | Path | bool = True,
    progress: bool = False,
) -> ZeroCostMetrics:
    """Zero-cost metrics of cells, from one forward and backward pass of untrained networks.

    See :mod:`latentnas.evaluation.zero_cost` for what the metrics are. A cell has the values of its
    canonical network, so that isomorphic codes have equal values.

    Args:
        space: the space, or its name; networks are built for those in ``SPACES``.
        codes: [B, D] long.
        metrics: names, of ``METRICS``.
        channels: channels of the networks' first stage.
        layers: cells in each stage.
        stages: number of stages.
        classes: number of classes.
        images: [n, channels, size, size] float32 or float64; None for ``batch`` images of N(0, 1) noise.
        labels: [n] integers in 0..classes-1; None for random ones.
        batch: number of noise images, at least 2.
        image_size: height and width of noise images.
        seed: seed of noise, labels and initial weights.
        device: a PyTorch device; None for the GPU where there is one, else the CPU.
        cache: a folder that keeps the values, True for the user's cache, False for none.
        progress: show how far it is.

    Returns:
        Tensors on the device of the codes.

    Raises:
        ConfigError: the space has no networks, or settings are wrong.
        UnknownNameError: an unknown metric.
        InvalidCodeError: a row is no cell of the space.
    """
    experiment = ZeroCost(
        space,
        metrics=metrics,
        size=NetworkSize(channels, layers, stages, classes),
        images=images,
        labels=labels,
        batch=batch,
        image_size=image_size,
        seed=seed,
        device=device,
        cache=cache,
    )
    return experiment(codes, progress=progress)


class ZeroCost:
    """Zero-cost metrics on given networks and images; call it with codes. See :func:`zero_cost_metrics`.

    Attributes:
        cpu_seconds: processor time that the passes took so far: "training" (grad_norm, plain, snip,
            relu_logdet and both expressivities) and "flow" (synflow).
    """

    def __init__(
        self,
        space: str | SearchSpace,
        *,
        metrics: tuple[str, ...] | list[str] = METRICS,
        size: NetworkSize | None = None,
        images: Tensor | None = None,
        labels: Tensor | None = None,
        batch: int = 32,
        image_size: int = 16,
        seed: int = 0,
        device: str | torch.device | None = None,
        cache: str | Path | bool = True,
    ) -> None:
        self.space = get_space(space)
        if self.space.name not in SPACES:
            raise ConfigError(
                f"zero-cost metrics: cells of {self.space.name} cannot be built as networks yet; "
                f"spaces that can: {', '.join(SPACES)}"
            )
        for name in metrics:
            if name not in METRICS:
                raise UnknownNameError("zero-cost metric", name, METRICS)
        self.metrics = tuple(metrics)
        self.computed = tuple(name for name in COMPUTED if name in self.metrics)
        self.blockwise = tuple(name for name in BLOCKWISE if name in self.metrics)
        self.size = size or NetworkSize()
        self.device = resolve_device(device)
        with gradients():  # or none could be taken of the images
            self.batch = make_batch(
                self.size,
                images=images,
                labels=labels,
                batch=batch,
                image_size=image_size,
                seed=seed,
                device=self.device,
            )
        self.operations = self.space.max_nodes - 2
        self.cpu_seconds = {"training": 0.0, "flow": 0.0}
        self.digest = experiment_digest(self.space.name, self.size, self.batch)
        path = blocks = None
        if cache is not False:
            folder = cache_folder() / "zero_cost" if cache is True else Path(cache)
            path = folder / f"{self.space.name}-{self.digest}.safetensors"
            blocks = folder / f"{self.space.name}-{self.digest}-blocks.safetensors"
        self.store = MetricStore(path, dim=self.space.dim, metrics=COMPUTED, parts=self.operations)
        self.block_store = MetricStore(blocks, dim=self.space.dim, metrics=BLOCKWISE, parts=self.num_blocks)

    # --- codes -> values --------------------------------------------------------------------------

    def __call__(self, codes: Tensor, *, progress: bool = False) -> ZeroCostMetrics:
        """Metrics of ``codes`` [B, D]; computes those that are not known yet, and keeps them."""
        with gradients():
            return self._metrics(self.space.check_codes(codes).clone(), progress=progress)

    def _metrics(self, codes: Tensor, *, progress: bool) -> ZeroCostMetrics:
        device, codes = codes.device, codes.cpu()
        canonical = self.space.canonical(codes)
        networks, which = canonical.unique(dim=0, return_inverse=True)
        if self.computed or self.blockwise:
            with Progress(len(networks), "zero-cost metrics", unit="network", enabled=progress) as bar:
                self._complete(networks, bar)
        weights = same_term_weights(self._terms(codes), self._terms(networks)[which])  # [B, K, K]
        found = {**self._stored(networks), **self._counted(networks)}
        by_block = {name: found[name][which] for name in self.blockwise}
        network = {name: found[name][which, 0].to(device) for name in self.metrics}
        operations = {
            name: torch.einsum("bkj,bj->bk", weights, found[name][which, 1:]).to(device)
            for name in self.metrics
            if name != "relu_logdet" and name not in BLOCKWISE
        }
        blocks = {name: values[:, 1:].to(device) for name, values in by_block.items()}
        return ZeroCostMetrics(network, operations, blocks)

    @property
    def num_blocks(self) -> int:
        """L, blocks of a network."""
        reductions = self.size.stages - 1 if isinstance(self.space, NASBench201) else 0
        return 1 + self.size.places + reductions

    def _terms(self, codes: Tensor) -> Tensor:
        if isinstance(self.space, NASBench201):
            return nasbench201.operation_terms(codes)
        return nasbench101.operation_terms(self.space.node_graphs(codes))

    def _complete(self, networks: Tensor, bar: Progress) -> None:
        """Compute what the stores lack of canonical codes [B, D]."""
        missing = self.store.missing(networks, self.computed) | self.block_store.missing(networks, self.blockwise)
        lacking = networks[missing]
        bar.start_at(len(networks) - len(lacking))
        saved = time.monotonic()
        try:
            for part in self._chunks(lacking):
                values = self._measure(part)
                self.store.put(part, rows_of(values, COMPUTED, self.operations))
                self.block_store.put(part, rows_of(values, BLOCKWISE, self.num_blocks))
                bar.update(len(part))
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    self._save()
                    saved = time.monotonic()
        finally:
            self._save()

    def _save(self) -> None:
        if self.computed:
            self.store.save()
        if self.blockwise:
            self.block_store.save()

    def _chunks(self, codes: Tensor) -> Iterator[Tensor]:
        """Parts of the codes whose activations fit into memory together."""
        images = self.batch.images
        each = len(images) * self.size.channels * images.shape[2] * images.shape[3]
        yield from codes.split(max(1, min(_MAX_CHUNK, _CHUNK_VALUES // each))) if len(codes) else ()

    def _stored(self, networks: Tensor) -> dict[str, Tensor]:
        values, blocks = self.store.get(networks), self.block_store.get(networks)
        return {
            **{name: values[:, COMPUTED.index(name)] for name in self.computed},
            **{name: blocks[:, BLOCKWISE.index(name)] for name in self.blockwise},
        }

    # --- networks -> values -----------------------------------------------------------------------

    def _measure(self, codes: Tensor) -> dict[str, Tensor]:
        """Values of G networks by name: [G, 1], [G, 1 + K] or [G, 1 + L] double, the network's first."""
        found: dict[str, Tensor] = {}
        started = time.process_time()
        if {*SALIENCIES, "relu_logdet", *BLOCKWISE} & {*self.computed, *self.blockwise}:
            found |= self._training_pass(codes.to(self.device))
        between = time.process_time()
        if "synflow" in self.computed:
            found["synflow"] = self._flow_pass(codes.to(self.device))
        self.cpu_seconds["training"] += between - started
        self.cpu_seconds["flow"] += time.process_time() - between
        return {name: value.cpu() for name, value in found.items()}

    def _training_pass(self, codes: Tensor) -> dict[str, Tensor]:
        wanted = tuple(name for name in SALIENCIES if name in self.computed)
        run = TrainingPass(
            len(codes),
            self.batch.seed,
            self.batch.images,
            relus="relu_logdet" in self.computed,
            blocks=bool(self.blockwise),
            weights=bool(wanted),
        )
        backward = bool(wanted) or "backward_expressivity" in self.blockwise
        with torch.set_grad_enabled(backward):
            scores = self._forward(run, codes, self.batch.images)  # [n, G, classes]
            labels = self.batch.labels[:, None].expand(-1, len(codes))
            losses = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
            if backward:
                losses.mean(0).sum().backward()
        found: dict[str, Tensor] = {}
        for name, sums in saliencies(run.layers, len(codes), self.operations, wanted).items():
            found[name] = torch.cat([sums.network[:, None], sums.operation / self.size.places], 1)
        if run.relus:
            found["relu_logdet"] = log_determinant(run.kernel)[:, None]
        if "expressivity" in self.blockwise:
            found["expressivity"] = with_sum([principal_entropy(x, center=True) for x in run.blocks])
        if "backward_expressivity" in self.blockwise:
            slopes = [torch.zeros_like(x) if x.grad is None else x.grad for x in run.blocks]
            found["backward_expressivity"] = with_sum([principal_entropy(x, center=False) for x in slopes])
        return found

    def _flow_pass(self, codes: Tensor) -> Tensor:
        ones = torch.ones_like(self.batch.images[:1])
        run = FlowPass(len(codes), self.batch.seed, ones)
        with torch.enable_grad():
            self._forward(run, codes, ones).sum().backward()
        sums = saliencies(run.layers, len(codes), self.operations, ("plain",))["plain"]
        flow = torch.cat([sums.network[:, None], sums.operation / self.size.places], 1)
        return log_flow(flow, run.log_scale[:, None])

    def _forward(self, run: Pass, codes: Tensor, images: Tensor) -> Tensor:
        if isinstance(self.space, NASBench201):
            return nasbench201.forward(run, codes, images, self.size)
        graphs = self.space.node_graphs(codes)
        return nasbench101.forward(run, graphs, self.space.node_types, images, self.size)

    # --- costs ------------------------------------------------------------------------------------

    def _counted(self, networks: Tensor) -> dict[str, Tensor]:
        """``params`` and ``flops`` [B, 1 + K] double, worked out for the networks' size."""
        if not {*COUNTED} & {*self.metrics}:
            return {}
        channels, size = self.batch.images.shape[1:3]
        skeleton: Skeleton
        if isinstance(self.space, NASBench201):
            skeleton = NASBench201Skeleton(
                self.size.channels, self.size.layers, self.size.stages, self.size.classes, size
            )
        else:
            skeleton = NASBench101Skeleton(
                self.size.channels, self.size.stages, self.size.layers, self.size.classes, size
            )
        costs = operation_costs(self.space, networks, skeleton)
        stem = (channels - 3) * self.size.channels * 9  # skeletons have images of three channels
        found = {}
        for name, each, rest in (
            ("params", costs.params, costs.fixed_params + stem),
            ("flops", costs.macs, costs.fixed_macs + stem * size**2),
        ):
            inner = each[:, :, 1:-1].double().mean(1)  # [B, K]
            total = each.sum((1, 2)) + rest
            found[name] = torch.cat([total[:, None].double(), inner], 1)
        return found


def rows_of(values: dict[str, Tensor], names: tuple[str, ...], parts: int) -> Tensor:
    """Rows for a store: [G, len(names), 1 + parts] double, NaN where ``values``, at most [G, 1 + parts], has none."""
    networks = len(next(iter(values.values())))
    rows = torch.full((networks, len(names), 1 + parts), torch.nan, dtype=torch.float64)
    for column, name in enumerate(names):
        if name in values:
            rows[:, column, : values[name].shape[1]] = values[name]
    return rows


def with_sum(blocks: list[Tensor]) -> Tensor:
    """Values [G] of each of L blocks, their sum before them: [G, 1 + L]."""
    stacked = torch.stack(blocks, 1)
    return torch.cat([stacked.sum(1, keepdim=True), stacked], 1)
