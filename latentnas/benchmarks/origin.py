"""The file or folder that an imported table was made from, and whether it is still the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataFileError


@dataclass(frozen=True)
class Origin:
    """The file or folder that a table was imported from.

    Attributes:
        path: absolute.
        size: bytes; of a folder, of all its files.
        modified: nanoseconds since 1970; of a folder, of the file changed last.
        sha256: of a file, its content; of a folder, the list of its files with sizes and times.
        format: the format that it was read as.
        options: those of the reader, JSON values.
    """

    path: str
    size: int
    modified: int
    sha256: str
    format: str
    options: dict[str, Any]

    @classmethod
    def of(cls, path: str | Path, format: str, options: Mapping[str, Any]) -> Origin:
        """Look at a file or folder; reads all of a file.

        Raises:
            DataFileError: it is missing or cannot be read.
        """
        path = Path(path)
        try:
            size, modified, digest = _look(path)
            if path.is_file():
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataFileError(f"{path}: cannot be read: {error.strerror or error}") from error
        return cls(str(path.resolve()), size, modified, digest, format, json.loads(json.dumps(dict(options))))

    def is_still(self, path: str | Path, format: str, options: Mapping[str, Any]) -> bool:
        """Whether reading ``path`` in this way would give the table that this origin gave.

        A file at the same place with the same size and time is taken for the same; one that was
        moved or touched is compared by its content.
        """
        path = Path(path)
        if (self.format, self.options) != (format, json.loads(json.dumps(dict(options)))):
            return False
        try:
            size, modified, digest = _look(path)
        except OSError as error:
            raise DataFileError(f"{path}: cannot be read: {error.strerror or error}") from error
        if path.is_dir():
            return digest == self.sha256
        if size != self.size:
            return False
        if modified == self.modified and str(path.resolve()) == self.path:
            return True
        return Origin.of(path, format, options).sha256 == self.sha256


def _look(path: Path) -> tuple[int, int, str]:
    """Size, time of the last change and, of a folder, the digest of its list of files."""
    if not path.is_dir():
        status = path.stat()
        return status.st_size, status.st_mtime_ns, ""
    size, modified, digest = 0, 0, hashlib.sha256()
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            status = (Path(folder) / name).stat()
            size, modified = size + status.st_size, max(modified, status.st_mtime_ns)
            relative = (Path(folder) / name).relative_to(path).as_posix()
            digest.update(f"{relative}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return size, modified, digest.hexdigest()
