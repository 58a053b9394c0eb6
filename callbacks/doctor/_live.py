"""The doctor beside a running `fit`: cheap looks, said as soon as they are certain."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import SEVERITIES, Finding
from kcnn.callbacks.data import draw
from kcnn.callbacks.doctor._context import Context
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor._ranking import loss_falls
from kcnn.callbacks.doctor._reading import read_context
from kcnn.callbacks.doctor._registry import Selection
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of
from kcnn.callbacks.doctor.program.layer_reading import read_activations
from kcnn.callbacks.keras_internals import array_of, graph_links
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import copies, present_rate, put_back, state_variables, sync

__all__ = ["Doctor"]

SPARE = 200.0  # a look at the layers waits for this many times its own seconds of training
ROWS = 32  # that a look at the layers takes
CORNER = 4096  # weights of a kernel: enough to see whether it moves


class Doctor(keras.callbacks.Callback):
    """Watches any `model.fit` and says what is wrong with it.

    Before the first step it runs the checks of the set-up (with `x` and `y` also those of the
    data); every `every` steps it looks whether the loss is finite; after each epoch it reads
    the curves and, on a few samples, the activations.

    Args:
        x, y: Some samples of the training data, or None: then only the curves are judged.
        every: Steps between two looks at the loss.
        stop: End the run when it is lost (NaN, a network whose units are all dead).
        keep_best: Restore the best weights seen (by validation loss, else by loss)
            when the run was stopped as lost.
        select, ignore: Ids of checks, by default all.
        parameters: Check id to its numbers by name.
        sink: Hears each failure and warning once.

    After `fit`: `findings`, ranked, and `diagnosis`.

    >>> history = model.fit(x, y, verbose=0, callbacks=[Doctor(x, y)])
    """

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        every: int = 50,
        stop: bool = False,
        keep_best: bool = True,
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
        parameters: Mapping[str, Mapping[str, float]] | None = None,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"Doctor: every must be at least 1 step; received {every!r}.")
        self.x, self.y = x, y
        self.every, self.stop, self.keep_best, self.sink = every, stop, keep_best, sink
        # The order of a sample is not the order of training.
        self.selection = Selection(tuple(select), (*ignore, "row_order"), parameters or {})
        self.findings: list[Finding] = []

    @property
    def diagnosis(self) -> Diagnosis:
        """The findings so far."""
        ordered = sorted(self.findings, key=lambda f: -SEVERITIES.index(f.severity))
        if self._context is None:
            return Diagnosis(tuple(ordered))
        case = self._context.case
        return Diagnosis(tuple(ordered), unseen=tuple(case.unseen), blind=case.blind)

    _context: Context | None = None

    def on_train_begin(self, logs=None):
        self.findings, self.history = [], {}
        self._said: set[Any] = set()
        self._held: list[Hypothesis] = []
        self._epoch = 1
        self._steps, self._best, self._kept = 0, np.inf, None
        self.lost = False
        self._looked, self._cost = time.perf_counter(), 0.0
        with graph_links(self.model):
            self._context = self._read()
            stages = ("static", "start") if self.x is None else ("static", "data", "start")
            for one in self._context.hypotheses(*stages, most="rows") if self.model.built else ():
                if one.is_proven:
                    self._say(one.finding("failure"))
                elif one.certainty is Certainty.LIKELY:
                    self._held.append(one)  # said when the loss bears it out
        self._tell_unseen()
        self._start = self._kernels()

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._steps % self.every and self._steps > 1:
            return
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(float(loss)):
            self._lose("the loss is not a number", "lr_too_high")

    def on_epoch_end(self, epoch, logs=None):
        self._epoch = epoch + 1
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(np.mean(value)))
        losses = self.history.get("loss", [0.0])
        if not np.isfinite(losses[-1]):
            self._lose("the loss is not a number", "lr_too_high")
            return
        context = self._context
        assert context is not None
        context.history, context.now = self.history, self._look()
        for one in context.hypotheses("run"):
            self._say(one.finding("failure" if one.is_proven else "warning"))
            if one.is_proven and one.cause == "dying_relu":
                self._lose(one.seen, "dying_relu", say=False)
        if not loss_falls(losses):
            for one in self._held:
                self._say(one.finding("warning"))
        self._tell_unseen()
        score = self.history.get("val_loss", losses)[-1]
        if self.stop and self.keep_best and score < self._best:
            self._best = score
            sync(self.model)
            self._kept = copies(state_variables(self.model))

    def on_train_end(self, logs=None):
        before, after = self._start, self._kernels()
        same = [name for name in after if np.array_equal(after[name], before.get(name, ()))]
        if same and len(same) == len(after) and self._steps > 3:
            self._say(
                Finding(
                    "weights", "failure", "no kernel changed during training", "kernels that move",
                    "Check trainable flags, the learning rate and the loss.",
                    cause="frozen_layers", where=same[0],
                )
            )  # fmt: skip
        if self.lost and self._kept is not None:
            put_back(self._kept)

    def _read(self) -> Context:
        """The program as far as it can be seen from beside `fit`."""
        arguments = {"batch_size": int((self.params or {}).get("batch_size") or 32)}
        if self.x is None or not self.model.built:
            nothing = draw(np.zeros((1, 1), "float32"), np.zeros(1, "float32"), arguments)
            nothing.batch_size = arguments["batch_size"]
            return Context(self.model, nothing, self.selection, graph=self.model)
        return read_context(self.model, draw(self.x, self.y, arguments), self.selection)

    def _look(self) -> Any:
        """The activations on a few rows, where training has paid for another look."""
        begin, context = time.perf_counter(), self._context
        assert context is not None
        if self.x is None or begin - self._looked < SPARE * self._cost or not context.has_graph:
            return None
        with graph_links(self.model):
            reading = read_activations(self.model, context.case.train.take(slice(0, ROWS)).x)
        self._looked = time.perf_counter()
        self._cost = self._looked - begin
        return reading

    def _kernels(self) -> dict[str, np.ndarray]:
        """A corner of each kernel."""
        kernels = {layer.name: kernel_of(layer) for layer in flat_layers(self.model)}
        return {
            name: array_of(kernel).reshape(-1)[:CORNER].copy()
            for name, kernel in kernels.items()
            if kernel is not None
        }

    def _lose(self, words: str, cause: str, *, say: bool = True) -> None:
        if say:
            sync(self.model)
            rate = present_rate(self.model)
            self._say(
                Finding(
                    "loss", "failure", words, "a finite loss",
                    f"Check the data for NaN, then lower the learning rate ({rate:g}) ten times.",
                    cause=None if any(f.cause == "nan_inputs" for f in self.findings) else cause,
                    evidence={"step": self._steps, "learning_rate": rate},
                )
            )  # fmt: skip
        if self.stop and not self.lost:
            self.lost = True
            self.model.stop_training = True

    def _tell_unseen(self) -> None:
        """Checks that broke are told like findings."""
        assert self._context is not None
        case = self._context.case
        for why in case.unseen if case.blind else ():
            self._say(Finding("doctor", "warning", why, "checks that run", "Report it.", where=why))

    def _say(self, finding: Finding) -> None:
        key = finding.check, finding.cause, finding.where
        if key in self._said or finding.severity not in ("failure", "warning"):
            return
        self._said.add(key)
        finding = finding.now(epoch=self._epoch, step=self._steps)
        self.findings.append(finding)
        tell([finding], self.sink)
