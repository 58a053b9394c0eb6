"""Which loss a model was compiled with, by name, by type, or by trying it on numbers."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import metrics_given_to

__all__ = ["LossFacts", "metric_names", "read_loss"]

KINDS = {
    "bce": "binary_crossentropy binary_focal_crossentropy",
    "cce": "categorical_crossentropy categorical_focal_crossentropy",
    "scce": "sparse_categorical_crossentropy",
    "mse": "mean_squared_error mse",
    "mae": "mean_absolute_error mae",
    "msle": "mean_squared_logarithmic_error msle",
    "mape": "mean_absolute_percentage_error mape",
    "huber": "huber log_cosh",
    "kld": "kl_divergence kld",
    "poisson": "poisson",
    "hinge": "hinge squared_hinge",
    "chinge": "categorical_hinge",
    "cosine": "cosine_similarity",
}
NAMES = {name: kind for kind, names in KINDS.items() for name in names.split()}
CLASSIFYING = {"bce", "cce", "scce", "hinge", "chinge", "kld"}
REGRESSING = {"mse", "mae", "msle", "mape", "huber"}


@dataclasses.dataclass(frozen=True)
class LossFacts:
    """A loss: its short kind (`"bce"`, `"mse"`, ..., `"other"`), and what it wants.

    `squashes` is True for one that squashes what it gets even where that is a softmax or a
    sigmoid already; Keras's own losses look behind those. `margin` is True for one of label times
    score, to which a label 0 tells nothing.
    """

    kind: str
    name: str
    from_logits: bool = False
    label_smoothing: float = 0.0
    squashes: bool = False
    margin: bool = False

    @property
    def classifies(self) -> bool:
        return self.kind in CLASSIFYING

    @property
    def regresses(self) -> bool:
        return self.kind in REGRESSING


def read_loss(loss: Any) -> LossFacts:
    """Facts about what was given to `compile(loss=...)` for one output."""
    if loss is None:
        return LossFacts("other", "none")
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return LossFacts("other", str(loss))
    name = _name(loss)
    config: dict[str, Any] = {}
    if isinstance(loss, keras.losses.Loss):
        try:
            config = loss.get_config()
        except (NotImplementedError, TypeError):
            config = {}
    known = getattr(loss, "__module__", "").startswith(("keras.", "tensorflow.python.keras"))
    kind = NAMES.get(name, "other") if known or isinstance(loss, keras.losses.Loss) else "other"
    logits = bool(config.get("from_logits", False))
    blind = False
    if kind == "other":
        kind, logits = _try_out(loss)
        blind = logits and _blind(loss, kind)
    smooth = float(config.get("label_smoothing", 0.0) or 0.0)
    margin = not known and kind in ("other", "hinge") and _margin(loss)
    return LossFacts(kind, name, logits, smooth, blind, margin)


def metric_names(model: keras.Model) -> list[tuple[str, Any]]:
    """Compiled metrics: names in lower case (`"accuracy"`, `"mae"`, ...) and what was given."""
    found = []
    for item in metrics_given_to(model):
        text = item if isinstance(item, str) else _name(item)
        if isinstance(item, keras.metrics.Accuracy):
            text = "exact_accuracy"
        name = text.lower()
        found.append(("accuracy" if name == "acc" else name, item))
    return found


def _name(item: Any) -> str:
    if isinstance(item, (keras.losses.Loss, keras.metrics.Metric)):
        fn = getattr(item, "fn", None)
        if fn is not None and type(item).__module__.startswith("keras"):
            return str(getattr(fn, "__name__", type(item).__name__))
        text = type(item).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in text).lstrip("_")
    return str(getattr(item, "__name__", type(item).__name__))


def _try_out(loss: Any) -> tuple[str, bool]:
    """Recognise a loss of the user's own by what it answers on three rows of numbers."""
    z = np.array([[0.3, -0.8, 1.1], [1.4, 0.2, -0.5], [-1.0, 0.6, 0.4]], "float32")
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    s = 1 / (1 + np.exp(-z))
    hot = np.eye(3, dtype="float32")[[2, 0, 0]]
    bits = np.array([[0, 0, 1], [1, 1, 0], [0, 1, 1]], "float32")
    softmax_ce = -np.log(p[[0, 1, 2], [2, 0, 0]])
    sigmoid_ce = -(bits * np.log(s) + (1 - bits) * np.log(1 - s)).mean(1)
    trials = [
        ("cce", True, hot, z, softmax_ce),
        ("cce", False, hot, p, softmax_ce),
        ("scce", True, np.array([2, 0, 0]), z, softmax_ce),
        ("scce", False, np.array([2, 0, 0]), p, softmax_ce),
        ("bce", True, bits, z, sigmoid_ce),
        ("bce", False, bits, s, sigmoid_ce),
        ("mse", False, hot, z, ((hot - z) ** 2).mean(1)),
        ("mae", False, hot, z, np.abs(hot - z).mean(1)),
    ]
    for kind, logits, y, scores, answer in trials:
        try:
            got = keras.ops.convert_to_numpy(
                loss(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(scores))
            )
        except Exception:  # the loss is the user's: it may refuse any of these shapes
            continue
        if np.allclose(np.mean(got), answer.mean(), rtol=1e-3):
            return kind, logits
    return "other", False


def _margin(loss: Any) -> bool:
    """Whether a loss of the user's own sees the product of label and score alone."""
    scores = np.array([[-1.5], [-0.4], [0.3], [1.2]], "float32")

    def answers(label, scores):
        pairs = [(np.full((1, 1), label, "float32"), score[None]) for score in scores]
        tensors = [[keras.ops.convert_to_tensor(part) for part in pair] for pair in pairs]
        return [float(np.mean(keras.ops.convert_to_numpy(loss(*pair)))) for pair in tensors]

    try:
        up, down, none = answers(1, scores), answers(-1, -scores), answers(0, scores)
    except Exception:  # the loss is the user's: it may refuse these shapes
        return False
    falls = up[0] > up[-1] and bool(np.min(up) >= 0)  # a mean of products goes below
    return falls and np.allclose(up, down) and bool(np.ptp(none) < 1e-6)


def _blind(loss: Any, kind: str) -> bool:
    """Whether a loss on logits squashes the output of a Keras activation once more."""
    z = keras.ops.convert_to_tensor(np.array([[0.3, -0.8, 1.1], [1.4, 0.2, -0.5]], "float32"))
    y = np.array([2, 0]) if kind == "scce" else np.eye(3, dtype="float32")[[2, 0]]
    end = keras.activations.sigmoid if kind == "bce" else keras.activations.softmax

    def answer(scores):
        return float(
            np.mean(keras.ops.convert_to_numpy(loss(keras.ops.convert_to_tensor(y), scores)))
        )

    try:
        return abs(answer(end(z)) - answer(z)) > 1e-3
    except Exception:  # the loss is the user's: it may refuse these shapes
        return False
