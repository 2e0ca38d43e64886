"""Image data for training evaluators: scikit-learn's digits, or arrays in a .npz file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataFileError

ARRAYS = ("x_train", "y_train", "x_valid", "y_valid")
DIGITS_VALID = 360
"""Images of the digits' validation part, one in five of 1,797."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images in two parts, normalised with the training part's mean and deviation per channel.

    Attributes:
        name: where they come from.
        x_train: [n, channels, height, width] float32.
        y_train: [n] long, in 0..classes-1.
        x_valid: [m, channels, height, width] float32.
        y_valid: [m] long.
        classes: number of classes.
        sha256: fingerprint of the arrays, in hexadecimal.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    classes: int
    sha256: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.x_train.shape[1:]
        return channels, height, width


def load_image_data(data: str | Path) -> ImageData:
    """``"digits"``, or the path of a .npz file: see :func:`load_digits` and :func:`load_npz`.

    Raises:
        DataFileError: neither, or the file is faulty.
    """
    if data == "digits":
        return load_digits()
    if not isinstance(data, (str, Path)) or Path(data).suffix != ".npz":
        raise DataFileError(f"image data must be 'digits' or the path of a .npz file, got {str(data)!r}")
    return load_npz(data)


def load_digits(*, seed: int = 0) -> ImageData:
    """Scikit-learn's digits: 1,797 grey images of 8 x 8, 10 classes; 1,437 for training, 360 for validation.

    Args:
        seed: seed of the split.
    """
    from sklearn.datasets import load_digits as sklearn_digits

    digits = sklearn_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    labels = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    valid, train = order[:DIGITS_VALID], order[DIGITS_VALID:]
    return make_image_data("digits", images[train], labels[train], images[valid], labels[valid])


def load_npz(path: str | Path) -> ImageData:
    """Images from a .npz file with these arrays (made by ``numpy.savez``; nothing pickled is read):

    - ``x_train`` and ``x_valid``: [n, height, width] (grey) or [n, channels, height, width], of the
      same image size; uint8 in 0..255, or finite floats in any range.
    - ``y_train`` and ``y_valid``: [n] integers, classes counted from 0; at least two classes, and in
      ``y_valid`` none that ``y_train`` lacks.

    Raises:
        DataFileError: the file is missing or damaged, or an array is missing or wrong; says which.
    """
    path = Path(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise DataFileError(f"{path}: holds one array, expected a .npz file with {', '.join(ARRAYS)}")
        with loaded as file:
            missing = [name for name in ARRAYS if name not in file.files]
            if missing:
                raise DataFileError(
                    f"{path}: missing {', '.join(missing)}; expected the arrays {', '.join(ARRAYS)}, "
                    f"found {', '.join(file.files) or 'none'}"
                )
            arrays = {name: file[name] for name in ARRAYS}
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except DataFileError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataFileError(f"{path}: cannot be read as .npz: {error}") from error
    parts = []
    for part in ("train", "valid"):
        parts.append(_images(path, f"x_{part}", arrays[f"x_{part}"]))
        parts.append(_labels(path, f"y_{part}", arrays[f"y_{part}"], len(parts[-1])))
    x_train, y_train, x_valid, y_valid = parts
    if x_train.shape[1:] != x_valid.shape[1:]:
        raise DataFileError(
            f"{path}: images of x_train are {list(x_train.shape[1:])}, of x_valid {list(x_valid.shape[1:])}; "
            "must be equal"
        )
    if len(x_train) < 2:
        raise DataFileError(f"{path}: x_train has {len(x_train)} image, training needs at least 2")
    trained = set(y_train.tolist())
    if len(trained) < 2:
        raise DataFileError(f"{path}: y_train has one class only, {min(trained)}; training needs at least 2")
    unknown = sorted(set(y_valid.tolist()) - trained)
    if unknown:
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise DataFileError(f"{path}: y_valid has labels that y_train lacks ({shown}); they can never be predicted")
    return make_image_data(path.name, x_train, y_train, x_valid, y_valid)


def make_image_data(name: str, x_train: Tensor, y_train: Tensor, x_valid: Tensor, y_valid: Tensor) -> ImageData:
    """Normalise checked images [n, channels, height, width] and count the classes."""
    digest = hashlib.sha256()
    for tensor in (x_train, y_train, x_valid, y_valid):
        digest.update(str(list(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    mean = x_train.mean((0, 2, 3), keepdim=True)
    std = x_train.std((0, 2, 3), keepdim=True, correction=0).clamp_min(1e-6)
    classes = int(torch.cat([y_train, y_valid]).max()) + 1
    return ImageData(
        name, (x_train - mean) / std, y_train, (x_valid - mean) / std, y_valid, classes, digest.hexdigest()
    )


def _images(path: Path, name: str, array: np.ndarray) -> Tensor:
    """[n, channels, height, width] float32 from an array of the file."""
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise DataFileError(
            f"{path}: {name} must have shape [n, height, width] or [n, channels, height, width], none of them 0, "
            f"got {list(array.shape)}"
        )
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise DataFileError(f"{path}: {name} must be uint8 or floating point, got {array.dtype}")
    images = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if array.dtype == np.uint8:
        images = images / 255
    wrong = ~images.isfinite().flatten(1).all(1)
    if bool(wrong.any()):
        raise DataFileError(
            f"{path}: {name}[{int(wrong.nonzero()[0])}] holds NaN or infinite values ({int(wrong.sum())} images do)"
        )
    return images[:, None] if images.ndim == 3 else images


def _labels(path: Path, name: str, array: np.ndarray, images: int) -> Tensor:
    """[n] long from an array of the file."""
    if array.shape != (images,):
        raise DataFileError(f"{path}: {name} must have shape [{images}], one label an image, got {list(array.shape)}")
    if not np.issubdtype(array.dtype, np.integer):
        raise DataFileError(f"{path}: {name} must hold integers, got {array.dtype}")
    if array.min() < 0 or array.max() > 9_999:
        raise DataFileError(f"{path}: {name} must be in 0..9999, got {array.min()}..{array.max()}")
    return torch.from_numpy(array.astype(np.int64))
