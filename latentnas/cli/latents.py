"""``latentnas pretrain``, ``encode`` and ``decode``: latent spaces on the command line."""

from __future__ import annotations

import csv
import io
import math
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..spaces.base import format_count
from .app import INTERRUPTED, app
from .output import print_pairs

if TYPE_CHECKING:
    from torch import Tensor

POOR = 0.5
"""Below this reconstruction accuracy, pretraining ends with a warning."""

Latent = Annotated[str, typer.Option(metavar="NAME|FOLDER", help="A shipped latent space, or a folder of one.")]


@app.command("pretrain")
def pretrain(
    space: Annotated[str, typer.Argument(help="The search space, see: latentnas spaces")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to save the latent space.")],
    encoder: Annotated[
        str | None,
        typer.Option(help="The encoder: dvae, gcn, gcn-pyg, svae, graphrnn (default: adjacency)."),
    ] = None,
    op_embedding: Annotated[
        int | None, typer.Option(help="Dimensions of learned operation embeddings; 0 for one-hot (default: 3).")
    ] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Dimensions of the latent space.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of the model.")] = None,
    cells: Annotated[
        int | None, typer.Option(help="Random training cells of a space too large to train on all (default: 20000).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training cells.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Cells in a training step.")] = None,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Fresh random cells every epoch, or the same (default: fresh)."),
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="Draw cells uniformly over codes, or over networks (default: codes).")
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Compute every step in so many parts, one after the other, to save memory.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that share every step: one GPU each, or the CPU.")] = 1,
    rounds: Annotated[
        int | None,
        typer.Option(help="Train so many times, each from the operation embeddings of the last (default: 1)."),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The largest learning rate.")] = None,
    matmul_precision: Annotated[
        str | None, typer.Option(help="Of training's matrix products: highest, high, medium (default: high).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, cells and batches.")] = 0,
    device: Annotated[str | None, typer.Option(help="PyTorch device; by default the GPU where there is one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished latent space in FOLDER.")] = False,
) -> None:
    """Train a latent space on cells of SPACE and save it in FOLDER; an interrupted run goes on."""
    from ..errors import ConfigError, WeightsError
    from ..latent import LatentSpace
    from ..latent.fit import CHECKPOINT, ENUMERATED, is_first_process
    from ..spaces import get_space

    checkpoint = out / "checkpoint"
    finished = any(os.path.exists(out / name) for name in ("config.json", "model.safetensors"))
    if finished and not overwrite and not os.path.exists(checkpoint / CHECKPOINT):
        raise ConfigError(f"{out} holds a finished latent space; choose another folder or give --overwrite")
    enumerated = get_space(space).size <= ENUMERATED
    if enumerated and cells is not None:
        raise ConfigError(f"--cells {cells}: {space} is small and is trained on all its cells; leave --cells out")
    if enumerated and stream is not None:
        option = "--stream" if stream else "--no-stream"
        raise ConfigError(f"{option}: {space} is small and is trained on all its cells; leave {option} out")
    given = {
        "encoder": encoder, "latent_dim": latent_dim, "hidden": hidden, "epochs": epochs, "batch_size": batch_size,
        "lr": lr, "device": device, "num_cells": cells, "stream": stream, "over": over, "accumulate": accumulate,
        "processes": processes, "rounds": rounds, "matmul_precision": matmul_precision,
    }  # fmt: skip
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if op_embedding is not None:
        settings["op_embedding"] = op_embedding or None
    try:
        model = LatentSpace.fit(space, seed=seed, progress=True, checkpoint=checkpoint, **settings)
    except KeyboardInterrupt:
        typer.echo("stopped; to go on from the last finished epoch, run the same command", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not is_first_process(processes):  # of those that torchrun started
        return
    try:
        model.save(out)
    except WeightsError as error:
        raise WeightsError(f"{error}; the trained weights stay in {checkpoint}, run the same command again") from error
    shutil.rmtree(checkpoint)
    metrics = model.info["metrics"]
    checked = "held-out cells" if metrics["validation"] == "held out" else "a sample of the training cells"
    print_pairs(
        [
            ("space", f"{model.space.name}, {format_count(model.space.size)} codes"),
            ("dimensions", str(model.latent_dim)),
            ("reconstruction", f"{100 * metrics['reconstruction_accuracy']:.2f}% of {checked}"),
            ("saved in", str(out)),
            ("try it", f"latentnas decode --latent {out} --sample 5"),
        ]
    )
    if metrics["reconstruction_accuracy"] < POOR:
        share = f"{100 * metrics['reconstruction_accuracy']:.2f}%"
        more = "" if enumerated else " or on more cells (--cells)"
        typer.echo(f"warning: only {share} come back; train longer (--epochs){more}", err=True)


@app.command("encode")
def encode(
    latent: Latent,
    cells: Annotated[list[str] | None, typer.Argument(help="Cells as strings.", show_default=False)] = None,
    input: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text file with one cell a line; - for standard input.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The CSV file to write (default: standard output).")
    ] = None,
    density: Annotated[
        bool, typer.Option("--density", help="Add a last column: the log density of the training latents there.")
    ] = False,
) -> None:
    """Turn cells into latents: a CSV table with the columns cell, z0, z1, ..."""
    import torch

    from ..errors import ConfigError, LatentNASError, ParseError
    from ..latent import LatentSpace

    texts = [("", text) for text in cells or []]
    if input is not None:
        lines = enumerate(map(str.strip, _read(input).splitlines()), start=1)
        texts += [(f"{input}, line {number}: ", line) for number, line in lines if line]
    if not texts:
        raise ConfigError("no cell given: name cells, or a file with --input (- for standard input)")
    model = LatentSpace.load(latent)
    try:
        codes = model.space.parse([text for _, text in texts])
    except LatentNASError:
        for where, text in texts:
            try:
                model.space.parse(text)
            except LatentNASError as error:
                raise ParseError(f"{where}{error}") from None
        raise
    z = model.encode(codes)
    head = ["cell", *(f"z{k}" for k in range(model.latent_dim))]
    if density:
        z, head = torch.cat([z, model.log_density(z)[:, None]], 1), [*head, "log_density"]
    rows = z.tolist()
    table = (
        [text, *(f"{value:.9g}" for value in row)] for text, row in zip(model.space.format(codes), rows, strict=True)
    )
    _write_csv(head, table, output)


@app.command("decode")
def decode(
    latent: Latent,
    input: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV table of latents as encode writes it; - for stdin.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, metavar="N", help="Decode N latents drawn from the prior.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --sample.")] = 0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write (default: standard output).")
    ] = None,
) -> None:
    """Turn latents into cells, one a line."""
    from ..errors import ConfigError
    from ..latent import LatentSpace

    if (input is None) == (sample is None):
        raise ConfigError("give either --input FILE or --sample N")
    model = LatentSpace.load(latent)
    if input is not None:
        points = read_latents(_read(input), model.latent_dim, str(input))
    else:
        points = model.sample_prior(sample or 0, seed=seed)
    text = "".join(f"{cell}\n" for cell in model.space.format(model.decode(points)))
    _write(text, output)


def read_latents(text: str, dim: int, origin: str) -> Tensor:
    """Latents of a CSV table: the columns z0, z1, ... in this order, or every column without a head.

    Args:
        text: the table.
        dim: d, the dimensions that the latent space has.
        origin: where the table comes from, for messages.

    Returns:
        FloatTensor [n, d].

    Raises:
        DataFileError: names the first line that is wrong.
    """
    import torch

    from ..errors import DataFileError

    reader = csv.reader(io.StringIO(text))
    lines: list[list[str]] = []
    try:
        lines.extend(row for row in reader if row)
    except csv.Error as error:
        raise DataFileError(f"{origin}, row {len(lines) + 1}: {error}") from None
    if not lines:
        raise DataFileError(f"{origin}: the table of latents is empty")
    wanted = [f"z{k}" for k in range(dim)]
    columns, start = list(range(dim)), 0
    if not _is_number(lines[0][-1]):
        missing = [name for name in wanted if name not in lines[0]]
        if missing:
            raise DataFileError(f"{origin}: no column {missing[0]}; this latent space needs z0 to z{dim - 1}")
        columns, start = [lines[0].index(name) for name in wanted], 1
        if len(lines) == 1:
            raise DataFileError(f"no latents in {origin}: the table has a head and no rows")
    rows = []
    for number, line in enumerate(lines[start:], start=start + 1):
        if len(line) != len(lines[0]) or (start == 0 and len(line) != dim):
            expected = len(lines[0]) if start else dim
            raise DataFileError(f"{origin}, row {number}: {len(line)} columns, expected {expected}")
        picked = [line[k] for k in columns]
        wrong = next((value for value in picked if not _is_number(value)), None)
        if wrong is not None:
            raise DataFileError(f"{origin}, row {number}: {wrong[:40]!r} is no finite number")
        rows.append([float(value) for value in picked])
    return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), dim)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _read(path: Path) -> str:
    from ..errors import DataFileError

    try:
        if str(path) == "-":
            return sys.stdin.read().removeprefix("\ufeff")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _write_csv(head: list[str], rows: Iterator[list[str]], path: Path | None) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    _write(buffer.getvalue(), path)


def _write(text: str, path: Path | None) -> None:
    from ..errors import DataFileError

    if path is None:
        typer.echo(text, nl=False)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataFileError(f"cannot write {path}: {error.strerror or error}") from None
    rows = text.count("\n")
    typer.echo(f"{rows:,} lines written to {path}", err=True)
