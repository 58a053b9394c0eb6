"""Step 3 of the recipe: a few learning rates, each a short while from the same start."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kcnn.callbacks._finding import Finding, Record
from kcnn.callbacks.data import feed_of
from kcnn.callbacks.learning_rate._rates import RateCurve, choose, judge_rates, shown_again
from kcnn.callbacks.sanity import nonfinite_finding
from kcnn.callbacks.sinks import tell
from kcnn.callbacks.state import ShortTraining, require_compiled

__all__ = ["LRSweep", "SweepResult"]

NOTE_RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@dataclasses.dataclass(frozen=True)
class SweepResult(Record):
    """Curves of all rates in the order given, the pick (None: none is fit) and why.

    >>> result = LRSweep((0.1, 1e-5), iterations=20).run(model, x, y)
    >>> [curve.lr for curve in result.curves], result.suggestion
    ([0.1, 1e-05], 0.1)
    """

    curves: tuple[RateCurve, ...]
    suggestion: float | None
    findings: tuple[Finding, ...]

    def plot(self, ax: Any = None) -> Any:
        """Draw every rate's losses with its verdict; returns the figure."""
        from kcnn.callbacks.plots import plot_sweep

        return plot_sweep(self, ax=ax)


class LRSweep:
    """Train at each of a few learning rates from the same state; pick the clear decrease.

    All rates run through the model's own training step (`model.fit`): a new rate traces
    nothing. Every rate sees the same batches where the data are arrays or fit in memory.
    Afterwards, also after an exception or Ctrl-C, the model is bit-identical to before.

    Args:
        rates: Learning rates.
        iterations: Steps per rate, at least 10. A rate ends early at NaN or infinity.
        weight_decay: Weight decay while sweeping; None keeps the optimizer's. If
            `optimizer.weight_decay` is a `keras.Variable` it is assigned, else set, for
            which the step is traced once more.
        seed: Order of the rows of arrays.
        sink: Called with every finding.

    >>> result = LRSweep(sink=None).run(model, x, y, batch_size=64)
    >>> result.suggestion
    0.1
    """

    def __init__(
        self,
        rates: Sequence[float] = NOTE_RATES,
        *,
        iterations: int = 100,
        weight_decay: float | None = 1e-4,
        seed: int = 0,
        sink: Callable[[Finding], Any] | None = None,
    ):
        if not rates or any(not rate > 0 for rate in rates):
            raise ValueError(
                f"LRSweep: rates must be one or more positive numbers; received {rates!r}."
            )
        if iterations < 10:
            raise ValueError(
                f"LRSweep: iterations must be 10 or more to tell a trend; received {iterations}."
            )
        self.rates = tuple(float(rate) for rate in rates)
        self.iterations = iterations
        self.weight_decay = weight_decay
        self.seed = seed
        self.sink = sink

    def run(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        on_iteration: Callable[[int, int, float], Any] | None = None,
    ) -> SweepResult:
        """Sweep a compiled model.

        Args:
            model: Compiled model, from whose present state every rate starts.
            x: Arrays, a `tf.data.Dataset` or whatever else `fit` takes.
            y: Targets, with arrays.
            batch_size: With arrays; 32 if None.
            on_iteration: Called as `on_iteration(rate_index, iteration, loss)`.
        """
        require_compiled(model, "LRSweep")
        feed = feed_of(x, y, batch_size=batch_size, batches=self.iterations, seed=self.seed)
        measured: list[list[float]] = []
        with ShortTraining(model, feed, weight_decay=self.weight_decay) as probe:
            for index, rate in enumerate(self.rates):

                def told(iteration, loss, index=index):
                    if on_iteration is not None:
                        on_iteration(index, iteration, loss)

                probe.rewind()
                measured.append(probe.losses(rate, 0, self.iterations, on_iteration=told))
        curves = judge_rates(self.rates, measured)
        suggestion, finding = choose(curves)
        findings = [finding]
        looked = 1 if finding.ok else self.iterations
        broken = nonfinite_finding(model, feed, looked)
        if broken is not None:
            findings.insert(0, broken)
        if feed.repeated:
            findings.append(shown_again("learning_rates"))
        tell(findings, self.sink)
        return SweepResult(curves, suggestion, tuple(findings))
