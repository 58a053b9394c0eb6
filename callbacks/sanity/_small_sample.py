"""Step 2 of the recipe: a model that can learn at all fits a few images to near zero."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.data import inputs_of, one_batch
from kcnn.callbacks.keras_internals import set_step_function, step_function
from kcnn.callbacks.sanity._accuracy import accuracy_of, least_loss
from kcnn.callbacks.sanity._nonfinite import nonfinite_finding
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import ShortTraining, SwitchedOff, present_rate, require_compiled

__all__ = ["SmallSampleCheck", "SmallSampleResult", "judge_small_sample"]

CHECK = "small_sample"
NEAR_ZERO = 0.02  # of the first loss (10 classes: 0.05 nats)
FACTORS = (1.0, 10.0, 0.1, 100.0)  # of the compiled learning rate, tried in turn


@dataclasses.dataclass(frozen=True)
class SmallSampleResult:
    """What the small sample showed, at the best of the rates tried.

    `losses` of every iteration, `accuracy` on the sample afterwards (None where the task
    has none), `images`, `learning_rate`, what was `switched_off`, and the `finding`.

    >>> result = SmallSampleCheck(x, y, images=10, sink=None).run(model)
    >>> result.images, result.accuracy
    (10, 1.0)
    """

    losses: tuple[float, ...]
    accuracy: float | None
    images: int
    learning_rate: float
    switched_off: tuple[str, ...]
    finding: Finding

    @property
    def iterations(self) -> int:
        return len(self.losses)


def judge_small_sample(
    losses: Sequence[float],
    *,
    accuracy: float | None = None,
    images: int | None = None,
    floor: float = 0.0,
) -> Finding:
    """Say whether a training on a few images reached near-zero loss.

    Args:
        losses: Loss of every iteration on the same images.
        accuracy: Accuracy on them afterwards, 0..1, or None.
        images: How many.
        floor: Least loss there is (label smoothing), in the loss's unit.

    >>> judge_small_sample([2.3, 0.5, 0.01], accuracy=1.0).ok
    True
    """
    first, last = (float(losses[0]), float(min(losses[-5:]))) if losses else (math.nan,) * 2
    goal = floor + NEAR_ZERO * abs(first - floor)
    evidence: dict[str, Any] = {"first": first, "last": last, "goal": goal}
    evidence |= {"iterations": len(losses), "accuracy": accuracy, "images": images}
    sample = "the sample" if images is None else f"{images} images"
    seen = f"loss {first:.3g} to {last:.3g} on {sample} in {len(losses)} iterations"
    if accuracy is not None:
        seen += f", accuracy {accuracy:.0%}"
    expected = f"loss under {goal:.2g}" if math.isfinite(goal) else "a finite loss"
    if accuracy is not None:
        expected += " and accuracy 100%"

    def found(severity, advice="", cause=None):
        return Finding(CHECK, severity, seen, expected, advice, cause, None, evidence)

    if not math.isfinite(first):
        advice = "Look for NaN in inputs, labels and weights, and at the loss."
        return found("failure", advice, "nan_inputs")
    if not all(math.isfinite(loss) for loss in losses):
        return found("failure", "Use a smaller learning rate or clip gradients.", "lr_too_high")
    if last <= goal and (accuracy is None or accuracy > 0.999):
        return found("ok")
    if last <= goal:
        return found(
            "failure",
            "The loss is near zero and the predictions are wrong: look at the last activation, "
            "at from_logits and at the form of the labels.",
            "loss_activation_mismatch",
        )
    if last > floor + 0.9 * (first - floor):
        return found(
            "failure",
            "Nothing is learned even from a few images: look for frozen layers, dead relus, a "
            "missing gradient, a loss that does not fit the last activation.",
        )
    return found(
        "warning",
        "The model learns but does not fit a few images: check the labels for images that are "
        "equal with different labels, give the model more capacity or the check more "
        "iterations.",
        "insufficient_capacity",
    )


class SmallSampleCheck(keras.callbacks.Callback):
    """Overfit a few images before training starts; the model stays as it was.

    Dropout, noise and augmentation layers, weight and activity penalties and weight decay
    are switched off meanwhile. Rates are tried in turn until one gets there. Afterwards
    the model is bit-identical to before. Where there is nothing to switch off (and weight
    decay is none, 0 or a `keras.Variable`), the model's own step function is used: no trace.

    Args:
        x: Images (or any inputs): arrays; or a `tf.data.Dataset` of batches.
        y: Targets.
        images: Size of the sample, 10 to 100; all there are if fewer.
        iterations: Most steps at one rate.
        rates: Learning rates to try in turn. None: the compiled one, 10 times, a tenth
            and 100 times of it.
        seed: Choice of the images.
        sink: Called with the finding.

    Attributes:
        result: The `SmallSampleResult`, or None; `finding`: its finding, or None.

    >>> history = model.fit(x, y, verbose=0, callbacks=[SmallSampleCheck(x[:32], y[:32])])
    ok small_sample: loss ... on 32 images ...
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        images: int = 32,
        iterations: int = 300,
        rates: Sequence[float] | None = None,
        seed: int = 0,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if not 10 <= images <= 100:
            raise ValueError(f"SmallSampleCheck: images must be 10 to 100; received {images}.")
        if iterations < 1:
            raise ValueError(f"SmallSampleCheck: iterations must be 1 or more; got {iterations}.")
        self.feed, self.batch = one_batch(x, y, rows=images, seed=seed)
        self.iterations = iterations
        self.rates = rates
        self.sink = sink
        self.result: SmallSampleResult | None = None

    @property
    def finding(self) -> Finding | None:
        return None if self.result is None else self.result.finding

    def on_train_begin(self, logs=None):
        self.run(self.model)

    def run(
        self, model: keras.Model, *, on_iteration: Callable[[int, float], Any] | None = None
    ) -> SmallSampleResult:
        """Do it now. `on_iteration(iteration, loss)` is called after every step."""
        require_compiled(model, "SmallSampleCheck")
        with SwitchedOff(model) as off:
            function = step_function(model)
            if off.changed:
                set_step_function(model, None)
            try:
                self.result = self._tried(model, tuple(off.names), on_iteration)
            finally:
                if off.changed:
                    set_step_function(model, function)
        hidden = None if self.result.finding.ok else nonfinite_finding(model, self.feed, 1)
        if hidden is not None:
            found = dataclasses.replace(
                self.result.finding,
                severity="failure",
                seen=f"{self.result.finding.seen}; {hidden.seen}",
                advice=hidden.advice,
                cause=hidden.cause,
            )
            self.result = dataclasses.replace(self.result, finding=found)
        tell([self.result.finding], self.sink)
        return self.result

    def _tried(self, model, switched_off, on_iteration) -> SmallSampleResult:
        results: list[SmallSampleResult] = []
        images = len(keras.tree.flatten(inputs_of(self.batch))[0])
        floor = least_loss(model)
        base = present_rate(model)
        with ShortTraining(model, self.feed, weight_decay=0.0) as probe:
            for rate in self.rates or [base * factor for factor in FACTORS]:
                goal = [math.nan]

                def enough(loss, goal=goal):
                    if math.isnan(goal[0]):
                        goal[0] = floor + NEAR_ZERO * abs(loss - floor)
                    return loss < 0.9 * goal[0]

                probe.rewind()
                losses = probe.losses(
                    rate, 0, self.iterations, on_iteration=on_iteration, enough=enough
                )
                accuracy = accuracy_of(model, self.batch)
                finding = judge_small_sample(losses, accuracy=accuracy, images=images, floor=floor)
                results.append(
                    SmallSampleResult(tuple(losses), accuracy, images, rate, switched_off, finding)
                )
                if finding.ok:
                    return results[-1]
        return min(results, key=lambda result: np.nan_to_num(result.losses[-1], nan=math.inf))
