"""Trials: copies of the user's network trained under one change each, and judged alike."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor._deadline import NEVER, Deadline
from kcnn.callbacks.doctor.interventions import AS_IT_IS, Intervention
from kcnn.callbacks.doctor.program.copies import copy_model
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of
from kcnn.callbacks.doctor.program.layer_reading import LayerReading, read_activations, read_layers
from kcnn.callbacks.doctor.program.rows import few, on_tensorflow
from kcnn.callbacks.doctor.trials.compiled import CompiledTrainer
from kcnn.callbacks.doctor.trials.data import TrialData, class_weights, scaled, split_rows
from kcnn.callbacks.doctor.trials.measure import Outcome, measure
from kcnn.callbacks.doctor.trials.trainer import Trainer, batch_order, copy_optimizer
from kcnn.callbacks.keras_internals import array_of

__all__ = ["TrialRunner"]


class TrialRunner:
    """Trains copies of the user's model.

    Args:
        context: The program; its model stands at its start.
        rates: Learning rate of each step of the run.
        steps: Steps of the run; `ended` holds the weights it ended with, `based` those of
            a trial that changes nothing.
        length: Steps of a trial.
        until: When a training is broken off.
        data: Rows that train and judge; by default the user's.
    """

    def __init__(
        self, context: Any, *, rates: np.ndarray, steps: int, length: int, until: Deadline = NEVER,
        data: TrialData | None = None,
    ):  # fmt: skip
        self.context, self.model, self.graph = context, context.model, context.graph
        self.rates, self.steps, self.length, self.until = rates, steps, length, until
        place = {id(v): at for at, v in enumerate(self.model.variables)}
        self._places = [place.get(id(v)) for v in self.graph.variables]
        self.data = data or split_rows(context, steps)
        self.ended: list[np.ndarray] | None = None
        self.based: list[np.ndarray] | None = None
        self._trainers: dict[Any, Trainer | None] = {}
        self._done: dict[Any, Outcome | None] = {}

    def on(self, data: TrialData) -> TrialRunner:
        """The same trials on other rows; copies are shared."""
        other = TrialRunner(
            self.context, rates=self.rates, steps=self.steps, length=self.length,
            until=self.until, data=data,
        )  # fmt: skip
        other._trainers, other.ended = self._trainers, self.ended
        return other

    @property
    def time_left(self) -> bool:
        return not self.until.over

    def trainer(self, change: Intervention = AS_IT_IS) -> Trainer | None:
        """The copy with the loop for this change, made once; None where it cannot be made."""
        weighted = class_weights(self.context, self.data, change) is not None
        end = change.head, change.bare
        key = change.edit, change.optimizer, change.clip, end, change.plain_step, weighted
        if key not in self._trainers:
            self._trainers[key] = self._made(change, weighted)
        return self._trainers[key]

    def _made(self, change: Intervention, weighted: bool) -> Trainer | None:
        sample = keras.tree.map_structure(lambda leaf: leaf[:2], self.data.train.x)
        custom = self.context.customary
        edit = change.edit.build(self.graph) if change.edit is not None else None
        if change.bare or change.head:
            known = change.bare or custom.differs(self.context)
            edit = custom.edit(self.graph, bare=change.bare) if known else None
            if edit is None:
                return None
        for trainer in self._trainers.values():
            if trainer is not None and trainer.model is self.model:
                trainer.reset()  # a copy starts where the user's model started
        own = self.context.own_step and not change.plain_step
        optimizer = keras.optimizers.get(change.optimizer) if change.optimizer else None
        if change.clip:
            optimizer = copy_optimizer(self.model.optimizer, clipnorm=1.0)
        kind = CompiledTrainer if self._compiles and not own else Trainer
        try:
            twin = self._twin(sample, edit, own)
            return kind(
                twin, self.model, weighted=weighted, optimizer=optimizer,
                loss=custom.loss if change.head else None,
            )  # fmt: skip
        except Exception as error:  # shapes that do not fit, a compile of the user's own
            self._untried(change, error)
            return None

    @functools.cached_property
    def _compiles(self) -> bool:
        """Whether the standard step can be one compiled loop."""
        targets = keras.tree.flatten(self.data.train.y)
        return on_tensorflow() and not any(leaf is None for leaf in targets)

    def _twin(self, sample: Any, edit: Any, own: bool) -> keras.Model:
        """A copy; the model itself where its own step is what trains, or nothing can be copied."""
        if own and edit is None:
            return self.model
        try:
            twin = copy_model(self.model if own else self.graph, sample, edit)
        except Exception:  # layers without a configuration
            if edit is None and not self._trainers:
                return self.model
            raise
        if own and type(twin) is not type(self.model):
            raise TypeError(f"a copy of {type(self.model).__name__} loses its training step")
        return twin

    def _untried(self, change: Intervention, error: Exception) -> None:
        if not change:
            self.context.case.broke("training a copy", error, blind=False)
            return
        what, why = change.tried(self.context.rate), (str(error).splitlines() or [""])[0]
        words = f"{what} could not be tried: {why[:120] or type(error).__name__}"
        self.context.case.notes.append(words)

    def values(self, trainer: Trainer, values: list[np.ndarray]) -> list[np.ndarray]:
        """Values of the user's variables in the order of a copy's."""
        if trainer.model is self.model or None in self._places:
            return values
        return [values[at] for at in self._places if at is not None]

    def ended_outcome(self) -> Outcome | None:
        """Skills with the weights that the run ended with."""
        trainer = self.trainer()
        if trainer is None or self.ended is None:
            return None
        trainer.reset(self.ended)
        return self.measure(trainer)

    def reading(self, values: list[np.ndarray] | None = None) -> LayerReading | None:
        """A look into the layers with some weights; at those of the start at gradients, too."""
        trainer, rows = self.trainer(), self.data.look
        rows = rows.take(slice(0, few(rows.x)))
        assert trainer is not None
        trainer.reset(values)
        try:
            if values is not None or not on_tensorflow() or self.context.by_loss:
                return read_activations(trainer.model, rows.x)
            return read_layers(trainer.model, rows.x, rows.y)
        except Exception as error:
            self.context.case.broke("looking into the layers", error, blind=False)
            return None
        finally:
            trainer.reset()

    def measure(self, trainer: Trainer, change: Intervention = AS_IT_IS) -> Outcome:
        """Skills of a trainer's present weights."""
        return measure(self.context, self.data, trainer, change)

    def run(
        self, change: Intervention = AS_IT_IS, *, steps: int | None = None, seed: int = 0,
        start: list[np.ndarray] | None = None,
    ) -> Outcome | None:  # fmt: skip
        """Train under a change and measure; None when the copy cannot be made.

        A trial of the same change, length and seed is not run twice.
        """
        length = self.length if steps is None else steps
        key = change, length, seed
        if start is not None:
            return self._train(change, length, seed, start)
        if key not in self._done:
            self._done[key] = self._train(change, length, seed)
        return self._done[key]

    def _train(
        self, change: Intervention, length: int, seed: int, start: Any = None
    ) -> Outcome | None:
        trainer = self.trainer(change)
        if trainer is None:
            return None
        trainer.reset(fresh_weights(trainer.model, seed) if change.fresh else start)
        case = self.context.case
        rows = scaled(self.data, change)
        rows = Rows(rows.x, rows.y, class_weights(self.context, self.data, change))
        batch = min(change.batch or case.batch_size, rows.n)
        steps = length
        if batch > case.batch_size:  # the samples of the whole run, which are few steps now
            steps = max(1, min(length, self.steps * case.batch_size // batch))
        elif change.batch:
            steps = length * case.batch_size // batch
        shuffle = case.shuffled or change.shuffle
        order = batch_order(rows.n, batch, steps, shuffle=shuffle, seed=seed + 1)
        try:
            losses = trainer.train(rows, order, self._rates(change, steps, length), self.until)
        except Exception as error:  # a step of the user's own may refuse weights, or other batches
            self._untried(change, error)
            return None
        outcome = self.measure(trainer, change)
        outcome.losses, outcome.steps = losses, len(losses)
        return outcome

    def _rates(self, change: Intervention, steps: int, length: int) -> np.ndarray:
        """The rate at each step of a trial: the run's own, as far as the trial goes."""
        if change.optimizer:
            return np.full(steps, change.rate, "float32")
        if change.hold or change.longer:
            return np.full(steps, self.rates.max() if change.hold else self.rates[-1], "float32")
        end = len(self.rates) * (1.0 if change.batch else length / max(self.steps, 1))
        at = np.linspace(0, end, steps, endpoint=False).astype(int)
        return self.rates[np.minimum(at, len(self.rates) - 1)] * change.rate


def fresh_weights(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Values of all variables with kernels drawn anew (Glorot normal) and biases at zero."""
    rng = np.random.default_rng(seed)
    holders = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    kernels = {id(kernel_of(layer)) for layer in holders}
    biases = {id(layer.bias) for layer in holders if getattr(layer, "bias", None) is not None}
    values = []
    for variable in model.variables:
        value = array_of(variable)
        if id(variable) in kernels:
            fan_in, fan_out = int(np.prod(value.shape[:-1])), int(value.shape[-1])
            spread = np.sqrt(2.0 / max((fan_in + fan_out) / 2, 1))
            value = rng.normal(0, spread, value.shape).astype(value.dtype)
        elif id(variable) in biases:
            value = np.zeros_like(value)
        values.append(value)
    return values
