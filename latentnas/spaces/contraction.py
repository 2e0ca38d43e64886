r"""What a cell computes: skip connections contracted, dead ends dropped.

A skip connection passes information on unchanged and 'none' passes nothing. With :math:`a_{uv}` the number of edges
from u to v, a skip connection s is replaced by edges around it,

.. math:: a_{uv} \leftarrow a_{uv} + a_{us} a_{sv}, \quad (1)

so that :math:`a_{uv}` counts the paths from u to v along skip connections; vertices that no path joins to the input and
to the output go, too.
"""

from __future__ import annotations

import torch
from torch import Tensor


def simplified(
    ops: Tensor,
    adj: Tensor,
    is_input: Tensor,
    is_output: Tensor,
    *,
    identity_types: tuple[int, ...],
    zero_types: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Counts of paths along identities, eq. 1, and which vertices stay.

    Args:
        ops: [B, N] long, vertex types, in topological order.
        adj: [B, N, N] bool, ``adj[b, u, v]``: u sends to v.
        is_input, is_output: [B, N] bool.
        identity_types, zero_types: types that pass their input on unchanged, and that give zero.

    Returns:
        paths: [B, N, N] long, how many lead from u to v, 0 where either is gone.
        present: [B, N] bool; the input and the output always.
    """
    nodes = ops.shape[1]
    is_identity = torch.isin(ops, torch.tensor(identity_types, dtype=torch.long, device=ops.device))
    is_zero = torch.isin(ops, torch.tensor(zero_types, dtype=torch.long, device=ops.device))
    counts = adj.long() * ~is_zero[:, :, None] * ~is_zero[:, None, :]
    for v in range(nodes):
        around = counts[:, :, v, None] * counts[:, v, None, :]
        counts = counts + around * is_identity[:, v, None, None]
    stays = ~(is_identity | is_zero)
    counts = counts * stays[:, :, None] * stays[:, None, :]
    fed, feeds = is_input.clone(), is_output.clone()
    for v in range(1, nodes):
        fed[:, v] |= ((counts[:, :v, v] > 0) & fed[:, :v]).any(1)
    for v in range(nodes - 2, -1, -1):
        feeds[:, v] |= ((counts[:, v, v + 1 :] > 0) & feeds[:, v + 1 :]).any(1)
    present = (fed & feeds) | is_input | is_output
    return counts * present[:, :, None] * present[:, None, :], present
