"""Are the worked-out costs of cells right? Networks that are built and counted, and NAS-Bench-101's whole table.

    python scripts/check_costs.py                    # 100 random cells of each space, as built
    python scripts/check_costs.py --data-dir DIR     # also DIR/nasbench101.npz, all 423,624 cells

Networks have the published sizes. The table's file holds, for every cell, ``num_vertices``, ``ops`` [n, 5]
(255 is padding), ``edges`` (bit q is edge q of (0, 1), (0, 2), (1, 2), (0, 3), ...), ``params`` and ``macs``.
Ends with status 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentnas.evaluation.costs import count_costs
from latentnas.evaluation.networks import NASBench101Network, NASBench201Network
from latentnas.spaces.costs import costs
from latentnas.spaces.nasbench101 import EDGES, MAX_VERTICES, NASBench101
from latentnas.spaces.nasbench201 import NASBench201

IMAGE = (3, 32, 32)


def check_networks(space: NASBench101 | NASBench201, sample: int, seed: int) -> int:
    """Build the networks of random cells, run an image through each; return how many cost something else."""
    codes = space.sample(sample, seed=seed)
    started = time.perf_counter()
    result = costs(space, codes)
    worked_out = time.perf_counter() - started
    wrong = 0
    for code, params, macs in zip(codes, result.params.tolist(), result.macs.tolist(), strict=True):
        network = NASBench101Network(code, space=space) if isinstance(space, NASBench101) else NASBench201Network(code)
        counted = count_costs(network.to("meta"), IMAGE)
        wrong += (counted.parameters, counted.macs) != (params, macs)
    seconds = time.perf_counter() - started
    print(
        f"{space.name}: {sample} networks as built, {wrong} mismatches "
        f"({worked_out:.3f} s worked out, {seconds:.1f} s with building)"
    )
    return wrong


def read_table(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Codes [n, D], parameters [n] and multiply-adds [n] of the published table."""
    with np.load(path, allow_pickle=False) as data:
        vertices, inner, edges, params, macs = (
            torch.from_numpy(data[name].astype(np.int64)) for name in ("num_vertices", "ops", "edges", "params", "macs")
        )
    adj = torch.zeros(len(vertices), MAX_VERTICES, MAX_VERTICES, dtype=torch.bool)
    for q, (source, target) in enumerate(EDGES):
        adj[:, source, target] = (edges >> q & 1).bool()
    ops = torch.nn.functional.pad(inner, (1, 1))
    codes, valid = NASBench101().from_matrices(adj, ops, vertices)
    if not bool(valid.all()):
        sys.exit(f"{path}: row {int((~valid).nonzero()[0])} is no cell of NAS-Bench-101")
    return codes, params, macs


def check_table(path: Path) -> int:
    """Compare every row of the published table; return how many differ."""
    codes, params, macs = read_table(path)
    started = time.perf_counter()
    result = costs(NASBench101(), codes)
    seconds = time.perf_counter() - started
    wrong_params, wrong_macs = (result.params != params), (result.macs != macs)
    print(
        f"nasbench101: {len(codes):,} rows of {path.name}, {int(wrong_params.sum())} mismatches in params, "
        f"{int(wrong_macs.sum())} in macs ({seconds:.2f} s on {torch.get_num_threads()} thread)"
    )
    return int((wrong_params | wrong_macs).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with nasbench101.npz")
    parser.add_argument("--sample", type=int, default=100, help="networks to build of each space")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    wrong = sum(check_networks(space, args.sample, args.seed) for space in (NASBench101(), NASBench201()))
    if args.data_dir is not None:
        wrong += check_table(args.data_dir / "nasbench101.npz")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
