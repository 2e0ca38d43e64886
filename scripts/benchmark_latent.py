"""Quality and speed of a latent space: reconstruction, prior validity, cells encoded and latents decoded per second.

    python scripts/benchmark_latent.py                       # the shipped nasbench201-dvae-emb
    python scripts/benchmark_latent.py runs/enas6 --threads 2

Reconstruction: every cell of the space (10,000 random ones of a space too large to enumerate) is
encoded and decoded from its posterior mean, most probable decisions under the grammar; a cell counts
when its code comes back. Validity: share of 10,000 prior samples that decode freely (no grammar) to
a cell. Speed: median over 5 passes on the CPU, after a warm-up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

import latentnas as ln
from latentnas.latent import generation_quality, reconstruction_accuracy


def per_second(work: Callable[[], object], count: int, repeats: int = 5) -> float:
    """How many of ``count`` items go through ``work`` in a second: the median of ``repeats`` passes."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return count / median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("latent", nargs="?", default="nasbench201-dvae-emb", help="shipped name or folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prior-samples", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    latent = ln.LatentSpace.load(args.latent, device="cpu")
    space = latent.space
    whole = space.size <= 100_000
    codes = space.enumerate() if whole else space.sample(10_000, seed=1)
    z = latent.encode(codes)
    free = [generation_quality(latent, args.prior_samples, seed=seed) for seed in range(3)]
    constrained = generation_quality(latent, args.prior_samples, seed=0, constrained=True)
    matrix = torch.rand(1024, 1024)
    flops = per_second(lambda: matrix @ matrix, 2 * 1024**3)

    print(f"{args.latent}: {space.name}, {latent.latent_dim} dimensions, {args.threads} CPU thread(s)")
    print(
        f"reconstructed exactly     {100 * reconstruction_accuracy(latent, codes):.3f} % of "
        f"{'all ' if whole else ''}{len(codes):,} cells"
    )
    validity = ", ".join(f"{100 * quality.validity:.2f}" for quality in free)
    unique = ", ".join(f"{100 * quality.uniqueness:.1f}" for quality in free)
    print(f"free prior samples valid  {validity} %  (3 seeds x {args.prior_samples:,})")
    print(f"  distinct among valid    {unique} %")
    print(
        f"constrained samples       {100 * constrained.validity:.2f} % valid, "
        f"{100 * constrained.uniqueness:.1f} % distinct"
    )
    print(f"encode                    {per_second(lambda: latent.encode(codes), len(codes)):,.0f} cells/s")
    print(f"decode (constrained)      {per_second(lambda: latent.decode(z), len(z)):,.0f} latents/s")
    print(f"decode (free)             {per_second(lambda: latent.decode_free(z), len(z)):,.0f} latents/s")
    print(f"machine                   {flops / 1e9:.0f} GFLOP/s float32 matrix product")


if __name__ == "__main__":
    main()
