"""latentnas/evaluation/data.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentnas.errors import DataFileError
from latentnas.evaluation.data import load_digits, load_image_data, load_npz


def arrays(**changes: object) -> dict[str, object]:
    rng = np.random.default_rng(0)
    good: dict[str, object] = {
        "x_train": rng.normal(5, 2, (20, 3, 6, 4)).astype(np.float32),
        "y_train": rng.integers(0, 4, 20),
        "x_valid": rng.normal(5, 2, (8, 3, 6, 4)).astype(np.float32),
        "y_valid": rng.integers(0, 4, 8),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def save(path: Path, **changes: object) -> Path:
    np.savez(path / "data.npz", **arrays(**changes))  # type: ignore[arg-type]
    return path / "data.npz"


def test_digits() -> None:
    data = load_image_data("digits")
    assert data.x_train.shape == (1437, 1, 8, 8)
    assert data.x_valid.shape == (360, 1, 8, 8)
    assert (data.classes, data.image_shape) == (10, (1, 8, 8))
    assert data.y_valid.unique().tolist() == list(range(10))
    assert data.x_train.mean().abs() < 1e-5
    assert abs(data.x_train.std() - 1) < 1e-3
    assert torch.equal(load_digits().y_valid, data.y_valid)
    assert load_digits().sha256 == data.sha256 != load_digits(seed=1).sha256


def test_no_digit_is_in_both_parts() -> None:
    data = load_digits()
    both = torch.cat([data.x_train, data.x_valid]).flatten(1)
    assert len(both.unique(dim=0)) == 1797


def test_npz_is_normalised_by_the_training_part(tmp_path: Path) -> None:
    data = load_image_data(save(tmp_path))
    raw = arrays()
    x_train, x_valid = np.asarray(raw["x_train"]), np.asarray(raw["x_valid"])
    mean, std = x_train.mean((0, 2, 3), keepdims=True), x_train.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(data.x_valid.numpy(), (x_valid - mean) / std, rtol=1e-4, atol=1e-5)
    assert data.x_train.dtype == torch.float32
    assert data.y_train.tolist() == np.asarray(raw["y_train"]).tolist()
    assert (data.classes, data.image_shape, data.name) == (4, (3, 6, 4), "data.npz")


def test_npz_of_grey_bytes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 5), dtype=np.uint8)
    data = load_npz(save(tmp_path, x_train=images, x_valid=images[:8]))
    assert data.image_shape == (1, 5, 5)
    scaled = load_npz(
        save(tmp_path, x_train=images.astype(np.float64) / 255, x_valid=images[:8].astype(np.float64) / 255)
    )
    torch.testing.assert_close(data.x_train, scaled.x_train)


def test_constant_channels_are_no_division_by_zero(tmp_path: Path) -> None:
    ones = np.ones((20, 1, 2, 2), dtype=np.float32)
    assert load_npz(save(tmp_path, x_train=ones, x_valid=ones[:8])).x_train.isfinite().all()


def test_other_arrays_have_another_fingerprint(tmp_path: Path) -> None:
    first = load_npz(save(tmp_path)).sha256
    assert load_npz(save(tmp_path)).sha256 == first
    labels = np.asarray(arrays()["y_valid"]).copy()
    labels[0] = 3 - labels[0]
    assert load_npz(save(tmp_path, y_valid=labels)).sha256 != first


NAN = np.ones((20, 3, 6, 4), dtype=np.float32)
NAN[7, 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_valid": None}, "missing y_valid; expected the arrays x_train, y_train, x_valid, y_valid"),
        ({"x_train": None, "x_valid": None}, "missing x_train, x_valid;"),
        ({"x_train": np.zeros((20, 4))}, r"x_train must have shape \[n, height, width\] or .* got \[20, 4\]"),
        ({"x_train": np.zeros((0, 3, 6, 4))}, r"none of them 0, got \[0, 3, 6, 4\]"),
        ({"x_train": NAN}, r"x_train\[7\] holds NaN or infinite values \(1 images do\)"),
        ({"x_train": np.zeros((20, 3, 6, 4), dtype=np.int64)}, "x_train must be uint8 or floating point, got int64"),
        ({"x_valid": np.zeros((8, 3, 6, 5))}, r"of x_valid \[3, 6, 5\]; must be equal"),
        ({"y_train": np.zeros(19, dtype=int)}, r"y_train must have shape \[20\], one label an image, got \[19\]"),
        ({"y_train": np.zeros(20)}, "y_train must hold integers, got float64"),
        ({"y_train": np.full(20, -1)}, r"y_train must be in 0\.\.9999, got -1\.\.-1"),
        ({"y_train": np.full(20, 3)}, "y_train has one class only, 3; training needs at least 2"),
        (
            {"y_train": np.arange(20) % 2, "y_valid": np.arange(8)},
            r"labels that y_train lacks \(2, 3, 4, 5, 6, \.\.\.\)",
        ),
        ({"y_train": np.arange(20) % 2, "y_valid": np.full(8, 7)}, r"labels that y_train lacks \(7\); they can never"),
        ({"y_train": np.array([{}] * 20, dtype=object)}, "cannot be read as .npz"),
    ],
)
def test_faulty_npz(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        load_npz(save(tmp_path, **changes))


def test_one_training_image_is_too_few(tmp_path: Path) -> None:
    path = save(tmp_path, x_train=np.ones((1, 3, 6, 4)), y_train=np.zeros(1, dtype=int))
    with pytest.raises(DataFileError, match="x_train has 1 image, training needs at least 2"):
        load_npz(path)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        load_image_data(tmp_path / "none.npz")
    for name, write in (("text", b"hello"), ("empty", b""), ("half", save(tmp_path).read_bytes()[:500])):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(write)
        with pytest.raises(DataFileError, match=r"cannot be read as \.npz"):
            load_image_data(str(path))
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataFileError, match="holds one array"):
        load_npz(tmp_path / "one.npz")


@pytest.mark.parametrize("name", ["cifar10", "images.npy", "", 3])
def test_unknown_data(name: object) -> None:
    with pytest.raises(DataFileError, match=r"must be 'digits' or the path of a \.npz file"):
        load_image_data(name)  # type: ignore[arg-type]
