"""Data of the fifth part: garments on canvases, photographs, pulses, rents, visits, phrases."""

import functools
import gzip
import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_sample_images


@functools.lru_cache(maxsize=1)
def _garments():
    folder = Path(os.environ["KCNN_MANUAL_DIR"])
    raw = []
    for name, header in (("train-images-idx3", 16), ("train-labels-idx1", 8)):
        with gzip.open(folder / f"{name}-ubyte.gz") as file:
            raw.append(np.frombuffer(file.read(), "uint8", offset=header))
    return raw[0].reshape(-1, 28, 28), raw[1]


def _halves(n, *parts):
    return tuple(part[:n] for part in parts), tuple(part[n:] for part in parts)


def placed(n, *, test=600, size=32, kinds=range(10), seed=51):
    """Fashion-MNIST garments (size, size, 1) 0..1 at any place, kind 0.., centre in -1..1."""
    x, y = _garments()
    rng = np.random.default_rng(seed)
    rows = rng.choice(np.flatnonzero(np.isin(y, kinds)), n + test, replace=False)
    corner = rng.integers(0, size - 27, (n + test, 2))
    canvas = np.zeros((n + test, size, size, 1), "float32")
    for one, row, (top, left) in zip(canvas, rows, corner, strict=True):
        one[top : top + 28, left : left + 28, 0] = x[row] / 255
    centre = (2 * corner / max(1, size - 28) - 1).astype("float32")
    return _halves(n, canvas, np.searchsorted(kinds, y[rows]), centre)


def garments(n, **options):
    """`placed` without the centres."""
    train, held = placed(n, **options)
    return train[:2], held[:2]


def scenes(n, *, test=400, seed=52):
    """Pictures (64, 64, 3) of up to four tinted garments, which of five kinds occur, and a mask."""
    images, names = _garments()
    rng = np.random.default_rng(seed)
    kinds = np.array([0, 1, 7, 8, 9])
    x = rng.uniform(0, 0.3, (n + test, 1, 1, 3)) + 0.04 * rng.normal(size=(n + test, 64, 64, 3))
    tags, mask = np.zeros((n + test, 5), "float32"), np.zeros((n + test, 64, 64, 1), "float32")
    pools = [np.flatnonzero(names == kind) for kind in kinds]
    for i in range(n + test):
        for top in (0, 32):
            for left in (0, 32):
                if rng.random() < 0.5:
                    continue
                kind = rng.integers(5)
                grey = images[rng.choice(pools[kind])][..., None] / 255
                r, c = top + rng.integers(5), left + rng.integers(5)
                x[i, r : r + 28, c : c + 28] += grey * rng.uniform(0.4, 0.7, 3)
                mask[i, r : r + 28, c : c + 28] = grey > 0.1
                tags[i, kind] = 1
    return _halves(n, x.clip(0, 1).astype("float32"), tags, mask)


def shoes(n, *, test=500, size=40, seed=53):
    """Sneakers and boots (size, size, 1), half of them mirrored: does the toe point right?"""
    (x, _), (xt, _) = garments(n, test=test, size=size, kinds=(7, 9), seed=seed)
    rng = np.random.default_rng(seed)
    both = []
    for part in (x, xt):
        right = rng.integers(0, 2, len(part))
        turned = np.where(right[:, None, None, None] > 0, part[:, :, ::-1], part)
        both.append((turned, right.astype("float32")[:, None]))
    return both


def photographs(n, *, test=300, size=32, noise=0.1, seed=54):
    """Patches of two photographs with noise, and the noise; for test from another side of them."""
    rng = np.random.default_rng(seed)
    photos = [photo.astype("float32") / 255 for photo in load_sample_images().images]
    patches = []
    for i in range(n + test):
        photo = photos[i % 2]
        low, high = (0, 440) if i < n else (440, 640)
        r, c = rng.integers(0, 427 - size), rng.integers(low, high - size)
        patches.append(photo[r : r + size, c : c + size])
    added = noise * rng.normal(size=(n + test, size, size, 3)).astype("float32")
    return _halves(n, np.stack(patches) + added, added / noise)


def pairs(n, *, test=800, seed=55):
    """Pairs of handwritten digits (8, 8, 1) 0..1; 1 for the same digit, half of the time."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    parts = []
    for rows, count in ((order[:1300], n), (order[1300:], test)):
        by_digit = [rows[y[rows] == digit] for digit in range(10)]
        same = rng.integers(0, 2, count)
        first = rng.integers(0, 10, count)
        second = np.where(same, first, (first + rng.integers(1, 10, count)) % 10)
        left, right = (
            np.array([rng.choice(by_digit[d]) for d in side]) for side in (first, second)
        )
        parts.append(({"left": x[left], "right": x[right]}, same.astype("float32")[:, None]))
    return parts


def pulses(n, *, test=600, steps=48, noise=0.15, seed=56):
    """Series (steps, 1) of two pulses, up or down, at any time; the class is their order, 0..3."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n + test)
    at = rng.uniform(0.1, 0.4, (n + test, 2)) * steps + [[0, 0.45 * steps]]
    sign = 2 * np.stack([y // 2, y % 2], 1) - 1
    t = np.arange(steps)[None, None]
    form = np.exp(-(((t - at[..., None]) / 2) ** 2)) * sign[..., None]
    x = form.sum(1) * 2 + noise * rng.normal(size=(n + test, steps))
    return _halves(n, x[..., None].astype("float32"), y)


def rents(n, *, test=1500, seed=57):
    """District 0..29, kind 0..5 and five standardised columns of flats; rent in euros a year."""
    rng = np.random.default_rng(seed)
    total = n + test
    district, kind = rng.integers(0, 30, total), rng.integers(0, 6, total)
    columns = rng.normal(size=(total, 5)).astype("float32")
    of_district, of_kind = 0.35 * rng.normal(size=30), 0.2 * rng.normal(size=6)
    log = 9.2 + of_district[district] + of_kind[kind] + 0.35 * columns[:, 0]
    log += 0.15 * columns[:, 1] * columns[:, 2] + 0.1 * rng.standard_t(4, total)
    euros = np.exp(log).astype("float32")[:, None]
    (d, k, c, e), (dt, kt, ct, et) = _halves(n, district, kind, columns, euros)
    return (({"district": d, "kind": k, "columns": c}, e),
            ({"district": dt, "kind": kt, "columns": ct}, et))  # fmt: skip


def visits(n=100_000, *, test=4000, classes=4, seed=58):
    """Sixteen standard normal columns; the class is the largest of a random network's outputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + test, 16)).astype("float32")
    hidden = np.maximum(x @ rng.normal(size=(16, 12)) / 2.5 + 0.3 * rng.normal(size=12), 0)
    scores = (hidden - hidden.mean(0)) @ rng.normal(size=(12, classes))
    scores = scores / scores.std(0) + 0.15 * rng.normal(size=scores.shape)
    return _halves(n, x, scores.argmax(1))


def phrases(n, *, test=800, length=30, seed=59):
    """Texts as ids below 600: two topics of two kinds each, the class 0..3 says which."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n + test)
    x = 100 + np.minimum(rng.zipf(1.3, (n + test, length)), 499)
    for topic, which in ((0, y // 2), (1, y % 2)):
        hint = rng.random(x.shape) < 0.1
        own = 1 + 40 * topic + 20 * which[:, None] + rng.integers(0, 20, x.shape)
        x = np.where(hint, own, x)
    return _halves(n, x.astype("int32"), y)
