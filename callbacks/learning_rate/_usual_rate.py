"""The learning rate that usually serves: by optimizer, batch size and normalization."""

import math
from typing import Any

import keras

from kcnn.callbacks.keras_internals import layers_of
from kcnn.callbacks.state import innermost

__all__ = ["usual_rate"]

# Fitted, with the rule of _range_rules.py, on the tuning tasks of benchmarks/lr_suggestion.py,
# and rounded: they serve the range test, and are not what people set.
SGD, ADAM = 0.4, 0.005  # without normalization, in batches of 64; SGD's times 1 - momentum
LION = 0.0025
ALIKE = (keras.optimizers.Adam, keras.optimizers.Nadam, keras.optimizers.RMSprop)
BATCH, POWER = 64, 2 / 3  # between the linear and the square-root rule (arXiv:1706.02677)
FACTORS = {"batch": 2.3, "layer": 0.5, "instance": 3.5, "group": 1.0}


def usual_rate(model: keras.Model, batch: float | None = None) -> float | None:
    """The rate that served most networks like this one; None for other optimizers.

    A step of SGD goes 1 / (1 - momentum) times its rate in the end. Networks with several
    kinds of normalization lie between.

    Args:
        model: Compiled model.
        batch: Samples behind one update of the weights; None where that is not known.
    """
    optimizer = innermost(model.optimizer)[-1]
    if isinstance(optimizer, keras.optimizers.SGD):
        rate = SGD * (1.0 - float(optimizer.momentum))
    elif isinstance(optimizer, ALIKE):
        rate = ADAM
    elif isinstance(optimizer, keras.optimizers.Lion):
        rate = LION
    else:
        return None
    kinds = [kind for layer in layers_of(model) if (kind := _normalization(layer))]
    if kinds:
        rate *= math.exp(sum(math.log(FACTORS[kind]) for kind in kinds) / len(kinds))
    return rate * ((batch or BATCH) / BATCH) ** POWER


def _normalization(layer: Any) -> str | None:
    """Over what a layer normalizes; None for other layers. kcnn's own say their `group_count`."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return "batch"
    if isinstance(layer, (keras.layers.LayerNormalization, keras.layers.RMSNormalization)):
        return "layer"
    groups = getattr(layer, "group_count", None)
    if isinstance(layer, keras.layers.GroupNormalization):
        groups = layer.groups
    if not isinstance(groups, int):
        return None
    if groups == 1:
        return "layer"
    channels = {weight.shape[0] for weight in layer.weights}
    return "instance" if groups == -1 or channels == {groups} else "group"
