"""Data of real size or kind: pictures of 56 to 224 pixels, streams, masks, many classes."""

import numpy as np

from benchmarks.doctor import _data as small

TEXTURES = ("brick", "grass", "gravel", "camera", "coins", "text")


def clothes(n=800, *, test=300, size=96, classes=None):
    """Fashion-MNIST as painted pictures (size, size, 3) uint8, `size` a multiple of 28 or 96."""
    (x, y), (xt, yt) = small.fashion(n, test=test, classes=classes)
    return (paint(x, size, 0), y), (paint(xt, size, 1), yt)


def paint(x, size, seed):
    """Grey pictures in a random colour before a random ground, enlarged."""
    rng = np.random.default_rng(seed)
    times = size // 28
    x = x.repeat(times, 1).repeat(times, 2)
    edge = size - x.shape[1]
    x = np.pad(x, ((0, 0), (edge // 2, edge - edge // 2), (edge // 2, edge - edge // 2)))
    ground = rng.integers(0, 80, (len(x), 1, 1, 3))
    colour = rng.integers(130, 256, (len(x), 1, 1, 3))
    return (ground + x[..., None] / 255 * (colour - ground)).astype("uint8")


def hued(n=6000, *, test=1500, hues=12):
    """Clothes of twelve colours: pictures (14, 14, 3) uint8 and 120 classes."""
    (x, y), (xt, yt) = small.fashion(n, test=test, small=True)

    def tint(x, y, seed):
        rng = np.random.default_rng(seed)
        hue = rng.integers(0, hues, len(x))
        angle = 2 * np.pi * hue / hues
        colour = np.stack([np.cos(angle + k * 2 * np.pi / 3) for k in range(3)], 1) / 2 + 0.5
        x = (x[..., None] / 255 * 0.8 + 0.2) * colour[:, None, None] * 255
        return x.clip(0, 255).astype("uint8"), y * hues + hue

    return tint(x, y, 0), tint(xt, yt, 1)


def gaps(y, seed=0):
    """Class numbers as ids 0..999 with gaps, in another order."""
    ids = np.random.default_rng(seed).permutation(1000)[: y.max() + 1]
    return ids[y]


def textures(n=600, *, test=240, size=128, contrast=True):
    """Crops of real pictures, six kinds of surface, (size, size, 1) uint8."""
    from skimage import data as pictures

    rng = np.random.default_rng(0)
    sources = [getattr(pictures, name)() for name in TEXTURES]
    y = rng.integers(0, len(sources), n + test)
    x = np.empty((n + test, size, size), "float32")
    for i, k in enumerate(y):
        source = sources[k]
        r = rng.integers(0, source.shape[0] - size + 1)
        c = rng.integers(0, source.shape[1] - size + 1)
        x[i] = source[r : r + size, c : c + size]
    if contrast:
        x = 127 + (x - 127) * rng.uniform(0.6, 1, (len(x), 1, 1)) + rng.normal(0, 8, x.shape)
    x = x.clip(0, 255).astype("uint8")[..., None]
    return (x[:n], y[:n]), (x[n:], y[n:])


def gratings(n=900, *, test=300, size=96):
    """Stripes in four directions with any phase and polarity, noisy, about -1..1."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, n + test)
    grid = np.mgrid[0:size, 0:size] / 8
    angle = y * np.pi / 4 + rng.normal(0, 0.1, n + test)
    wave = grid[0] * np.sin(angle)[:, None, None] + grid[1] * np.cos(angle)[:, None, None]
    x = np.sin(2 * np.pi * wave / 2 + rng.uniform(0, 2 * np.pi, (n + test, 1, 1)))
    x = (0.6 * x + 0.4 * rng.normal(size=x.shape)).astype("float32")[..., None]
    return (x[:n], y[:n]), (x[n:], y[n:])


def cells(n=300, *, test=80, size=96, many=6):
    """Bright discs on crops of a real picture, 0..1, and their masks of 0 and 1."""
    from skimage import data as pictures

    rng = np.random.default_rng(2)
    ground = pictures.gravel() / 255.0
    grid = np.mgrid[0:size, 0:size]
    x = np.empty((n + test, size, size, 1), "float32")
    mask = np.zeros_like(x)
    for i in range(n + test):
        r, c = rng.integers(0, 512 - size, 2)
        picture = 0.6 * ground[r : r + size, c : c + size]
        for _ in range(rng.integers(1, many + 1)):
            at, radius = rng.integers(6, size - 6, 2), rng.uniform(5, 10)
            disc = ((grid - at[:, None, None]) ** 2).sum(0) < radius**2
            picture = np.where(disc, picture * 0.4 + 0.55, picture)
            mask[i, disc, 0] = 1
        x[i, ..., 0] = picture
    return (x[:n], mask[:n]), (x[n:], mask[n:])


def rows(n=100_000, *, test=2000, classes=5, columns=20):
    """Standard normal columns and the class that a fixed small network gives them."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n + test, columns)).astype("float32")
    hidden = np.maximum(x @ rng.normal(size=(columns, 16)).astype("float32"), 0)
    hidden = (hidden - hidden.mean(0)) / hidden.std(0)
    scores = hidden @ rng.normal(size=(16, classes))
    y = (scores / scores.std(0) + 0.2 * rng.normal(size=scores.shape)).argmax(1)
    return (x[:n], y[:n]), (x[n:], y[n:])


def demand(n=100_000, *, test=2000, columns=12):
    """Standard normal columns and a skewed target of about 0..20 (mean 2)."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n + test, columns)).astype("float32")
    y = 0.5 * x[:, 0] + 0.4 * np.abs(x[:, 1]) - 0.4 * x[:, 2] * x[:, 3]
    y = np.exp(y + 0.1 * rng.normal(size=n + test)).clip(0, 20).astype("float32")[:, None]
    return (x[:n], y[:n]), (x[n:], y[n:])


def reviews(n=3000, *, test=800, vocabulary=8000, low=20, high=90, classes=2):
    """Lists of token ids of different length; one in eight hints at the class."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, classes, n + test)
    texts = []
    for label in y:
        length = int(rng.integers(low, high))
        words = np.minimum(rng.zipf(1.3, length) + 1, vocabulary - 1)
        hint = rng.random(length) < 0.13
        words[hint] = 500 + classes * rng.integers(0, 80, hint.sum()) + label
        texts.append(words.astype("int32"))
    return (texts[:n], y[:n]), (texts[n:], y[n:])


def padded(texts, length=90):
    """The lists as one array, zeros behind."""
    out = np.zeros((len(texts), length), "int32")
    for i, words in enumerate(texts):
        out[i, : len(words)] = words[:length]
    return out


def sensors(n=2500, *, steps=60, channels=6, test=500):
    """Six drifting channels and the load one step on, a sum of lagged ones; about unit scale."""
    rng = np.random.default_rng(6)
    total = n + test
    phase = rng.uniform(0, 2 * np.pi, (total, 1, channels))
    speed = rng.uniform(0.1, 0.4, (total, 1, channels))
    t = np.arange(steps + 1)[None, :, None]
    x = np.sin(speed * t + phase) + 0.05 * rng.normal(size=(total, steps + 1, channels))
    y = (x[:, -1, :3].sum(1) - x[:, -4, 3:].sum(1))[:, None] / 2
    x, y = x[:, :steps].astype("float32"), y.astype("float32")
    return (x[:n], y[:n]), (x[n:], y[n:])
