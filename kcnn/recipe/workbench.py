"""One compiled model per size: every training starts from the same state without a new trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from kcnn.callbacks import Snapshot

__all__ = ["MOMENTUM", "Workbench", "adjustable_optimizer", "classification_loss"]

MOMENTUM = 0.9  # He et al., arXiv:1512.03385, section 3.4


@dataclass
class _Bench:
    model: keras.Model
    start: Snapshot


class Workbench:
    """Builds, compiles and traces each model size once and lends it out as new.

    Args:
        build: width factor -> uncompiled model that gives logits.
        optimizer: "sgd" or "adamw".
        seed: of the initial weights, the same for each model size.
    """

    def __init__(self, build: Callable[[float], keras.Model], *, optimizer: str, seed: int):
        self._build = build
        self._optimizer = optimizer
        self._seed = seed
        self._benches: dict[float, _Bench] = {}

    def fresh(self, *, width: float = 1.0, lr: float, weight_decay: float = 0.0) -> keras.Model:
        """The model of this width in its initial state, set to this rate and decay.

        The learning rate and the weight decay are variables of the compiled step, so setting
        them costs nothing.
        """
        if width not in self._benches:
            self._benches[width] = self._make(width)
        bench = self._benches[width]
        bench.start.restore()
        bench.model.optimizer.learning_rate.assign(lr)
        bench.model.optimizer.weight_decay.assign(weight_decay)
        return bench.model

    def _make(self, width: float) -> _Bench:
        keras.utils.set_random_seed(self._seed)
        model = self._build(width)
        optimizer = adjustable_optimizer(self._optimizer)
        model.compile(optimizer=optimizer, loss=classification_loss(), metrics=["accuracy"])
        optimizer.build(model.trainable_variables)
        return _Bench(model, Snapshot(model))


def classification_loss() -> keras.losses.Loss:
    """Softmax cross-entropy of integer labels and logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def adjustable_optimizer(kind: str, *, lr: float = 0.1) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum or AdamW whose weight decay is a variable too.

    Norm scales and offsets and biases are not decayed.
    """
    # The decay given here only switches decay on; the variable takes its place.
    if kind == "sgd":
        optimizer = keras.optimizers.SGD(lr, momentum=MOMENTUM, nesterov=True, weight_decay=1e-4)
    else:
        optimizer = keras.optimizers.AdamW(lr, weight_decay=1e-4)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.weight_decay = keras.Variable(1e-4, trainable=False, name="weight_decay")
    return optimizer
