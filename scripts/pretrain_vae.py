"""Pretrain a latent space on the cells of any search space; no accuracies are needed.

    python scripts/pretrain_vae.py nasbench201 --out runs/nb201
    python scripts/pretrain_vae.py enas_macro6 --out runs/enas6 --epochs 30 --num-cells 50000
    python scripts/pretrain_vae.py nasbench201 --one-hot --out runs/nb201-one-hot
    python scripts/pretrain_vae.py darts --out runs/darts --num-cells 1000000 --processes 8
    torchrun --nproc-per-node 8 scripts/pretrain_vae.py darts --out runs/darts --processes 8

Runs on the GPU where there is one; with `--processes` on several, or on several CPU cores. Spaces of
more than 100,000 codes are streamed: fresh random cells every epoch. Interrupted, the same command
goes on after its last epoch. The shipped `nasbench201-dvae-emb` was made by the first command with
`--out latentnas/latent/shipped/nasbench201-dvae-emb` (about a minute on one CPU core).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import latentnas as ln
from latentnas.device import PRECISIONS
from latentnas.errors import LatentNASError
from latentnas.latent import generation_quality, reconstruction_accuracy
from latentnas.latent.fit import is_first_process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help=f"one of {', '.join(ln.list_spaces())}")
    parser.add_argument("--out", required=True, type=Path, help="folder of the latent space")
    parser.add_argument("--encoder", default="adjacency", help="adjacency, dvae, gcn, gcn-pyg, svae or graphrnn")
    parser.add_argument("--op-embedding", type=int, default=3, help="dimension of the operation embeddings")
    parser.add_argument("--one-hot", action="store_true", help="one-hot operations instead of embeddings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    for name, kind in (
        ("epochs", int),
        ("batch-size", int),
        ("lr", float),
        ("hidden", int),
        ("latent-dim", int),
        ("beta", float),
        ("noise", float),
        ("num-cells", int),
        ("num-validation", int),
        ("accumulate", int),
    ):
        parser.add_argument(f"--{name}", type=kind, help="default: see latentnas.latent.FitConfig and VAEConfig")
    parser.add_argument("--stream", action=argparse.BooleanOptionalAction, help="fresh random cells every epoch")
    parser.add_argument("--over", choices=("codes", "networks"), help="what random cells are drawn uniformly from")
    parser.add_argument("--matmul-precision", choices=PRECISIONS, help="of training's matrix products; default: high")
    parser.add_argument("--processes", type=int, default=1, help="processes that share every step")
    args = parser.parse_args()
    names = (
        "epochs", "batch_size", "lr", "hidden", "latent_dim", "beta", "noise", "num_cells", "num_validation",
        "accumulate", "stream", "over", "processes", "matmul_precision",
    )  # fmt: skip
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}

    checkpoint = args.out / "checkpoint"
    latent = ln.LatentSpace.fit(
        args.space,
        encoder=args.encoder,
        op_embedding=None if args.one_hot else args.op_embedding,
        seed=args.seed,
        device=args.device,
        checkpoint=checkpoint,
        **options,
    )
    if not is_first_process(args.processes):  # of those that torchrun started
        return
    cells = (
        latent.space.enumerate() if latent.space.size <= 100_000 else latent.space.sample(10_000, seed=args.seed + 1)
    )
    free = generation_quality(latent, seed=args.seed)
    latent.info["metrics"] |= {
        "cells_reconstructed": len(cells),
        "reconstruction_accuracy": reconstruction_accuracy(latent, cells),
        "prior_validity_free": free.validity,
        "prior_uniqueness_free": free.uniqueness,
    }
    latent.save(args.out)
    shutil.rmtree(checkpoint)
    print(f"saved {args.out}")
    for name, value in latent.info["metrics"].items():
        print(f"  {name:<26} {value:,.4f}" if isinstance(value, float) else f"  {name:<26} {value}")


if __name__ == "__main__":
    try:
        main()
    except LatentNASError as error:
        sys.exit(f"error: {error}")
