"""The graph of a model, also of a subclassed one whose `call` can be traced."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import known_graph

__all__ = ["graph_of", "has_call"]


def has_call(model: keras.Model) -> bool:
    """False for a model whose parts only its own `train_step` puts together."""
    return type(model).call is not keras.Model.call


def graph_of(model: keras.Model, x: Any) -> keras.Model:
    """A Functional model of the same layers, or `model` itself where `call` refuses tracing.

    Args:
        x: A few rows; their shapes and dtypes become the inputs.
    """
    if known_graph(model) or not has_call(model):
        return model
    try:
        inputs = keras.tree.map_structure(_entry, x)
        view = keras.Model(inputs, model.call(inputs))
    except Exception:  # a call of TensorFlow's own functions, loops over data, ...
        return model
    known = {id(v) for v in model.variables}
    seen = {id(v) for v in view.variables}
    if not seen <= known or any(id(v) not in seen for v in model.trainable_variables):
        return model
    return view


def _entry(leaf: np.ndarray) -> Any:
    dtype = "float32" if leaf.dtype.kind == "f" else str(leaf.dtype)
    return keras.Input(leaf.shape[1:], dtype=dtype)
