"""Values that were computed before, on disk: one safetensors file for each experiment, one row a network."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import torch
from torch import Tensor

from ...errors import DataFileError


class MetricStore:
    """Values of networks by canonical code; with a file, an interrupted computation goes on from it.

    The file is written under another name and moved, so that it is always whole. Before it is written
    it is read again: rows that another process added meanwhile are kept.

    Args:
        path: the file; None keeps values in memory only.
        dim: D, length of codes.
        metrics: names of all metrics that can be stored.
        parts: K, values of each metric for the parts of a network, its operations or its blocks; a row holds 1 + K
            numbers a metric.

    Raises:
        DataFileError: the file is damaged, or cannot be read.
    """

    def __init__(self, path: Path | None, *, dim: int, metrics: tuple[str, ...], parts: int) -> None:
        self.path, self.dim, self.metrics, self.parts = path, dim, metrics, parts
        self._rows: dict[tuple[int, ...], Tensor] = {}
        self._changed = False
        if path is not None and path.exists():
            self._merge(*self._read(path))

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, codes: Tensor, metrics: tuple[str, ...]) -> Tensor:
        """Which of the codes [B, D] lack a value: [B] bool."""
        wanted = [self.metrics.index(name) for name in metrics]
        return self.get(codes)[:, wanted, 0].isnan().any(1)

    def get(self, codes: Tensor) -> Tensor:
        """Values [B, metrics, 1 + K] double of codes [B, D], the network's first; NaN where there is none."""
        unknown = torch.full((len(self.metrics), 1 + self.parts), torch.nan, dtype=torch.float64)
        rows = [self._rows.get(tuple(code), unknown) for code in codes.tolist()]
        return torch.stack(rows) if rows else unknown.new_empty(0, *unknown.shape)

    def put(self, codes: Tensor, values: Tensor) -> None:
        """Keep values [B, metrics, 1 + K] double of codes [B, D]; NaN leaves what there is."""
        self._merge(codes, values.double().cpu())
        self._changed = True

    def save(self) -> None:
        """Write the file, if there is one and something is new.

        Raises:
            DataFileError: it cannot be written.
        """
        if self.path is None or not self._changed:
            return
        from safetensors.torch import save_file

        if self.path.exists():
            codes, values = self._read(self.path)
            fresh = self._rows
            self._rows = {}
            self._merge(codes, values)
            for code, row in fresh.items():
                self._merge_row(code, row)
        tensors = {
            "codes": torch.tensor(list(self._rows), dtype=torch.int16).reshape(len(self), self.dim),
            "values": torch.stack(list(self._rows.values())),
        }
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, partial, {"metrics": ",".join(self.metrics)})
            os.replace(partial, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise DataFileError(f"{self.path}: values cannot be kept: {error}; cache=False keeps none") from error
        self._changed = False

    def _merge(self, codes: Tensor, values: Tensor) -> None:
        for code, row in zip(codes.tolist(), values, strict=True):
            self._merge_row(tuple(code), row)

    def _merge_row(self, code: tuple[int, ...], row: Tensor) -> None:
        known = self._rows.get(code)
        self._rows[code] = row.clone() if known is None else torch.where(row.isnan(), known, row)

    def _read(self, path: Path) -> tuple[Tensor, Tensor]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                metrics = (file.metadata() or {}).get("metrics", "")
                codes, values = file.get_tensor("codes"), file.get_tensor("values")
        except (SafetensorError, OSError, ValueError) as error:
            raise DataFileError(f"{path} is damaged ({error}); delete it to compute its values again") from None
        shape = (len(codes), len(self.metrics), 1 + self.parts)
        if metrics != ",".join(self.metrics) or codes.shape[1:] != (self.dim,) or values.shape != shape:
            raise DataFileError(f"{path} is no file of these metrics; delete it to compute its values again")
        return codes.long(), values.double()
