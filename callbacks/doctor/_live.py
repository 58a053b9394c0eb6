"""The doctor beside a running `fit`: cheap looks, said as soon as they are firm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._facts import read_facts
from kcnn.callbacks.doctor._live_rules import judge_epochs, judge_layers, loss_falls
from kcnn.callbacks.doctor._rows import draw
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of
from kcnn.callbacks.doctor.program.view import unlinked
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.sinks import print_sink
from kcnn.callbacks.state import state_variables

__all__ = ["Doctor"]

SPARE = 100.0  # a look at the layers waits for this many times its own seconds of training


class Doctor(keras.callbacks.Callback):
    """Watches any `model.fit` and says what is wrong with it.

    Before the first step it reads the static facts (with `x` and `y` also those of the
    data); every `every` steps it looks whether loss and weights are finite; after each
    epoch it reads the curves and, on a few samples, the activations.

    Args:
        x, y: Some samples of the training data, or None: then layers, optimizer and
            curves alone are judged.
        every: Steps between two looks at the loss.
        stop: End the run when it is lost (NaN, a network whose units are all dead).
        keep_best: Restore the best weights seen (by validation loss, else by loss)
            when the run was stopped as lost.
        sink: Hears each failure and warning once.

    After `fit`: `findings`, ranked, and `diagnosis`.
    """

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        every: int = 50,
        stop: bool = False,
        keep_best: bool = True,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"Doctor: every must be at least 1 step; received {every!r}.")
        self.x, self.y = x, y
        self.every, self.stop, self.keep_best, self.sink = every, stop, keep_best, sink
        self.findings: list[Finding] = []

    @property
    def diagnosis(self) -> Diagnosis:
        """The findings so far."""
        order = {"failure": 0, "warning": 1, "note": 2, "ok": 3}
        return Diagnosis(tuple(sorted(self.findings, key=lambda f: order[f.severity])))

    def on_train_begin(self, logs=None):
        self.findings, self.history = [], {}
        self._said: set[Any] = set()
        self._unusual: list[Finding] = []
        self._steps, self._best, self._kept = 0, np.inf, None
        self._first = None
        self.lost = False
        self._rows = None
        self._looked, self._cost = time.perf_counter(), 0.0
        if self.x is not None and self.model.built:
            case = draw(self.x, self.y, {"batch_size": self._batch_size()})
            self._rows = case.train.take(slice(0, 32))
            with unlinked(self.model):
                suspects = read_facts(self.model, case).suspects
            for suspect in suspects:
                if suspect.cause in ("missing_shuffle",):
                    continue  # the order of a sample is not the order of training
                if suspect.firm or suspect.weight >= 0.6:
                    finding = suspect.finding("failure" if suspect.firm else "warning")
                    if suspect.check == "optimizer" and not suspect.firm:
                        self._unusual.append(finding)  # said when the loss bears it out
                    else:
                        self._say(finding)
            for why in case.unseen:
                self._say(Finding("doctor", "warning", why, "checks that run", "Report it."))
        self._start = self._kernels()

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._steps % self.every and self._steps > 1:
            return
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(float(loss)):
            self._lose("the loss is not a number", "lr_too_high")

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(np.mean(value)))
        for finding in judge_epochs(self.history, self._rate()):
            self._say(finding)
        if not loss_falls(self.history.get("loss", [])):
            for finding in self._unusual:
                self._say(finding)
        if not np.isfinite(self.history.get("loss", [0.0])[-1]):
            self._lose("the loss is not a number", "lr_too_high")
            return
        begin = time.perf_counter()
        if self._rows is not None and begin - self._looked >= SPARE * self._cost:
            for finding, dead in judge_layers(self.model, self._rows.x):
                self._say(finding)
                if dead:
                    self._lose(finding.seen, "dying_relu", say=False)
            self._looked = time.perf_counter()
            self._cost = self._looked - begin
        score = self.history.get("val_loss", self.history.get("loss", [np.inf]))[-1]
        if self.stop and self.keep_best and score < self._best:
            self._best = score
            self._kept = [(v, keras.ops.copy(v.value)) for v in state_variables(self.model)]

    def on_train_end(self, logs=None):
        before, after = self._start, self._kernels()
        still = [
            name
            for name, value in after.items()
            if name in before and self._steps > 3 and np.array_equal(value, before[name])
        ]
        if still and len(still) == len(after):
            self._say(
                Finding(
                    "weights", "failure", "no kernel changed during training", "kernels that move",
                    "Check trainable flags, the learning rate and the loss.",
                    cause="frozen_layers", where=still[0],
                )
            )  # fmt: skip
        if self.lost and self._kept is not None:
            for variable, value in self._kept:
                variable.assign(value)

    def _batch_size(self) -> int:
        size = (self.params or {}).get("batch_size")
        return int(size) if size else 32

    def _rate(self) -> float:
        return float(array_of(self.model.optimizer.learning_rate))

    def _kernels(self) -> dict[str, np.ndarray]:
        """A corner of each kernel: enough to see whether it moves."""
        found = {}
        for layer in flat_layers(self.model):
            kernel = kernel_of(layer)
            if kernel is not None:
                found[layer.name] = array_of(kernel).reshape(-1)[:4096].copy()
        return found

    def _lose(self, words: str, cause: str, *, say: bool = True) -> None:
        if say:
            rate = self._rate()
            self._say(
                Finding(
                    "loss", "failure", words, "a finite loss",
                    f"Check the data for NaN, then lower the learning rate ({rate:g}) ten times.",
                    cause=None if self._named("nan_inputs") else cause,
                    evidence={"step": self._steps, "learning_rate": rate},
                )
            )  # fmt: skip
        if self.stop and not self.lost:
            self.lost = True
            self.model.stop_training = True

    def _named(self, cause: str) -> bool:
        return any(f.cause == cause for f in self.findings)

    def _say(self, finding: Finding) -> None:
        key = finding.check, finding.cause, finding.where
        if key in self._said or finding.severity not in ("failure", "warning"):
            return
        self._said.add(key)
        self.findings.append(finding)
        if self.sink is not None:
            self.sink(finding)
