"""Small data sets, real where real data show the fault. Each returns (x, y), (x_test, y_test)."""

import functools
import gzip
import os
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def split(x, y, *, test=0.3, stratify=True, seed=0):
    """A shuffled split into two (x, y) pairs."""
    a, b, c, d = train_test_split(
        x, y, test_size=test, random_state=seed, stratify=y if stratify else None
    )
    return (a, c), (b, d)


def standardized(train, test):
    """Both x scaled by the mean and deviation of the first."""
    scaler = StandardScaler().fit(train[0])
    return tuple((scaler.transform(x).astype("float32"), y) for x, y in (train, test))


def digits(*, image=False, test=0.3):
    """1797 handwritten digits, 8x8, grey values 0..16 as float32; labels 0..9."""
    x, y = datasets.load_digits(return_X_y=True)
    x = x.astype("float32")
    return split(x.reshape(-1, 8, 8, 1) if image else x, y, test=test)


def _table(loader, scale):
    x, y = loader(return_X_y=True)
    train, test = split(x.astype("float32"), y)
    return standardized(train, test) if scale else (train, test)


def cancer(*, scale=True):
    """569 tumours, 30 features, 2 classes."""
    return _table(datasets.load_breast_cancer, scale)


def wine(*, scale=True):
    """178 wines, 13 features, 3 classes."""
    return _table(datasets.load_wine, scale)


def iris(*, scale=True):
    """150 flowers, 4 features, 3 classes."""
    return _table(datasets.load_iris, scale)


def diabetes(*, unit=False):
    """442 patients, 10 standardised features; target 25..346, or standardised."""
    x, y = datasets.load_diabetes(return_X_y=True)
    y = y.astype("float32").reshape(-1, 1)
    if unit:
        y = (y - y.mean()) / y.std()
    return standardized(*split(x, y, stratify=False))


@functools.lru_cache(maxsize=1)
def _fashion_files():
    folder = Path(os.environ["KCNN_MANUAL_DIR"])
    raw = []
    for name, header in (("t10k-images-idx3", 16), ("t10k-labels-idx1", 8)):
        with gzip.open(folder / f"{name}-ubyte.gz") as file:
            raw.append(np.frombuffer(file.read(), "uint8", offset=header))
    return raw[0].reshape(-1, 28, 28), raw[1]


def has_fashion():
    """Whether the Fashion-MNIST files are where KCNN_MANUAL_DIR says."""
    folder = os.environ.get("KCNN_MANUAL_DIR", "")
    return bool(folder) and (Path(folder) / "t10k-images-idx3-ubyte.gz").exists()


def fashion(n=2000, *, test=1000, classes=None, small=False):
    """`n` and `test` Fashion-MNIST images (28, 28) uint8, or 14x14 if `small`; labels 0..k-1."""
    x, y = _fashion_files()
    if classes is not None:
        rows = np.isin(y, classes)
        x, y = x[rows], np.searchsorted(classes, y[rows])
    if small:
        x = x.reshape(-1, 14, 2, 14, 2).mean((2, 4)).astype("uint8")
    x, y = x[: n + test], y[: n + test].astype("int64")
    return (x[:n], y[:n]), (x[n:], y[n:])


def houses(n=1200, seed=0):
    """Eight standardised features and prices in dollars (median 200,000), log-normal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype("float32")
    log = 12.2 + 0.4 * x[:, 0] + 0.3 * x[:, 1] * (x[:, 2] > 0) - 0.2 * x[:, 3]
    y = np.exp(log + 0.05 * rng.normal(size=n)).astype("float32").reshape(-1, 1)
    return split(x, y, stratify=False)


def friedman(n=1500, *, noise=0.5):
    """Friedman's first regression problem, ten features in -1..1, standardised target."""
    x, y = datasets.make_friedman1(n, noise=noise, random_state=0)
    y = ((y - y.mean()) / y.std()).astype("float32").reshape(-1, 1)
    return split((2 * x - 1).astype("float32"), y, stratify=False)


def spirals(n=1000, seed=0):
    """Two interleaved spirals in the plane, scaled to about -1..1; labels 0 and 1."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    t = np.sqrt(rng.random(n)) * 2.2 * np.pi
    x = np.stack([np.cos(t + np.pi * y), np.sin(t + np.pi * y)], 1) * t[:, None] / 7
    return split((x + 0.02 * rng.normal(size=x.shape)).astype("float32"), y)


def arrows(n=1200, *, size=12, ways=4, seed=0):
    """Arrows that point left, right, up or down (0..3), somewhere in a noisy image, 0..1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, ways, n)
    x = 0.2 * rng.random((n, size, size, 1))
    glyph = np.zeros((7, 7))
    glyph[3, :] = 1
    glyph[2, 1] = glyph[4, 1] = glyph[1, 2] = glyph[5, 2] = 1
    for i, k in enumerate(y):
        r, c = rng.integers(0, size - 6, 2)
        turned = (glyph, glyph[:, ::-1], glyph.T, glyph.T[::-1])[k]
        x[i, r : r + 7, c : c + 7, 0] += 0.8 * turned
    return split(x.clip(0, 1).astype("float32"), y)


def waves(n=900, *, steps=32, ahead=1, seed=0):
    """Windows (steps, 1) of noisy sums of two sines and the value `ahead` steps on, in -1..1."""
    rng = np.random.default_rng(seed)
    f, p = rng.uniform(0.15, 0.5, (n, 2)), rng.uniform(0, 2 * np.pi, (n, 2))
    t = np.arange(steps + ahead)
    s = (np.sin(t[None, :, None] * f[:, None] + p[:, None]) * (0.65, 0.35)).sum(-1)
    s = (s + 0.02 * rng.normal(size=s.shape)).astype("float32")
    return split(s[:, :steps, None], s[:, -1:], stratify=False)


def tokens(n=1500, *, vocabulary=10_000, length=24, classes=2, seed=0):
    """Sequences of integer tokens; a tenth of the vocabulary hints at the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.integers(1, vocabulary, (n, length))
    hint = rng.random((n, length)) < 0.3
    lucky = 1 + classes * rng.integers(0, 30, (n, length)) + y[:, None]
    return split(np.where(hint, lucky, x), y)
