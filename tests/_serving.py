"""What the tests of the export share."""

import io

import numpy as np
from PIL import Image

NAMES = ["cat", "dög", "a <b> & c"]


def images(n=5, shape=(8, 8, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("uint8")


def softmax(logits):
    e = np.exp(np.float64(logits) - np.max(logits, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def encoded(image, kind="PNG"):
    """One image (h, w, c) as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, kind)
    return file.getvalue()
