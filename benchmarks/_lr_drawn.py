"""Tasks of the learning-rate benchmark drawn by lot: nobody chose them to suit a rule."""

from __future__ import annotations

import functools

import keras
import numpy as np

from benchmarks._lr_data import clusters, digits, fashion, spirals, textures, waves
from benchmarks._lr_tasks import Task, adam, adamw, cnn, mlp, plain_sgd, resnet, sgd

__all__ = ["drawn_tasks"]

# The second row was unseen at first: what it showed went into the rules. The third and the
# fourth were drawn after that: sixteen in a row each and the next ResNet.
TUNING = (*range(77), *range(900, 916))
UNSEEN = (*range(1000, 1016), 1038, *range(1100, 1116), 1147)

IMAGES = {
    "digits": (digits, 10),
    "rawdigits": (functools.partial(digits, "raw"), 10),
    "unitdigits": (functools.partial(digits, "unit"), 10),
    "fashion": (fashion, 10),
    "unitfashion": (functools.partial(fashion, "unit"), 10),
    "noisyfashion": (functools.partial(fashion, "normal", 0.2), 10),
    "textures": (textures, 6),
}
VECTORS = {
    "clusters": (clusters, 20),
    "cleanclusters": (functools.partial(clusters, 0.0, 50), 50),
    "noisyclusters": (functools.partial(clusters, 0.4, 5), 5),
    "spirals": (spirals, 3),
    "waves": (waves, 1),
}


def nesterov():
    return keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)


def heavy():
    return keras.optimizers.SGD(0.01, momentum=0.95)


def drawn_tasks() -> tuple[Task, ...]:
    """Those that the rules were tuned on besides the chosen ones, and the unseen."""
    return tuple(drawn(number, number in TUNING) for number in (*TUNING, *UNSEEN))


def drawn(number: int, tune: bool) -> Task:
    """Task `number` of an endless row, the same at every call."""
    rng = np.random.default_rng([2024, number])

    def one(*choices, p=None):
        return choices[int(rng.choice(len(choices), p=p))]

    conv = rng.random() < 0.6
    sets = IMAGES if conv or rng.random() < 0.5 else VECTORS
    source = one(*sets)
    data, outputs = sets[source]
    large = conv and not source.endswith("digits")
    batch = one(16, 32, 64, 128) if large else one(16, 32, 64, 128, 256, 512)
    optimizer = one(
        sgd, nesterov, heavy, plain_sgd, adam, adamw, p=(0.3, 0.06, 0.06, 0.1, 0.28, 0.2)
    )
    start = one("glorot_uniform", "he_normal")
    if conv and source == "digits" and rng.random() < 0.4:
        kind = one("batch", "group", "layer", "instance")
        body, shape = resnet(0.25, kind), f"resnet20-{kind}"
    elif conv:
        depth, width = one(2, 2, 3, 4), one(8, 16, 32)
        kind = one("none", "none", "batch", "batch", "group", "layer", "instance")
        act, drop = one("relu", "relu", "gelu", "elu", "silu"), one(0.0, 0.0, 0.3)
        widths = [width * min(1 + i, 2) for i in range(depth)]
        body = cnn(*widths, outputs=outputs, activation=act, kind=kind, dropout=drop, start=start)
        shape = f"cnn{depth}x{width}-{kind}-{act}"
    else:
        depth, width = one(0, 1, 2, 2, 3, 4), one(32, 64, 128, 256)
        kind = one("none", "none", "layer", "batch")
        act = one("relu", "relu", "tanh", "gelu", "elu")
        body = mlp(*[width] * depth, outputs=outputs, activation=act, kind=kind, start=start)
        shape = f"mlp{depth}x{width}-{kind}-{act}" if depth else "linear"
    rows = 1536 if source.endswith("digits") else 4096
    most = max(72, 8192 // batch) if large else 320
    steps = int(np.clip(one(2, 3, 4, 6) * rows // batch, 72, most))
    name = f"{number:03d}-{source}-{shape}-{optimizer.__name__}-{batch}"
    loss = "mse" if outputs == 1 else "softmax"
    return Task(name, tune, data, body, optimizer, batch, steps, loss, whole=not tune)
