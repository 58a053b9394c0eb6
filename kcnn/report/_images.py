"""Sample images and the confusion matrix, ready for the page."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from kcnn.report._load import Run, numbers

SHOWN = 12  # pairs of sample images
THUMBNAIL = 160  # pixels, the longer side of a large image
TABLE_CLASSES = 20  # up to here the confusion matrix is a table, above it a picture


@dataclass(frozen=True)
class Sample:
    """An image before and after augmentation, as data URIs, and its class."""

    before: str
    after: str
    label: str
    pixelated: bool


def samples(run: Run) -> list[Sample]:
    """Pairs of images; none if the run has not kept any."""
    before, after = run.samples.get("before"), run.samples.get("after")
    if before is None or before.ndim != 4 or not before.size:
        return []
    if after is None or after.shape[:1] != before.shape[:1] or after.ndim != 4:
        after = None
    labels = run.samples.get("labels", np.array([]))
    return [
        Sample(
            _uri(before[i]),
            _uri(after[i]) if after is not None else "",
            class_name(run, labels[i]) if i < len(labels) else "",
            max(before.shape[1:3]) <= 64,
        )
        for i in range(min(SHOWN, len(before)))
    ]


def class_name(run: Run, label: Any) -> str:
    """The name of a class, or its number where there is no name."""
    names = run.class_names
    return names[int(label)] if 0 <= int(label) < len(names) else str(int(label))


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix as the page shows it.

    Attributes:
        names: of the classes.
        rows: per true class a list of (count, share of the row, right or wrong); empty for
            many classes.
        picture: data URI of the matrix for many classes, one pixel a cell; "" for few.
        pairs: (true, taken for, count, share of the true class), most frequent first.
        hardest: (class, images, share right), lowest first, classes without errors left out.
    """

    names: list[str]
    rows: list[list[tuple[int, float, bool]]]
    picture: str
    pairs: list[tuple[str, str, int, float]]
    hardest: list[tuple[str, int, float]]


def confusion(run: Run) -> Confusion | None:
    """The confusion matrix of the test images, or None if there is no square one."""
    raw = run.get("test", "confusion")
    rows = [numbers(row) for row in raw] if isinstance(raw, list) else []
    if not rows or any(len(row) != len(rows) for row in rows):
        return None
    matrix = np.nan_to_num(np.stack(rows))
    n = len(matrix)
    names = [class_name(run, i) for i in range(n)]
    totals = matrix.sum(axis=1)
    share = matrix / np.maximum(totals, 1)[:, None]
    mistaken = np.argwhere(~np.eye(n, dtype=bool) & (matrix > 0)).tolist()
    wrong = sorted(mistaken, key=lambda at: -matrix[at[0], at[1]])
    right = np.diagonal(share)
    hardest = [i for i in np.argsort(right, kind="stable") if totals[i] > 0 and right[i] < 1]
    return Confusion(
        names,
        [
            [(int(matrix[i, j]), float(share[i, j]), i == j) for j in range(n)]
            for i in range(n if n <= TABLE_CLASSES else 0)
        ],
        _matrix_uri(share) if n > TABLE_CLASSES else "",
        [(names[i], names[j], int(matrix[i, j]), float(share[i, j])) for i, j in wrong[:8]],
        [(names[i], int(totals[i]), float(right[i])) for i in hardest[:8]],
    )


def _uri(image: np.ndarray) -> str:
    """A PNG data URI; gray, RGB or RGBA, other channel counts by their first one."""
    pixels = np.clip(np.nan_to_num(image), 0, 255).astype(np.uint8)
    if pixels.shape[-1] not in (3, 4):
        pixels = pixels[..., 0]
    picture = Image.fromarray(pixels)
    if max(picture.size) > THUMBNAIL:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return _encoded(picture)


def _matrix_uri(share: np.ndarray) -> str:
    """Row shares as opacity, right answers green and wrong ones orange, for any background."""
    cells = np.zeros((*share.shape, 4), np.uint8)
    cells[..., :3] = (224, 112, 32)
    cells[np.eye(len(share), dtype=bool), :3] = (34, 160, 107)
    cells[..., 3] = np.rint(255 * np.clip(share, 0, 1) ** 0.5)  # the root shows rare errors too
    return _encoded(Image.fromarray(cells))


def _encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
