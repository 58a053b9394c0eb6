"""Copies of layers and networks, as they are or with one thing changed."""

from typing import Any

import keras

from kcnn.callbacks.doctor.program.graph import flat_layers
from kcnn.callbacks.keras_internals import arguments_of, functional_of, layers_of

__all__ = ["changed", "copy_model"]


def changed(layer: Any, **changes: Any) -> Any:
    """A new layer of the same kind with another configuration, or with the same one.

    Functions and objects of the user's own cannot be made from a configuration: where that
    fails, the layer's own ones serve again.
    """
    kind = layer.__class__
    try:
        config = layer.get_config()
        config.update({key: value for key, value in changes.items() if key in config})
        return kind.from_config(config)
    except Exception:  # unregistered functions, lambdas, an __init__ without **kwargs
        own = arguments_of(layer)
        if kind.get_config is keras.layers.Layer.get_config and own is not None:
            new = kind(**own)
        else:
            config = {**layer.get_config()}
            for key, value in config.items():
                if isinstance(value, dict) and callable(getattr(layer, key, None)):
                    config[key] = getattr(layer, key)
            config.update({key: value for key, value in changes.items() if key in config})
            new = kind(**config)
    new.name = layer.name
    return new


def copy_model(model: keras.Model, sample: Any, edit: Any = None) -> keras.Model:
    """A clone of `model` with the same weights.

    Args:
        sample: A few input rows; the clone is called on them once.
        edit: `edit(layer) -> layer or None` replaces single layers of the clone.

    Raises:
        Exception: whatever layers raise that have no configuration, or do not fit once changed.
    """

    def make(layer):
        new = edit(layer) if edit is not None else None
        return changed(layer) if new is None else new

    if isinstance(model, keras.Sequential) or functional_of(model) is not None:
        nested = any(isinstance(layer, keras.Model) for layer in model.layers)
        compiled, model.compiled = model.compiled, False  # the user's own losses cannot be cloned
        try:
            twin = keras.models.clone_model(model, clone_function=make, recursive=nested)
        finally:
            model.compiled = compiled
    elif edit is None:
        twin = model.__class__.from_config(model.get_config())
    else:
        raise TypeError(f"the call of {model.name} cannot be traced")
    twin(sample)
    match_weights(twin, model)
    for layer in layers_of(twin):
        if hasattr(layer, "finalize_state"):  # of Normalization: made of its weights
            layer.finalize_state()
    return twin


def match_weights(twin: keras.Model, model: keras.Model) -> None:
    """Give `twin` the weights of `model` where shapes agree: in order, or by layer names."""
    if len(twin.weights) == len(model.weights):
        for variable, other in zip(twin.weights, model.weights, strict=True):
            if tuple(variable.shape) == tuple(other.shape):
                variable.assign(other)
        return
    mine = {layer.name: layer for layer in flat_layers(twin)}
    for layer in flat_layers(model):
        twins = mine.get(layer.name)
        if twins is None:
            continue
        for variable, other in zip(twins.weights, layer.weights, strict=False):
            if tuple(variable.shape) == tuple(other.shape):
                variable.assign(other)
