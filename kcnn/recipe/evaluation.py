"""Scores of a trained model on images it has not been trained on, at any number of classes."""

from typing import Any

import keras
import numpy as np

from kcnn.data import Dataset
from kcnn.recipe.training_data import looked_at_once
from kcnn.serving import read_output

__all__ = ["average_precision", "evaluate", "sample_images", "worst_images"]

PAIRS = 30  # most confused pairs in the record
WORST = 12  # images that were furthest off
MATRIX_CLASSES = 50  # up to here the record holds the confusion matrix
SAMPLES = 12


def evaluate(model: keras.Model, dataset: Dataset) -> tuple[dict[str, Any], np.ndarray]:
    """Scores on the test images, and the probabilities (n, classes)."""
    probabilities, labels = _predicted(model, dataset)
    if labels.ndim == 2:
        return _multi_label(probabilities, labels, dataset), probabilities
    predicted = probabilities.argmax(axis=1)
    classes = dataset.classes
    right = predicted == labels
    cells, counts = np.unique(labels * classes + predicted, return_counts=True)
    wrong = [
        (c // classes, c % classes, n)
        for c, n in zip(cells, counts, strict=True)
        if c // classes != c % classes
    ]
    wrong.sort(key=lambda pair: -pair[2])
    images = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    scores: dict[str, Any] = {
        "images": len(labels),
        "loss": float(-np.log(np.maximum(_of_class(probabilities, labels), 1e-12)).mean()),
        "accuracy": float(right.mean()),
        "per_class": [[int(n), int(h)] for n, h in zip(images, hits, strict=True)],
        "confused": [[int(a), int(b), int(n)] for a, b, n in wrong[:PAIRS]],
    }
    if classes <= MATRIX_CLASSES:
        matrix = np.zeros((classes, classes), dtype=int)
        np.add.at(matrix, (labels, predicted), 1)
        scores["confusion"] = matrix.tolist()
    return scores, probabilities


def worst_images(dataset: Dataset, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """The test images whose true class got the least of the probability, worst first."""
    labels = dataset.test.labels
    if labels.ndim == 2:
        error = np.abs(probabilities - labels).max(axis=1)
        said = np.abs(probabilities - labels).argmax(axis=1)
    else:
        said = probabilities.argmax(axis=1)
        error = np.where(said == labels, 0.0, 1.0 - _of_class(probabilities, labels))
    chosen = [int(i) for i in np.argsort(-error, kind="stable")[:WORST] if error[i] > 0]
    if labels.ndim == 2 or not chosen:
        return {}
    return {
        "worst": _to_uint8(dataset.test.images(chosen)),
        "worst_true": labels[chosen],
        "worst_said": said[chosen],
        "worst_share": probabilities[chosen, said[chosen]],
    }


def sample_images(dataset: Dataset, augment: Any, seed: int) -> dict[str, np.ndarray]:
    """A few training images before and after augmentation, as the page shows them."""
    train = dataset.train
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(train), min(SAMPLES, len(train)), replace=False))
    before = np.asarray(train.images(chosen), dtype="float32")
    labels = train.labels[chosen]
    known = labels if labels.ndim == 1 else labels.argmax(axis=1)
    found = {"before": _to_uint8(before), "labels": known}
    if not getattr(augment, "mixes_labels", False):
        found["after"] = _to_uint8(np.asarray(augment(before, training=True)))
    return found


def _predicted(model: keras.Model, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    outputs = model.predict(dataset.test.batches(looked_at_once(dataset.image_shape)), verbose=0)
    meaning = read_output(model, outputs.shape[-1], multi_label=dataset.multi_label)
    probabilities = keras.ops.convert_to_numpy(meaning.probabilities(outputs))
    return probabilities.astype("float64"), np.asarray(dataset.test.labels)


def _multi_label(p: np.ndarray, labels: np.ndarray, dataset: Dataset) -> dict[str, Any]:
    """Accuracy per label, the share of images with every label right, and mean precision."""
    there = [c for c in range(dataset.classes) if labels[:, c].any()]
    precision = [average_precision(labels[:, c], p[:, c]) for c in there]
    right = (p > 0.5) == (labels > 0.5)
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return {
        "images": len(labels),
        "loss": float(-(labels * np.log(q) + (1 - labels) * np.log(1 - q)).mean()),
        "accuracy": float(right.mean()),
        "all_labels_right": float(right.all(axis=1).mean()),
        "mean_average_precision": float(np.mean(precision)) if precision else None,
        "per_class": [[len(labels), int(right[:, c].sum())] for c in range(dataset.classes)],
        "confused": [],
    }


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the images with the label of the precision down to each; equal scores as one."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of equal scores
    hits = np.cumsum(labels[order] > 0.5)[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])


def _of_class(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return probabilities[np.arange(len(labels)), labels]


def _to_uint8(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.asarray(images, dtype="float32")), 0, 255).astype("uint8")
