"""``latentnas bench``: how fast this machine trains and uses models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app
from .output import print_pairs, print_table

if TYPE_CHECKING:
    from ..latent.benchmark import ModelSpeed, Timing

bench = typer.Typer(
    name="bench",
    help="Measure how fast this machine trains and uses models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bench)


@bench.callback()
def _group() -> None:
    """Measure how fast this machine trains and uses models."""


@bench.command("models")
def models(
    space: Annotated[str | None, typer.Option(help="The search space (default: enas_macro6).")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="The model: dvae, gcn, gcn-pyg, svae, graphrnn (default: dvae).")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Wired and sized as published: hidden 501, latent 56, batch 32.")
    ] = False,
    latent: Annotated[
        str | None, typer.Option(metavar="NAME|FOLDER", help="A shipped or saved latent space, instead of a new model.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of the model.")] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Dimensions of the latent.")] = None,
    op_embedding: Annotated[
        int | None, typer.Option(help="Dimensions of learned operation embeddings; 0 for one-hot.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Graphs in a training step.")] = None,
    cells: Annotated[int, typer.Option(min=1, help="Cells to encode, latents to decode.")] = 8192,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="How often each is timed; medians are shown.")] = 5,
    matmul_precision: Annotated[
        str, typer.Option(help="Of the training steps' matrix products: highest, high, medium.")
    ] = "highest",
    device: Annotated[str | None, typer.Option(help="PyTorch device; by default the GPU where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time training steps, encoding and decoding of a model."""
    from ..errors import ConfigError
    from ..latent import LatentSpace
    from ..latent.benchmark import measure_model, untrained
    from ..latent.fit import FitConfig
    from ..spaces import get_space

    sizes: dict[str, Any] = {"encoder": encoder, "hidden": hidden, "latent_dim": latent_dim}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    if op_embedding is not None:
        sizes["op_embedding"] = op_embedding or None
    if latent is not None:
        given = [f"--{name.replace('_', '-')}" for name in sizes] + ["--published"] * published
        given += ["--space"] * (space is not None)
        if given:
            raise ConfigError(f"--latent {latent}: its model is given, leave {', '.join(given)} out")
        made = LatentSpace.load(latent, device=device)
    else:
        cell_space = get_space(space or "enas_macro6")
        made = untrained(cell_space, _config(cell_space, published, sizes), device=device)
    speed = measure_model(
        made,
        batch=batch or (32 if published else FitConfig().batch_size),
        cells=cells,
        threads=threads,
        repeats=repeats,
        precision=matmul_precision,
    )
    if as_json:
        typer.echo(json.dumps(speed.to_dict(), indent=2))
    else:
        _show(speed)


def _config(space: Any, published: bool, sizes: dict[str, Any]) -> Any:
    """What a new model is built from: as published, or as ``latentnas pretrain`` has it."""
    from ..latent.fit import default_latent_dim
    from ..models import VAEConfig

    graph = {"num_types": len(space.node_types), "num_nodes": space.max_nodes}
    if published:
        bidirectional = sizes.get("encoder", "dvae") == "dvae"
        return VAEConfig.published(**graph, bidirectional=bidirectional, **sizes)
    return VAEConfig(**graph, **{"latent_dim": default_latent_dim(space), **sizes})


def _show(speed: ModelSpeed) -> None:
    model = speed.model
    print_pairs(
        [
            ("space", speed.space),
            (
                "model",
                f"{model['encoder']}, hidden {model['hidden']}, latent {model['latent_dim']}, "
                f"{speed.parameters / 1e6:,.2f} M parameters",
            ),
            ("device", f"{speed.device}, {speed.threads} CPU thread{'s' * (speed.threads != 1)}"),
        ]
    )
    typer.echo()

    def row(name: str, unit: str, count: int, timing: Timing) -> list[str]:
        digits = 1 if count == 1 else 0
        return [name, unit, *(f"{count / cost:,.{digits}f}" for cost in (timing.seconds, timing.cpu_seconds))]

    rows = [
        row("training", f"steps of {speed.batch}", 1, speed.step),
        row("training", "graphs", speed.batch, speed.step),
        row("encode", "cells", speed.cells, speed.encode),
        row("decode, constrained", "latents", speed.cells, speed.decode),
        row("decode, free", "latents", speed.cells, speed.decode_free),
    ]
    print_table(["", "unit", "per second", "per CPU-second"], rows, right=(2, 3))
    typer.echo()
    pairs = [
        ("CPU-seconds a step", f"{speed.step.cpu_seconds:.4f}"),
        ("peak memory", f"{speed.peak_memory / 2**20:,.0f} MiB"),
        ("training's precision", speed.matmul_precision),
        ("matrix product", f"{speed.flops / 1e9:,.0f} GFLOP/s in float32 at full precision"),
    ]
    if speed.reference_ratio is not None:
        pairs.append(
            (
                "public D-VAE code",
                f"{speed.reference_ratio:.1f} times as many CPU-seconds a step, relative to the matrix product "
                "at full precision (0.76 s at 78 GFLOP/s)",
            )
        )
    print_pairs(pairs)
