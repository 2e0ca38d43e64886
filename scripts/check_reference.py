"""Compare our models with golden vectors of the public D-VAE code: the largest relative deviation of each quantity.

    python scripts/check_reference.py --golden FOLDER

FOLDER holds dvae.npz, dvae_bidirectional.npz, dvae_gcn.npz, svae.npz and graphrnn.npz. Each has ``state/<name>`` (the
public code's state dict), ``rows`` (JSON: ENAS cells as text), ``mu`` and ``logvar`` [n, d], ``loss``, ``recon`` and
``kld`` summed over the cells, ``grad_norm/<name>`` of that loss, and where the public code decodes deterministically
``argmax_decoded`` (JSON: types and edges of the graphs that argmax decoding of mu gives); all in evaluation mode.

The deviation of a tensor is its largest absolute difference over its largest absolute value; that of the gradients is
the largest over all parameters; that of the decoded graphs is the share of graphs that differ. The exit status is 1
where one exceeds --tolerance.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import latentnas as ln
from latentnas.latent.reference import reference_parameters
from latentnas.spaces import NodeGraphs

FILES = {
    "dvae": "dvae",
    "dvae_bidirectional": "dvae-bidirectional",
    "dvae_gcn": "gcn",
    "svae": "svae",
    "graphrnn": "graphrnn",
}
QUANTITIES = ("mu", "logvar", "loss", "recon", "kld", "gradients", "graphs")


def deviation(ours: Tensor, golden: Any) -> float:
    """Largest absolute difference over the largest absolute value."""
    expected = torch.as_tensor(golden, dtype=torch.double)
    return float((ours.detach().double() - expected).abs().max() / expected.abs().max())


def as_sets(graphs: NodeGraphs) -> list[tuple[list[int], set[tuple[int, int]]]]:
    """Types and edges of every graph."""
    found = []
    for ops, adj, mask in zip(graphs.ops.tolist(), graphs.adj, graphs.mask.sum(1).tolist(), strict=True):
        found.append((ops[:mask], {(u, v) for u, v in adj.nonzero().tolist()}))
    return found


def compare(golden: Mapping[str, np.ndarray], model: str) -> dict[str, float]:
    """Deviations of one golden file by quantity; "graphs" only where the file has decoded graphs."""
    state = {name.removeprefix("state/"): torch.tensor(golden[name]) for name in golden if name.startswith("state/")}
    space = ln.get_space("enas_macro6")
    codes = space.parse([json.dumps(row) for row in json.loads(str(golden["rows"]))])
    latent = ln.LatentSpace.from_reference(state, model=model, space=space, codes=codes, device="cpu")
    graphs = space.node_graphs(codes)
    mean, logvar = latent.model.encode(graphs)
    loss = latent.model.loss(graphs)
    (len(codes) * loss.loss).backward()
    found = {
        "mu": deviation(mean, golden["mu"]),
        "logvar": deviation(logvar, golden["logvar"]),
        "loss": deviation(len(codes) * loss.loss, golden["loss"]),
        "recon": deviation(len(codes) * loss.reconstruction, golden["recon"]),
        "kld": deviation(len(codes) * loss.kld, golden["kld"]),
    }
    parameters = dict(latent.model.named_parameters(remove_duplicate=False))
    names = reference_parameters(model)
    norms = {name.removeprefix("grad_norm/"): golden[name] for name in golden if name.startswith("grad_norm/")}
    if set(norms) != set(names):
        raise SystemExit(f"{model}: gradients of other parameters than ours: {sorted(set(norms) ^ set(names))}")
    gradients = {name: parameters[ours].grad for name, ours in names.items()}
    found["gradients"] = max(
        float("inf") if gradient is None else deviation(gradient.norm(), norms[name])
        for name, gradient in gradients.items()
    )
    if "argmax_decoded" in golden:
        ours = as_sets(latent.model.decoder.decode(torch.tensor(golden["mu"])))
        decoded = json.loads(str(golden["argmax_decoded"]))
        theirs = [(graph["types"], {(u, v) for u, v in graph["edges"]}) for graph in decoded]
        found["graphs"] = sum(a != b for a, b in zip(ours, theirs, strict=True)) / len(ours)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, required=True, help="folder of the five npz files")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    deviations: list[float] = []
    print(f"{'file':<20}" + "".join(f"{name:>12}" for name in QUANTITIES))
    for file, model in FILES.items():
        with np.load(args.golden / f"{file}.npz", allow_pickle=False) as golden:
            found = compare({name: golden[name] for name in golden.files}, model)
        deviations += found.values()
        print(f"{file:<20}" + "".join(f"{found[q]:>12.1e}" if q in found else f"{'-':>12}" for q in QUANTITIES))
    close = all(value <= args.tolerance for value in deviations)  # NaN is not close
    print(f"largest {np.max(deviations):.1e}, tolerance {args.tolerance:.0e}: {'agree' if close else 'DO NOT AGREE'}")
    sys.exit(not close)


if __name__ == "__main__":
    main()
