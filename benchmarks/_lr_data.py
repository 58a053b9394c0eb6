"""The data sets of the learning-rate benchmark: real and synthetic, small."""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["clusters", "digits", "fashion", "spirals", "textures", "waves"]


@cache
def digits(scale: str = "normal"):
    from sklearn.datasets import load_digits

    found = load_digits()
    x = found.images[..., None].astype("float32")
    if scale == "normal":
        x = (x - x.mean()) / x.std()
    elif scale == "unit":
        x /= 16
    return x[:1536], found.target[:1536].astype("int64")


@cache
def fashion(scale: str = "normal", wrong: float = 0.0, count: int = 4096, size: int = 14):
    folder = Path(os.environ["KCNN_MANUAL_DIR"])
    folder = folder / "fashion-mnist" if (folder / "fashion-mnist").is_dir() else folder
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(16 + 784 * count), "uint8", offset=16)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(8 + count), "uint8", offset=8)
    x = x.reshape(count, size, 28 // size, size, 28 // size).mean((2, 4))[..., None]
    x = (x - x.mean()) / x.std() if scale == "normal" else x / 255
    rng = np.random.default_rng(5)
    y = np.where(rng.random(count) < wrong, rng.integers(0, 10, count), y)
    return x.astype("float32"), y.astype("int64")


@cache
def clusters(noise: float = 0.2, classes: int = 20, count: int = 4096):
    rng = np.random.default_rng(1)
    y = rng.integers(0, classes, count)
    centers = rng.normal(size=(classes, 32))
    x = (centers[y] + 0.8 * rng.normal(size=(count, 32))).astype("float32")
    wrong = rng.random(count) < noise
    return x, np.where(wrong, rng.integers(0, classes, count), y)


@cache
def spirals(count: int = 4096):
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, count)
    r = rng.random(count)
    angle = 4 * r + 2 * np.pi * y / 3 + 0.1 * rng.normal(size=count)
    return (3 * np.stack([r * np.cos(angle), r * np.sin(angle)], 1)).astype("float32"), y


@cache
def waves(count: int = 4096):
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, size=(count, 8)).astype("float32")
    y = np.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.05 * rng.normal(size=(count, 1))
    return x, y.astype("float32")


@cache
def textures(count: int = 4096, size: int = 12):
    """Gratings of six directions with random phase, contrast and noise."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 6, count)
    grid = np.arange(size)
    angle = np.pi * y / 6
    phase = rng.uniform(0, 2 * np.pi, count)
    wave = (
        grid[None, :, None] * np.cos(angle)[:, None, None]
        + grid[None, None, :] * np.sin(angle)[:, None, None]
    )
    x = np.sin(1.3 * wave + phase[:, None, None]) * rng.uniform(0.5, 1.5, count)[:, None, None]
    return (x + 0.7 * rng.normal(size=x.shape)).astype("float32")[..., None], y
