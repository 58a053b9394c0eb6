"""Data of the fourth part: coloured shapes and their maps, series, orders, notes."""

import numpy as np


def shapes(n=600, *, test=200, size=96, kinds=4, noise=0.08, seed=11):
    """Pictures (size, size, 3) 0..1 of one shape each, its kind, and its class at each pixel.

    Kinds: disc, square, ring, cross. Classes of pixels: 0 for the ground, 1.. for the kinds.
    """
    rng = np.random.default_rng(seed)
    total = n + test
    kind = rng.integers(0, kinds, total)
    centre = rng.uniform(0.35, 0.65, (total, 2, 1, 1)) * size
    radius = rng.uniform(0.18, 0.3, (total, 1, 1)) * size
    grid = np.mgrid[0:size, 0:size][None]
    away = grid - centre
    far, most = np.sqrt((away**2).sum(1)), np.abs(away).max(1)
    inside = np.stack([
        far < radius,
        most < 0.8 * radius,
        (far < radius) & (far > 0.6 * radius),
        (most < radius) & (np.abs(away).min(1) < 0.25 * radius),
    ])  # fmt: skip
    mask = inside[kind, np.arange(total)]
    ground, colour = rng.uniform(0, 0.5, (total, 1, 1, 3)), rng.uniform(0.5, 1, (total, 1, 1, 3))
    x = np.where(mask[..., None], colour, ground) + noise * rng.normal(size=(total, size, size, 3))
    x = x.clip(0, 1).astype("float32")
    classes = (mask * (kind[:, None, None] + 1)).astype("int32")
    return (x[:n], kind[:n], classes[:n]), (x[n:], kind[n:], classes[n:])


def strolls(n=2000, *, test=500, steps=48, seed=12):
    """Series (steps, 3) of about unit scale: four kinds of motion at any pace and phase."""
    rng = np.random.default_rng(seed)
    total = n + test
    kind = rng.integers(0, 4, total)
    t = np.arange(steps)[None]
    pace, phase = rng.uniform(0.3, 0.5, (total, 1)), rng.uniform(0, 6.3, (total, 1))
    wave = np.sin(pace * t + phase)
    forms = np.stack([wave, np.sign(wave), np.abs(wave) * 2 - 1, wave * np.cos(3 * pace * t)])
    own = forms[kind, np.arange(total)]
    x = np.stack([own, np.roll(own, 3, 1), rng.normal(size=own.shape)], -1)
    x = (x + 0.3 * rng.normal(size=x.shape)).astype("float32")
    return (x[:n], kind[:n]), (x[n:], kind[n:])


def orders(n=4000, *, test=1000, seed=13):
    """Ten standard normal columns; the sum in euros, delay in days (signed), three tags."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + test, 10)).astype("float32")
    noise = 0.2 * rng.normal(size=(3, n + test))
    euros = 4000 * np.exp(0.6 * x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + noise[0])
    delay = np.tanh(x[:, 3]) + x[:, 4] * x[:, 5] + noise[1]
    scores = np.stack([x[:, 6] + x[:, 0] * x[:, 7], x[:, 8] - x[:, 1], x[:, 9] * x[:, 2]], 1)
    tags = (scores + noise[2][:, None] > 0.2).astype("float32")
    parts = x, euros[:, None].astype("float32"), delay[:, None].astype("float32"), tags
    return tuple(part[:n] for part in parts), tuple(part[n:] for part in parts)


def notes(n=2000, *, test=600, vocabulary=3000, length=40, classes=5, seed=14):
    """Texts of fixed length as token ids; each class has sixty words of its own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n + test)
    x = 400 + np.minimum(rng.zipf(1.4, (n + test, length)), vocabulary - 401)
    hint = rng.random(x.shape) < 0.12
    own = 1 + 60 * y[:, None] + rng.integers(0, 60, x.shape)
    x = np.where(hint, own, x).astype("int32")
    return (x[:n], y[:n]), (x[n:], y[n:])
