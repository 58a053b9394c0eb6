"""Step 1 of the recipe: the loss before any update must be that of guessing."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.data import feed_of
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.sanity._expected import expected_initial_loss, expected_of_model
from kcnn.callbacks.sanity._nonfinite import (
    FILL_THEM,
    first_nonfinite,
    nonfinite_finding,
    weights_of,
)
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import ShortTraining, sync

__all__ = ["InitialLossCheck", "judge_initial_loss"]

CHECK = "initial_loss"
# Logits of standard deviation s cost about s^2/2 more than guessing. Good initializations
# stay under s = 1 (10 classes: 2.30 to 2.80); measured on kcnn's and Keras's models.
OK_BELOW, OK_ABOVE, FAILURE_ABOVE = -0.1, 0.25, 1.0  # relative to the expected loss


def judge_initial_loss(
    loss: float,
    expected: float | None = None,
    *,
    classes: int | None = None,
    regularization: float = 0.0,
    batches: int = 1,
) -> Finding:
    """Compare a loss measured before training with that of guessing.

    Args:
        loss: Measured mean loss, regularization included, in nats.
        expected: Loss of guessing; `log(classes)` if None. Neither given: nothing is judged.
        classes: Number of classes of a softmax cross-entropy.
        regularization: Part of `loss` that penalties contribute; taken out.
        batches: How many batches `loss` is the mean of (told in the finding).

    >>> judge_initial_loss(2.31, classes=10).ok
    True
    """
    if expected is None and classes is not None:
        expected = expected_initial_loss("categorical_crossentropy", classes)
    seen = float(loss) - float(regularization)
    evidence = {"loss": seen, "expected": expected, "regularization": float(regularization)}
    evidence["batches"] = batches
    without = f" without {regularization:.3f} of regularization" if regularization else ""
    told = f"loss {seen:.3f}{without}"

    def found(severity, advice="", cause=None, wanted=None):
        known = wanted or f"{expected:.3f}"
        return Finding(CHECK, severity, told, known, advice, cause, None, evidence)

    if not math.isfinite(seen):
        return found(
            "failure",
            "Look for NaN or infinity in the inputs, the labels and the weights, and for a "
            "log or a division of zero in the loss.",
            "nan_inputs",
            "a finite number" if expected is None else f"{expected:.3f}",
        )
    if expected is None:
        advice = "No value is known for this loss; compare it with predicting the targets' mean."
        return found("note", advice, wanted="that of a constant guess")
    excess = (seen - expected) / expected
    if seen < 0:
        return found(
            "failure",
            "A cross-entropy is never negative: the labels leave 0..1, or the model's outputs "
            "are scores where the loss takes probabilities.",
            "label_encoding",
        )
    if excess > 4 * FAILURE_ABOVE:
        return found(
            "failure",
            "The untrained model is very sure of itself. Normalize the inputs (mean 0, std 1 "
            "per channel), then look at the initialization and at from_logits.",
            "unnormalized_inputs",
        )
    if excess > OK_ABOVE:
        return found(
            "failure" if excess > FAILURE_ABOVE else "warning",
            "The untrained model is too sure of itself: start the last layer with smaller "
            "weights and zero biases, and check that the inputs are normalized.",
            "bad_initialization",
        )
    if excess < OK_BELOW:
        return found(
            "warning",
            "Lower than guessing before any update: the weights are trained already, the "
            "classes are very unequal, or `classes` is not the number of classes in the data.",
        )
    return found("ok")


class InitialLossCheck(keras.callbacks.Callback):
    """Check the first loss of `model.fit` against the loss of guessing.

    The expected value comes from the compiled loss (`log(classes)` for a softmax
    cross-entropy with any label smoothing, `log 2` for a binary one, their focal
    variants, hinges; times `loss_weights`, summed over outputs). Weight penalties
    (`kernel_regularizer=...`) are taken out. Activity penalties, `add_loss` terms,
    sample weights and class weights stay in the measured value.

    Args:
        classes: Number of classes; read from the model's last axis if None.
        batches: Number of first batches averaged. The first is measured before any
            update, later ones follow updates: use `run` for several without any.
        sink: Called with the finding.

    Attributes:
        finding: The `Finding`, or None before the first batches are through.

    >>> history = model.fit(x, y, verbose=0, callbacks=[InitialLossCheck()])
    ok initial_loss: loss ... (expected: 2.303)
    """

    def __init__(
        self,
        classes: int | None = None,
        *,
        batches: int = 1,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if batches < 1:
            raise ValueError(f"InitialLossCheck: batches must be 1 or more; received {batches}.")
        self.classes = classes
        self.batches = batches
        self.sink = sink
        self.finding: Finding | None = None

    def on_train_begin(self, logs=None):
        self.finding = None
        self._penalty = weight_penalty(self.model) if self.model.built else None
        self._fresh = _untrained(self.model)

    def on_train_batch_end(self, batch, logs=None):
        if self.finding is not None or batch + 1 < self.batches or "loss" not in (logs or {}):
            return
        if self._penalty is None:  # built by the first step; one small step has changed it
            self._penalty = weight_penalty(self.model)
        sync(self.model)
        found = first_nonfinite(weights_of(self.model))
        hidden = None if found is None else f"{found[0]} have become NaN or infinite"
        self._tell(float(logs["loss"]), batch + 1, hidden)

    def run(
        self, model: keras.Model, x: Any, y: Any = None, *, batch_size: int | None = None
    ) -> Finding:
        """Measure `batches` batches without any update, and leave the model as it was.

        Runs the model's own training step at learning rate 0 (no new trace).

        Args:
            model: A compiled model.
            x: Arrays, a `tf.data.Dataset` or whatever `fit` takes; `y`, `batch_size` too.
        """
        self.set_model(model)
        feed = feed_of(x, y, batch_size=batch_size, batches=self.batches)
        with ShortTraining(model, feed) as probe:
            self._penalty = weight_penalty(model)
            self._fresh = _untrained(model)
            losses = probe.losses(0.0, 0, self.batches)
        hidden = nonfinite_finding(model, feed, self.batches)
        where = None if hidden is None else hidden.seen
        return self._tell(sum(losses) / max(len(losses), 1), len(losses), where)

    def _tell(self, loss: float, batches: int, hidden: str | None) -> Finding:
        """`hidden`: where there is NaN that the loss need not show."""
        expected, penalty = expected_of_model(self.model, self.classes), self._penalty or 0.0
        finding = judge_initial_loss(loss, expected, regularization=penalty, batches=batches)
        if hidden is not None:
            finding = dataclasses.replace(
                finding,
                severity="failure",
                seen=f"{finding.seen}; {hidden}",
                advice=f"A relu can hide it from the loss. {FILL_THEM}",
                cause="nan_inputs",
            )
        elif not self._fresh and math.isfinite(loss):
            finding = dataclasses.replace(
                finding,
                severity="note",
                seen=f"{finding.seen}; this model has been trained before",
                advice="The initial loss says something only about an untrained model.",
                cause=None,
            )
        self.finding = finding = finding.now(step=batches)
        tell([finding], self.sink)
        return finding


def weight_penalty(model: keras.Model) -> float:
    """Sum of the weight regularizers at the present weights."""
    sync(model)
    return sum(
        float(v.regularizer(v.value))
        for v in model.trainable_variables
        if getattr(v, "regularizer", None) is not None
    )


def _untrained(model: keras.Model) -> bool:
    return not model.optimizer.built or int(array_of(model.optimizer.iterations)) == 0
